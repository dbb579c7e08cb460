/** Turns an introspection response into a verified token or a refusal (RFC 7662 §2.2). */
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import { constant } from "../../core/constantErrors.ts"
import * as claims from "../claims/claims.ts"
import { type Claims, has, type CheckedPolicy } from "../claims/policy.ts"
import { own, ownProperties } from "../../core/lib/ownProperties.ts"
import type { Policy as Options } from "./options.ts"

/** Options in checked form. */
export interface ResponsePolicy {
  readonly claims: CheckedPolicy
  readonly accessTokenClaims: Options["accessTokenClaims"]
  readonly subjectClaims: ReadonlyArray<string>
}

export interface RefusedResponse {
  readonly error: InvalidToken
  /** Tells the operator which option may be wrong. The text contains no token content. */
  readonly advice: string | undefined
}

export const isRefused = (read: VerifiedToken | RefusedResponse): read is RefusedResponse =>
  Object.hasOwn(read, "error")

const inactive: RefusedResponse = { error: constant(new InvalidToken({ reason: "Rejected" })), advice: undefined }

/** Lifetime of a token if the response has no `exp`, in seconds. */
const defaultLifetime = 60

/** `now` and `answeredAt`, the time of the response, are in milliseconds. */
export const read = (
  answer: Claims,
  policy: ResponsePolicy,
  now: number,
  answeredAt: number
): VerifiedToken | RefusedResponse => {
  if (answer["active"] !== true) return inactive
  const present = withoutNull(answer)
  return (
    refusedKind(present, policy) ??
    refusedSubject(present, policy) ??
    readClaims(answer, present, policy, now, answeredAt)
  )
}

/**
 * Removes members with the value `null`. `cnf` stays, because a token that is bound to an unknown key must be refused.
 */
const withoutNull = (answer: Claims): Claims =>
  ownProperties(Object.fromEntries(Object.entries(answer).filter(([name, value]) => name === "cnf" || value !== null)))

/**
 * Members that state the kind of a token, with their values for access tokens. A refresh token is active, too, and RFC
 * 7662 defines no member for its kind. The values are in lower case, because `token_type` is compared without case (RFC
 * 6749 §7.1).
 */
const kindMembers: Readonly<Record<string, ReadonlyArray<string>>> = {
  token_type: ["bearer", "access_token"],
  token_use: ["access_token", "access"],
  typ: ["bearer", "at+jwt", "jwt"],
  purpose: ["access_token"]
}

const refusedKind = (answer: Claims, { accessTokenClaims, claims }: ResponsePolicy): RefusedResponse | undefined => {
  for (const [name, defaults] of Object.entries(kindMembers)) {
    const kind = answer[name]
    const expected = accessTokenClaims !== undefined && own(accessTokenClaims, name)
    if (kind === undefined || expected === true) continue
    const allowed = typeof expected === "string" ? [expected.toLowerCase()] : defaults
    if (typeof kind !== "string" || !allowed.includes(kind.toLowerCase())) return refused(name, claims, wrongKind(name))
  }
  const isMarked =
    accessTokenClaims === undefined
      ? Object.hasOwn(answer, "token_type")
      : // The loop above has already compared the values of `kindMembers`.
        Object.entries(accessTokenClaims).some(([name, value]) =>
          has(answer, name, Object.hasOwn(kindMembers, name) ? true : value)
        )
  return isMarked ? undefined : refused("token_type", claims, wrongKind("token_type"))
}

const wrongKind = (name: string): string =>
  `Its ${name} does not mark an access token. Refresh tokens and tokens that are bound to a key are refused. If the token is an access token, set accessTokenClaims.`

const subjectOf = (answer: Claims, { subjectClaims }: ResponsePolicy): unknown =>
  subjectClaims.map((name) => answer[name]).find((value) => value !== undefined)

const refusedSubject = (answer: Claims, policy: ResponsePolicy): RefusedResponse | undefined =>
  subjectOf(answer, policy) === undefined
    ? refused(
        "sub",
        policy.claims,
        `The introspection response has no ${policy.subjectClaims.join(" and no ")}. Set subjectClaims to the member that names the subject.`
      )
    : undefined

const readClaims = (
  answer: Claims,
  present: Claims,
  policy: ResponsePolicy,
  now: number,
  answeredAt: number
): VerifiedToken | RefusedResponse => {
  const { forbiddenClaims = ["at_hash", "c_hash", "s_hash", "events"] } = policy.claims
  const forbidden = forbiddenClaims.find((name) => Object.hasOwn(present, name))
  if (forbidden !== undefined) return refused(forbidden, policy.claims, undefined)
  // Compare before iss, exp and sub are filled in below: a required claim must come from the server.
  const missing = policy.claims.requiredClaims.find(([name, value]) => !has(present, name, value))
  if (missing !== undefined) return refused(missing[0], policy.claims, undefined)
  // RFC 7662 §2.2 requires an integer. A JWT may have a fraction (RFC 7519 §2).
  const exp = present["exp"]
  if (typeof exp === "number" && !Number.isInteger(exp)) return refused("exp", policy.claims, undefined)
  // A server may omit iss and exp: it is the issuer itself, and an active token has not expired (RFC 7662 §2.2).
  const token = claims.read(
    ownProperties({
      iss: policy.claims.issuer,
      exp: Math.floor(answeredAt / 1000) + defaultLifetime,
      ...present,
      sub: subjectOf(present, policy)
    }),
    policy.claims,
    now
  )
  if (!(token instanceof InvalidToken)) return { ...token, claims: answer }
  const { audience, audienceClaim } = policy.claims
  const advice =
    audience === undefined && token.claim === audienceClaim ? undefined : claims.advice(token, policy.claims)
  return {
    error: token,
    advice:
      advice !== undefined && token.claim === audienceClaim
        ? `${advice} If the server reports no audience, and your API accepts all of its tokens, set audience: false.`
        : advice
  }
}

const refused = (claim: string, { issuer }: CheckedPolicy, cause: string | undefined): RefusedResponse => ({
  error: new InvalidToken({ reason: "Claim", claim }),
  advice: cause === undefined ? undefined : `A token was refused, although ${issuer} reports it as active. ${cause}`
})
