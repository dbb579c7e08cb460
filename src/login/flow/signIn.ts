/** Starts a sign-in: keeps the attempt in a cookie, and sends the browser to the provider. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as hash from "../../stores/hash.ts"
import * as crypto from "../../stores/seal.ts"
import { valueOf } from "../web/cookies.ts"
import { isNavigation } from "../../core/navigation.ts"
import { ofQuery, type Parameters } from "../web/parameters.ts"
import { Failed } from "../web/problem.ts"
import { safeReturnTo } from "../web/returnTo.ts"
import * as attempts from "./attempts.ts"
import type { Connection, LoginContext } from "./context.ts"
import { failedBy } from "./identity.ts"
import { json, loginPath, redirect, respondTo } from "./responses.ts"

/** Parameters that a link of the app may pass to the provider, with their forms. */
const passed: Readonly<Record<string, RegExp>> = {
  prompt: /^(?:none|login|consent|select_account|create)$/,
  login_hint: /^[^\p{Cc}]{1,256}$/u,
  acr_values: /^[\x21-\x7e]{1,128}(?: [\x21-\x7e]{1,128}){0,7}$/,
  max_age: /^\d{1,9}$/
}

export const start = Effect.fnUntraced(function* (context: LoginContext, request: HttpServerRequest) {
  if (!isNavigation(request)) {
    // A script cannot follow a redirect to the provider. It must open the address in the tab.
    return json({ error: "login_required", login: context.paths.login }, 401)
  }
  const parameters = ofQuery(request)
  if (parameters === undefined) return yield* respondTo(context, new Failed("BadRequest"))
  const returnTo = safeReturnTo(parameters["return_to"], context.origin) ?? context.afterLogin
  const connection = context.connections.find(
    ({ name }, _, { length }) => length === 1 || name === parameters["provider"]
  )
  if (connection === undefined) return yield* respondTo(context, new Failed("BadRequest", "provider"))
  const wrong = Object.entries(passed).find(([name, form]) => name in parameters && !form.test(parameters[name] ?? ""))
  if (wrong !== undefined) return yield* respondTo(context, new Failed("BadRequest", wrong[0]))
  return yield* begin(context, request, connection, parameters, returnTo).pipe(
    Effect.catch((failed) => respondTo(context, failed, loginPath(context, connection.name, returnTo)))
  )
})

/** Sends the parameters to the provider itself, if it accepts no others (RFC 9126). Returns what the browser brings. */
const push = Effect.fnUntraced(function* (
  endpoint: Connection["endpoint"],
  query: Parameters
): Effect.fn.Return<Parameters, Failed> {
  const requestUri = yield* Effect.mapError(endpoint.push(query), failedBy)
  return { client_id: query["client_id"] ?? "", request_uri: requestUri }
})

const begin = Effect.fnUntraced(function* (
  context: LoginContext,
  request: HttpServerRequest,
  { endpoint, name, provider, redirectUri }: Connection,
  parameters: Parameters,
  returnTo: string
): Effect.fn.Return<HttpServerResponse, Failed> {
  const metadata = yield* Effect.mapError(endpoint.metadata, failedBy)
  const url = yield* Effect.mapError(metadata.urlOf("authorization_endpoint"), () => new Failed("ProviderUnavailable"))
  const maxAge = parameters["max_age"]
  const attempt: attempts.Attempt = {
    state: crypto.randomText(),
    nonce: crypto.randomText(),
    verifier: crypto.randomText(),
    provider: name,
    issuer: provider.issuer,
    redirectUri,
    returnTo,
    startedAt: yield* Clock.currentTimeMillis,
    // The browser sends no Lax cookie with the form of another site.
    former: provider.responseMode === "form_post" ? valueOf(request, context.cookies.session) : undefined,
    maxAge: maxAge === undefined ? undefined : Number(maxAge)
  }
  const query: Parameters = {
    ...provider.parameters,
    ...Object.fromEntries(
      Object.keys(passed).flatMap((name) => (name in parameters ? [[name, parameters[name] ?? ""]] : []))
    ),
    response_type: "code",
    client_id: provider.clientId,
    redirect_uri: redirectUri,
    scope: provider.scopes.join(" "),
    state: attempt.state,
    code_challenge: yield* hash.digest(attempt.verifier),
    code_challenge_method: "S256",
    ...(provider.identity._tag === "IdToken" && { nonce: attempt.nonce }),
    ...(provider.responseMode === "form_post" && { response_mode: "form_post" })
  }
  const sent = metadata.json["require_pushed_authorization_requests"] === true ? yield* push(endpoint, query) : query
  for (const [name, value] of Object.entries(sent)) url.searchParams.set(name, value)
  const sameSite = provider.responseMode === "form_post" ? "none" : "lax"
  return yield* attempts.add(context, request, redirect(url.href), attempt, sameSite)
})
