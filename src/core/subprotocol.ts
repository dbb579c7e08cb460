/** Finds a token in the `Sec-WebSocket-Protocol` header, the only header of a WebSocket that a browser lets a page set. */
import * as Headers from "effect/http/Headers"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Redacted from "effect/Redacted"
import * as authorizationHeader from "./authorizationHeader.ts"
import { fieldOf } from "./effect/receivedRequest.ts"
import type { InvalidRequest, NotAuthenticated } from "./SecurityError.ts"

const header = "sec-websocket-protocol"

const prefix = "bearer."

/** Returns the token of a request, or the reason why there is none. */
export const fromRequest = (
  request: HttpServerRequest,
  maxLength: number
): string | NotAuthenticated | InvalidRequest => {
  const value = fieldOf(request, header)
  if (value === undefined) return authorizationHeader.noCredentials
  // If `maxLength` is NaN, the comparison is false and the header is refused.
  if (!(value.length <= maxLength)) return authorizationHeader.tooLong
  const offered = value.split(",").map((protocol) => protocol.trim())
  const [credential, ...others] = offered.filter((protocol) => protocol.startsWith(prefix))
  if (credential === undefined) return authorizationHeader.noCredentials
  if (others.length > 0) return authorizationHeader.severalCredentials
  // A server accepts the first protocol, and sends it back. The response would contain the token.
  if (offered[0] === credential) return authorizationHeader.malformed
  const token = credential.slice(prefix.length)
  return authorizationHeader.isToken(token) ? token : authorizationHeader.malformed
}

/** Returns `true` if spans and logs do not show the header. */
export const isRedacted = (names: ReadonlyArray<string | RegExp>): boolean =>
  Redacted.isRedacted(Headers.redact(Headers.fromInput({ [header]: "-" }), names)[header])

/** Adds the header to names that spans and logs do not show. */
export const redacting = (names: ReadonlyArray<string | RegExp>): ReadonlyArray<string | RegExp> => [...names, header]
