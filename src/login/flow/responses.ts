/** Responses of the routes. */
import * as Effect from "effect/Effect"
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
  failed: Failed,
  retryPath: string = context.paths.login
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const { check, reason } = failed
  return context.respond({ reason, check, status: statuses[reason], retryPath }).pipe(
    Effect.map((response) =>
      HttpServerResponse.setHeaders(response, statuses[reason] === 503 ? { ...headers, "retry-after": "5" } : headers)
    ),
    Effect.tap(() => report(failed))
  )
}

const report = ({ cause, check, reason }: Failed): Effect.Effect<void> => {
  const message = messages[reason]
  return message === undefined
    ? Effect.void
    : Effect.annotateLogs(Effect.logWarning(message), {
        reason,
        ...(check !== undefined && { check }),
        ...(cause !== undefined && { cause })
      })
}

const refused = "A sign-in failed. The identity provider answered with an error, or its answer did not pass a check."
const unavailable = "A sign-in failed. The identity provider or the store of the sessions does not answer."

/** What an operator should know. The others are mistakes of users, or of strangers. */
const messages: Partial<Record<Failed["reason"], string>> = {
  CheckFailed: refused,
  ProviderRefused: refused,
  ProviderUnavailable: unavailable,
  StoreUnavailable: unavailable
}

export const storeFailed = () => new Failed("StoreUnavailable")
