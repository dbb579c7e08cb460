// The spans of a sign-in and of a sign-out contain no code, no ID token, and nothing that ties an attempt to a browser.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Tracer } from "effect"
import { HttpMiddleware } from "effect/http"
import { Sessions } from "effect-oauth2/login"
import { clients, makeApp, requestsAt } from "../support/loginApp.ts"
import { layerOf } from "../support/testIssuers.ts"

/** A tracer that keeps all spans, and whether the spans of the app lie in the span of the request. */
const collecting = (spans: Array<Tracer.Span>) =>
  Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })

describe("the spans of the requests", () => {
  for (const nested of [false, true]) {
    it.effect(`show no secret of the flow${nested ? ", if the app has spans of its own" : ""}`, () =>
      Effect.gen(function* () {
        const spans: Array<Tracer.Span> = []
        const tracer = collecting(spans)
        const open = yield* makeApp({}, (handle) =>
          HttpMiddleware.tracer(nested ? Effect.withSpan(handle, "app") : handle).pipe(
            Effect.provideService(Tracer.Tracer, tracer),
            Effect.provideService(HttpMiddleware.TracerHeaderFilter, () => true)
          )
        )
        const browser = open()
        const address = new URL(yield* browser.start("/login?return_to=/items?page=2"))
        const callback = new URL(yield* browser.answer(address.href))
        assert.strictEqual((yield* browser.visit(callback.href, { from: "cross-site" })).location, "/items?page=2")
        const out = new URL((yield* browser.signOut()).location)

        const values = spans.flatMap(({ attributes }) => Array.from(attributes.values(), String)).join("\n")
        const secrets = [
          address.searchParams.get("state"),
          address.searchParams.get("nonce"),
          callback.searchParams.get("code"),
          out.searchParams.get("id_token_hint"),
          (yield* requestsAt("token"))[0]?.parameters?.["code_verifier"]
        ]
        for (const secret of secrets) {
          assert.isString(secret)
          assert.notInclude(values, secret ?? "")
        }
        // The rest of the addresses is there.
        assert.include(values, "/callback?code=REDACTED&state=REDACTED")
        assert.include(values, "return_to=/items?page=2")
        assert.include(values, "code_challenge=")
        assert.isAtLeast(spans.filter(({ kind }) => kind === "server").length, 3)
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(layerOf({ clients }), Sessions.layerMemory())))
    )
  }
})
