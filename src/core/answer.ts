/** Converts an error to status, headers and body as plain data. */
import * as Duration from "effect/Duration"
import { own } from "./lib/ownProperties.ts"

/** The fields of a `SecurityError` that the response needs. The error classes import this module, not the reverse. */
export type ErrorFields =
  | { readonly _tag: "NotAuthenticated" | "InvalidRequest" | "InvalidToken" }
  | {
      readonly _tag: "InsufficientScope"
      readonly missing: ReadonlyArray<string>
      readonly checks?: ReadonlyArray<string>
    }
  | { readonly _tag: "AuthorizationServerUnavailable"; readonly retryAfter: Duration.Duration }

/**
 * Format of the responses: identical to FastAPI, or as RFC 6750 describes them.
 *
 * **Details**
 *
 * The format never changes which requests are accepted.
 *
 * @category models
 * @since 0.1.0
 */
export type Responses = "fastapi" | "rfc6750"

/** The fields of `Challenge.Settings` that the response needs. */
export interface Form {
  readonly responses: Responses
  readonly realm: string
  readonly scopes: ReadonlyArray<string>
  readonly authScheme?: AuthScheme
  readonly resourceMetadata?: string
}

/**
 * Authentication scheme of a challenge (RFC 9110 §11.1). `APIKey` is FastAPI's name for the scheme of an API key.
 *
 * @category models
 * @since 0.1.0
 */
export type AuthScheme = "Bearer" | "Basic" | "APIKey"

/**
 * Response to an error, as plain data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  /** The status code (RFC 9110 §15). */
  readonly status: number
  /** `www-authenticate`, or `retry-after` in seconds after an outage. Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** The JSON body, with constant text. */
  readonly body: { readonly detail: string }
}

type Params = ReadonlyArray<readonly [name: string, value: string]>

// A value must not end its quoted string or the header, so "?" replaces every other character. A realm may be any
// quoted-string (RFC 9110 §5.6.4), without characters outside of ASCII.
const quote = (value: string): string =>
  `"${value.replace(/[^\x20-\x7E]/g, "?").replace(/["\\]/g, (character) => `\\${character}`)}"`

// RFC 6750 §3: error and scope allow %x20-21 / %x23-5B / %x5D-7E.
const restrict = (value: string): string => value.replace(/[^\x20\x21\x23-\x5B\x5D-\x7E]/g, "?")

/**
 * Creates a challenge of the scheme `Bearer` with the given parameters, in their order.
 *
 * **Example** (Writing a challenge)
 *
 * ```ts import.meta.vitest
 * import { Challenge } from "effect-oauth2"
 *
 * Challenge.bearer([]) // => 'Bearer'
 * Challenge.bearer([["realm", 'a "b"'], ["scope", "items:read me"]]) // => 'Bearer realm="a \\"b\\"", scope="items:read me"'
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const bearer = (params: Params): string =>
  params.length === 0
    ? "Bearer"
    : `Bearer ${params.map(([name, value]) => `${name}=${quote(name === "realm" ? value : restrict(value))}`).join(", ")}`

/** Returns the parameters that extensions add to every challenge, in both formats. */
const extensionsOf = (form: Pick<Form, "resourceMetadata">): Params => {
  const resourceMetadata = own(form, "resourceMetadata")
  // RFC 9728 §5.1
  return typeof resourceMetadata === "string" ? [["resource_metadata", resourceMetadata]] : []
}

/** Creates the challenge of a scheme. Only `Bearer` has parameters for errors, scopes and extensions (RFC 6750 §3). */
const challengeOf = ({ realm, responses, ...form }: Form, params: Params): string => {
  const quoted = `realm=${quote(realm)}`
  switch (own(form, "authScheme")) {
    case "Basic":
      // RFC 7617 §2 requires the realm.
      return responses === "fastapi" ? `Basic ${quoted}` : `Basic ${quoted}, charset="UTF-8"`
    case "APIKey":
      return responses === "fastapi" ? "APIKey" : `APIKey ${quoted}`
    default:
      return bearer([...params, ...extensionsOf(form)])
  }
}

/** Returns the response to an error, as `Challenge.answer` describes it. */
export const answer = (error: ErrorFields, settings: Form): Answer => {
  const fastapi = settings.responses === "fastapi"
  const scope: Params = settings.scopes.length === 0 ? [] : [["scope", settings.scopes.join(" ")]]
  const challenge = (status: number, detail: string, params: Params): Answer => ({
    status,
    headers: { "www-authenticate": challengeOf(settings, params) },
    body: { detail }
  })
  switch (error._tag) {
    case "NotAuthenticated":
      return challenge(401, "Not authenticated", fastapi ? [] : [["realm", settings.realm], ...scope])
    case "InvalidRequest":
      return fastapi
        ? challenge(401, "Not authenticated", [])
        : challenge(400, "Malformed credentials", [["error", "invalid_request"]])
    case "InvalidToken":
      return challenge(401, "Could not validate credentials", fastapi ? scope : [["error", "invalid_token"], ...scope])
    case "InsufficientScope": {
      // If the token lacks no scope, naming scopes would make the client request them forever.
      const namedScope = error.missing.length === 0 ? [] : scope
      return fastapi
        ? challenge(401, "Not enough permissions", namedScope)
        : challenge(403, "Not enough permissions", [["error", "insufficient_scope"], ...namedScope])
    }
    case "AuthorizationServerUnavailable":
      return {
        status: 503,
        headers: { "retry-after": delaySeconds(error.retryAfter) },
        body: { detail: "Authorization server unavailable" }
      }
  }
}

// RFC 9110 §10.2.3: delay-seconds = 1*DIGIT. At least 1, so that clients do not retry at once. At most a signed 32-bit
// number, so that clients can parse it.
export const delaySeconds = (delay: Duration.Duration): string =>
  String(Math.min(Math.max(Math.ceil(Duration.toSeconds(delay)), 1), 2_147_483_647))
