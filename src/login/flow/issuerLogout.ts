/** Ends sessions because the provider says so, without the browser's cookie. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type { SessionOwner } from "../sessions/model.ts"
import { ofForm, ofQuery } from "../web/parameters.ts"
import { headers } from "../web/problem.ts"
import type { Connection, LoginContext } from "./context.ts"
import { empty, json } from "./responses.ts"

/** A logout token is fresh. The verifier refuses older ones, so this is how long its `jti` matters. */
export const maxTokenAge = Duration.minutes(5)

const invalid = json({ error: "invalid_request" }, 400)
const unavailable = HttpServerResponse.setHeader(empty(503), "retry-after", "5")

/** A store that fails for a moment must not lose a logout, because the token of a user works once. */
const shortly = { schedule: Schedule.exponential("50 millis"), times: 3 }

/** Back-channel logout: the provider sends a token (OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8). */
export const backChannel = Effect.fnUntraced(function* (
  { sessions }: LoginContext,
  { identity, provider }: Connection,
  request: HttpServerRequest
) {
  const token = (yield* ofForm(request))?.["logout_token"]
  if (token === undefined || identity._tag !== "IdToken") return invalid
  const verified = yield* Effect.result(identity.verifyLogoutToken(Redacted.make(token)))
  if (verified._tag === "Failure") return verified.failure._tag === "InvalidToken" ? invalid : unavailable
  const { claims, issuer } = verified.success
  const { jti, sid, sub } = claims
  if (sid !== undefined && (typeof sid !== "string" || sid === "")) return invalid
  const oid = provider.identity._tag === "IdToken" ? provider.identity.subjectClaim : undefined
  const subject = oid === undefined ? sub : claims[oid]
  const owner: SessionOwner = {
    issuer,
    sessionId: sid,
    subject: typeof subject === "string" ? subject : undefined
  }
  return yield* Effect.gen(function* () {
    const isFirst = sessions.addOnce(`logout ${issuer} ${String(jti)}`, Duration.times(maxTokenAge, 2))
    const end = Effect.retry(sessions.destroyBy(owner), shortly)
    if (sid === undefined) {
      // A token that is sent again must not end the sessions that its user has begun since.
      if (!(yield* isFirst)) return invalid
      yield* end
    } else {
      // A session at the issuer ends once, so the provider may send the token again if the store does not answer.
      yield* end
      if (!(yield* isFirst)) return invalid
    }
    // An unknown session has ended, too.
    return empty(200)
  }).pipe(Effect.orElseSucceed(() => unavailable))
})

/**
 * Front-channel logout: the provider loads the address in a frame (OpenID Connect Front-Channel Logout 1.0 §2). Browsers
 * send no cookie with it, so only `iss` and `sid` say which session ends.
 */
export const frontChannel = Effect.fnUntraced(function* (
  { sessions }: LoginContext,
  { provider }: Connection,
  request: HttpServerRequest
) {
  const parameters = ofQuery(request)
  const issuer = parameters?.["iss"]
  const sessionId = parameters?.["sid"]
  if (issuer === undefined || sessionId === undefined || !sessionForm.test(sessionId)) return invalid
  if (issuer !== provider.issuer && !isOfTenant(issuer, provider.issuer)) return invalid
  return yield* sessions.destroyBy({ issuer, sessionId }).pipe(
    Effect.as(HttpServerResponse.text("", { contentType: "text/html; charset=utf-8", headers })),
    Effect.orElseSucceed(() => unavailable)
  )
})

/** Every client can request this address. */
const sessionForm = /^[^\p{Cc}]{1,256}$/u

const isOfTenant = (issuer: string, pattern: string): boolean => {
  const [start = "", end] = pattern.split("{tenantid}")
  return end !== undefined && issuer.startsWith(start) && issuer.endsWith(end)
}
