/** Responses of the routes. */
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Failed, headers, statuses } from "../web/problem.ts"
import type { LoginContext } from "./context.ts"

export const redirect = (location: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.empty({ status: 303, headers: { ...headers, location } })

export const json = (body: unknown, status = 200): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(body, { status, headers })

export const empty = (status: number): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.empty({ status, headers })

/** Path that starts a sign-in. */
export const loginPath = (
  { paths }: Pick<LoginContext, "paths">,
  provider: string | undefined,
  returnTo: string | undefined
): string => {
  const query = new URLSearchParams({
    ...(provider !== undefined && { provider }),
    ...(returnTo !== undefined && { return_to: returnTo })
  }).toString()
  return query === "" ? paths.login : `${paths.login}?${query}`
}

/** Shows a problem, in the words of the app if the app has its own page. */
export const respondTo = (
  context: LoginContext,
  { check, reason }: Failed,
  retryPath: string = context.paths.login
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  context.respond({ reason, check, status: statuses[reason], retryPath }).pipe(
    Effect.map((response) =>
      HttpServerResponse.setHeaders(response, statuses[reason] === 503 ? { ...headers, "retry-after": "5" } : headers)
    ),
    Effect.tap(() => report(reason, check))
  )

const report = (reason: Failed["reason"], check: string | undefined): Effect.Effect<void> => {
  switch (reason) {
    case "CheckFailed":
    case "ProviderRefused":
      return Effect.logWarning(
        "A sign-in failed. The answer of the identity provider was refused, or was an error."
      ).pipe(Effect.annotateLogs({ reason, ...(check !== undefined && { check }) }))
    case "ProviderUnavailable":
    case "StoreUnavailable":
      return Effect.logWarning(
        "A sign-in failed. The identity provider or the store of the sessions does not answer."
      ).pipe(Effect.annotateLogs({ reason }))
    default:
      return Effect.void
  }
}

export const storeFailed = () => new Failed("StoreUnavailable")

export type Request = HttpServerRequest
