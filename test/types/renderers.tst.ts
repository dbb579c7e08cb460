/** What the renderers of a scheme receive, and what they may return. */
import { Context, Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Challenge, SecurityError } from "effect-oauth2"
import { describe, expect, test } from "tstyche"

type Renderer = NonNullable<Challenge.Renderers["InvalidToken"]>

class Templates extends Context.Service<Templates, { readonly refused: string }>()("test/Templates") {}

describe("a renderer", () => {
  test("receives its error, and the request if there is one", () => {
    expect<Parameters<Renderer>>().type.toBe<
      [error: SecurityError.InvalidToken, request: HttpServerRequest.HttpServerRequest | undefined]
    >()
  })

  test("returns a response, or an effect that may fail and use the request", () => {
    expect<() => HttpServerResponse.HttpServerResponse>().type.toBeAssignableTo<Renderer>()
    expect<
      () => Effect.Effect<HttpServerResponse.HttpServerResponse, Error, HttpServerRequest.HttpServerRequest>
    >().type.toBeAssignableTo<Renderer>()
    expect(() =>
      Effect.map(Effect.currentSpan, (span) => HttpServerResponse.text(span.traceId))
    ).type.toBeAssignableTo<Renderer>()
  })

  test("does not compile if it needs another service, relies on a request, or returns no response", () => {
    expect(() =>
      Effect.map(Templates, ({ refused }) => HttpServerResponse.text(refused))
    ).type.not.toBeAssignableTo<Renderer>()
    expect((_: unknown, request: HttpServerRequest.HttpServerRequest) =>
      HttpServerResponse.text(request.url)
    ).type.not.toBeAssignableTo<Renderer>()
    expect(() => Effect.succeed("refused")).type.not.toBeAssignableTo<Renderer>()
  })
})
