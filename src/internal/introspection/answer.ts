/** Reads what the authorization server says of a token (RFC 7662 §2.2). */
import type { VerifiedToken } from "../../AccessToken.ts"
import { InvalidToken } from "../../SecurityError.ts"
import type { Policy as Options } from "../../TokenIntrospection.ts"
import { constant } from "../constantErrors.ts"
import * as claims from "../jwt/claims.ts"
import type { Claims, Policy as ClaimsPolicy } from "../jwt/policy.ts"
import { own } from "../jwt/strictJson.ts"

/** What is decided once of the options. */
export interface Policy {
  readonly claims: ClaimsPolicy
  readonly accessTokenClaims: Options["accessTokenClaims"]
  readonly subjectClaims: ReadonlyArray<string>
}

const inactive = constant(new InvalidToken({ reason: "Rejected" }))

/** How long a token counts of which the server does not say when it expires, in seconds. */
const withoutExpiry = 60

/** `now` is in milliseconds. */
export const read = (answer: Claims, policy: Policy, now: number): VerifiedToken | InvalidToken => {
  if (answer["active"] !== true) return inactive
  const claim = failing(answer, policy)
  if (claim !== undefined) return new InvalidToken({ reason: "Claim", claim })
  const subject = policy.subjectClaims.map((name) => own(answer, name)).find((value) => value !== undefined)
  // Who answers is the issuer, and what is active has not expired (RFC 7662 §2.2): both may be left unsaid.
  const said = { iss: policy.claims.issuer, exp: Math.floor(now / 1000) + withoutExpiry, ...answer, sub: subject }
  const token = claims.read(said, policy.claims, now)
  return token instanceof InvalidToken ? token : { ...token, claims: answer }
}

/** The member by which the token is no access token (RFC 7662 §2.2 has no other mark than `token_type`; refresh tokens have none). */
const failing = (
  answer: Claims,
  { accessTokenClaims, claims: { forbiddenClaims = [], marksAccessTokens } }: Policy
) => {
  const isNamed = (name: string) => accessTokenClaims !== undefined && Object.hasOwn(accessTokenClaims, name)
  const type = own(answer, "token_type")
  if (type !== undefined && !isNamed("token_type") && !isBearer(type)) return "token_type"
  const use = own(answer, "token_use")
  if (use !== undefined && !isNamed("token_use") && use !== "access_token" && use !== "access") return "token_use"
  if (accessTokenClaims === undefined ? type === undefined : !marksAccessTokens(answer)) return "token_type"
  return forbiddenClaims.find((name) => Object.hasOwn(answer, name))
}

// RFC 6749 §7.1: the value is case-insensitive.
const isBearer = (type: unknown): boolean => typeof type === "string" && type.toLowerCase() === "bearer"

/** What to look at where the server's own access tokens are refused. It holds nothing of the token. */
export const advice = (error: InvalidToken, policy: Policy): string | undefined => {
  const of = `A token that ${policy.claims.issuer} calls active was refused`
  switch (error.claim) {
    case "token_type":
    case "token_use":
      return `${of}: its ${error.claim} is not an access token's. It is a refresh token, or bound to a key; or accessTokenClaims is to say what marks the server's access tokens.`
    case "sub":
      return `${of}: the answer has no ${policy.subjectClaims.join(" and no ")}. subjectClaims says which member names who acts.`
    case policy.claims.audienceClaim:
      return `${claims.advice(error, policy.claims)} If the server names no audience, and each of its tokens may be used here, set audience: false.`
    default:
      return claims.advice(error, policy.claims)
  }
}
