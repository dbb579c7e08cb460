/** Tables of the headers and claims that each profile accepts (RFC 8725 §3.11). */
import type { Policy } from "./options.ts"

/** Kind of JWT that a verifier accepts. */
export type Profile = NonNullable<Policy["profile"]>

// Only ID tokens (OpenID Connect Core §2, §3.3.2.11) and logout tokens (Back-Channel Logout §2.4) have these claims.
export const otherClaims: Readonly<Record<Profile, ReadonlyArray<string>>> = {
  "at+jwt": [],
  jwt: ["nonce", "at_hash", "c_hash", "s_hash", "events"],
  "id-token": ["events"],
  "logout+jwt": ["nonce"]
}

/** Accepted values of the header parameter `typ`. */
export const types: Readonly<Record<Profile, ReadonlyArray<string | undefined>>> = {
  "at+jwt": ["at+jwt"],
  jwt: ["at+jwt", "jwt", undefined],
  "id-token": ["jwt", undefined],
  "logout+jwt": ["logout+jwt", "jwt", undefined]
}
