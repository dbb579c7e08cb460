/** Makes tokens for tests, valid and invalid. */
import * as Effect from "effect/Effect"
import * as Jose from "jose"
import type { MintOptions, ProviderName, RawPart, RawToken, SigningKey } from "./issuerModel.ts"
import * as shapes from "./shapes.ts"
import * as signingKey from "./signingKey.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"

const clientId = "test-client"

/** Claims of a token whose options do not change them. */
interface Defaults {
  readonly issuer: string
  readonly audience: string | ReadonlyArray<string>
  /** Milliseconds since 1970. */
  readonly now: number
  /** Milliseconds. */
  readonly lifetime: number
  readonly tokenId: string
  /** Seconds since 1970. `undefined` if the token does not say when the user authenticated. */
  readonly authTime: number | undefined
  /** The claim `cnf`. `undefined` for a bearer token. */
  readonly confirmation: Claims | undefined
}

export type Claims = Readonly<Record<string, unknown>>

export const shapeOf = (
  provider: ProviderName | undefined,
  { audience, boundTo, scopes, subject = "demo" }: MintOptions,
  defaults: Defaults
): shapes.Shape | undefined =>
  provider &&
  shapes.shapeOf(provider, {
    issuer: defaults.issuer,
    subject,
    audience: audience ?? defaults.audience,
    client: clientId,
    tokenId: defaults.tokenId,
    scopes,
    isBound: boundTo?.jkt !== undefined,
    issuedAt: secondsOf(defaults)
  })

export const sign = (
  options: MintOptions,
  claims: Claims,
  key: SigningKey,
  shape?: shapes.Shape
): Effect.Effect<string> =>
  raw(ownProperties({ header: JSON.stringify(header(options, key, shape)), payload: JSON.stringify(claims) }), key)

export const raw = (token: RawToken, key: SigningKey): Effect.Effect<string> => {
  const input = `${segment(token.header)}.${segment(token.payload)}`
  const signature = token.signature === undefined ? signingKey.sign(key, input) : Effect.succeed(token.signature)
  return Effect.map(signature, (signature) => `${input}.${signature}`)
}

const segment = (part: RawPart): string =>
  typeof part === "string" || part instanceof Uint8Array ? Jose.base64url.encode(part) : part.encoded

const header = (options: MintOptions, key: SigningKey, shape: shapes.Shape | undefined) => ({
  alg: key.alg,
  kid: key.kid,
  ...(shape?.header ?? { typ: options.profile === undefined || options.profile === "at+jwt" ? "at+jwt" : "JWT" }),
  ...options.header
})

/** Returns the claims about the user's authentication and its details (RFC 9068 §2.2.1, RFC 9396 §9.1). */
const authenticationOf = (options: MintOptions, { authTime }: Defaults): Claims =>
  Object.fromEntries(
    Object.entries({
      acr: options.acr,
      amr: options.amr,
      auth_time: authTime,
      authorization_details: options.authorizationDetails
    }).filter(([, value]) => value !== undefined)
  )

// NumericDate is in seconds (RFC 7519 §2).
const secondsOf = ({ now }: Defaults): number => Math.floor(now / 1000)

export const claims = (options: MintOptions, defaults: Defaults, shape?: shapes.Shape): Claims => {
  const issuedAt = secondsOf(defaults)
  const profileClaims =
    options.profile === "id-token"
      ? { aud: options.audience ?? clientId, auth_time: issuedAt }
      : { aud: options.audience ?? defaults.audience, client_id: clientId, jti: defaults.tokenId }
  const scope = options.scopes === undefined ? undefined : { scope: options.scopes.join(" ") }
  const all = {
    iss: defaults.issuer,
    ...(shape?.claims ?? { sub: options.subject ?? "demo", ...profileClaims, ...scope }),
    ...authenticationOf(options, defaults),
    iat: issuedAt,
    exp: issuedAt + defaults.lifetime / 1000,
    ...(defaults.confirmation === undefined ? {} : { cnf: defaults.confirmation }),
    ...options.claims
  }
  return Object.fromEntries(Object.entries(all).filter(([name]) => options.without?.includes(name) !== true))
}
