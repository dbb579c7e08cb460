/** Receives logout tokens over HTTP (OpenID Connect Back-Channel Logout 1.0 §2.5). */
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { delaySeconds } from "../core/answer.ts"
import * as counter from "../core/lib/counter.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { unlisted } from "../guard/middleware/unlisted.ts"
import type { Target } from "../stores/revocationEntry.ts"
import { StoreUnavailable } from "../stores/storeUnavailable.ts"
import type { Rejection } from "../verifier/cache/verified.ts"
import type { LogoutToken } from "./logoutToken.ts"

const logouts = Metric.counter("oauth2_logout_tokens_total", {
  description: "Logout tokens, by outcome",
  incremental: true
})

const maxBody = ByteSize.bytes(64 * 1024)

// No cache may answer for the app (§2.8).
const headers = { "cache-control": "no-store" }

const refused = (description: string) =>
  HttpServerResponse.jsonUnsafe({ error: "invalid_request", error_description: description }, { status: 400, headers })

const loggedOut = HttpServerResponse.empty({ status: 200, headers })
const noToken = refused("The request must be a form with one logout_token.")
const invalid = refused("The logout token is not valid.")
const replayed = refused("The logout token was used before.")

const unavailable = (retryAfter: Duration.Duration) =>
  HttpServerResponse.jsonUnsafe(
    { error: "temporarily_unavailable" },
    { status: 503, headers: { ...headers, "retry-after": delaySeconds(retryAfter) } }
  )

/** What the endpoint needs of the app. */
export interface App {
  readonly path: HttpRouter.PathInput
  readonly validate: (token: string) => Effect.Effect<LogoutToken, Rejection>
  readonly targetsOf: (token: LogoutToken) => ReadonlyArray<Target>
  readonly revoke: (target: Target) => Effect.Effect<void, StoreUnavailable>
  readonly addOnce: (key: string, timeToLive: Duration.Duration) => Effect.Effect<boolean, StoreUnavailable>
}

const formType = "application/x-www-form-urlencoded"

/** Reads the only logout token of the form. Returns `undefined` for every other body. */
const readToken = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
  const [type = ""] = (request.headers["content-type"] ?? "").split(";")
  if (type.trim().toLowerCase() !== formType) return Effect.undefined
  return Effect.match(request.urlParamsBody, {
    onFailure: () => undefined,
    onSuccess: (form) => {
      const [token, another] = UrlParams.getAll(form, "logout_token")
      return another === undefined ? token : undefined
    }
  })
}).pipe(Effect.provideService(HttpIncomingMessage.MaxBodySize, maxBody))

export const layer = <E, R>(
  make: Effect.Effect<App, ConfigurationError | E, R>
): Layer.Layer<never, ConfigurationError | E, HttpRouter.HttpRouter | R> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const router = yield* HttpRouter.HttpRouter
      const { addOnce, path, revoke, targetsOf, validate } = yield* make
      const context = yield* Effect.context<never>()
      const counted = (outcome: string, response: HttpServerResponse.HttpServerResponse) => {
        counter.make(logouts, { outcome }, context).count++
        return response
      }

      const logOut = Effect.fnUntraced(function* (text: string) {
        const token = yield* validate(text)
        // The revocation comes first: if a store fails, the issuer may send the same token again. Revoking twice changes
        // nothing.
        yield* Effect.forEach(targetsOf(token), revoke, { discard: true })
        const left = yield* Effect.clockWith((clock) =>
          Effect.succeed(token.usableUntil - clock.currentTimeMillisUnsafe())
        )
        const isNew = yield* addOnce(
          `logout ${JSON.stringify([token.issuer, token.tokenId])}`,
          Duration.millis(Math.max(left, 1))
        )
        return isNew ? counted("Accepted", loggedOut) : counted("Replayed", replayed)
      })

      const handler = Effect.flatMap(readToken, (text) =>
        text === undefined
          ? Effect.succeed(counted("InvalidRequest", noToken))
          : Effect.catch(logOut(text), (error) => {
              if (error._tag !== "InvalidToken")
                return Effect.succeed(counted(error._tag, unavailable(error.retryAfter)))
              const claim = error.claim === undefined ? "" : ` (${error.claim})`
              return Effect.as(
                Effect.logDebug(`Logout token refused: ${error.reason}${claim}.`),
                counted(error.reason, invalid)
              )
            })
      )

      yield* Effect.catchDefect(router.addAll([HttpRouter.route("POST", path, handler)]), (defect) =>
        defect instanceof Error && defect.message.includes("already declared")
          ? refuseOption("path", `is the path of another route. Router error: ${defect.message}`)
          : Effect.die(defect)
      )
    })
  ).pipe(Layer.provide(unlisted))
