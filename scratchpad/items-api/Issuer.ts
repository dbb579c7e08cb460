/** Who issues the tokens: the embedded authorization server, or the one that the environment names. */
import { Effect, Layer, Option, Schema } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { JwtVerifier, KeySet } from "effect-oauth2"
import * as NodeSignatures from "effect-oauth2/NodeSignatures"
import { AuthorizationServer } from "./AuthorizationServer.ts"
import type { Endpoints } from "./Security.ts"
import type { Settings } from "./Settings.ts"

export interface Issuer extends Endpoints {
  readonly issuer: string
  readonly audience: string
  readonly embedded: boolean
}

export class IssuerUnavailable extends Schema.TaggedError<IssuerUnavailable>()("IssuerUnavailable", {
  issuer: Schema.String
}) {
  override get message() {
    return `The issuer ${this.issuer} cannot be reached, or publishes no OpenID Connect metadata: check ISSUER and the network`
  }
}

/** The base URL of the API, which is the audience of the embedded server's tokens too. */
export const apiUrl = (settings: Settings) => `http://127.0.0.1:${settings.port}`

/** Where browsers find the API: there, unless a proxy stands before it. */
export const publicUrl = (settings: Settings) =>
  Option.match(settings.publicUrl, { onNone: () => apiUrl(settings), onSome: ({ href }) => href.replace(/\/$/, "") })

/** Finds the issuer, having started it where the environment names none. */
export const make = Effect.fnUntraced(function* (settings: Settings) {
  if (Option.isSome(settings.external)) {
    const { audience, issuer } = settings.external.value
    return { issuer, audience, embedded: false, ...(yield* endpointsOf(issuer)) }
  }
  const audience = apiUrl(settings)
  const server = yield* Layer.build(
    AuthorizationServer.layer({
      port: settings.authorizationServerPort,
      audience,
      redirectUris: Array.from(new Set([audience, publicUrl(settings)]), (url) => `${url}/docs/oauth2-redirect`),
      origins: [audience, new URL(publicUrl(settings)).origin]
    })
  )
  const { issuer } = yield* Effect.provideContext(AuthorizationServer, server)
  return { issuer, audience, embedded: true, ...(yield* endpointsOf(issuer)) }
})

const endpointsOf = (issuer: string) =>
  HttpClient.get(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`).pipe(
    Effect.flatMap(HttpClientResponse.filterStatusOk),
    Effect.flatMap(
      HttpClientResponse.schemaBodyJson(
        Schema.Struct({ authorization_endpoint: Schema.String, token_endpoint: Schema.String })
      )
    ),
    Effect.timeout("10 seconds"),
    Effect.map((metadata) => ({
      authorizationUrl: metadata.authorization_endpoint,
      tokenUrl: metadata.token_endpoint
    })),
    Effect.mapError(() => new IssuerUnavailable({ issuer }))
  )

/** Verifies the issuer's tokens. Its keys are fetched at once, so that a wrong setting shows at start-up and not as a 503. */
export const verifier = (issuer: Issuer) =>
  JwtVerifier.layerKeySet({ issuer: issuer.issuer, audience: issuer.audience }).pipe(
    Layer.provide(Layer.effectDiscard(Effect.flatMap(KeySet.KeySet, (keys) => keys.refresh))),
    Layer.provide([KeySet.layerDiscovery({ issuer: issuer.issuer }), NodeSignatures.layer])
  )
