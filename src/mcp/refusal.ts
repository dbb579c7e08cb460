/** Converts a security error to the response of an MCP server: status and challenge for HTTP, and a JSON-RPC error. */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpEffect from "effect/http/HttpEffect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Challenge from "../core/Challenge.ts"
import { severalFields } from "../core/effect/severalFields.ts"
import { own } from "../core/lib/ownProperties.ts"
import * as response from "../core/response.ts"
import * as scope from "../core/scope.ts"
import type { SecurityError } from "../core/SecurityError.ts"
import * as refuse from "../guard/requirement/refuse.ts"

/** The endpoint that received a message. `Mcp.protect` provides it. */
export interface Endpoint {
  readonly resourceMetadata: string
  /** Scopes that the challenge of a 401 response names in addition. */
  readonly initialScopes: ReadonlyArray<string>
}

export const CurrentEndpoint = Context.Reference<Endpoint | undefined>("effect-oauth2/Mcp/Endpoint", {
  defaultValue: () => undefined
})

/** A refusal as JSON-RPC represents it. MCP clients read the response's header. People and models read the message. */
export class Refused extends Data.TaggedError("effect-oauth2/Mcp/Refused")<{
  readonly code: number
  readonly message: string
  readonly data: unknown
}> {}

// Codes that a server may choose (-32000 to -32019). Other codes of this range belong to Effect or to the protocol.
const codes: Readonly<Record<SecurityError["_tag"], number>> = {
  NotAuthenticated: -32001,
  InvalidRequest: -32001,
  InvalidToken: -32001,
  InvalidDpopProof: -32001,
  UseDpopNonce: -32001,
  InsufficientScope: -32003,
  FailedCheck: -32003,
  InsufficientUserAuthentication: -32003,
  AuthorizationServerUnavailable: -32004
}

const withoutScheme: Challenge.Settings = { responses: "rfc6750", realm: "OAuth2", scopes: [], renderers: {} }

/**
 * Changes the challenge settings of an error for MCP clients, which need the statuses of RFC 6750: with 401 instead of
 * 403, they discard a valid token.
 */
const forClients = (
  error: SecurityError,
  settings: Omit<Challenge.Settings, "renderers">,
  endpoint: Endpoint | undefined
): Challenge.Settings => {
  const isInitial = error._tag === "NotAuthenticated" || error._tag === "InvalidToken"
  return {
    ...settings,
    responses: "rfc6750",
    renderers: {},
    scopes: isInitial ? scope.union(settings.scopes, endpoint?.initialScopes ?? []) : settings.scopes,
    ...(endpoint === undefined ? {} : { resourceMetadata: endpoint.resourceMetadata })
  }
}

interface Part {
  readonly error: SecurityError
  readonly settings: Challenge.Settings
}

/** A refused message. */
interface Refusal extends Part {
  /** All parts of the requirement that refused the message. Each has its challenge. */
  readonly parts: ReadonlyArray<Part>
}

const refusalOf = (error: SecurityError, endpoint: Endpoint | undefined): Refusal => {
  const ofPart = (error: SecurityError, settings: Omit<Challenge.Settings, "renderers">): Part => ({
    error,
    settings: forClients(error, settings, endpoint)
  })
  const whole = ofPart(error, response.responseOf(error)?.settings ?? withoutScheme)
  return { ...whole, parts: refuse.refusalsOf(error)?.map(({ error, settings }) => ofPart(error, settings)) ?? [whole] }
}

const challengesOf = (parts: ReadonlyArray<Part>): ReadonlyArray<string> =>
  Array.from(new Set(parts.flatMap(({ error, settings }) => Challenge.answer(error, settings).challenges)))

// One HTTP response may have to answer several refused messages, if a batch reaches the server.
const refusals = new WeakMap<object, Array<Refusal>>()

/** Returns one answer to all refusals of a response. */
const answerTo = (refusals: ReadonlyArray<Refusal>): Challenge.Answer => {
  // A missing authentication or scope comes first, because the token itself is valid.
  const first =
    refusals.find(({ error }) => error._tag === "InsufficientUserAuthentication") ??
    refusals.find(({ error }) => error._tag === "InsufficientScope") ??
    refusals.find(({ error }) => error._tag === "FailedCheck") ??
    refusals[0]
  if (first === undefined) throw new Error("A refused message has no refusal. This is a bug in effect-oauth2.")
  const { error, settings } = first
  // The alternatives of a requirement have a challenge each. Otherwise, one challenge names the scopes of all messages.
  if (refusals.some(({ parts }) => parts.length > 1)) {
    const challenges = challengesOf(refusals.flatMap(({ parts }) => parts))
    return { ...Challenge.answer(error, settings), challenges }
  }
  const same = refusals.filter((refusal) => refusal.error._tag === error._tag)
  const scopes = scope.union(
    same.flatMap(({ settings }) => settings.scopes),
    []
  )
  return Challenge.answer(error, { ...settings, scopes })
}

/** Returns the JSON-RPC error that represents a refusal. */
const errorOf = ({ error, parts, settings }: Refusal): Refused => {
  const { body } = Challenge.answer(error, settings)
  const isStepUp = error._tag === "InsufficientUserAuthentication"
  const namesScopes = (error._tag === "InsufficientScope" || isStepUp) && error.missing.length > 0
  const scopes = namesScopes && settings.scopes.length > 0 ? settings.scopes.join(" ") : undefined
  const maxAge = isStepUp && Object.hasOwn(error, "maxAge") ? error.maxAge : undefined
  const resourceMetadata = own(settings, "resourceMetadata")
  const challenges = error._tag === "AuthorizationServerUnavailable" ? [] : challengesOf(parts)
  return new Refused({
    code: codes[error._tag],
    message: scopes === undefined ? body.detail : `${body.detail}. Required scopes: ${scopes}`,
    data: {
      ...(challenges.length === 0 ? {} : { challenge: challenges.join(", ") }),
      ...(scopes === undefined ? {} : { scope: scopes }),
      ...(isStepUp && error.acrValues.length > 0 ? { acr_values: error.acrValues.join(" ") } : {}),
      ...(maxAge === undefined ? {} : { max_age: Math.floor(Duration.toSeconds(maxAge)) }),
      ...(resourceMetadata === undefined ? {} : { resource_metadata: resourceMetadata })
    }
  })
}

/** Returns the response of the endpoint to a security error. Its body is a JSON-RPC error for models and people. */
export const respond = (
  error: SecurityError,
  endpoint: Endpoint
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (response.isFromUpstream(error)) return Challenge.respond(error)
  const refusal = refusalOf(error, endpoint)
  const { code, data, message } = errorOf(refusal)
  // The message of the client is not read before its token is accepted, so its id is unknown.
  const body = HttpBody.jsonUnsafe({ jsonrpc: "2.0", id: null, error: { code, message, data } })
  return Effect.map(
    Challenge.respond(Challenge.within(error, refusal.settings, challengesOf(refusal.parts))),
    (response) => HttpServerResponse.setHeader(HttpServerResponse.setBody(response, body), "cache-control", "no-store")
  )
}

/** Returns the JSON-RPC error that represents a security error, for the endpoint of a context. */
export const refusedOf = (error: SecurityError, context: Context.Context<never>): Refused =>
  errorOf(refusalOf(error, Context.get(context, CurrentEndpoint)))

/** Fails with the JSON-RPC error. If the message came by HTTP, the response gets the status and the challenge, too. */
export const fail = (error: SecurityError): Effect.Effect<never, Refused> =>
  Effect.withFiber(({ context }) => {
    // A client must not read the refusal of an upstream server as a refusal of this server.
    if (response.isFromUpstream(error)) return Effect.die(response.uncaughtUpstreamError)
    const refusal = refusalOf(error, Context.get(context, CurrentEndpoint))
    const source = Context.getOrUndefined(context, HttpServerRequest)?.source
    if (source !== undefined) {
      const earlier = refusals.get(source)
      if (earlier === undefined) {
        const all = [refusal]
        refusals.set(source, all)
        HttpEffect.appendPreResponseHandlerUnsafe(context, (_, response) => {
          const { challenges, headers, status } = answerTo(all)
          const several = challenges.length < 2 ? {} : { "www-authenticate": severalFields(challenges, context) }
          return Effect.succeed(
            HttpServerResponse.setHeaders(
              HttpServerResponse.setStatus(response, status),
              Object.entries({ ...headers, ...several, "cache-control": "no-store" })
            )
          )
        })
      } else earlier.push(refusal)
    }
    return Effect.fail(errorOf(refusal))
  })
