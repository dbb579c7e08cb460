/** Makes the sources of grants without a sign-in. Each set of scopes has a token of its own. */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import type { NeedsHttpClient } from "../../core/missing.ts"
import type { ConfigurationError } from "../../core/SecurityError.ts"
import type { Renewal } from "./options.ts"
import * as tokenCache from "./tokenCache.ts"
import type { TokenError } from "../ClientError.ts"
import type { ClientTokens } from "../../core/clientToken.ts"
import { issuedOf } from "../protocol/issued.ts"
import type { Registration } from "../protocol/options.ts"
import * as tokenEndpoint from "../protocol/tokenEndpoint.ts"

interface Options extends Registration, Renewal {
  readonly scopes?: ReadonlyArray<string>
  readonly resource?: string
  readonly parameters?: tokenEndpoint.Parameters
}

/** `grant` returns the parameters that only this grant has. It runs for each token request. */
export const make = (
  given: Options,
  grantType: string,
  grant: Effect.Effect<tokenEndpoint.Parameters, TokenError>
): Effect.Effect<ClientTokens, ConfigurationError, NeedsHttpClient | Scope.Scope> =>
  Effect.gen(function* () {
    const options = ownProperties(given)
    const endpoint = yield* tokenEndpoint.make(options)
    const lifetimes = yield* tokenCache.lifetimesOf(options)
    const { dpop, resource, scopes = [] } = options
    // The key of the cache does not contain the parameters, so they must not change.
    const parameters = { ...options.parameters }
    const cache = tokenCache.make<ReadonlyArray<string>>({
      lifetimes,
      scope: yield* Scope.Scope,
      // The issuer, the client and the other parameters are the same for the whole source.
      textOf: (scopes) => scopes.join(" "),
      fetch: (scopes) =>
        Effect.flatMap(grant, (own) =>
          endpoint.request(grantType, {
            ...parameters,
            ...own,
            ...(scopes.length > 0 && { scope: scopes.join(" ") }),
            ...(resource !== undefined && { resource })
          })
        ).pipe(Effect.map((response) => issuedOf(response, scopes, lifetimes.defaultLifetime, dpop)))
    })
    return {
      get: (request = {}) => cache.get(Array.from(new Set(request.scopes ?? scopes)).toSorted()),
      forget: cache.forget
    }
  })
