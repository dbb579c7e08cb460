/** Reads what an issuer says of a token (RFC 7519 §4.1, RFC 9068 §4). */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import { type Claims, has, type Policy } from "./policy.ts"
import { own } from "../../core/lib/ownProperties.ts"

/** What the claims say, where the policy takes them. They are the issuer's: signed, or by its own answer. `now` is in milliseconds. */
export const read = (claims: Claims, policy: Policy, now: number): VerifiedToken | InvalidToken => {
  const claim = failing(claims, policy, now)
  if (claim !== undefined) {
    return new InvalidToken({ reason: claim === "exp" && isPast(claims, policy, now) ? "Expired" : "Claim", claim })
  }
  const audience = own(claims, policy.audienceClaim)
  return {
    // `failing` has looked at these three.
    subject: text(claims, "sub") ?? "",
    expiresAt: Option.getOrThrow(instant(own(claims, "exp"))),
    issuer: policy.issuer,
    audience: typeof audience === "string" ? [audience] : Array.isArray(audience) ? audience.filter(isString) : [],
    clientId: Option.fromUndefinedOr(firstText(claims, policy.clientIdClaims)),
    scopes: policy.scopesOf(claims),
    issuedAt: instant(own(claims, "iat")),
    tokenId: Option.fromUndefinedOr(text(claims, "jti")),
    claims
  }
}

/** Until when what was read may count without being read again, in milliseconds: no tolerance is given twice. */
export const until = ({ expiresAt, issuedAt }: VerifiedToken, { maxTokenAge = Infinity }: Policy): number =>
  Math.min(
    expiresAt.epochMilliseconds,
    Option.match(issuedAt, { onNone: () => Infinity, onSome: (issued) => issued.epochMilliseconds + maxTokenAge })
  )

/**
 * Whether a token expires later than the policy allows. An `exp` in milliseconds is tens of thousands of years ahead.
 * Introspection does not need this bound: the authorization server says whether a token is active, and is asked again.
 */
export const livesTooLong = (
  { expiresAt }: VerifiedToken,
  { clockTolerance, maxLifetime }: Policy,
  now: number
): boolean => expiresAt.epochMilliseconds - now > maxLifetime + clockTolerance

/** The name of the first claim that is missing or not as it must be. */
const failing = (claims: Claims, policy: Policy, now: number): string | undefined => {
  if (own(claims, "iss") !== policy.issuer) return "iss"
  if (policy.audience !== undefined && !hasAudience(own(claims, policy.audienceClaim), policy.audience)) {
    return policy.audienceClaim
  }
  if (!isTime(own(claims, "exp")) || isPast(claims, policy, now)) return "exp"
  for (const name of ["nbf", "iat"]) {
    if (!Object.hasOwn(claims, name)) continue
    const time = own(claims, name)
    if (!isTime(time) || time * 1000 > now + policy.clockTolerance) return name
  }
  const issued = own(claims, "iat")
  if (
    policy.maxTokenAge !== undefined &&
    !(isTime(issued) && now - issued * 1000 <= policy.maxTokenAge + policy.clockTolerance)
  ) {
    return "iat"
  }
  if (text(claims, "sub") === undefined) return "sub"
  // A token bound to a key (RFC 9449 §7.2, RFC 8705 §3) is worth nothing without the proof, and a bearer request has none.
  if (Object.hasOwn(claims, "cnf")) return "cnf"
  const missing = policy.requiredClaims.find(([name, value]) => !has(claims, name, value))
  return missing?.[0]
}

/** What to look at where the issuer's own tokens are refused for whose, or for whom, they are. It holds nothing of the token. */
export const advice = ({ claim }: InvalidToken, { audience, audienceClaim, issuer }: Policy): string | undefined => {
  switch (claim) {
    case "iss":
      return `A token that ${issuer} has issued was refused: its iss is another one. issuer is compared as an exact string, to the slash at the end.`
    case audienceClaim: {
      const audiences = Array.from(audience ?? [], (one) => JSON.stringify(one)).join(" or ")
      return `A token of ${issuer} was refused: its ${audienceClaim} is not ${audiences}. It is for another API, or audience is to be what the issuer writes there for this one.`
    }
    default:
      return
  }
}

/** What to look at if the issuer's own tokens are refused because they expire too late. It holds nothing of the token. */
export const adviceAboutLifetime = ({ issuer }: Policy): string =>
  `A token of ${issuer} was refused, because its exp is further ahead than maxLifetime allows. exp is a number of seconds, not of milliseconds (RFC 7519 §2). If the issuer's tokens are to live that long, set maxLifetime.`

const maxSeconds = 8.64e12

// NumericDate is a number of seconds (RFC 7519 §2); what no clock can show is no time.
const isTime = (value: unknown): value is number => typeof value === "number" && Math.abs(value) <= maxSeconds

const isPast = (claims: Claims, policy: Policy, now: number): boolean => {
  const expires = own(claims, "exp")
  return isTime(expires) && now - policy.clockTolerance >= expires * 1000
}

const instant = (value: unknown): Option.Option<DateTime.Utc> =>
  isTime(value) ? DateTime.make(value * 1000) : Option.none()

const hasAudience = (value: unknown, audience: ReadonlySet<string>): boolean =>
  Array.isArray(value)
    ? value.every(isString) && value.some((one) => audience.has(one))
    : isString(value) && audience.has(value)

const isString = (value: unknown): value is string => typeof value === "string"

const text = (claims: Claims, name: string): string | undefined => {
  const value = own(claims, name)
  return isString(value) && value !== "" ? value : undefined
}

const firstText = (claims: Claims, names: ReadonlyArray<string>): string | undefined =>
  names.map((name) => text(claims, name)).find((value) => value !== undefined)
