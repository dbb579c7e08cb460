/** Validates the claims of a token and reads them into a `VerifiedToken` (RFC 7519 §4.1, RFC 9068 §4). */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import * as authorizationDetails from "../../core/authorizationDetails.ts"
import * as confirmation from "../../core/confirmation.ts"
import { constant } from "../../core/constantErrors.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import { type Claims, has, type CheckedPolicy } from "./policy.ts"

// Shared, because a client may send expired tokens for hours: a new error costs its stack trace and its response.
const expired = constant(new InvalidToken({ reason: "Expired", claim: "exp" }))

/** Reads claims that the issuer signed or sent in an introspection response. `now` is in milliseconds. */
export const read = (claims: Claims, policy: CheckedPolicy, now: number): VerifiedToken | InvalidToken => {
  const issuer = policy.issuerOf(claims)
  const claim = issuer === undefined ? "iss" : findInvalidClaim(claims, policy, now)
  if (claim !== undefined) {
    return claim === "exp" && isPast(claims, policy, now) ? expired : new InvalidToken({ reason: "Claim", claim })
  }
  const audience = claims[policy.audienceClaim]
  const bound = confirmation.fromClaim(claims["cnf"])
  return {
    // `findInvalidClaim` checked the subject and `exp`.
    subject: subjectOf(claims, policy) ?? "",
    expiresAt: Option.getOrThrow(instant(claims["exp"])),
    issuer: issuer ?? policy.issuer,
    audience: typeof audience === "string" ? [audience] : Array.isArray(audience) ? audience.filter(isString) : [],
    clientId: Option.fromUndefinedOr(firstText(claims, policy.clientIdClaims)),
    scopes: policy.scopes.granted(claims),
    issuedAt: instant(claims["iat"]),
    tokenId: Option.fromUndefinedOr(text(claims, "jti")),
    ...(bound === undefined ? {} : { confirmation: bound }),
    // A malformed claim counts as absent, so it satisfies no requirement (RFC 9470 §6).
    acr: Option.fromUndefinedOr(text(claims, "acr")),
    authenticatedAt: instant(claims["auth_time"]),
    amr: namesIn(claims["amr"]),
    authorizationDetails: authorizationDetails.fromClaim(claims["authorization_details"]),
    claims
  }
}

/** Returns when a cached token must be verified again, in milliseconds. A cache hit gets no clock tolerance. */
export const validUntil = ({ expiresAt, issuedAt }: VerifiedToken, { maxTokenAge = Infinity }: CheckedPolicy): number =>
  Math.min(
    expiresAt.epochMilliseconds,
    Option.match(issuedAt, { onNone: () => Infinity, onSome: (issued) => issued.epochMilliseconds + maxTokenAge })
  )

/**
 * Returns `true` if a token expires later than the policy allows. An `exp` in milliseconds is tens of thousands of
 * years ahead. Introspection does not need this bound, because the authorization server reports whether a token is
 * active.
 */
export const livesTooLong = (
  { expiresAt }: VerifiedToken,
  { clockTolerance, maxLifetime }: CheckedPolicy,
  now: number
): boolean => expiresAt.epochMilliseconds - now > maxLifetime + clockTolerance

/** Returns the name of the first claim after `iss` that is missing or invalid. */
const findInvalidClaim = (claims: Claims, policy: CheckedPolicy, now: number): string | undefined => {
  if (policy.audience !== undefined && !hasAudience(claims[policy.audienceClaim], policy.audience)) {
    return policy.audienceClaim
  }
  if (!isTime(claims["exp"]) || isPast(claims, policy, now)) return "exp"
  for (const name of ["nbf", "iat"]) {
    if (!Object.hasOwn(claims, name)) continue
    const time = claims[name]
    if (!isTime(time) || time * 1000 > now + policy.clockTolerance) return name
  }
  const issued = claims["iat"]
  if (
    policy.maxTokenAge !== undefined &&
    !(isTime(issued) && now - issued * 1000 <= policy.maxTokenAge + policy.clockTolerance)
  ) {
    return "iat"
  }
  if (subjectOf(claims, policy) === undefined) return "sub"
  // The authenticator verifies the proof of a key (RFC 9449 §7.2). Every other binding is refused.
  if (Object.hasOwn(claims, "cnf") && confirmation.fromClaim(claims["cnf"]) === undefined) return "cnf"
  const missing = policy.requiredClaims.find(([name, value]) => !has(claims, name, value))
  return missing?.[0]
}

/** Returns a log message about a refused `iss` or audience. The message never contains token content. */
export const advice = (
  { claim }: InvalidToken,
  { audience, audienceClaim, issuer }: CheckedPolicy
): string | undefined => {
  switch (claim) {
    case "iss":
      return `A token signed by ${issuer} was refused, because its iss claim differs from the issuer option. The two must be identical, including a trailing slash.`
    case audienceClaim: {
      // With audience: false, only requiredClaims checks this claim.
      if (audience === undefined) return
      const audiences = Array.from(audience, (name) => JSON.stringify(name)).join(" or ")
      return `A token of ${issuer} was refused, because its ${audienceClaim} claim does not contain ${audiences}. If the token is for this API, set the audience option to the value that the issuer writes there.`
    }
    default:
      return
  }
}

/** Returns a log message about a refused `exp`. The message never contains token content. */
export const adviceAboutLifetime = ({ issuer }: CheckedPolicy): string =>
  `A token of ${issuer} was refused, because its exp is further ahead than maxLifetime allows. exp must be in seconds, not milliseconds (RFC 7519 §2). If tokens of this issuer live that long, set the maxLifetime option.`

const maxSeconds = 8.64e12

// A NumericDate is in seconds (RFC 7519 §2). A JavaScript `Date` cannot represent more than `maxSeconds`.
const isTime = (value: unknown): value is number => typeof value === "number" && Math.abs(value) <= maxSeconds

const isPast = (claims: Claims, policy: CheckedPolicy, now: number): boolean => {
  const expires = claims["exp"]
  return isTime(expires) && now - policy.clockTolerance >= expires * 1000
}

const instant = (value: unknown): Option.Option<DateTime.Utc> =>
  isTime(value) ? DateTime.make(value * 1000) : Option.none()

const hasAudience = (value: unknown, audience: ReadonlySet<string>): boolean =>
  Array.isArray(value)
    ? value.every(isString) && value.some((name) => audience.has(name))
    : isString(value) && audience.has(value)

const isString = (value: unknown): value is string => typeof value === "string"

const noNames: ReadonlyArray<string> = Object.freeze([])

const namesIn = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value) && value.every(isString) ? value : noNames

const text = (claims: Claims, name: string): string | undefined => {
  const value = claims[name]
  return isString(value) && value !== "" ? value : undefined
}

/** The first claim that is present counts, even if its value is not a string. */
const subjectOf = (claims: Claims, { subjectClaims }: CheckedPolicy): string | undefined => {
  const name = subjectClaims.find((name) => claims[name] !== undefined && claims[name] !== null)
  return name === undefined ? undefined : text(claims, name)
}

const firstText = (claims: Claims, names: ReadonlyArray<string>): string | undefined =>
  names.map((name) => text(claims, name)).find((value) => value !== undefined)
