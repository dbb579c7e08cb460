/** Reads what the authorization server says of a token (RFC 7662 §2.2). */
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import { constant } from "../../core/constantErrors.ts"
import * as claims from "../claims/claims.ts"
import { type Claims, has, type Policy as ClaimsPolicy } from "../claims/policy.ts"
import { own } from "../../core/lib/ownProperties.ts"
import type { Policy as Options } from "./options.ts"

/** What is decided once of the options. */
export interface Policy {
  readonly claims: ClaimsPolicy
  readonly accessTokenClaims: Options["accessTokenClaims"]
  readonly subjectClaims: ReadonlyArray<string>
}

/** Why a token is refused, and what to look at where it should not be: that holds nothing of the token. */
export interface Refused {
  readonly error: InvalidToken
  readonly advice: string | undefined
}

export const isRefused = (read: VerifiedToken | Refused): read is Refused => Object.hasOwn(read, "error")

const inactive: Refused = { error: constant(new InvalidToken({ reason: "Rejected" })), advice: undefined }

/** How long a token counts of which the server does not say when it expires, in seconds. */
const withoutExpiry = 60

/** `now` is in milliseconds. */
export const read = (answer: Claims, policy: Policy, now: number): VerifiedToken | Refused => {
  if (answer["active"] !== true) return inactive
  const said = withoutNull(answer)
  return refusedKind(said, policy) ?? refusedSubject(said, policy) ?? refusedClaims(answer, said, policy, now)
}

/** Removes members with the value `null`, which say nothing. `cnf` stays: a token that is bound to an unknown key is refused. */
const withoutNull = (answer: Claims): Claims =>
  Object.fromEntries(Object.entries(answer).filter(([name, value]) => name === "cnf" || value !== null))

/**
 * What servers say of the kind of a token: a refresh token is active, too, and RFC 7662 has no other word for it than the type that it does not have. In lower
 * case, as `token_type` is compared (RFC 6749 §7.1).
 */
const kinds: Readonly<Record<string, ReadonlyArray<string>>> = {
  token_type: ["bearer", "access_token"],
  token_use: ["access_token", "access"],
  typ: ["bearer", "at+jwt", "jwt"],
  purpose: ["access_token"]
}

const refusedKind = (answer: Claims, { accessTokenClaims, claims }: Policy): Refused | undefined => {
  for (const [name, ofAccessTokens] of Object.entries(kinds)) {
    const kind = own(answer, name)
    const expected = accessTokenClaims !== undefined && own(accessTokenClaims, name)
    if (kind === undefined || expected === true) continue
    const allowed = typeof expected === "string" ? [expected.toLowerCase()] : ofAccessTokens
    if (typeof kind !== "string" || !allowed.includes(kind.toLowerCase())) return refused(name, claims, notOne(name))
  }
  const isMarked =
    accessTokenClaims === undefined
      ? Object.hasOwn(answer, "token_type")
      : // What `kinds` has is right by now, where it is there.
        Object.entries(accessTokenClaims).some(([name, value]) =>
          has(answer, name, Object.hasOwn(kinds, name) ? true : value)
        )
  return isMarked ? undefined : refused("token_type", claims, notOne("token_type"))
}

const notOne = (name: string): string =>
  `its ${name} is not an access token's. It is a refresh token, or bound to a key; or accessTokenClaims is to say what marks the server's access tokens.`

const subjectOf = (answer: Claims, { subjectClaims }: Policy): unknown =>
  subjectClaims.map((name) => own(answer, name)).find((value) => value !== undefined)

const refusedSubject = (answer: Claims, policy: Policy): Refused | undefined =>
  subjectOf(answer, policy) === undefined
    ? refused(
        "sub",
        policy.claims,
        `the answer has no ${policy.subjectClaims.join(" and no ")}. subjectClaims says which member names who acts.`
      )
    : undefined

const refusedClaims = (answer: Claims, said: Claims, policy: Policy, now: number): VerifiedToken | Refused => {
  const { forbiddenClaims = ["at_hash", "c_hash", "s_hash", "events"] } = policy.claims
  const forbidden = forbiddenClaims.find((name) => Object.hasOwn(said, name))
  if (forbidden !== undefined) return refused(forbidden, policy.claims, undefined)
  // Asked of what the server says itself, and not of what is added to it.
  const missing = policy.claims.requiredClaims.find(([name, value]) => !has(said, name, value))
  if (missing !== undefined) return refused(missing[0], policy.claims, undefined)
  // RFC 7662 §2.2 has an integer here, while a JWT may have a fraction (RFC 7519 §2).
  const exp = own(said, "exp")
  if (typeof exp === "number" && !Number.isInteger(exp)) return refused("exp", policy.claims, undefined)
  // Who answers is the issuer, and what is active has not expired (RFC 7662 §2.2): both may be left unsaid.
  const token = claims.read(
    { iss: policy.claims.issuer, exp: Math.floor(now / 1000) + withoutExpiry, ...said, sub: subjectOf(said, policy) },
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
        ? `${advice} If the server names no audience, and each of its tokens may be used here, set audience: false.`
        : advice
  }
}

const refused = (claim: string, { issuer }: ClaimsPolicy, why: string | undefined): Refused => ({
  error: new InvalidToken({ reason: "Claim", claim }),
  advice: why === undefined ? undefined : `A token that ${issuer} calls active was refused: ${why}`
})
