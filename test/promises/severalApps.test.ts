/** Several apps in one layer build: each app uses its own verifier, although Effect memoizes layers by reference. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpClient, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { AccessToken, JwtVerifier, OAuth2, type TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { Verifier } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"
import { fromContext } from "../support/contextVerifier.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  scopes: { read: "", write: "" }
})

const subject = Effect.map(AccessToken, (token) => token.subject)

const shared = auth.require("read")
const combined = shared.route.combine(HttpRouter.middleware((handler) => handler))

/** Ways to protect a route. In the last three, several routes share one requirement. */
const protections: Readonly<Record<string, (path: `/${string}`) => Layer.Layer<never, never, any>>> = {
  "its own requirement": (path) =>
    HttpRouter.add("GET", path, Effect.map(subject, HttpServerResponse.text)).pipe(auth.require("read")),
  "a shared requirement": (path) =>
    HttpRouter.add("GET", path, Effect.map(subject, HttpServerResponse.text)).pipe(shared),
  "a shared requirement combined with other middleware": (path) =>
    HttpRouter.add("GET", path, Effect.map(subject, HttpServerResponse.text)).pipe(Layer.provide(combined.layer)),
  "an HttpApi with a shared requirement": (path) => {
    const Api = HttpApi.make(path).add(
      HttpApiGroup.make(path).add(HttpApiEndpoint.get("get", path, { success: Schema.String }).middleware(shared))
    )
    return HttpApiBuilder.layer(Api).pipe(
      Layer.provide(HttpApiBuilder.group(Api, path, (handlers) => handlers.handle("get", () => subject))),
      Layer.provide(HttpServer.layerServices)
    )
  }
}

for (const [name, route] of Object.entries(protections)) {
  describe(`apps that are protected by ${name}`, () => {
    const app = (path: `/${string}`, authentication: Layer.Layer<OAuth2.Authentication<"OAuth2">>) =>
      route(path).pipe(Layer.provide(authentication)) as Layer.Layer<never, never, HttpRouter.HttpRouter>
    const by = (verifier: Layer.Layer<TokenVerifier>) => auth.layer(verifier)

    it.effect("accept only the tokens of their own verifier", () =>
      Effect.gen(function* () {
        const send = yield* serve(
          Layer.merge(
            app("/a", by(new Verifier({ a: ["read"] }).layer)),
            app("/b", by(new Verifier({ b: ["read"] }).layer))
          )
        )
        for (const [path, token, status] of [
          ["/a", "a", 200],
          ["/a", "b", 401],
          ["/b", "a", 401],
          ["/b", "b", 200]
        ] as const) {
          assert.strictEqual((yield* send(path, token)).status, status, `${path} ${token}`)
        }
      })
    )

    it.live("accept only the tokens for their own audience", () =>
      Effect.gen(function* () {
        const issuer = yield* TestIssuer
        const client = Layer.succeed(HttpClient.HttpClient, yield* HttpClient.HttpClient)
        const verifier = (audience: string) =>
          JwtVerifier.layer({ issuer: issuer.issuer, audience }).pipe(Layer.provide(client), Layer.orDie)
        const send = yield* serve(
          Layer.merge(app("/a", by(verifier("https://a.test"))), app("/b", by(verifier("https://b.test"))))
        )
        for (const audience of ["a", "b"]) {
          const token = yield* issuer.mint({ audience: `https://${audience}.test`, scopes: ["read"] })
          assert.strictEqual((yield* send(`/${audience}`, token)).status, 200)
          assert.strictEqual((yield* send(audience === "a" ? "/b" : "/a", token)).status, 401)
        }
      }).pipe(Effect.provide(TestIssuer.layer()))
    )

    it.effect("are not affected by the test layer of another app", () =>
      Effect.gen(function* () {
        const real = by(new Verifier({ a: ["read"] }).layer)
        const stub = auth.layerTest({ scopes: ["read"] })
        for (const apps of [
          [app("/real", real), app("/demo", stub)],
          [app("/demo", stub), app("/real", real)]
        ] as const) {
          const send = yield* serve(Layer.mergeAll(...apps))
          assert.strictEqual((yield* send("/demo")).status, 200)
          assert.strictEqual((yield* send("/real")).status, 401)
          assert.strictEqual((yield* send("/real", "a")).status, 200)
        }
      })
    )

    it.effect("verify a token once for each request if they share a verifier", () =>
      Effect.gen(function* () {
        const tokens = new Verifier({ a: ["read"] })
        const both = by(tokens.layer)
        const outer = Layer.merge(app("/a", both), app("/b", both))
        const send = yield* serve(outer)
        yield* send("/a", "a")
        yield* send("/b", "a")
        assert.deepStrictEqual(tokens.calls, ["a", "a"])
      })
    )
  })
}

it.effect("merges requirements that each have the scheme's layer if they share a verifier", () =>
  Effect.gen(function* () {
    const tokens = new Verifier({ both: ["read", "write"], none: [] })
    const given = (scope: "read" | "write") => Layer.provide(auth.require(scope).route.layer, auth.layer(fromContext))
    const route = HttpRouter.add("GET", "/", Effect.map(subject, HttpServerResponse.text)).pipe(
      Layer.provide(given("write")),
      Layer.provide(given("read")),
      Layer.provide(tokens.layer)
    )
    const send = yield* serve(route as Layer.Layer<never, never, HttpRouter.HttpRouter>)
    assert.strictEqual((yield* send("/", "both")).body, "both")
    assert.strictEqual((yield* send("/", "none")).challenge, `Bearer scope="read write"`)
    assert.deepStrictEqual(tokens.calls, ["both", "none"])
  })
)
