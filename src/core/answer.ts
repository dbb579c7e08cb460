/** What a client is told of an error: status, headers and body as plain data. */
import * as Duration from "effect/Duration"

/** What the answer depends on of an error. Every `SecurityError` is one: they stand above this module, since they respond by it. */
export type Failure =
  | { readonly _tag: "NotAuthenticated" | "InvalidRequest" | "InvalidToken" }
  | {
      readonly _tag: "InsufficientScope"
      readonly missing: ReadonlyArray<string>
      readonly checks?: ReadonlyArray<string>
    }
  | { readonly _tag: "AuthorizationServerUnavailable"; readonly retryAfter: Duration.Duration }

/**
 * The form of the answers: FastAPI's, byte for byte, or that of RFC 6750. What is accepted never depends on it.
 *
 * @category models
 * @since 0.1.0
 */
export type Responses = "fastapi" | "rfc6750"

/** What the answer depends on of `Challenge.Settings`. */
export interface Form {
  readonly responses: Responses
  readonly realm: string
  readonly scopes: ReadonlyArray<string>
}

/**
 * An answer in plain data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  /** The status code (RFC 9110 §15). */
  readonly status: number
  /** `www-authenticate` or, of an outage, `retry-after` (in seconds), in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** JSON, with constant text. */
  readonly body: { readonly detail: string }
}

type Params = ReadonlyArray<readonly [name: string, value: string]>

// RFC 6750 §3: error and scope hold %x20-21 / %x23-5B / %x5D-7E; a realm is any quoted-string (RFC 9110 §5.6.4), of which we
// write the ASCII part. What is outside becomes "?", so that no value can end the string or the field.
const quote = (value: string): string =>
  `"${value.replace(/[^\x20-\x7E]/g, "?").replace(/["\\]/g, (character) => `\\${character}`)}"`

const restrict = (value: string): string => value.replace(/[^\x20\x21\x23-\x5B\x5D-\x7E]/g, "?")

/**
 * Writes a challenge of the scheme `Bearer` with the given parameters, in their order.
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

/** The answer to an error. */
export const answer = (error: Failure, settings: Form): Answer => {
  const fastapi = settings.responses === "fastapi"
  const scope: Params = settings.scopes.length === 0 ? [] : [["scope", settings.scopes.join(" ")]]
  const challenge = (status: number, detail: string, params: Params): Answer => ({
    status,
    headers: { "www-authenticate": bearer(params) },
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
      // A client that has all scopes, and is told which, asks for them again, and again.
      const missing = Object.hasOwn(error, "checks") && error.missing.length === 0 ? [] : scope
      return fastapi
        ? challenge(401, "Not enough permissions", missing)
        : challenge(403, "Not enough permissions", [["error", "insufficient_scope"], ...missing])
    }
    case "AuthorizationServerUnavailable":
      return {
        status: 503,
        headers: { "retry-after": delaySeconds(error.retryAfter) },
        body: { detail: "Authorization server unavailable" }
      }
  }
}

// RFC 9110 §10.2.3: delay-seconds = 1*DIGIT. At least one, so that nobody asks again at once; at most what a signed 32-bit number holds.
const delaySeconds = (delay: Duration.Duration): string =>
  String(Math.min(Math.max(Math.ceil(Duration.toSeconds(delay)), 1), 2_147_483_647))
