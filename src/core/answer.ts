/** Converts an error to status, headers and body as plain data. */
import * as Duration from "effect/Duration"
import { own, ownProperties } from "./lib/ownProperties.ts"

/** The fields of a `SecurityError` that the response needs. The error classes import this module, not the reverse. */
export type ErrorFields =
  | { readonly _tag: "NotAuthenticated" | "InvalidToken" | "InvalidDpopProof" }
  | { readonly _tag: "InvalidRequest"; readonly reason: string }
  | { readonly _tag: "UseDpopNonce"; readonly nonce?: string }
  | {
      readonly _tag: "InsufficientScope"
      readonly missing: ReadonlyArray<string>
      readonly checks?: ReadonlyArray<string>
    }
  | { readonly _tag: "FailedCheck" }
  | {
      readonly _tag: "InsufficientUserAuthentication"
      readonly acrValues: ReadonlyArray<string>
      readonly maxAge?: Duration.Duration
      readonly missing: ReadonlyArray<string>
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
  readonly otherSchemes?: ReadonlyArray<AuthScheme>
  readonly algs?: ReadonlyArray<string>
  readonly resourceMetadata?: string
}

/**
 * Authentication scheme of a challenge (RFC 9110 §11.1). `DPoP` is the scheme of tokens that are bound to a key (RFC
 * 9449 §7.1). `APIKey` is FastAPI's name for the scheme of an API key.
 *
 * @category models
 * @since 0.1.0
 */
export type AuthScheme = "Bearer" | "DPoP" | "Basic" | "APIKey"

/**
 * Response to an error, as plain data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  /** The status code (RFC 9110 §15). */
  readonly status: number
  /**
   * `www-authenticate` with all challenges, or `retry-after` in seconds after an outage. `dpop-nonce` and
   * `cache-control` if the client needs a nonce. Names are in lower case.
   */
  readonly headers: Readonly<Record<string, string>>
  /** The challenges, the first of which is for the scheme that the request used. Each is sent in its own header. */
  readonly challenges: ReadonlyArray<string>
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

// RFC 9449 §8.1 allows %x21 / %x23-5B / %x5D-7E in a nonce. Another value would not reach the client unchanged.
const isNonce = (value: unknown): value is string =>
  typeof value === "string" && /^[\x21\x23-\x5B\x5D-\x7E]+$/.test(value)

/** Writes a challenge. Each parameter appears once, as a quoted string, which every client can parse. */
const write = (scheme: AuthScheme, params: Params): string =>
  params.length === 0
    ? scheme
    : `${scheme} ${params.map(([name, value]) => `${name}=${quote(name === "realm" ? value : restrict(value))}`).join(", ")}`

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
export const bearer = (params: Params): string => write("Bearer", params)

/** Returns the parameters that extensions add to every challenge of a scheme, in both formats. */
const extensionsOf = (scheme: AuthScheme, form: Pick<Form, "algs" | "resourceMetadata">): Params => {
  const [algs, resourceMetadata] = [own(form, "algs"), own(form, "resourceMetadata")]
  return [
    // RFC 9449 §7.1
    ...(scheme === "DPoP" && Array.isArray(algs) && algs.length > 0 ? [["algs", algs.join(" ")] as const] : []),
    // RFC 9728 §5.1
    ...(typeof resourceMetadata === "string" ? [["resource_metadata", resourceMetadata] as const] : [])
  ]
}

/** Creates the challenge of a scheme. API keys and passwords have no parameters for errors, scopes and extensions. */
const challengeOf = (scheme: AuthScheme, { realm, responses, ...form }: Form, params: Params): string => {
  const quoted = `realm=${quote(realm)}`
  switch (scheme) {
    case "Basic":
      // RFC 7617 §2 requires the realm.
      return responses === "fastapi" ? `Basic ${quoted}` : `Basic ${quoted}, charset="UTF-8"`
    case "APIKey":
      return responses === "fastapi" ? "APIKey" : `APIKey ${quoted}`
    default:
      return write(scheme, [...params, ...extensionsOf(scheme, form)])
  }
}

/** How an error is answered, whatever the schemes of its challenges. */
interface Refused {
  readonly status: number
  readonly detail: string
  /** The value of `error` (RFC 6750 §3.1). `undefined` if the request has no credentials, or if no code fits. */
  readonly code: string | undefined
  /** The other parameters of the scheme that the request used. */
  readonly params: Params
  /** Which other schemes the response names: all without an error, all with the error, or none. */
  readonly others: "without error" | "with error" | "none"
}

// A client that sent a good token must not change the scheme, so such a response names only the scheme that was used.
const refusedBy = (error: Exclude<ErrorFields, { _tag: "AuthorizationServerUnavailable" }>, form: Form): Refused => {
  const fastapi = form.responses === "fastapi"
  const scope: Params = form.scopes.length === 0 ? [] : [["scope", form.scopes.join(" ")]]
  switch (error._tag) {
    case "NotAuthenticated":
      return {
        status: 401,
        detail: "Not authenticated",
        code: undefined,
        params: fastapi ? [] : [["realm", form.realm], ...scope],
        others: "with error"
      }
    case "InvalidRequest":
      return {
        status: fastapi ? 401 : 400,
        detail: fastapi ? "Not authenticated" : "Malformed credentials",
        code: "invalid_request",
        params: [],
        // The credentials may be of several schemes (RFC 9449 §7.2).
        others: error.reason === "SeveralCredentials" ? "with error" : "without error"
      }
    case "InvalidToken":
      return {
        status: 401,
        detail: "Could not validate credentials",
        code: "invalid_token",
        params: scope,
        others: "without error"
      }
    case "InvalidDpopProof":
      return { status: 401, detail: "Invalid DPoP proof", code: "invalid_dpop_proof", params: [], others: "none" }
    case "UseDpopNonce":
      return { status: 401, detail: "DPoP nonce required", code: "use_dpop_nonce", params: [], others: "none" }
    case "InsufficientScope":
      return {
        status: fastapi ? 401 : 403,
        detail: "Not enough permissions",
        code: "insufficient_scope",
        // If your own error names no missing scope, naming scopes would make the client request them forever.
        params: error.missing.length === 0 ? [] : scope,
        others: "none"
      }
    case "FailedCheck":
      return {
        status: fastapi ? 401 : 403,
        detail: fastapi ? "Not enough permissions" : "Access denied",
        // RFC 6750 §3 requires a challenge, and §3.1 has no code that fits. With insufficient_scope, a client would
        // request scopes that do not help.
        code: undefined,
        params: fastapi ? [] : [["realm", form.realm]],
        others: "none"
      }
    case "InsufficientUserAuthentication":
      return {
        status: 401,
        detail: "Authentication too weak or too old",
        code: "insufficient_user_authentication",
        params: [...authenticationOf(error), ...(error.missing.length === 0 ? [] : scope)],
        others: "none"
      }
  }
}

/** The parameters that a client puts into its next authorization request (RFC 9470 §3). */
const authenticationOf = (error: Extract<ErrorFields, { _tag: "InsufficientUserAuthentication" }>): Params => {
  const maxAge = Object.hasOwn(error, "maxAge") ? error.maxAge : undefined
  return [
    ...(error.acrValues.length === 0 ? [] : [["acr_values", error.acrValues.join(" ")] as const]),
    ...(maxAge === undefined ? [] : [["max_age", String(Math.floor(Duration.toSeconds(maxAge)))] as const])
  ]
}

// The errors of extensions that FastAPI does not have. Without the parameter, the client could not react.
const extensionErrors: ReadonlySet<string> = new Set([
  "invalid_dpop_proof",
  "use_dpop_nonce",
  "insufficient_user_authentication"
])

/** Composes the challenges of a response, the first of which is for the scheme that the request used. */
const challengesOf = (error: ErrorFields, refused: Refused, form: Form): ReadonlyArray<string> => {
  const isOfDpop = error._tag === "InvalidDpopProof" || error._tag === "UseDpopNonce"
  const { authScheme = "Bearer", otherSchemes = [] } = ownProperties(form)
  const used = isOfDpop ? "DPoP" : authScheme
  const fastapi = form.responses === "fastapi"
  const { code, others } = refused
  const full = (scheme: AuthScheme): string => {
    // FastAPI sends no error code with a bearer challenge, and has no other scheme for tokens.
    const isNamed = code !== undefined && !(fastapi && scheme === "Bearer" && !extensionErrors.has(code))
    return challengeOf(scheme, form, [...(isNamed ? [["error", code] as const] : []), ...refused.params])
  }
  const bare = (scheme: AuthScheme): string => challengeOf(scheme, form, fastapi ? [] : [["realm", form.realm]])
  const more = others === "none" ? [] : otherSchemes.filter((scheme) => scheme !== used)
  return [full(used), ...more.map(others === "with error" ? full : bare)]
}

/** Returns the response to an error, as `Challenge.answer` describes it. */
export const answer = (error: ErrorFields, settings: Form): Answer => {
  if (error._tag === "AuthorizationServerUnavailable") {
    return {
      status: 503,
      headers: { "retry-after": delaySeconds(error.retryAfter) },
      challenges: [],
      body: { detail: "Authorization server unavailable" }
    }
  }
  const refused = refusedBy(error, settings)
  const challenges = challengesOf(error, refused, settings)
  const nonce = error._tag === "UseDpopNonce" ? own(error, "nonce") : undefined
  return {
    status: refused.status,
    headers: {
      "www-authenticate": challenges.join(", "),
      // A nonce is for one client, so a cache must not store it (RFC 9449 §8).
      ...(isNonce(nonce) ? { "dpop-nonce": nonce, "cache-control": "no-store" } : {})
    },
    challenges,
    body: { detail: refused.detail }
  }
}

// RFC 9110 §10.2.3: delay-seconds = 1*DIGIT. At least 1, so that clients do not retry at once. At most a signed 32-bit
// number, so that clients can parse it.
export const delaySeconds = (delay: Duration.Duration): string =>
  String(Math.min(Math.max(Math.ceil(Duration.toSeconds(delay)), 1), 2_147_483_647))
