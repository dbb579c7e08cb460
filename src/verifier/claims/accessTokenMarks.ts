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
      return required.find((name) => !isPresent(name, own(claims, name)))
    case "jwt":
      return policy.marksAccessTokens(claims) ? undefined : "scope"
    case "id-token":
      return
  }
}

const required = ["client_id", "jti", "iat"]

/** RFC 9068 §2.2 requires these claims. `iat` is a number (RFC 7519 §4.1.6), and the others are strings. */
const isPresent = (name: string, value: unknown): boolean =>
  name === "iat" ? typeof value === "number" : typeof value === "string" && value !== ""

/** Returns a log message that names the cause and the option. The message contains no values of claims. */
export const advice = (typ: string | undefined, claims: Claims, policy: Policy, violation: string): string => {
  const { issuer, profile } = policy
  const subject = `A token of ${issuer} was refused, because profile ${JSON.stringify(profile)} does not accept it.`
  const fits = (other: Profile) => findViolation(typ, claims, policy, other) === undefined
  if (profile === "at+jwt" && typ === "at+jwt" && required.includes(violation)) {
    const otherwise = fits("jwt") ? ` If the issuer cannot, set profile: "jwt".` : ""
    return `${subject} The token is marked as an access token, but its ${violation} claim is missing or has the wrong type. Make the issuer write ${violation} (RFC 9068 §2.2).${otherwise}`
  }
  if (fits("at+jwt")) return `${subject} The token is marked as an access token (RFC 9068). Set profile: "at+jwt".`
  if (fits("jwt")) {
    return `${subject} If the issuer does not mark its access tokens and this token is one, set profile: "jwt".`
  }
  if ((policy.forbiddenClaims ?? otherClaims[profile]).includes(violation)) {
    const hint =
      profile === "jwt" && policy.marksAccessTokens(claims)
        ? "If the issuer documents that its access tokens have this claim"
        : "If the issuer documents another mark of its access tokens, set accessTokenClaims. If access tokens have the forbidden claim"
    return `${subject} The token has the claim ${violation}, which forbiddenClaims contains, because ID tokens or logout tokens have it. Clients must send their access token. ${hint}, set forbiddenClaims without it.${
      fits("id-token") ? idTokens : ""
    }`
  }
  if (profile === "jwt" && violation === "scope") {
    const isApplication =
      issuer.startsWith("https://login.microsoftonline.com/") &&
      Object.hasOwn(claims, "roles") &&
      !Object.hasOwn(claims, "scp")
    return isApplication
      ? `${subject} The token is of an application that acts for itself: it has roles and no scp. To accept such tokens, use Provider.entra with permissions: "application".`
      : `${subject} The token has no claim that marks access tokens (${policy.accessTokenMarks.join(", ")}), so it can be an ID token. Clients must send their access token. If it is one, set accessTokenClaims to claims that only access tokens have.${
          fits("id-token") ? idTokens : ""
        }`
  }
  if (violation === "typ" && !fits("id-token")) {
    const accepted = types[profile].map((type) => type ?? "no typ").join(", ")
    return `${subject} The typ header of the token is not one of the accepted values (${accepted}). No profile accepts the token, because it is not an access token.`
  }
  return fits("id-token")
    ? `${subject} The token looks like an ID token. Clients must send their access token.${idTokens} If the token is an unmarked access token, set profile: "jwt", and set accessTokenClaims to claims that only access tokens have.`
    : `${subject} No profile accepts the token, because it is not an access token.`
}

const idTokens = ` If clients of this issuer have to send ID tokens, set profile: "id-token".`
