/** Reads the parameters of a request to a protocol endpoint. */
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as UrlParams from "effect/http/UrlParams"
import { type Refusal, refuse } from "./answer.ts"

/** Parameters by name. A parameter without a value counts as left out (RFC 6749 §3.1). */
export type Parameters = Readonly<Record<string, string | undefined>>

/** Returns the parameters of a form, or of the query for a GET request. A parameter must not occur twice. */
export const read = (request: HttpServerRequest): Effect.Effect<Parameters, Refusal> =>
  request.method === "GET"
    ? single(Array.from((URL.parse(request.originalUrl, "http://issuer") ?? new URL("http://issuer")).searchParams))
    : request.urlParamsBody.pipe(
        Effect.catch(() => refuse("invalid_request", "The body is not a form.")),
        Effect.flatMap((form) => single(Array.from(new URLSearchParams(UrlParams.toString(form)))))
      )

const single = (pairs: ReadonlyArray<readonly [string, string]>): Effect.Effect<Parameters, Refusal> => {
  const parameters: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of pairs) {
    if (name in parameters) return refuse("invalid_request", `The parameter ${name} occurs twice.`)
    if (value !== "") parameters[name] = value
  }
  return Effect.succeed(parameters)
}

/** Returns the words of a parameter such as `scope`. */
export const words = (value: string | undefined): ReadonlyArray<string> =>
  value === undefined ? [] : value.split(" ").filter((word) => word !== "")
