/** The kinds of JWT that a verifier can take (RFC 8725 §3.11), as tables. */
import type { Policy } from "./options.ts"

/** What tells an access token from other JWTs. */
export type Profile = NonNullable<Policy["profile"]>

// An ID token says what an access token does not (OpenID Connect Core §2, §3.3.2.11), and so does a logout token (Back-Channel Logout §2.4).
export const otherClaims: Readonly<Record<Profile, ReadonlyArray<string>>> = {
  "at+jwt": [],
  jwt: ["nonce", "at_hash", "c_hash", "s_hash", "events"],
  "id-token": ["events"]
}

/** The values of the header parameter `typ`. */
export const types: Readonly<Record<Profile, ReadonlyArray<string | undefined>>> = {
  "at+jwt": ["at+jwt"],
  jwt: ["at+jwt", "jwt", undefined],
  "id-token": ["jwt", undefined]
}
