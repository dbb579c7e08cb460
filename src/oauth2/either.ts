/** `OAuth2.either`: one of several requirements. */
import * as registry from "../guard/requirement/registry.ts"
import {
  type Authentication,
  type Granted,
  make,
  type SecurityRequirement,
  type SecurityRequirementTypes
} from "../guard/middleware/securityRequirement.ts"
import type { IsUnion } from "../core/lib/types.ts"

type AnyRequirement = SecurityRequirementTypes<string, never, unknown, unknown>

type Types<R extends AnyRequirement> = R["~effect-oauth2/SecurityRequirement"]

/** What a handler has whichever requirement held. A requirement, or a list of them, held in a variable of a union type gives nothing. */
type Common<Requirements extends ReadonlyArray<unknown>> =
  IsUnion<Requirements> extends false ? CommonOf<Requirements> : never

type CommonOf<Requirements extends ReadonlyArray<unknown>> = Requirements extends readonly [
  infer First extends AnyRequirement,
  ...infer Rest
]
  ? Rest extends readonly []
    ? Provided<First>
    : Either<Provided<First>, CommonOf<Rest>>
  : never

type Provided<R extends AnyRequirement> =
  IsUnion<R> extends false ? (Types<R>["provides"] extends (_: infer Provides) => void ? Provides : never) : never

/** Services that both give, and of each pair of their grants the one that holds either way. */
type Either<Left, Right> = Extract<Left, Right> | EitherGrant<Left, Right>

type EitherGrant<Left, Right> =
  Left extends Granted<infer Name, infer L>
    ? Right extends Granted<Name, infer R>
      ? Granted<Name, L | R>
      : never
    : never

type AuthenticationOfEach<Name extends string> = Name extends string ? Authentication<Name> : never

/**
 * Requires one of several requirements, of one scheme or of several: alternatives.
 *
 * **Details**
 *
 * They are tried in their order. Where none holds, the best error wins (a token that is known and too weak, before one that cannot be checked now,
 * before one that is refused, before none at all), and each scheme's challenge is sent in a field of its own. Handlers get the `AccessToken` of the
 * one that held, and the grants that all of them prove. `Effect.option(users.authorize)` says whether it was a token of `users`, with its typed claims.
 *
 * **Gotchas**
 *
 * Give each scheme the verifier of its own issuer, `users.layer.pipe(Layer.provide(JwtVerifier.layer({ … })))`. With one verifier for several issuers each of
 * them vouches for every scope of both schemes.
 *
 * **Example** (Users of one issuer, partners of another)
 *
 * ```ts
 * import { HttpApiEndpoint } from "effect/http-api"
 * import { OAuth2 } from "effect-oauth2"
 *
 * const users = OAuth2.authorizationCode("Users", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items" }
 * })
 * const partners = OAuth2.authorizationCode("Partners", {
 *   authorizationUrl: "https://partners.example.com/authorize",
 *   tokenUrl: "https://partners.example.com/token",
 *   scopes: { catalogue: "Read the catalogue" }
 * })
 *
 * export const list = HttpApiEndpoint.get("list", "/items").middleware(
 *   OAuth2.either(users.require("items:read"), partners.require("catalogue"))
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const either = <const Requirements extends readonly [AnyRequirement, ...ReadonlyArray<AnyRequirement>]>(
  ...requirements: Requirements
): SecurityRequirement<
  Types<Requirements[number]>["name"],
  Common<Requirements> | AuthenticationOfEach<Types<Requirements[number]>["name"]>,
  Types<Requirements[number]>["error"],
  Types<Requirements[number]>["services"]
> => {
  const parts = (requirements as ReadonlyArray<AnyRequirement>).flatMap((requirement) => {
    const [clause, ...more] = registry.policyOfKey(requirement) ?? []
    if (clause === undefined || more.length > 0) {
      throw new TypeError(
        "OAuth2.either: takes requirements as auth.require, auth.optional and OAuth2.either give them."
      )
    }
    return clause
  })
  return make([parts])
}
