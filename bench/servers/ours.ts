/** The scheme and the verifier of both servers with this library. Discovery finds the issuer's keys. */
import { Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { JwtVerifier, OAuth2, Signatures } from "../../src/index.ts"
import { settings } from "./child.ts"

const { audience, cache, issuer, usesJose, scopes } = settings

export const auth = OAuth2.clientCredentials("OAuth2", {
  tokenUrl: `${issuer}/token`,
  scopes: Object.fromEntries(scopes.map((scope) => [scope, scope]))
})

export const required = auth.require(...scopes)

const policy = { issuer, audience, ...(cache ? {} : { cache: false as const }) }

// Only the servers of a fleet load Redis.
const verifier =
  settings.fleet === undefined
    ? JwtVerifier.layer(policy)
    : (await import("./fleet.ts")).verifierOf(settings.fleet, policy)

export const Authentication = auth
  .layer(verifier)
  .pipe(Layer.provide(usesJose ? Signatures.layerJose : Layer.empty), Layer.provide(FetchHttpClient.layer))
