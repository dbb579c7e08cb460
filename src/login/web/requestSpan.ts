/** Keeps parameters of URLs out of the span of a request. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** The attributes of a server span that are URLs. */
const urls: ReadonlySet<string> = new Set(["url.full", "http.response.header.location"])

/**
 * Hides the values of these parameters in the span of the current request. Effect's server adds the URL to the span
 * after the response is ready. It reads the redacted names from the context of the server, which a route cannot change.
 * So the span itself hides the values.
 */
export const hideParameters = (names: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const span = serverSpanOf(Context.getOrUndefined(fiber.context, Tracer.ParentSpan))
    if (span === undefined) return Effect.void
    const hide = (value: unknown): unknown =>
      Array.isArray(value) ? value.map(hide) : typeof value === "string" ? UrlParams.redactUrl(value, names) : value
    const attribute = span.attribute.bind(span)
    span.attribute = (key, value) => {
      const hidden = urls.has(key) ? hide(value) : key === "url.query" ? withoutMark(hide(`?${String(value)}`)) : value
      attribute(key, hidden)
    }
    return Effect.void
  })

const withoutMark = (query: unknown): string => String(query).slice(1)

/** Returns the span of the request around spans of the program. */
const serverSpanOf = (span: Tracer.AnySpan | undefined): Tracer.Span | undefined => {
  if (span?._tag !== "Span") return
  return span.kind === "server" ? span : serverSpanOf(Option.getOrUndefined(span.parent))
}
