/** Defines `OAuth2.proven`, which turns a missing proof into a readable compiler message. */
import type * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as Layer from "effect/Layer"
import type { AccessToken, OptionalAccessToken } from "../core/AccessToken.ts"
import type { Granted, Verified } from "../guard/middleware/securityRequirement.ts"
import type { IsUnion, Listed } from "../core/lib/types.ts"

/** The services that a layer of routes or handlers needs, or the handlers of a group. */
export type Needs<T> =
  T extends Layer.Layer<infer _A, infer _E, infer R>
    ? R
    : T extends HttpApiBuilder.Handlers<infer R, infer _Endpoints, infer _Handled>
      ? R
      : NoLayer

/** Represents the needs of a value that is neither a layer nor handlers. */
export interface NoLayer {
  readonly "~effect-oauth2/NoLayer": never
}

// OfRequest<HttpRouter.Request<"Requires", Db>> -> Db. `any` -> never, because `HttpRouter.addAll` infers `any` from
// some lists.
export type OfRequest<R> = R extends HttpRouter.Request<"Requires", infer T> ? (0 extends 1 & T ? never : T) : R

// Granted<"OAuth2", "me"> -> "A handler needs the scope `me` of the scheme `OAuth2`, …". Other services -> never
type Unproven<R> =
  R extends Granted<infer Name, infer Scope>
    ? [Scope] extends [never]
      ? `A handler needs a scope of the scheme \`${Name}\`, but the types do not know which. Write the scope as a literal.`
      : `A handler needs ${IsUnion<Scope> extends true ? "one of the scopes" : "the scope"} \`${Listed<Scope>}\` of the scheme \`${Name}\`, but no requirement around it proves this. Use auth.require.`
    : R extends Verified<infer Name>
      ? `A handler needs a token of the scheme \`${Name}\`, but no requirement around it proves this. Use auth.require.`
      : R extends AccessToken
        ? "A handler needs the `AccessToken`, but its route or endpoint does not require a token. Use auth.require."
        : R extends OptionalAccessToken
          ? "A handler needs the `OptionalAccessToken`, but no requirement is around it. Use auth.optional."
          : R extends NoLayer
            ? "OAuth2.proven: the argument is neither a layer of routes or handlers nor the handlers of a group. Pass one of these."
            : never

/**
 * Messages about the missing proofs, as a type. It is `unknown` if requirements prove everything that handlers need.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Proven<T> = [Unproven<OfRequest<Needs<T>>>] extends [never] ? unknown : Unproven<OfRequest<Needs<T>>>

/**
 * Checks at compile time that requirements prove every scope and token that handlers need, and returns its argument.
 *
 * **When to use**
 *
 * Use to get a readable message at the place of the mistake. Without `proven`, the program does not compile either, but
 * the compiler reports the mistake only where the app is served.
 *
 * **Details**
 *
 * The argument is a layer of routes, a layer of handlers, or the handlers of one group. Services that handlers call
 * count, too. The last line of the compiler's message names the missing scope or scheme.
 *
 * **Example** (Checking routes)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OAuth2 } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * export const Routes = HttpRouter.add(
 *   "DELETE",
 *   "/items",
 *   Effect.as(auth.granted("items:write"), HttpServerResponse.empty())
 * ).pipe(auth.require("items:write"), OAuth2.proven)
 * ```
 *
 * @see {@link secured} to find unprotected routes
 * @category combinators
 * @since 0.1.0
 */
export const proven = <T>(self: T & Proven<T>): T => self
