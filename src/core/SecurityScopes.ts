/**
 * The scopes that are required here: FastAPI's `SecurityScopes` as a context tag.
 *
 * Each `SecurityScopes.require` adds its scopes for the effect that it wraps, and for everything that runs inside it, outermost
 * first. What verifies a token (`auth.authorize`) reads the tag, so that one piece of code serves every set of scopes.
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
 * The context tag: `{ scopes, scopeStr }`, by default none. It adds nothing to an effect's requirements.
 *
 * **Example** (Reading the scopes that the callers require)
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
   * Adds scopes for the wrapped effect and for what runs inside it (forked fibers too): never for its siblings or parents.
   * Throws a `TypeError` that names a string which is no scope-token (RFC 6749 §3.3).
   *
   * **Example** (Only what is inside)
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
