/** The grant of a user: the tokens that a client keeps, with a refresh token to get new ones. */
import * as Redacted from "effect/Redacted"
import { decodeJwt } from "jose/jwt/decode"
import type { Registration } from "./options.ts"
import type { TokenResponse } from "./tokenEndpoint.ts"

/**
 * Tokens that a user has granted to a client.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredGrant {
  /** The issuer of the tokens. */
  readonly issuer: string
  /** The client that got the tokens. */
  readonly clientId: string
  readonly accessToken: Redacted.Redacted
  /** `undefined` if the authorization server gave none. The grant then ends with its access token. */
  readonly refreshToken: Redacted.Redacted | undefined
  /** The ID token, which names the user and the session for a logout. */
  readonly idToken: Redacted.Redacted | undefined
  readonly type: "Bearer" | "DPoP"
  /** Granted scopes. */
  readonly scopes: ReadonlyArray<string>
  /** Time at which the access token was requested, in milliseconds since 1970. */
  readonly sentAt: number
  /** Expiration time of the access token in milliseconds since 1970. */
  readonly expiresAt: number
}

/** Returns the grant of a token response. A response without a refresh token keeps the old one (RFC 6749 §6). */
export const grantOf = (
  response: TokenResponse,
  { clientId, issuer }: Pick<Registration, "clientId" | "issuer">,
  asked: ReadonlyArray<string>,
  defaultLifetime: number,
  before?: StoredGrant
): StoredGrant => ({
  issuer,
  clientId,
  accessToken: response.accessToken,
  refreshToken: response.refreshToken ?? before?.refreshToken,
  idToken: response.idToken ?? before?.idToken,
  type: response.type,
  scopes: Array.from(response.scopes ?? asked),
  sentAt: response.sentAt,
  expiresAt: response.sentAt + (response.lifetime ?? defaultLifetime)
})

/** Returns `true` if a new ID token is for the same user as the first one (OpenID Connect Core 1.0 §12.2). */
export const isSameUser = (before: Redacted.Redacted | undefined, after: Redacted.Redacted | undefined): boolean => {
  if (before === undefined || after === undefined) return true
  const [old, fresh] = [claimsOf(before), claimsOf(after)]
  if (old === undefined || fresh === undefined || old.sub !== fresh.sub || old.iss !== fresh.iss) return false
  const audience = [fresh.aud].flat()
  return [old.aud].flat().every((name) => audience.includes(name))
}

const claimsOf = (token: Redacted.Redacted) => {
  try {
    return decodeJwt(Redacted.value(token))
  } catch {
    return undefined
  }
}
