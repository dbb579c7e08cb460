/** Distinguishes access tokens from other JWTs of the same issuer (RFC 8725 §3.11). */
import { isReadonlyObject } from "effect/Predicate"
import { own } from "../../core/lib/ownProperties.ts"
import type { Claims, CheckedPolicy } from "./policy.ts"
import { adviceOnPreset } from "./presets.ts"
import { otherClaims, type Profile, types } from "./profile.ts"

/** Returns the header parameter or claim that violates the profile, or `undefined` if none does (RFC 9068 §4). */
export const findViolation = (
  typ: string | undefined,
  claims: Claims,
  policy: CheckedPolicy,
  profile = policy.profile
): string | undefined => {
  if (!types[profile].includes(typ)) return "typ"
  const { forbiddenClaims = otherClaims[profile] } = policy
  const forbidden = forbiddenClaims.find((name) => Object.hasOwn(claims, name))
  if (forbidden !== undefined) return forbidden
  switch (profile) {
    case "at+jwt":
      return required.find((name) => !isPresent(name, claims[name]))
    case "jwt":
      return policy.marksAccessTokens(claims) ? undefined : "scope"
    case "id-token":
      return
    case "logout+jwt":
      return (
        ["jti", "iat"].find((name) => !isPresent(name, claims[name])) ??
        (isReadonlyObject(own(claims["events"], logoutEvent)) ? undefined : "events")
      )
  }
}

/** Member of `events` (OpenID Connect Back-Channel Logout 1.0 §2.4). */
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

const required = ["client_id", "jti", "iat"]

/** RFC 9068 §2.2 requires these claims. `iat` is a number (RFC 7519 §4.1.6), and the others are strings. */
const isPresent = (name: string, value: unknown): boolean =>
  name === "iat" ? typeof value === "number" : typeof value === "string" && value !== ""

// An issuer writes these claims for clients or scopes, so a token with one of them can be an access token.
const marksOfClients = ["scope", "scp", "roles", "permissions", "azp", "client_id", "cid"]

/** Returns a log message that names the cause and the option. The message contains no values of claims. */
export const advice = (typ: string | undefined, claims: Claims, policy: CheckedPolicy, violation: string): string => {
  const { issuer, profile } = policy
  const subject = `A token of ${issuer} was refused, because profile ${JSON.stringify(profile)} does not accept it.`
  if (profile === "logout+jwt") {
    return `${subject} The ${violation} of the token is not that of a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4).`
  }
  const fits = (other: Profile) => findViolation(typ, claims, policy, other) === undefined
  // The options of Provider have another profile if the provider needs one.
  const preset = profile === "at+jwt" ? adviceOnPreset(issuer) : ""
  const hasMark = policy.marksAccessTokens(claims)
  // The profile for ID tokens does not distinguish access tokens, so it must not be advised for a possible one.
  const isIdToken = fits("id-token") && !hasMark && !marksOfClients.some((name) => Object.hasOwn(claims, name))
  const idTokens = isIdToken ? ` If clients of this issuer have to send ID tokens, set profile: "id-token".` : ""
  if (profile === "at+jwt" && typ === "at+jwt" && required.includes(violation)) {
    const otherwise = fits("jwt") ? ` If the issuer cannot, set profile: "jwt".` : ""
    return `${subject} The token is marked as an access token, but its ${violation} claim is missing or has the wrong type. Make the issuer write ${violation} (RFC 9068 §2.2).${otherwise}`
  }
  if (fits("at+jwt")) return `${subject} The token is marked as an access token (RFC 9068). Set profile: "at+jwt".`
  if (issuer === "https://accounts.google.com" && fits("id-token")) {
    return `${subject} Google issues ID tokens for APIs. Use Provider.google.`
  }
  if (fits("jwt")) {
    return `${subject} If the issuer does not mark its access tokens and this token is one, set profile: "jwt".${preset}`
  }
  const inJwt = findViolation(typ, claims, policy, "jwt")
  // With profile "at+jwt", a token that is not marked is refused for its typ. Another profile names the real cause.
  const cause = profile === "at+jwt" && violation === "typ" ? inJwt : violation
  const andProfile = profile === "jwt" ? "" : ` profile: "jwt", and`
  if (cause !== undefined && (policy.forbiddenClaims ?? otherClaims.jwt).includes(cause)) {
    const hint = hasMark
      ? "If the issuer documents that its access tokens have this claim"
      : "If the issuer documents another mark of its access tokens, set accessTokenClaims. If access tokens have the forbidden claim"
    return `${subject} The token has the claim ${cause}, which forbiddenClaims contains, because ID tokens or logout tokens have it. Clients must send their access token. ${hint}, set${andProfile} forbiddenClaims without it.${idTokens}`
  }
  const isApplication = isOfEntra(issuer) && Object.hasOwn(claims, "roles") && !Object.hasOwn(claims, "scp")
  if (cause === "scope" && isApplication) {
    return `${subject} The token is of an application that acts for itself: it has roles and no scp. To accept such tokens, use Provider.entra with permissions: "application".`
  }
  if (cause === "scope" && profile !== "id-token") {
    return `${subject} The token has no claim that marks access tokens (${policy.accessTokenMarks.join(", ")}), so it can be an ID token. Clients must send their access token. If it is one, set${andProfile} accessTokenClaims to claims that only access tokens have.${idTokens}${preset}`
  }
  if (violation === "typ") {
    const accepted = types[profile].map((type) => type ?? "no typ").join(", ")
    return `${subject} The typ header of the token is not one of the accepted values (${accepted}). No profile accepts the token, because it is not an access token.`
  }
  return `${subject} No profile accepts the token, because it is not an access token.${idTokens}`
}

export const isOfEntra = (issuer: string): boolean =>
  /^https:\/\/(login\.microsoftonline\.(com|us)|login\.partner\.microsoftonline\.cn|sts\.windows\.net|sts\.chinacloudapi\.cn)\//.test(
    issuer
  )
