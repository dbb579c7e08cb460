/**
 * Runs `BearerToken.extract` on a header and returns the result as data, and a second implementation to compare with.
 */
import { Effect, Redacted } from "effect"
import { Headers, HttpServerRequest } from "effect/http"
import { BearerToken } from "effect-oauth2"

export type Answer =
  | { readonly token: string }
  | {
      readonly refused:
        | "NoCredentials"
        | "OtherScheme"
        | "Malformed"
        | "TooLong"
        | "SeveralCredentials"
        | "CrossSite"
        | "CsrfHeader"
        | "Unspecified"
    }

export const token = (token: string): Answer => ({ token })
export const malformed: Answer = { refused: "Malformed" }
export const noCredentials: Answer = { refused: "NoCredentials" }
export const otherScheme: Answer = { refused: "OtherScheme" }
export const tooLong: Answer = { refused: "TooLong" }

// Takes `unknown`, because the type `Redacted` declares no `toString`.
export const print: (value: unknown) => string = String

/** Creates a request with exactly this header. The constructor of `Request` would normalize the value or throw. */
export const requestWith = (authorization: string | undefined): HttpServerRequest.HttpServerRequest =>
  HttpServerRequest.fromWeb(new Request("http://localhost/")).modify({
    headers: authorization === undefined ? Headers.empty : Headers.fromRecordUnsafe({ authorization })
  })

export const answerTo = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<Answer> =>
  BearerToken.extract.pipe(
    Effect.match({
      onSuccess: (bearer) => token(Redacted.value(bearer)),
      onFailure: (error): Answer => ({ refused: error.reason })
    }),
    Effect.provideService(HttpServerRequest.HttpServerRequest, request)
  )

export const answer = (authorization: string | undefined) => answerTo(requestWith(authorization))

/**
 * Second implementation without a regular expression: FastAPI's `get_authorization_scheme_param`, then token68.
 */
export const oracle = (value: string | undefined, maxLength = 8192): Answer => {
  if (value === undefined || value === "") return noCredentials
  if (value.length > maxLength) return tooLong
  const [scheme = "", ...rest] = value.split(" ")
  const isBearer = scheme.length === 6 && Array.from("bearer").every((c, i) => isLetter(scheme.charCodeAt(i), c))
  if (!isBearer) return otherScheme
  const param = rest.join(" ")
  let start = 0
  let end = param.length
  while (start < end && pythonSpace.has(param.charCodeAt(start))) start++
  while (end > start && pythonSpace.has(param.charCodeAt(end - 1))) end--
  const presented = param.slice(start, end)
  let padding = presented.length
  while (padding > 0 && presented[padding - 1] === "=") padding--
  if (padding === 0) return malformed
  for (let i = 0; i < padding; i++) if (!token68.includes(presented.charAt(i))) return malformed
  return token(presented)
}
const isLetter = (code: number, lower: string) => code === lower.charCodeAt(0) || code === lower.charCodeAt(0) - 32
// The characters below U+0100 that Python's `str.strip()` removes.
export const pythonSpace = new Set([0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x85, 0xa0])
export const token68 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"
