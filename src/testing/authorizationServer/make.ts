/** Builds the protocol endpoints of a test issuer: authorization, tokens, devices, revocation, end of session. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Jose from "jose"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import { millis, mistake } from "../lib/mistake.ts"
import { type Answer, noStore, refused, type Refusal } from "./answer.ts"
import { authorize, endSession } from "./authorization.ts"
import { authenticate, type Clients } from "./clients.ts"
import * as dpop from "./dpop.ts"
import { clientsOf, emptyMemory, type Grant, type Session } from "./grants.ts"
import type {
  AuthorizationServerOptions,
  LogoutTokenOptions,
  ProtocolEndpoint,
  TestEndpoints,
  TestUser
} from "./model.ts"
import { read, words } from "./parameters.ts"
import * as tokens from "./tokens.ts"

type Claims = Readonly<Record<string, unknown>>

/** Mints a token of the issuer. */
type Mint = (
  options: Omit<LogoutTokenOptions, "sessionId"> & {
    readonly scopes?: ReadonlyArray<string>
    readonly profile?: "id-token"
  }
) => Effect.Effect<string>

const deviceLifetime = 600_000
const deviceInterval = 5000
const day = 86_400_000

export const make = Effect.fnUntraced(function* (
  options: AuthorizationServerOptions,
  identifier: string,
  endpoints: TestEndpoints,
  /** Claims of the access tokens that are active. */
  active: Map<string, Claims>,
  mint: Mint,
  currentKey: Effect.Effect<{ readonly alg: string }>
) {
  const refreshTokens = ownProperties(options.refreshTokens ?? {})
  const grace = yield* millis("refreshTokens.grace", refreshTokens.grace ?? 0, 0)
  const refreshLifetime = yield* millis("refreshTokens.lifetime", refreshTokens.lifetime ?? 30 * day, 0)
  const lifetime = yield* millis("accessTokenLifetime", options.accessTokenLifetime ?? "10 minutes")
  const memory = emptyMemory()
  const clients: Clients = {
    registered: options.clients && new Map(options.clients.map((client) => [client.clientId, ownProperties(client)])),
    audiences: [identifier, endpoints.token],
    usedAssertions: memory.usedAssertions
  }
  // `reset` does not restart these numbers, so that no code or token of an earlier test works again.
  const numbers = { code: 0, refresh: 0, device: 0, logout: 0 }
  const randomText = (kind: keyof typeof numbers) => `${kind}-${(numbers[kind] += 1)}`
  let sessions = 0

  const signIn = (given: TestUser) =>
    Effect.map(Clock.currentTimeMillis, (authenticatedAt): Session => {
      const { acr, amr, claims = {}, subject = "demo" } = ownProperties(given)
      const sessionId = `session-${(sessions += 1)}`
      const session: Session = { subject, sessionId, claims, acr, amr, authenticatedAt, ended: false }
      memory.sessions.push(session)
      return session
    })

  const signInBrowser = (user: TestUser) =>
    Effect.tap(signIn(user), (session) =>
      Effect.sync(() => {
        memory.browser = session
      })
    )

  const mintLogoutToken = (given: LogoutTokenOptions = {}) => {
    const { claims, header, sessionId, subject, ...rest } = ownProperties(given)
    const named = subject ?? (sessionId === undefined ? "demo" : undefined)
    return mint({
      lifetime: "2 minutes",
      ...rest,
      profile: "id-token",
      header: { typ: "logout+jwt", ...header },
      without: [...(rest.without ?? []), "auth_time", ...(named === undefined ? ["sub"] : [])],
      claims: {
        jti: randomText("logout"),
        events: { "http://schemas.openid.net/event/backchannel-logout": {} },
        ...(named !== undefined && { sub: named }),
        ...(sessionId !== undefined && { sid: sessionId }),
        ...claims
      }
    })
  }

  /** Tells the clients of a session that it has ended. */
  const notify = ({ sessionId, subject }: Session) =>
    Effect.forEach(
      clientsOf(memory, sessionId),
      (clientId) => {
        const send = clients.registered?.get(clientId)?.backChannelLogout
        return send === undefined
          ? Effect.void
          : Effect.flatMap(mintLogoutToken({ sessionId, subject, audience: clientId }), (token) =>
              Effect.ignore(send(token))
            )
      },
      { discard: true }
    )

  const endSessions = (matches: (session: Session) => boolean) =>
    Effect.suspend(() => {
      const ended = memory.sessions.filter((session) => !session.ended && matches(session))
      for (const session of ended) tokens.endSession(session, memory, active)
      return Effect.forEach(ended, notify, { discard: true })
    })

  const browser = {
    issuer: identifier,
    clients,
    memory,
    refreshLifetime,
    randomText,
    signIn: (subject: string | undefined, acr: string | undefined) => {
      const former = memory.sessions.findLast((session) => session.subject === subject)
      const user = ownProperties({ subject, acr: acr ?? former?.acr, amr: former?.amr, claims: former?.claims })
      return former !== undefined && former === memory.browser
        ? signInBrowser(user as TestUser)
        : signIn(user as TestUser)
    }
  }

  const tokenIssuer: tokens.TokenIssuer = {
    memory,
    active,
    rotate: refreshTokens.rotate ?? true,
    grace,
    refreshLifetime,
    lifetime: Math.floor(lifetime / 1000),
    randomText,
    revokeGrant: (grant) => tokens.revokeGrant(grant, active),
    mintAccessToken: Effect.fnUntraced(function* ({ claims, clientId, resource, scopes, subject, thumbprint }) {
      const confirmation = thumbprint === undefined ? {} : { cnf: { jkt: thumbprint } }
      const token = yield* mint({
        subject,
        scopes,
        lifetime,
        claims: { client_id: clientId, ...claims, ...confirmation },
        ...(resource !== undefined && { audience: resource })
      })
      if (thumbprint !== undefined) active.set(token, { ...active.get(token), token_type: "DPoP" })
      return token
    }),
    mintIdToken: Effect.fnUntraced(function* (grant: Grant, nonce: string | undefined, accessToken: string) {
      const { acr, amr, authenticatedAt, claims, sessionId, subject } = grant.session
      const optional = { acr, amr, nonce, at_hash: yield* halfHash(accessToken, (yield* currentKey).alg) }
      return yield* mint({
        profile: "id-token",
        subject,
        audience: grant.clientId,
        claims: {
          ...claims,
          sid: sessionId,
          auth_time: Math.floor(authenticatedAt / 1000),
          ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined))
        }
      })
    })
  }

  const token = Effect.fnUntraced(function* (request: HttpServerRequest) {
    const parameters = yield* read(request)
    const client = yield* authenticate(clients, request, parameters)
    const thumbprint = yield* dpop.thumbprint(request, endpoints.token, options.dpopNonces === true, memory.usedProofs)
    return yield* tokens.respond(tokenIssuer, client, parameters, thumbprint)
  })

  const deviceAuthorization = Effect.fnUntraced(function* (request: HttpServerRequest) {
    const parameters = yield* read(request)
    const { clientId } = yield* authenticate(clients, request, parameters)
    const code = randomText("device")
    const userCode = `USER-${String(numbers.device).padStart(4, "0")}`
    const now = yield* Clock.currentTimeMillis
    memory.devices.set(code, {
      clientId,
      scopes: words(parameters["scope"]),
      userCode,
      expiresAt: now + deviceLifetime,
      interval: deviceInterval,
      polledAt: undefined,
      decision: "pending"
    })
    const body = {
      device_code: code,
      user_code: userCode,
      verification_uri: `${identifier}/device`,
      verification_uri_complete: `${identifier}/device?user_code=${userCode}`,
      expires_in: deviceLifetime / 1000,
      interval: deviceInterval / 1000
    }
    return { headers: noStore, body }
  })

  /** Revokes a token. The response is the same for a token that does not exist (RFC 7009 §2.2). */
  const revocation = Effect.fnUntraced(function* (request: HttpServerRequest) {
    const parameters = yield* read(request)
    const { clientId } = yield* authenticate(clients, request, parameters)
    const text = parameters["token"] ?? ""
    const refreshToken = memory.refreshTokens.get(text)
    if (refreshToken === undefined) active.delete(text)
    else if (refreshToken.grant.clientId === clientId) tokens.revokeGrant(refreshToken.grant, active)
    return { body: {} }
  })

  const handlers: Record<ProtocolEndpoint, (request: HttpServerRequest) => Effect.Effect<Answer, Refusal>> = {
    authorization: (request) => Effect.flatMap(read(request), (parameters) => authorize(browser, parameters)),
    token,
    "device-authorization": deviceAuthorization,
    revocation,
    "end-session": (request) =>
      Effect.flatMap(read(request), (parameters) => endSession(browser, parameters, endSessions))
  }

  const findDevice = (userCode: string) =>
    Effect.suspend(() => {
      const device = Array.from(memory.devices.values()).find((device) => device.userCode === userCode)
      return device === undefined
        ? mistake(
            `no device waits with the user code ${JSON.stringify(userCode)}. Pass the user_code of a device authorization response.`
          )
        : Effect.succeed(device)
    })

  yield* signInBrowser({})

  return {
    /** Answers a request to a protocol endpoint. */
    respond: Effect.fnUntraced(function* (endpoint: ProtocolEndpoint, request: HttpServerRequest) {
      const answer = yield* Effect.catch(handlers[endpoint](request), (refusal) => Effect.succeed(refused(refusal)))
      if (endpoint !== "token" || options.dpopNonces !== true) return answer
      return { ...answer, headers: { ...answer.headers, "dpop-nonce": yield* dpop.currentNonce } }
    }),
    reset: Effect.suspend(() => {
      Object.assign(memory, { browser: undefined })
      for (const collection of [memory.codes, memory.refreshTokens, memory.devices]) collection.clear()
      for (const set of [memory.usedAssertions, memory.usedProofs]) set.clear()
      memory.sessions.length = 0
      memory.grants.length = 0
      sessions = 0
      return Effect.asVoid(signInBrowser({}))
    }),
    issuer: {
      endpoints,
      signIn: (user: TestUser = {}) =>
        Effect.map(signInBrowser(user), ({ sessionId, subject }) => ({ sessionId, subject })),
      signOut: Effect.suspend(() => {
        const session = memory.browser
        memory.browser = undefined
        return endSessions((one) => one === session)
      }),
      approveDevice: (userCode: string, user: TestUser = {}) =>
        Effect.flatMap(findDevice(userCode), (device) =>
          Effect.map(signIn(user), (session) => {
            device.decision = session
          })
        ),
      denyDevice: (userCode: string) =>
        Effect.map(findDevice(userCode), (device) => {
          device.decision = "denied"
        }),
      mintLogoutToken
    }
  }
})

// OpenID Connect Core 1.0 §3.1.3.6: the left half of the hash that the signature algorithm uses.
const halfHash = (text: string, algorithm: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() =>
      crypto.subtle.digest(`SHA-${/\d{3}$/.exec(algorithm)?.[0] ?? "512"}`, new TextEncoder().encode(text))
    ),
    (digest) => Jose.base64url.encode(new Uint8Array(digest).subarray(0, digest.byteLength / 2))
  )
