/**
 * The required scopes of the running code. Equivalent to FastAPI's `SecurityScopes`.
 *
 * `SecurityScopes.require` adds scopes for the effect that it wraps. `auth.authorize` reads them, so one function can
 * authorize callers with different required scopes.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as requiredScopes from "./requiredScopes.ts"
import type { RequiredScopes } from "./requiredScopes.ts"
import { assertScopeTokens } from "./scope.ts"

export type { RequiredScopes } from "./requiredScopes.ts"

/**
 * Reference that holds the required scopes as `{ scopes, scopeStr }`. Default: no scopes.
 *
 * **Details**
 *
 * A reference has a default value. Reading it adds nothing to the requirements of an effect.
 *
 * **Example** (Reading the required scopes)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { SecurityScopes } from "effect-oauth2"
 *
 * const guard = Effect.map(SecurityScopes, (required) => required.scopeStr)
 * const readItems = guard.pipe(SecurityScopes.require("items:read"))
 *
 * Effect.runSync(guard) // => ""
 * Effect.runSync(readItems) // => "items:read"
 * Effect.runSync(readItems.pipe(SecurityScopes.require("me"))) // => "me items:read"
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export class SecurityScopes extends Context.Reference<RequiredScopes>("effect-oauth2/SecurityScopes", {
  defaultValue: () => requiredScopes.none
}) {
  /**
   * Adds required scopes for the wrapped effect.
   *
   * **Details**
   *
   * The scopes also apply to fibers that the effect forks. They do not apply to siblings or parents of the effect.
   * Throws a `TypeError` if a string is not a scope name (RFC 6749 §3.3).
   *
   * **Example** (Limiting scopes to the wrapped effect)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { SecurityScopes } from "effect-oauth2"
   *
   * const required = Effect.map(SecurityScopes, ({ scopes }) => scopes)
   * const inside = required.pipe(SecurityScopes.require("items:read", "me"), SecurityScopes.require("me"))
   *
   * Effect.runSync(Effect.all([inside, required])) // => [["me", "items:read"], []]
   * ```
   *
   * @since 0.1.0
   */
  static require(...scopes: ReadonlyArray<string>): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> {
    assertScopeTokens("SecurityScopes.require", scopes)
    return Effect.updateService(SecurityScopes, (outer) => requiredScopes.extend(outer, scopes, undefined))
  }
}
