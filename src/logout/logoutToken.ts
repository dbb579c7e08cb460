/** Validates logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.6). */
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isReadonlyObject } from "effect/Predicate"
import { constant } from "../core/constantErrors.ts"
import { own, ownProperties } from "../core/lib/ownProperties.ts"
import { refuseOption } from "../core/refuseOption.ts"
import { type ConfigurationError, InvalidToken } from "../core/SecurityError.ts"
import type { Rejection } from "../verifier/cache/verified.ts"
import * as claims from "../verifier/claims/claims.ts"
import { type CheckedPolicy, isListOfNames } from "../verifier/claims/policy.ts"
import { type Claims, parseObject } from "../verifier/claims/strictJson.ts"
import * as compact from "../verifier/jwt/compact.ts"
import { Signatures } from "../verifier/jwt/signatures.ts"
import * as trusts from "../verifier/jwt/trust.ts"
import { type Accept, verifySigned } from "../verifier/jwt/verify.ts"
import { refuse } from "../verifier/report/advice.ts"
import type { LogoutTokenPolicy } from "./options.ts"

/** A valid logout token. It has a subject, a session, or both. */
export interface LogoutToken {
  readonly issuer: string
  readonly subject: string | undefined
  readonly sessionId: string | undefined
  readonly tokenId: string
  readonly issuedAt: DateTime.Utc
  /** The time from which the token is refused, in milliseconds since the epoch. Remember `tokenId` until then. */
  readonly usableUntil: number
}

const malformed = constant(new InvalidToken({ reason: "Malformed" }))
const wrongAlgorithm = constant(new InvalidToken({ reason: "Algorithm" }))
const wrongType = constant(new InvalidToken({ reason: "Claim", claim: "typ" }))

const event = "http://schemas.openid.net/event/backchannel-logout"

/** Returns the function that validates a logout token, except that its `jti` is new. */
export const make = Effect.fnUntraced(function* (
  given: LogoutTokenPolicy,
  keys: Parameters<typeof trusts.make>[1]
): Effect.fn.Return<(token: string) => Effect.Effect<LogoutToken, Rejection>, ConfigurationError> {
  const { clientId, maxTokenAge = Duration.minutes(5), ...options } = ownProperties(given)
  const clientIds: unknown = typeof clientId === "string" ? [clientId] : clientId
  if (!isListOfNames(clientIds) || clientIds.length === 0) {
    return yield* refuseOption("clientId", "must be the client ID of your app at the issuer, or a list of client IDs")
  }
  // A token that has no `sub` must have a `sid`.
  const trust = yield* trusts.make(
    { ...options, maxTokenAge, audience: clientIds, subjectClaims: ["sub", "sid"] },
    keys
  )
  const check = yield* Signatures
  const { algorithms, maxTokenLength } = trust.policy
  return (token) => {
    const parsed = token.length <= maxTokenLength ? compact.parse(token) : undefined
    if (parsed === undefined) return Effect.fail(malformed)
    const { alg, typ } = parsed.header
    if (!algorithms.has(alg)) return Effect.fail(wrongAlgorithm)
    if (typ !== undefined && typ !== "logout+jwt") return Effect.fail(wrongType)
    return verifySigned({ token, parsed, trust }, check, accept)
  }
})

const accept: Accept<LogoutToken> = (payload, _, policy) =>
  Effect.clockWith((clock) => {
    const signed = parseObject(payload)
    if (signed === undefined) return Effect.fail(malformed)
    const token = claims.read(signed, policy, clock.currentTimeMillisUnsafe())
    if (token instanceof InvalidToken) return refuse(token, adviceOn(token.claim ?? "exp", policy), policy)
    const violation = findViolation(signed)
    if (violation !== undefined) {
      return refuse(new InvalidToken({ reason: "Claim", claim: violation }), adviceOn(violation, policy), policy)
    }
    return Effect.succeed({
      issuer: token.issuer,
      subject: textOf(signed, "sub"),
      sessionId: textOf(signed, "sid"),
      tokenId: Option.getOrThrow(token.tokenId),
      // `maxTokenAge` requires `iat`.
      issuedAt: Option.getOrThrow(token.issuedAt),
      usableUntil: claims.validUntil(token, policy) + policy.clockTolerance
    })
  })

const textOf = (signed: Claims, name: string): string | undefined => {
  const value = signed[name]
  return typeof value === "string" && value !== "" ? value : undefined
}

/** Returns the name of the first claim that a logout token must not have, or that has another form. */
const findViolation = (signed: Claims): string | undefined => {
  // An ID token has a nonce. It must not pass as a logout token, nor the reverse (§2.4).
  if (Object.hasOwn(signed, "nonce")) return "nonce"
  if (!isReadonlyObject(own(signed["events"], event))) return "events"
  if (textOf(signed, "jti") === undefined) return "jti"
  return ["sub", "sid"].find((name) => Object.hasOwn(signed, name) && textOf(signed, name) === undefined)
}

const adviceOn = (claim: string, policy: CheckedPolicy): string => {
  const subject = `A logout token of ${policy.issuer} was refused, because`
  switch (claim) {
    case "aud":
      return `${subject} its aud claim does not contain the clientId option. Set clientId to the client ID of your app at the issuer.`
    case "iss":
      return `${subject} its iss claim differs from the issuer option. The two must be identical, including a trailing slash.`
    case "exp":
    case "iat":
    case "nbf":
      return `${subject} its ${claim} claim is missing, or its time does not fit this server's clock. Synchronize the clocks (NTP), or set maxTokenAge.`
    default:
      return `${subject} its ${claim} claim is missing or not allowed. Logout tokens have jti, events, and sub or sid, and no nonce (OpenID Connect Back-Channel Logout 1.0 §2.4).`
  }
}
