/** `OAuth2.proven`: the compiler says in words which grant or token a handler needs and no requirement proves. */
import type * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as Layer from "effect/Layer"
import type { AccessToken, OptionalAccessToken } from "../core/AccessToken.ts"
import type { Granted, Verified } from "../guard/middleware/securityRequirement.ts"
import type { IsUnion, Listed } from "../core/lib/types.ts"

/** The services that a layer of routes or of handlers, or a group's handlers, need. */
export type Needs<T> =
  T extends Layer.Layer<infer _A, infer _E, infer R>
    ? R
    : T extends HttpApiBuilder.Handlers<infer R, infer _Endpoints, infer _Handled>
      ? R
      : NoLayer

/** In the place of what a layer needs, where something else was given. */
export interface NoLayer {
  readonly "~effect-oauth2/NoLayer": never
}

/** What is needed for each request, without the router's mark. Of `any`, which `HttpRouter.addAll` infers from some lists, nothing is known. */
export type OfRequest<R> = R extends HttpRouter.Request<"Requires", infer T> ? (0 extends 1 & T ? never : T) : R

type Unproven<R> =
  R extends Granted<infer Name, infer Scope>
    ? [Scope] extends [never]
      ? `A handler needs a scope of the scheme \`${Name}\` whose name the types do not know, which no requirement proves: write it as a literal`
      : `A handler needs ${IsUnion<Scope> extends true ? "one of the scopes" : "the scope"} \`${Listed<Scope>}\` of the scheme \`${Name}\`, which no requirement around it proves`
    : R extends Verified<infer Name>
      ? `A handler needs a token of the scheme \`${Name}\`, which no requirement around it proves`
      : R extends AccessToken
        ? "A handler needs the `AccessToken`, and its route or endpoint requires no token: give it auth.require"
        : R extends OptionalAccessToken
          ? "A handler needs the `OptionalAccessToken`, and its route or endpoint takes no token: give it auth.optional"
          : R extends NoLayer
            ? "OAuth2.proven takes a layer of routes or of handlers, or the handlers of a group"
            : never

/**
 * The sentence that says which grant, or which scheme's token, is missing; nothing where none is.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Proven<T> = [Unproven<OfRequest<Needs<T>>>] extends [never] ? unknown : Unproven<OfRequest<Needs<T>>>

/**
 * The same layer of routes or of handlers, or the same handlers of one group; where a handler, or a service that it calls, needs a grant or a
 * scheme's token that no requirement provides, it does not compile, and the last line of the compiler's message says which.
 *
 * **When to use**
 *
 * Without it such a program does not compile either, where the app is served; with it the message stands where the mistake is, in words.
 *
 * **Example** (Routes that need what they require)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OAuth2 } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:write": "Modify your items" }
 * })
 *
 * export const Routes = HttpRouter.add(
 *   "DELETE",
 *   "/items",
 *   Effect.as(auth.granted("items:write"), HttpServerResponse.empty())
 * ).pipe(Layer.provide(auth.require("items:write").route.layer), OAuth2.proven)
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const proven = <T>(self: T & Proven<T>): T => self
