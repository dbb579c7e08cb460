/** Distinguishes access tokens from other JWTs of the same issuer (RFC 8725 §3.11). */
import type { Claims, Policy } from "./policy.ts"
import { otherClaims, type Profile, types } from "./profile.ts"
import { own } from "../../core/lib/ownProperties.ts"

/** Returns the header parameter or claim that violates the profile, or `undefined` if none does (RFC 9068 §4). */
export const findViolation = (
  typ: string | undefined,
  claims: Claims,
  policy: Policy,
  profile = policy.profile
): string | undefined => {
  if (!types[profile].includes(typ)) return "typ"
  const { forbiddenClaims = otherClaims[profile] } = policy
  const forbidden = forbiddenClaims.find((name) => Object.hasOwn(claims, name))
  if (forbidden !== undefined) return forbidden
  switch (profile) {
    case "at+jwt":
      return ["client_id", "jti", "iat"].find((name) => !isPresent(name, own(claims, name)))
    case "jwt":
      return policy.marksAccessTokens(claims) ? undefined : "scope"
    case "id-token":
      return
  }
}

/** RFC 9068 §2.2 requires these claims. `iat` is a number (RFC 7519 §4.1.6), and the others are strings. */
const isPresent = (name: string, value: unknown): boolean =>
  name === "iat" ? typeof value === "number" : typeof value === "string" && value !== ""

/** Returns a log message that names the `profile` option for such tokens. The message never contains token content. */
export const advice = (typ: string | undefined, claims: Claims, policy: Policy): string => {
  const subject = `A token of ${policy.issuer} was refused, because profile ${JSON.stringify(policy.profile)} does not accept it.`
  const fits = (profile: Profile) => findViolation(typ, claims, policy, profile) === undefined
  if (fits("at+jwt")) return `${subject} The token is marked as an access token (RFC 9068). Set profile: "at+jwt".`
  if (fits("jwt")) {
    return `${subject} If the issuer does not mark its access tokens and this token is one, set profile: "jwt".`
  }
  return fits("id-token")
    ? `${subject} The token looks like an ID token. Clients must send their access token. If clients of this issuer have to send ID tokens, set profile: "id-token". If the token is an unmarked access token, set profile: "jwt", and set accessTokenClaims to claims that only access tokens have.`
    : `${subject} No profile accepts the token, because it is not an access token.`
}
