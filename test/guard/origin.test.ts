/** A proof belongs to one request with its credentials, and not to one request object. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Headers, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { OAuth2 } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "" } })

/** Serves a handler that needs the scope, and that sees a modified request. */
const statusWith = (options: Parameters<HttpServerRequest.HttpServerRequest["modify"]>[0]) =>
  Effect.gen(function* () {
    const handler = Effect.as(auth.granted("a"), HttpServerResponse.empty()).pipe(
      Effect.updateService(HttpServerRequest.HttpServerRequest, (request) => request.modify(options))
    )
    const send = yield* serve(
      HttpRouter.add("GET", "/", handler).pipe(
        auth.require("a"),
        Layer.provide(auth.layer(new Verifier({ one: ["a"], two: ["a"] }).layer))
      )
    )
    return (yield* send("/", "one")).status
  })

const headers = (authorization: string) => Headers.fromInput({ authorization })

describe("auth.granted", () => {
  it.effect("accepts the proof of a request whose URL was modified", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* statusWith({ url: "/other" }), 204)
    })
  )

  it.effect("accepts the proof of a request whose headers were copied with the same credentials", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* statusWith({ headers: headers("Bearer one") }), 204)
    })
  )

  it.effect("refuses the proof of a request whose credentials were replaced or removed", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* statusWith({ headers: headers("Bearer two") }), 500)
      assert.strictEqual(yield* statusWith({ headers: Headers.empty }), 500)
    })
  )
})
