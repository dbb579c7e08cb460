/** Ends a session of the browser: here, and at the provider (OpenID Connect RP-Initiated Logout 1.0). */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { fieldOf } from "../../core/effect/receivedRequest.ts"
import { own } from "../../core/lib/ownProperties.ts"
import type { Session } from "../sessions/model.ts"
import * as crypto from "../../stores/seal.ts"
import { valueOf } from "../web/cookies.ts"
import { isSameOrigin } from "../web/sameOrigin.ts"
import { ofForm, ofQuery } from "../web/parameters.ts"
import { Failed } from "../web/problem.ts"
import { safeReturnTo } from "../web/returnTo.ts"
import type { Connection, LoginContext } from "./context.ts"
import { json, redirect, respondTo, storeFailed } from "./responses.ts"

/** Time for the provider to show its page of logout. */
const lifetime = 600_000

export const signOut = Effect.fnUntraced(function* (context: LoginContext, request: HttpServerRequest) {
  if (!isSameOrigin(request, context.origin)) return yield* respondTo(context, new Failed("CrossSite"))
  const { cookies, origin } = context
  const form = fieldOf(request, "content-type")?.startsWith("application/x-www-form-urlencoded")
  const parameters = form === true ? yield* ofForm(request) : undefined
  const returnTo = safeReturnTo(parameters?.["return_to"], origin) ?? context.afterLogout
  const cookie = valueOf(request, cookies.session)
  const ended =
    cookie === undefined ? Option.some(undefined) : yield* Effect.option(end(context, Redacted.make(cookie)))
  // The cookie stays, so that the user can try again. Otherwise, the session would live on without a way to end it.
  if (Option.isNone(ended)) return yield* respondTo(context, storeFailed(), returnTo)
  const session = ended.value
  const connection = session && connectionOf(context, session)
  if (session !== undefined && connection !== undefined) yield* revoke(connection, session)
  const state = crypto.randomText()
  const elsewhere =
    session === undefined || connection === undefined
      ? undefined
      : yield* endSessionUrl(context, connection, session, state)
  // A script cannot follow a redirect to another origin, so it gets the address.
  const isScript = (fieldOf(request, "sec-fetch-mode") ?? "navigate") !== "navigate"
  const location = elsewhere ?? returnTo
  const response = cookies.expire(isScript ? json({ location }) : redirect(location), cookies.session)
  if (elsewhere === undefined) return response
  const now = yield* Clock.currentTimeMillis
  const value = yield* context.keys.seal(cookies.logout, { state, returnTo, startedAt: now })
  return cookies.set(response, cookies.logout, value, { maxAge: Duration.millis(lifetime) })
})

const end = Effect.fnUntraced(function* ({ sessions }: LoginContext, cookie: Redacted.Redacted) {
  const session = Option.getOrUndefined(yield* sessions.read(cookie))
  yield* sessions.destroy(cookie)
  return session
})

export const connectionOf = ({ connections }: LoginContext, session: Session): Connection | undefined =>
  connections.find(
    ({ provider }) =>
      provider.clientId === session.clientId &&
      (provider.issuer === session.issuer || provider.issuer.includes("{tenantid}"))
  )

/** Revokes the refresh token (RFC 7009). The session has ended whether the provider answers or not. */
const revoke = ({ endpoint }: Connection, { refreshToken }: Session): Effect.Effect<void> =>
  refreshToken === undefined
    ? Effect.void
    : Effect.gen(function* () {
        const { json } = yield* endpoint.metadata
        if (json["revocation_endpoint"] !== undefined) yield* endpoint.revoke(refreshToken)
      }).pipe(
        Effect.timeout(Duration.seconds(5)),
        Effect.catch((error) =>
          Effect.annotateLogs(
            Effect.logWarning("A refresh token was not revoked at a logout. The session has ended."),
            "reason",
            error._tag
          )
        )
      )

/** Address that ends the user's session at the provider, or `undefined` if the provider has none. */
const endSessionUrl = Effect.fnUntraced(
  function* (context: LoginContext, { endpoint, provider }: Connection, session: Session, state: string) {
    const metadata = yield* endpoint.metadata
    const named = provider.endSessionUrl ?? metadata.json["end_session_endpoint"]
    if (named === undefined) return undefined
    const url =
      provider.endSessionUrl === undefined
        ? yield* metadata.urlOf("end_session_endpoint")
        : new URL(provider.endSessionUrl)
    const hint = own(session.claims, "login_hint")
    const back = `${context.origin}${context.paths.logout}/callback`
    if (provider.endSessionParameter === "logout_uri") {
      // This endpoint is older than the standard, and knows only these two.
      url.searchParams.set("client_id", provider.clientId)
      url.searchParams.set("logout_uri", back)
      return url.href
    }
    const query = {
      client_id: provider.clientId,
      post_logout_redirect_uri: back,
      state,
      ...(session.idToken !== undefined && { id_token_hint: Redacted.value(session.idToken) }),
      ...(typeof hint === "string" && { logout_hint: hint })
    }
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    return url.href
  },
  // Without its metadata, the provider keeps its session. The session of the app has ended.
  Effect.orElseSucceed((): string | undefined => undefined)
)

/** The provider sends the browser back. The state says where this browser wanted to go. */
export const afterEndSession = Effect.fnUntraced(function* (context: LoginContext, request: HttpServerRequest) {
  const { cookies, keys, origin } = context
  const sealed = valueOf(request, cookies.logout)
  const kept = sealed === undefined ? undefined : yield* keys.open(cookies.logout, sealed)
  const startedAt = own(kept, "startedAt")
  const isFresh = typeof startedAt === "number" && (yield* Clock.currentTimeMillis) - startedAt < lifetime
  const isOurs = isFresh && own(kept, "state") === ofQuery(request)?.["state"]
  const returnTo = isOurs ? safeReturnTo(own(kept, "returnTo"), origin) : undefined
  return cookies.expire(redirect(returnTo ?? context.afterLogout), cookies.logout)
})
