/** Tells access tokens from other JWTs of an issuer (RFC 8725 §3.11). */
import type { Claims, Policy } from "./policy.ts"
import { otherClaims, type Profile, types } from "./profile.ts"
import { own } from "../../core/lib/ownProperties.ts"

/** The header parameter or the claim by which a token is not what the profile takes (RFC 8725 §3.11, RFC 9068 §4). */
export const failing = (
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
    case "at+jwt": {
      const client = own(claims, "client_id")
      return typeof client === "string" && client !== "" ? undefined : "client_id"
    }
    case "jwt":
      return policy.marksAccessTokens(claims) ? undefined : "scope"
    case "id-token":
      return
  }
}

/** What to do where the issuer's own tokens are refused for the profile: which setting fits them. It holds nothing of the token. */
export const advice = (typ: string | undefined, claims: Claims, policy: Policy): string => {
  const subject = `A token of ${policy.issuer} was refused, because it is not what profile: ${JSON.stringify(policy.profile)} takes.`
  const fits = (profile: Profile) => failing(typ, claims, policy, profile) === undefined
  if (fits("at+jwt")) return `${subject} It is marked as an access token (RFC 9068): profile: "at+jwt" takes it.`
  if (fits("jwt")) {
    return `${subject} If the issuer does not mark its access tokens, and this is one, set profile: "jwt".`
  }
  return fits("id-token")
    ? `${subject} It looks like an ID token: let clients send their access token. If the issuer's ID tokens are what clients have to send, set profile: "id-token"; if it is an access token without any mark, set profile: "jwt" and name what marks it in accessTokenClaims.`
    : `${subject} No profile takes it: it is no access token.`
}
