/** The authorization endpoint (RFC 6749 §4.1.1, OpenID Connect Core 1.0 §3.1.2) and the end session endpoint. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Jose from "jose"
import { type Answer, formPost, frames, redirect, refuse, type Refusal, withQuery } from "./answer.ts"
import { type Clients, find, isPublic } from "./clients.ts"
import { clientsOf, type Memory, type Session } from "./grants.ts"
import type { TestClient } from "./model.ts"
import { type Parameters, words } from "./parameters.ts"

// RFC 6749 §4.1.2 recommends at most 10 minutes.
const codeLifetime = 60_000

/** What the endpoints of a browser need from the issuer. */
export interface Browser {
  readonly issuer: string
  readonly clients: Clients
  readonly memory: Memory
  readonly refreshLifetime: number
  readonly randomText: (kind: "code") => string
  /** Signs a user in, or again: the time of authentication is now. */
  readonly signIn: (subject: string | undefined, acr: string | undefined) => Effect.Effect<Session>
}

export const authorize = Effect.fnUntraced(function* (
  browser: Browser,
  parameters: Parameters
): Effect.fn.Return<Answer, Refusal> {
  const { issuer, memory } = browser
  const client = find(browser.clients, parameters["client_id"])
  // A wrong client or redirect URI is not redirected (RFC 6749 §4.1.2.1).
  if (client === undefined) return yield* refuse("invalid_request", "The client is not registered.")
  const redirectUri = parameters["redirect_uri"] ?? client.redirectUris?.[0]
  if (redirectUri === undefined || !URL.canParse(redirectUri) || !allows(client.redirectUris, redirectUri)) {
    return yield* refuse("invalid_request", "The redirect URI is not registered.")
  }
  const { response_mode: mode, state } = parameters
  const send = (answer: Readonly<Record<string, string | undefined>>) =>
    (mode === "form_post" ? formPost : redirect)(redirectUri, { ...answer, state, iss: issuer })
  const mistake = mistakeOf(client, parameters)
  if (mistake !== undefined) return send(mistake)
  const session = yield* authenticated(browser, parameters)
  if (session === undefined) {
    return send({ error: parameters["prompt"] === "none" ? "login_required" : "access_denied" })
  }
  const now = yield* Clock.currentTimeMillis
  const grant = {
    clientId: client.clientId,
    session,
    scopes: words(parameters["scope"]),
    resource: parameters["resource"] ?? parameters["audience"],
    thumbprint: parameters["dpop_jkt"],
    refreshEnd: now + browser.refreshLifetime,
    accessTokens: [],
    revoked: false
  }
  memory.grants.push(grant)
  const code = browser.randomText("code")
  memory.codes.set(code, {
    grant,
    redirectUri: parameters["redirect_uri"],
    challenge: parameters["code_challenge"],
    nonce: parameters["nonce"],
    expiresAt: now + codeLifetime,
    used: false
  })
  return send({ code })
})

const mistakeOf = (client: TestClient, parameters: Parameters) => {
  const { code_challenge: challenge, code_challenge_method: method, response_type: type } = parameters
  if (type !== "code") return { error: "unsupported_response_type" }
  if (challenge === undefined ? isPublic(client) && client.redirectUris !== undefined : method !== "S256") {
    return {
      error: "invalid_request",
      error_description: "PKCE is required. Send code_challenge and code_challenge_method=S256."
    }
  }
  const unknown = words(parameters["scope"]).filter((scope) => client.scopes?.includes(scope) === false)
  return unknown.length > 0 ? { error: "invalid_scope" } : undefined
}

// `login_hint` names the user, so that one test can have several browsers.
const authenticated = ({ memory, signIn }: Browser, parameters: Parameters): Effect.Effect<Session | undefined> =>
  Effect.gen(function* () {
    const { acr_values: acrValues, login_hint: hint, max_age: maxAge, prompt } = parameters
    const named = memory.sessions.findLast(({ ended, subject }) => !ended && subject === hint)
    const session = hint === undefined ? memory.browser : named
    const acr = words(acrValues)[0]
    if (session === undefined || session.ended) {
      return hint === undefined || prompt === "none" ? undefined : yield* signIn(hint, acr)
    }
    const age = (yield* Clock.currentTimeMillis) - session.authenticatedAt
    const isTooOld = maxAge !== undefined && age > Number(maxAge) * 1000
    const lacksAcr = acrValues !== undefined && !words(acrValues).includes(session.acr ?? "")
    if (prompt !== "login" && !isTooOld && !lacksAcr) return session
    return prompt === "none" ? undefined : yield* signIn(session.subject, acr)
  })

const allows = (registered: ReadonlyArray<string> | undefined, given: string): boolean =>
  registered === undefined ||
  registered.some((uri) => uri === given || withoutLoopbackPort(uri) === withoutLoopbackPort(given))

// RFC 8252 §7.3: the port of a loopback redirect URI is chosen at run time.
const withoutLoopbackPort = (uri: string): string | symbol => {
  const url = URL.parse(uri)
  if (url === null || url.protocol !== "http:" || !["127.0.0.1", "[::1]"].includes(url.hostname)) return Symbol(uri)
  url.port = ""
  return url.href
}

/** Ends the session that the ID token names (OpenID Connect RP-Initiated Logout 1.0 §2). */
export const endSession = Effect.fnUntraced(function* (
  { clients, issuer, memory }: Pick<Browser, "clients" | "issuer" | "memory">,
  parameters: Parameters,
  endSessions: (matches: (session: Session) => boolean) => Effect.Effect<void>
): Effect.fn.Return<Answer, Refusal> {
  const { id_token_hint: hint, post_logout_redirect_uri: uri, state } = parameters
  const refusal = refuse("invalid_request", "id_token_hint is not an ID token of this issuer.")
  const claims =
    hint === undefined
      ? undefined
      : yield* Effect.try({ try: () => Jose.decodeJwt(hint), catch: () => undefined }).pipe(Effect.catch(() => refusal))
  if (claims !== undefined && claims.iss !== issuer) return yield* refusal
  const clientId = parameters["client_id"] ?? (typeof claims?.aud === "string" ? claims.aud : undefined)
  const client = find(clients, clientId)
  if (uri !== undefined && (client === undefined || client.postLogoutRedirectUris?.includes(uri) === false)) {
    return yield* refuse("invalid_request", "post_logout_redirect_uri is not registered.")
  }
  const frameUris = claims === undefined ? [] : frontChannelUris(clients, issuer, memory, claims["sid"])
  if (claims !== undefined) yield* endSessions(({ sessionId }) => sessionId === claims["sid"])
  if (frameUris.length > 0) return frames(frameUris, uri === undefined ? undefined : withQuery(uri, { state }))
  return uri === undefined ? { body: {} } : redirect(uri, { state })
})

/** The addresses of the clients that have tokens of a session. */
const frontChannelUris = (
  { registered }: Clients,
  issuer: string,
  memory: Memory,
  sid: unknown
): ReadonlyArray<string> =>
  clientsOf(memory, sid).flatMap((id) => {
    const uri = registered?.get(id)?.frontChannelLogoutUri
    return uri === undefined ? [] : [withQuery(uri, { iss: issuer, sid: String(sid) })]
  })
