/** The token endpoint: every grant type that the metadata names. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Jose from "jose"
import { type Answer, noStore, refuse, type Refusal } from "./answer.ts"
import type { Grant, Memory, Session } from "./grants.ts"
import type { TestClient } from "./model.ts"
import { type Parameters, words } from "./parameters.ts"

type Claims = Readonly<Record<string, unknown>>

/** What the token endpoint needs from the issuer. */
export interface TokenIssuer {
  readonly memory: Memory
  /** Claims of the access tokens that are active, by token. */
  readonly active: ReadonlyMap<string, Claims>
  readonly rotate: boolean
  /** Milliseconds. */
  readonly grace: number
  readonly refreshLifetime: number
  /** Seconds. */
  readonly lifetime: number
  readonly randomText: (kind: "refresh") => string
  readonly mintAccessToken: (token: AccessTokenRequest) => Effect.Effect<string>
  readonly mintIdToken: (grant: Grant, nonce: string | undefined, accessToken: string) => Effect.Effect<string>
  readonly revokeGrant: (grant: Grant) => void
}

export interface AccessTokenRequest {
  readonly subject: string
  readonly clientId: string
  readonly scopes: ReadonlyArray<string>
  readonly resource: string | undefined
  readonly thumbprint: string | undefined
  readonly claims: Readonly<Record<string, unknown>>
}

export const grantTypes = {
  authorizationCode: "authorization_code",
  clientCredentials: "client_credentials",
  refreshToken: "refresh_token",
  deviceCode: "urn:ietf:params:oauth:grant-type:device_code",
  tokenExchange: "urn:ietf:params:oauth:grant-type:token-exchange",
  jwtBearer: "urn:ietf:params:oauth:grant-type:jwt-bearer"
} as const

/** Answers an authenticated client. `thumbprint` is of the key of its DPoP proof. */
export const respond = (
  issuer: TokenIssuer,
  client: TestClient,
  parameters: Parameters,
  thumbprint: string | undefined
): Effect.Effect<Answer, Refusal> => {
  switch (parameters["grant_type"]) {
    case grantTypes.clientCredentials:
      return clientCredentials(issuer, client, parameters, thumbprint)
    case grantTypes.authorizationCode:
      return authorizationCode(issuer, client, parameters, thumbprint)
    case grantTypes.refreshToken:
      return refresh(issuer, client, parameters, thumbprint)
    case grantTypes.deviceCode:
      return deviceCode(issuer, client, parameters, thumbprint)
    case grantTypes.tokenExchange:
      return exchange(issuer, client, parameters, thumbprint)
    case grantTypes.jwtBearer:
      return onBehalfOf(issuer, client, parameters, thumbprint)
    default:
      return refuse("unsupported_grant_type", "The grant type is not supported.")
  }
}

const allowedScopes = (client: TestClient, scopes: ReadonlyArray<string>) =>
  scopes.some((scope) => client.scopes?.includes(scope) === false)
    ? refuse("invalid_scope", "The client may not get one of these scopes.")
    : Effect.succeed(scopes)

const tokenResponse = (
  { lifetime }: TokenIssuer,
  token: string,
  scopes: ReadonlyArray<string>,
  thumbprint: string | undefined,
  more: Readonly<Record<string, unknown>> = {}
): Answer => ({
  headers: noStore,
  body: {
    access_token: token,
    token_type: thumbprint === undefined ? "Bearer" : "DPoP",
    expires_in: lifetime,
    ...(scopes.length > 0 && { scope: scopes.join(" ") }),
    ...more
  }
})

const clientCredentials = Effect.fnUntraced(function* (
  issuer: TokenIssuer,
  client: TestClient,
  parameters: Parameters,
  thumbprint: string | undefined
) {
  const scopes = yield* allowedScopes(client, words(parameters["scope"]))
  const token = yield* issuer.mintAccessToken({
    subject: client.clientId,
    clientId: client.clientId,
    scopes,
    resource: parameters["resource"] ?? parameters["audience"],
    thumbprint,
    claims: {}
  })
  return tokenResponse(issuer, token, scopes, thumbprint)
})

const authorizationCode = Effect.fnUntraced(function* (
  issuer: TokenIssuer,
  client: TestClient,
  parameters: Parameters,
  thumbprint: string | undefined
) {
  const invalid = refuse("invalid_grant", "The code is not valid.")
  const code = issuer.memory.codes.get(parameters["code"] ?? "")
  if (code === undefined || code.grant.clientId !== client.clientId) return yield* invalid
  const { grant } = code
  // A second use of a code revokes the tokens of the first use (RFC 6749 §4.1.2).
  if (code.used) {
    issuer.revokeGrant(grant)
    return yield* invalid
  }
  code.used = true
  const isExpired = code.expiresAt <= (yield* Clock.currentTimeMillis)
  if (isExpired || code.redirectUri !== parameters["redirect_uri"]) return yield* invalid
  if (code.challenge !== (yield* challengeOf(parameters["code_verifier"]))) return yield* invalid
  if (grant.thumbprint !== undefined && grant.thumbprint !== thumbprint) return yield* invalid
  return yield* grantResponse(issuer, grant, grant.scopes, thumbprint, code.nonce)
})

const challengeOf = (verifier: string | undefined): Effect.Effect<string | undefined> =>
  verifier === undefined
    ? Effect.undefined
    : Effect.map(
        Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))),
        (digest) => Jose.base64url.encode(new Uint8Array(digest))
      )

/** Returns an access token of a grant, a refresh token, and an ID token if the scopes include `openid`. */
const grantResponse = Effect.fnUntraced(function* (
  issuer: TokenIssuer,
  grant: Grant,
  scopes: ReadonlyArray<string>,
  thumbprint: string | undefined,
  nonce?: string,
  keptRefreshToken?: string
) {
  const { acr, amr, authenticatedAt, sessionId, subject } = grant.session
  const token = yield* issuer.mintAccessToken({
    subject,
    clientId: grant.clientId,
    scopes,
    resource: grant.resource,
    thumbprint,
    claims: { sid: sessionId, auth_time: Math.floor(authenticatedAt / 1000), ...defined({ acr, amr }) }
  })
  grant.accessTokens.push(token)
  const refreshToken = keptRefreshToken === undefined ? issuer.randomText("refresh") : undefined
  if (refreshToken !== undefined) issuer.memory.refreshTokens.set(refreshToken, { grant, usedAt: undefined })
  const idToken = grant.scopes.includes("openid") ? yield* issuer.mintIdToken(grant, nonce, token) : undefined
  return tokenResponse(issuer, token, scopes, thumbprint, defined({ refresh_token: refreshToken, id_token: idToken }))
})

const defined = (members: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))

const refresh = Effect.fnUntraced(function* (
  issuer: TokenIssuer,
  client: TestClient,
  parameters: Parameters,
  thumbprint: string | undefined
) {
  const invalid = refuse("invalid_grant", "The refresh token is not valid.")
  const text = parameters["refresh_token"] ?? ""
  const token = issuer.memory.refreshTokens.get(text)
  if (token === undefined || token.grant.revoked || token.grant.clientId !== client.clientId) return yield* invalid
  const { grant } = token
  const now = yield* Clock.currentTimeMillis
  if (grant.refreshEnd <= now) return yield* invalid
  if (grant.thumbprint !== undefined && grant.thumbprint !== thumbprint) return yield* invalid
  // A rotated token that comes again may be stolen, so all tokens of the grant end (RFC 9700 §4.14.2).
  if (token.usedAt !== undefined && now - token.usedAt >= issuer.grace) {
    issuer.revokeGrant(grant)
    return yield* invalid
  }
  const asked = words(parameters["scope"])
  const scopes = asked.length === 0 ? grant.scopes : asked
  // A refresh may only narrow the scopes (RFC 6749 §6).
  if (!scopes.every((scope) => grant.scopes.includes(scope))) {
    return yield* refuse("invalid_scope", "The scopes exceed those of the grant.")
  }
  if (issuer.rotate) token.usedAt ??= now
  return yield* grantResponse(issuer, grant, scopes, thumbprint, undefined, issuer.rotate ? undefined : text)
})

const deviceCode = Effect.fnUntraced(function* (
  issuer: TokenIssuer,
  client: TestClient,
  parameters: Parameters,
  thumbprint: string | undefined
) {
  const code = parameters["device_code"] ?? ""
  const device = issuer.memory.devices.get(code)
  if (device === undefined || device.clientId !== client.clientId) {
    return yield* refuse("invalid_grant", "The device code is not valid.")
  }
  const now = yield* Clock.currentTimeMillis
  if (device.expiresAt <= now) return yield* refuse("expired_token", "The device code has expired.")
  const { decision, interval, polledAt } = device
  device.polledAt = now
  if (polledAt !== undefined && now - polledAt < interval) {
    // RFC 8628 §3.5: the interval grows by 5 seconds for good.
    device.interval += 5000
    return yield* refuse("slow_down", "The client polls too often.")
  }
  if (decision === "pending") return yield* refuse("authorization_pending", "The user has not decided yet.")
  issuer.memory.devices.delete(code)
  if (decision === "denied") return yield* refuse("access_denied", "The user refused.")
  const grant: Grant = {
    clientId: client.clientId,
    session: decision,
    scopes: device.scopes,
    resource: undefined,
    thumbprint: undefined,
    refreshEnd: now + issuer.refreshLifetime,
    accessTokens: [],
    revoked: false
  }
  issuer.memory.grants.push(grant)
  return yield* grantResponse(issuer, grant, grant.scopes, thumbprint)
})

const accessTokenType = "urn:ietf:params:oauth:token-type:access_token"

const activeClaims = Effect.fnUntraced(function* (issuer: TokenIssuer, token: string | undefined) {
  const invalid = refuse("invalid_request", "The token to exchange is not active.")
  const claims = issuer.active.get(token ?? "")
  if (claims === undefined) return yield* invalid
  const { exp, sub } = claims
  if (typeof exp !== "number" || exp * 1000 <= (yield* Clock.currentTimeMillis)) return yield* invalid
  return typeof sub === "string" ? { clientId: claims["client_id"], sub } : yield* invalid
})

/** Token exchange (RFC 8693 §2). The result names the client as actor, and never outlives the exchanged token. */
const exchange = Effect.fnUntraced(function* (
  issuer: TokenIssuer,
  client: TestClient,
  parameters: Parameters,
  thumbprint: string | undefined
) {
  const { requested_token_type: wanted = accessTokenType, subject_token_type: type } = parameters
  if (type !== accessTokenType || wanted !== accessTokenType) {
    return yield* refuse("invalid_request", "Only access tokens can be exchanged.")
  }
  const claims = yield* activeClaims(issuer, parameters["subject_token"])
  const scopes = yield* allowedScopes(client, words(parameters["scope"]))
  const token = yield* issuer.mintAccessToken({
    subject: claims.sub,
    clientId: client.clientId,
    scopes,
    resource: parameters["audience"] ?? parameters["resource"],
    thumbprint,
    claims: { act: { sub: client.clientId } }
  })
  return tokenResponse(issuer, token, scopes, thumbprint, { issued_token_type: accessTokenType })
})

/** The on-behalf-of grant of Microsoft Entra ID. It refuses tokens of an app without a user. */
const onBehalfOf = Effect.fnUntraced(function* (
  issuer: TokenIssuer,
  client: TestClient,
  parameters: Parameters,
  thumbprint: string | undefined
) {
  if (parameters["requested_token_use"] !== "on_behalf_of") {
    return yield* refuse("invalid_request", "requested_token_use must be on_behalf_of.")
  }
  const claims = yield* activeClaims(issuer, parameters["assertion"])
  if (claims.sub === claims.clientId) return yield* refuse("invalid_grant", "The assertion has no user.")
  const scopes = yield* allowedScopes(client, words(parameters["scope"]))
  const token = yield* issuer.mintAccessToken({
    subject: claims.sub,
    clientId: client.clientId,
    scopes,
    resource: undefined,
    thumbprint,
    claims: {}
  })
  return tokenResponse(issuer, token, scopes, thumbprint)
})

/** Ends every token of a grant. */
export const revokeGrant = (grant: Grant, active: Map<string, Claims>): void => {
  grant.revoked = true
  for (const token of grant.accessTokens) active.delete(token)
}

export const endSession = (session: Session, memory: Memory, active: Map<string, Claims>): void => {
  session.ended = true
  for (const grant of memory.grants) if (grant.session === session) revokeGrant(grant, active)
}
