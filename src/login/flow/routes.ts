/** The routes of a login. */
import * as Effect from "effect/Effect"
import type { Route } from "effect/http/HttpRouter"
import * as HttpRouter from "effect/http/HttpRouter"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { hideParameters } from "../web/requestSpan.ts"
import { valueOf } from "../web/cookies.ts"
import { isSameOrigin } from "../web/sameOrigin.ts"
import { ofForm, ofQuery } from "../web/parameters.ts"
import * as callback from "./callback.ts"
import { type LoginContext, pathOf } from "./context.ts"
import * as issuerLogout from "./issuerLogout.ts"
import * as logout from "./logout.ts"
import { empty, json } from "./responses.ts"
import * as signIn from "./signIn.ts"

/** The addresses of the flow contain codes, and an ID token at the sign-out. */
const hideSecrets = hideParameters(["code", "state", "nonce", "request_uri", "id_token_hint"])

type Handler = (request: HttpServerRequest) => Effect.Effect<HttpServerResponse>

export const make = (context: LoginContext, frontChannelLogout: boolean): ReadonlyArray<Route> => {
  const { connections, paths, sessions } = context
  const route = (method: "GET" | "POST", path: string, handle: Handler): Route =>
    // Safe cast: the path begins with a slash.
    HttpRouter.route(
      method,
      path as HttpRouter.PathInput,
      Effect.andThen(hideSecrets, Effect.flatMap(HttpServerRequest, handle))
    )
  return [
    route("GET", paths.login, (request) => signIn.start(context, request)),
    route("POST", paths.logout, (request) => logout.signOut(context, request)),
    route("GET", `${paths.logout}/callback`, (request) => logout.afterEndSession(context, request)),
    route("GET", paths.session, (request) => check(context, request)),
    ...connections.flatMap((connection) => [
      connection.provider.responseMode === "form_post"
        ? route("POST", pathOf(paths.callback, connection), (request) =>
            Effect.flatMap(ofForm(request), (form) => callback.finish(context, connection, request, form))
          )
        : route("GET", pathOf(paths.callback, connection), (request) =>
            callback.finish(context, connection, request, ofQuery(request))
          ),
      ...(sessions.isServerSide && connection.identity._tag === "IdToken"
        ? [
            route("POST", pathOf(paths.backChannelLogout, connection), (request) =>
              issuerLogout.backChannel(context, connection, request)
            ),
            ...(frontChannelLogout
              ? [
                  route("GET", pathOf(paths.frontChannelLogout, connection), (request) =>
                    issuerLogout.frontChannel(context, connection, request)
                  )
                ]
              : [])
          ]
        : [])
    ])
  ]
}

/** Tells the page who is signed in (RFC 10017 §6.1.2.1). It contains no token. */
const check = Effect.fnUntraced(function* (
  { cookies, origin, sessions }: LoginContext,
  request: HttpServerRequest
): Effect.fn.Return<HttpServerResponse> {
  // Navigations show no data of others, so only requests of other origins are refused.
  if (request.headers["sec-fetch-site"] !== undefined && !isSameOrigin(request, origin)) return empty(403)
  const cookie = valueOf(request, cookies.session)
  if (cookie === undefined) return json({ signedIn: false })
  return yield* sessions.read(Redacted.make(cookie)).pipe(
    Effect.map(
      Option.match({
        // The cookie stays. A late response would otherwise remove the cookie of a sign-in that has ended meanwhile.
        onNone: () => json({ signedIn: false }),
        onSome: ({ claims, expiresAt, issuer, subject }) => json({ signedIn: true, issuer, subject, claims, expiresAt })
      })
    ),
    Effect.orElseSucceed(() => empty(503))
  )
})
