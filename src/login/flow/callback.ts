/** Ends a sign-in: checks the response of the provider, redeems the code, and creates the session. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { SessionData } from "../sessions/model.ts"
import { valueOf } from "../web/cookies.ts"
import type { Parameters } from "../web/parameters.ts"
import { Failed } from "../web/problem.ts"
import { safeReturnTo } from "../web/returnTo.ts"
import * as attempts from "./attempts.ts"
import type { Connection, LoginContext } from "./context.ts"
import { failedBy, identify, keptClaims, scopesOf } from "./identity.ts"
import { loginPath, redirect, respondTo, storeFailed } from "./responses.ts"

export const finish = Effect.fnUntraced(function* (
  context: LoginContext,
  connection: Connection,
  request: HttpServerRequest,
  parameters: Parameters | undefined
) {
  const state = parameters?.["state"]
  if (parameters === undefined || state === undefined) return yield* respondTo(context, new Failed("BadRequest"))
  const { attempt, name } = yield* attempts.find(context, request, state)
  if (attempt === undefined) {
    return context.cookies.expire(yield* withoutAttempt(context, request), name)
  }
  const returnTo = safeReturnTo(attempt.returnTo, context.origin) ?? context.afterLogin
  const retryPath = loginPath(context, connection.name, returnTo)
  // The attempt ends before anything else, so that a second response with its state changes nothing. If the store does
  // not answer, the attempt stays, and the user can reload the page.
  const isFirst = yield* Effect.option(context.sessions.addOnce(`attempt ${state}`, Duration.millis(attempts.lifetime)))
  if (Option.isNone(isFirst)) return yield* respondTo(context, storeFailed(), retryPath)
  if (!isFirst.value) return context.cookies.expire(yield* withoutAttempt(context, request), name)
  const response = yield* redeem(context, connection, request, parameters, attempt, returnTo).pipe(
    Effect.catch((failed) => respondTo(context, failed, retryPath))
  )
  return context.cookies.expire(response, name)
})

/**
 * The back button and a reload bring the response of an attempt that is over. A user who is signed in goes on.
 */
const withoutAttempt = Effect.fnUntraced(function* (context: LoginContext, request: HttpServerRequest) {
  const cookie = valueOf(request, context.cookies.session)
  const session = cookie === undefined ? Option.none() : yield* readSession(context, cookie)
  return Option.isSome(session) ? redirect(context.afterLogin) : yield* respondTo(context, new Failed("Expired"))
})

const readSession = ({ sessions }: LoginContext, cookie: string) =>
  Effect.orElseSucceed(sessions.read(Redacted.make(cookie)), () => Option.none())

const redeem = Effect.fnUntraced(function* (
  context: LoginContext,
  connection: Connection,
  request: HttpServerRequest,
  parameters: Parameters,
  attempt: attempts.Attempt,
  returnTo: string
): Effect.fn.Return<HttpServerResponse, Failed> {
  const { endpoint, provider } = connection
  // A response of another provider than the one that was asked (RFC 9207, RFC 9700 §4.4).
  if (attempt.provider !== connection.name || attempt.issuer !== provider.issuer) {
    return yield* Effect.fail(new Failed("CheckFailed", "provider"))
  }
  yield* checkIssuer(connection, parameters["iss"])
  const error = parameters["error"]
  if (error !== undefined) return yield* Effect.fail(failedWith(error))
  const code = parameters["code"]
  if (code === undefined) return yield* Effect.fail(new Failed("CheckFailed", "code"))
  const response = yield* endpoint
    .request("authorization_code", {
      code,
      redirect_uri: attempt.redirectUri,
      code_verifier: attempt.verifier
    })
    .pipe(Effect.mapError(failedBy))
  const person = yield* identify(connection, response, {
    nonce: attempt.nonce,
    maxAge: attempt.maxAge,
    form: parameters
  })
  // With several tenants, only the token says which issuer answered.
  const named = parameters["iss"]
  if (named !== undefined && named !== person.issuer) return yield* Effect.fail(new Failed("CheckFailed", "iss"))
  const data: SessionData = {
    ...person,
    claims: keptClaims(person.claims, context.keptClaims),
    clientId: provider.clientId,
    scopes: scopesOf(response, provider),
    accessToken: response.accessToken,
    accessTokenExpiresAt: response.lifetime === undefined ? undefined : response.sentAt + response.lifetime,
    refreshToken: response.refreshToken,
    idToken: response.idToken
  }
  const { sessions } = context
  const created = yield* sessions
    .create(data, attempt.startedAt)
    .pipe(Effect.mapError((error) => (error._tag === "SignedOut" ? new Failed("SignedOut") : storeFailed())))
  // The session before the sign-in ends, so that its cookie is of no use to an attacker who planted it.
  const former = valueOf(request, context.cookies.session) ?? attempt.former
  if (former !== undefined) yield* Effect.mapError(sessions.destroy(Redacted.make(former)), storeFailed)
  return context.cookies.set(redirect(returnTo), context.cookies.session, Redacted.value(created), {
    maxAge: context.cookieMaxAge
  })
})

/** Compares `iss` of the response (RFC 9207 §2.4). */
const checkIssuer = Effect.fnUntraced(function* ({ endpoint, provider }: Connection, named: string | undefined) {
  if (named !== undefined) {
    const isPattern = provider.issuer.includes("{tenantid}")
    return isPattern || named === provider.issuer ? undefined : yield* Effect.fail(new Failed("CheckFailed", "iss"))
  }
  const { json } = yield* Effect.mapError(endpoint.metadata, failedBy)
  return json["authorization_response_iss_parameter_supported"] === true
    ? yield* Effect.fail(new Failed("CheckFailed", "iss"))
    : undefined
})

/** Error codes of an authorization response (RFC 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6, Apple). */
const failedWith = (error: string): Failed => {
  switch (error) {
    case "access_denied":
    case "user_cancelled_authorize":
    case "login_required":
    case "consent_required":
    case "interaction_required":
    case "account_selection_required":
      return new Failed("Cancelled")
    case "temporarily_unavailable":
    case "server_error":
      return new Failed("ProviderUnavailable")
    default:
      return new Failed("ProviderRefused", known.has(error) ? error : undefined)
  }
}

/** Only words of the standards are shown, because a link of a stranger can contain any text. */
const known: ReadonlySet<string> = new Set([
  "invalid_request",
  "unauthorized_client",
  "unsupported_response_type",
  "invalid_scope",
  "invalid_request_uri",
  "invalid_request_object",
  "registration_not_supported",
  "request_not_supported",
  "request_uri_not_supported",
  "unmet_authentication_requirements"
])
