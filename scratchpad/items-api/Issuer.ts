/** The issuer of the tokens: the embedded authorization server, or the issuer that the environment names. */
import { Effect, Layer, Option, Schema } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { JwtVerifier, KeySet } from "effect-oauth2"
import { AuthorizationServer, clients } from "./AuthorizationServer.ts"
import * as Rules from "./Rules.ts"
import type { Endpoints } from "./Security.ts"
import type { Settings } from "./Settings.ts"

export interface Issuer extends Endpoints {
  readonly issuer: string
  readonly audience: string
  readonly embedded: boolean
  /** Options of the verifier. */
  readonly rules: JwtVerifier.Options
  /** Client with which the documentation page logs in. */
  readonly docsClientId: string | undefined
  /** Origin of the web page. `undefined` if there is no page. */
  readonly pageOrigin: string | undefined
}

export class IssuerUnavailable extends Schema.TaggedError<IssuerUnavailable>()("IssuerUnavailable", {
  issuer: Schema.String
}) {
  override get message() {
    return `The issuer ${this.issuer} cannot be reached, or has no OpenID Connect metadata. Check ISSUER and the network.`
  }
}

/** Base URL of the API. Tokens of the embedded server have this URL as their audience. */
export const apiUrl = (settings: Settings) => `http://127.0.0.1:${settings.port}`

/** Base URLs of the API on this machine. A browser treats the two as different origins. */
const localUrls = (settings: Settings) => [apiUrl(settings), `http://localhost:${settings.port}`]

/** URL of the API for browsers. It differs from `apiUrl` if the API runs behind a proxy. */
export const publicUrl = (settings: Settings) =>
  Option.match(settings.publicUrl, { onNone: () => apiUrl(settings), onSome: ({ href }) => href.replace(/\/$/, "") })

/** Returns the issuer that the environment names. Starts the embedded server if the environment names none. */
export const make = Effect.fnUntraced(function* (settings: Settings) {
  if (Option.isSome(settings.external)) {
    const { audience, docsClientId, issuer, profile, provider } = settings.external.value
    const rules = yield* Rules.make(issuer, audience, provider, profile)
    return {
      issuer,
      audience,
      embedded: false,
      rules,
      docsClientId,
      pageOrigin: undefined,
      ...(yield* endpointsOf(issuer))
    }
  }
  const audience = apiUrl(settings)
  // The sign-in has one address. With a proxy, the app has several, and a proxy may add a prefix to the path.
  const pageOrigin = Option.isNone(settings.publicUrl) ? audience : undefined
  const urls = Array.from(new Set([...localUrls(settings), publicUrl(settings)]))
  const server = yield* Layer.build(
    AuthorizationServer.layer({
      port: settings.authorizationServerPort,
      audience,
      redirectUris: urls.map((url) => `${url}/docs/oauth2-redirect`),
      origins: urls.map((url) => new URL(url).origin),
      ...(pageOrigin === undefined ? {} : { webOrigin: pageOrigin })
    })
  )
  const { issuer } = yield* Effect.provideContext(AuthorizationServer, server)
  return {
    issuer,
    audience,
    embedded: true,
    rules: { issuer, audience },
    docsClientId: clients.docs.clientId,
    pageOrigin,
    ...(yield* endpointsOf(issuer))
  }
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

/**
 * Verifies the issuer's tokens. Fetches the keys at start-up, so that a wrong setting does not first appear as a 503.
 */
export const verifier = (issuer: Issuer) =>
  JwtVerifier.layerKeySet(issuer.rules).pipe(
    Layer.provide(Layer.effectDiscard(Effect.flatMap(KeySet.KeySet, (keys) => keys.refresh))),
    Layer.provide(KeySet.layerDiscovery({ issuer: issuer.issuer }))
  )
