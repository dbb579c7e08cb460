/** Defines `OAuth2.either`, which requires one of several requirements. */
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

// The services that a handler has, whichever requirement held. Below, RequireA is a requirement that provides A.
// Common<[RequireAB, RequireBC]> -> B. A list of a union type -> never
type Common<Requirements extends ReadonlyArray<unknown>> =
  IsUnion<Requirements> extends false ? CommonOf<Requirements> : never

// CommonOf<[RequireAB, RequireBC, RequireB]> -> Either<A | B, Either<B | C, B>> -> B
type CommonOf<Requirements extends ReadonlyArray<unknown>> = Requirements extends readonly [
  infer First extends AnyRequirement,
  ...infer Rest
]
  ? Rest extends readonly []
    ? Provided<First>
    : Either<Provided<First>, CommonOf<Rest>>
  : never

// Provided<RequireAB> -> A | B. A requirement of a union type -> never
type Provided<R extends AnyRequirement> =
  IsUnion<R> extends false ? (Types<R>["provides"] extends (_: infer Provides) => void ? Provides : never) : never

// Either<A | Granted<"OAuth2", "a">, A | Granted<"OAuth2", "b">> -> A | Granted<"OAuth2", "a" | "b">
type Either<Left, Right> = Extract<Left, Right> | EitherGrant<Left, Right>

// EitherGrant<Granted<"OAuth2", "a">, Granted<"OAuth2", "b">> -> Granted<"OAuth2", "a" | "b">. Two schemes -> never
type EitherGrant<Left, Right> =
  Left extends Granted<infer Name, infer L>
    ? Right extends Granted<Name, infer R>
      ? Granted<Name, L | R>
      : never
    : never

type AuthenticationOfEach<Name extends string> = Name extends string ? Authentication<Name> : never

/**
 * Creates a requirement that holds if one of several requirements holds, of one scheme or of several.
 *
 * **Details**
 *
 * - The requirements are tried in order. Handlers can use the `AccessToken` of the first one that holds, and the scopes
 *   that every requirement proves.
 * - `Effect.option(users.authorize)` returns the token with typed claims if it is a token of `users`.
 * - If none holds, the response sends each scheme's challenge in a separate header.
 * - The status is that of the first of these errors: `InsufficientUserAuthentication`, `InsufficientScope`, `FailedCheck`,
 *   `AuthorizationServerUnavailable`, `UseDpopNonce`, `InvalidDpopProof`, `InvalidToken`, `InvalidRequest`,
 *   `NotAuthenticated`. `AuthorizationServerUnavailable` has no challenge.
 * - If the error is `InsufficientUserAuthentication`, the response names only the scheme of the token.
 *
 * **Gotchas**
 *
 * Give each scheme a verifier for its own issuer: `users.layer(JwtVerifier.layer({ … }))`.
 * With one verifier for several issuers, each issuer can grant every scope of both schemes.
 *
 * **Example** (Accepting users of one issuer and partners of another)
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
        "OAuth2.either: an argument is not a requirement. Pass the results of auth.require, auth.optional or OAuth2.either."
      )
    }
    return clause
  })
  return make([parts])
}
