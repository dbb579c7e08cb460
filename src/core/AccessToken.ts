/**
 * Verified access tokens: who acts (`subject`), through which client, with which scopes, and until when.
 *
 * A `BearerToken` is the credential that the client sent. An `AccessToken` is the result of its verification.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Confirmation } from "./confirmation.ts"
import type * as Schema from "effect/Schema"
import * as authorizationDetails from "./authorizationDetails.ts"
import * as scope from "./scope.ts"
import { ownProperties } from "./lib/ownProperties.ts"

export type { Confirmation } from "./confirmation.ts"

/**
 * A verified access token. The names in parentheses are claims of the JWT profile for access tokens (RFC 9068 §2.2).
 *
 * **Details**
 *
 * Handlers and checks get a deeply frozen token. Only values in `claims` that cannot be frozen, such as a `Date`, are
 * mutable. Requests never share such values.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifiedToken<out Claims extends object = Readonly<Record<string, unknown>>> {
  /** The user, or the client itself in the client-credentials flow (`sub`). */
  readonly subject: string
  /** The client that got the token (`client_id`, else `azp`). */
  readonly clientId: Option.Option<string>
  /** The granted scopes: an immutable set of case-sensitive names. */
  readonly scopes: ReadonlySet<string>
  /** The issuer of the token (`iss`). `JwtVerifier` returns exactly the configured issuer. */
  readonly issuer: string
  /** The APIs that may accept the token (`aud`). `JwtVerifier` requires yours. A custom verifier may leave it empty. */
  readonly audience: ReadonlyArray<string>
  /** The expiry time (`exp`). The token is refused from this time on. */
  readonly expiresAt: DateTime.Utc
  /** The time when the token was issued (`iat`). */
  readonly issuedAt: Option.Option<DateTime.Utc>
  /** The identifier of the token (`jti`). */
  readonly tokenId: Option.Option<string>
  /** The class of the user's authentication (`acr`). `None` if the claim is absent or not a string. */
  readonly acr: Option.Option<string>
  /**
   * When the user authenticated (`auth_time`). `None` if the claim is absent or not a number. A refreshed token keeps
   * the time, so it is not `issuedAt`.
   */
  readonly authenticatedAt: Option.Option<DateTime.Utc>
  /** The methods of the user's authentication (`amr`). Empty if the claim is absent or not an array of strings. */
  readonly amr: ReadonlyArray<string>
  /**
   * The objects of `authorization_details` that have a type (RFC 9396 §2). Each is a grant of its own. Read them with
   * `AccessToken.authorizationDetails` or `Requirement.authorizationDetails`.
   */
  readonly authorizationDetails: ReadonlyArray<AuthorizationDetail>
  /**
   * The key to which the token is bound (`cnf`). Absent if the token is not bound. In a handler, the client of the
   * request has proven that it holds the key. Default: none.
   */
  readonly confirmation?: Confirmation
  /**
   * All signed claims, or the decoded value if the scheme has a claims schema. The claims of `JwtVerifier` are an
   * object without a prototype.
   */
  readonly claims: Claims
}

/**
 * Object of `authorization_details`, before a schema has decoded its members (RFC 9396 §2).
 *
 * @category models
 * @since 0.1.0
 */
export interface AuthorizationDetail extends Readonly<Record<string, unknown>> {
  /** The type of the object, which defines its other members. */
  readonly type: string
}

/**
 * The verified access token of the current request. A requirement of any scheme provides this service.
 *
 * **Gotchas**
 *
 * This service works with every scheme. `auth.token` returns the token of one scheme, with typed claims.
 *
 * **Example** (Reading the subject)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { AccessToken } from "effect-oauth2"
 *
 * export const whoAmI = Effect.map(AccessToken, (token) => token.subject)
 * ```
 *
 * @see {@link OptionalAccessToken} for routes with optional authentication
 * @category services
 * @since 0.1.0
 */
export class AccessToken extends Context.Service<AccessToken, VerifiedToken>()("effect-oauth2/AccessToken") {
  /**
   * Creates a verified token from the given values, for a custom `TokenVerifier` or a test.
   *
   * **Example** (Representing a session as an access token)
   *
   * ```ts import.meta.vitest
   * import { DateTime } from "effect"
   * import { AccessToken } from "effect-oauth2"
   *
   * const token = AccessToken.make({
   *   subject: "demo",
   *   scopes: "items:read me",
   *   issuer: "https://sessions.example.com",
   *   expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
   * })
   *
   * token.scopes.has("me") // => true
   * ```
   *
   * @since 0.1.0
   */
  static make(options: {
    /** The user, or the client itself (`sub`). */
    readonly subject: string
    /** Scope names, or one string of names separated by single spaces. Invalid names grant nothing (RFC 6749 §3.3). */
    readonly scopes: string | Iterable<string>
    /** The issuer of the token (`iss`). */
    readonly issuer: string
    /** The expiry time (`exp`). The token is refused from this time on. */
    readonly expiresAt: DateTime.Utc
    /** The client that got the token (`client_id`). Default: `None`. */
    readonly clientId?: string
    /** The APIs that may accept the token (`aud`). Default: empty. */
    readonly audience?: ReadonlyArray<string>
    /** The time when the token was issued (`iat`). Default: `None`. */
    readonly issuedAt?: DateTime.Utc
    /** The identifier of the token (`jti`). Default: `None`. */
    readonly tokenId?: string
    /** The key to which the token is bound (`cnf`). Default: none, so the token is not bound. */
    readonly confirmation?: Confirmation
    /** The class of the user's authentication (`acr`). Default: `None`. */
    readonly acr?: string
    /** When the user authenticated (`auth_time`). Default: `None`. */
    readonly authenticatedAt?: DateTime.Utc
    /** The methods of the user's authentication (`amr`). Default: empty. */
    readonly amr?: ReadonlyArray<string>
    /** The authorization details (RFC 9396). Default: empty. */
    readonly authorizationDetails?: ReadonlyArray<AuthorizationDetail>
    /** Further claims for checks and handlers. Default: none. */
    readonly claims?: Readonly<Record<string, unknown>>
  }): VerifiedToken {
    const own = ownProperties(options)
    const { amr = [], audience = [], authorizationDetails = [], claims = {}, expiresAt, issuer, scopes, subject } = own
    return {
      subject,
      clientId: Option.fromUndefinedOr(own.clientId),
      scopes: scope.fromClaim(typeof scopes === "string" ? scopes : Array.from(scopes)),
      issuer,
      audience,
      expiresAt,
      issuedAt: Option.fromUndefinedOr(own.issuedAt),
      tokenId: Option.fromUndefinedOr(own.tokenId),
      ...(own.confirmation === undefined ? {} : { confirmation: own.confirmation }),
      acr: Option.fromUndefinedOr(own.acr),
      authenticatedAt: Option.fromUndefinedOr(own.authenticatedAt),
      amr,
      authorizationDetails,
      claims: ownProperties(claims)
    }
  }

  /**
   * Returns the authorization details of one type, decoded with the schema of the type (RFC 9396 §2).
   *
   * **Details**
   *
   * The schema decodes the members other than `type` and `locations`. An object grants nothing, and is left out, if:
   *
   * - it has another type, or members that the schema does not accept or does not know
   * - it has `locations`, and none of them is in the `locations` option
   *
   * **Gotchas**
   *
   * Each object is a grant of its own. Do not combine the members of two objects.
   *
   * **Example** (Listing the accounts that a token may read)
   *
   * ```ts import.meta.vitest
   * import { DateTime, Effect, Schema } from "effect"
   * import { AccessToken } from "effect-oauth2"
   *
   * const token = AccessToken.make({
   *   subject: "demo",
   *   scopes: [],
   *   issuer: "https://idp.example.com",
   *   expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z"),
   *   authorizationDetails: [
   *     { type: "account", actions: ["read"], identifier: "A-1" },
   *     { type: "account", actions: ["read"], unknown: true },
   *     { type: "payment" }
   *   ]
   * })
   * const Account = Schema.Struct({ actions: Schema.Array(Schema.String), identifier: Schema.String })
   *
   * const accounts = Effect.runSync(AccessToken.authorizationDetails(token, "account", Account))
   *
   * accounts.map(({ identifier }) => identifier) // => ["A-1"]
   * ```
   *
   * @since 0.1.0
   */
  static authorizationDetails<A>(
    token: Pick<VerifiedToken, "authorizationDetails">,
    type: string,
    schema: Schema.Decoder<A>,
    options?: authorizationDetails.Options
  ): Effect.Effect<ReadonlyArray<A>> {
    return authorizationDetails.ofType(type, schema, options)(token.authorizationDetails)
  }
}

/**
 * The verified access token of a request whose authentication is optional, or `None` if the request is anonymous.
 *
 * **Example** (Greeting users and anonymous visitors)
 *
 * ```ts
 * import { Effect, Option } from "effect"
 * import { OptionalAccessToken } from "effect-oauth2"
 *
 * export const greeting = Effect.map(
 *   OptionalAccessToken,
 *   Option.match({ onNone: () => "Hello", onSome: (token) => `Hello ${token.subject}` })
 * )
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class OptionalAccessToken extends Context.Service<OptionalAccessToken, Option.Option<VerifiedToken>>()(
  "effect-oauth2/OptionalAccessToken"
) {}
