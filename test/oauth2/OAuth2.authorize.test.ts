import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option } from "effect"
import { HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { BearerToken, OAuth2, SecurityError, SecurityScopes, TokenVerifier } from "effect-oauth2"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { authorizationServer } from "../support/authorizationServer.ts"
import { serve } from "../support/web.ts"
import { auth, detail, summary, verifier } from "../support/schemeWithFourScopes.ts"
import { fromContext } from "../support/contextVerifier.ts"

describe("auth.authorize", () => {
  const currentUser = Effect.map(auth.authorize, (token) => token.subject)

  it.effect("verifies the bearer token and requires the scopes in force, without HTTP", () =>
    Effect.gen(function* () {
      const run = <A, E>(effect: Effect.Effect<A, E, BearerToken | OAuth2.Authentication<"OAuth2">>, token: string) =>
        effect.pipe(Effect.provide([BearerToken.layerTest(token), auth.layer(verifier().layer)]))
      assert.strictEqual(yield* run(currentUser, "none"), "none")
      assert.strictEqual(yield* run(currentUser.pipe(SecurityScopes.require("a")), "a"), "a")
      const few = yield* Effect.flip(
        run(currentUser.pipe(SecurityScopes.require("c", "a"), SecurityScopes.require("b", "a")), "ab")
      )
      assert.instanceOf(few, SecurityError.InsufficientScope)
      assert.deepStrictEqual([few.required, few.missing], [["b", "a", "c"], ["c"]])
      assert.instanceOf(yield* Effect.flip(run(currentUser, "bad")), SecurityError.InvalidToken)
      const outage = yield* Effect.flip(run(currentUser, "outage"))
      assert.instanceOf(outage, SecurityError.AuthorizationServerUnavailable)
    })
  )

  it.effect("requires the scopes of auth.withScopes, but only from tokens of that scheme", () =>
    Effect.gen(function* () {
      const other = OAuth2.authorizationCode("Other", { ...authorizationServer, scopes: { x: "" } })
      const schemes = Layer.merge(auth.layer(fromContext), other.layer(fromContext)).pipe(
        Layer.provide(verifier().layer)
      )
      const run = <A, E>(
        effect: Effect.Effect<A, E, BearerToken | OAuth2.Authentication<"OAuth2"> | OAuth2.Authentication<"Other">>,
        token: string
      ) => Effect.provide(effect, [BearerToken.layerTest(token), schemes])
      const guarded = currentUser.pipe(auth.withScopes("b"), auth.withScopes("a", "b"))
      assert.strictEqual(yield* run(guarded, "ab"), "ab")
      const few = yield* Effect.flip(run(guarded, "a"))
      assert.instanceOf(few, SecurityError.InsufficientScope)
      assert.deepStrictEqual([few.required, few.missing], [["a", "b"], ["b"]])
      assert.strictEqual((yield* run(other.authorize.pipe(auth.withScopes("a")), "none")).subject, "none")
      assert.throws(
        () => auth.withScopes("e" as "a"),
        TypeError,
        `withScopes names the scope "e", which is not declared`
      )
    })
  )

  it.effect(
    "responds with its error in a handler, and verifies a token once per request, also in concurrent guards",
    () =>
      Effect.gen(function* () {
        const tokens = verifier()
        const handler = Effect.gen(function* () {
          const users = yield* Effect.all(
            [
              currentUser.pipe(SecurityScopes.require("a")),
              currentUser.pipe(SecurityScopes.require("b")),
              Fiber.join(yield* Effect.forkChild(currentUser))
            ],
            { concurrency: "unbounded" }
          )
          return HttpServerResponse.jsonUnsafe(users)
        }).pipe(Effect.provide(BearerToken.layer))
        const app = HttpRouter.add("GET", "/", handler).pipe(
          HttpRouter.provideRequest(auth.layer(fromContext)),
          Layer.provide(tokens.layer)
        )
        const send = yield* serve(app)
        assert.deepStrictEqual(summary(yield* send("/", "ab")), [200, null, `["ab","ab","ab"]`])
        assert.deepStrictEqual(tokens.calls, ["ab"])
        assert.deepStrictEqual(summary(yield* send("/")), [401, "Bearer", detail("Not authenticated")])
        assert.deepStrictEqual(summary(yield* send("/", "a")), [
          401,
          `Bearer scope="b"`,
          detail("Not enough permissions")
        ])
      })
  )

  it.effect(
    "verifies a token once per request although the handler opens a scope, and again for the next request",
    () =>
      Effect.gen(function* () {
        const tokens = verifier()
        const { verify } = yield* Effect.provide(TokenVerifier, tokens.layer)
        const scheme = auth.layer(Layer.succeed(TokenVerifier, { verify, invalidate: () => Effect.void }))
        const own = auth.authorizeOption
        const app = HttpRouter.add(
          "GET",
          "/",
          Effect.as(Effect.all([own, Effect.scoped(own), own]), HttpServerResponse.empty())
        ).pipe(HttpRouter.provideRequest(scheme))
        const handler = HttpEffect.toWebHandler(yield* HttpRouter.toHttpEffect(app))
        const request = new Request("http://localhost/", { headers: { authorization: "Bearer ab" } })
        for (const calls of [1, 2]) {
          assert.strictEqual((yield* Effect.promise(() => handler(request))).status, 204)
          assert.lengthOf(tokens.calls, calls)
        }
      })
  )

  it.effect("retains no finished request, even if the surrounding scope stays open", () =>
    Effect.gen(function* () {
      setFlagsFromString("--expose-gc")
      const collect = runInNewContext("gc") as () => void
      const ask = (token: string) =>
        Effect.suspend(() => {
          const source = new Request("http://localhost/", { headers: { authorization: `Bearer ${token}` } })
          return Effect.exit(auth.authorizeOption).pipe(
            Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(source)),
            Effect.as(new WeakRef(source))
          )
        })
      const kept = yield* Effect.forEach(["a", "ab", "bad", "worse"], ask)
      // A `WeakRef` keeps its target alive until the end of the turn.
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      collect()
      assert.deepStrictEqual(
        kept.map((reference) => reference.deref()),
        [undefined, undefined, undefined, undefined]
      )
    }).pipe(Effect.provide(auth.layer(verifier().layer)), Effect.scoped)
  )

  it.effect("does not use a token from BearerToken.layerTest as the token of the request", () =>
    Effect.gen(function* () {
      const tokens = verifier()
      const handler = Effect.gen(function* () {
        const brought = yield* Effect.provide(currentUser, BearerToken.layerTest("abc"))
        const own = yield* auth.authorizeOption
        return HttpServerResponse.jsonUnsafe([brought, Option.map(own, (token) => token.subject)])
      })
      const app = HttpRouter.add("GET", "/", handler).pipe(
        HttpRouter.provideRequest(auth.layer(fromContext)),
        Layer.provide(tokens.layer)
      )
      const send = yield* serve(app)
      assert.include((yield* send("/", "a")).body, `"value":"a"`)
      assert.include((yield* send("/")).body, `"None"`)
      assert.deepStrictEqual(tokens.calls, ["abc", "a", "abc"])
    })
  )

  it.effect("returns None without credentials and fails with invalid credentials, as authorizeOption", () =>
    Effect.gen(function* () {
      const handler = Effect.map(auth.authorizeOption, (token) => HttpServerResponse.text(token._tag)).pipe(
        SecurityScopes.require("a")
      )
      const app = HttpRouter.add("GET", "/", handler).pipe(
        HttpRouter.provideRequest(auth.layer(fromContext)),
        Layer.provide(verifier().layer)
      )
      const send = yield* serve(app)
      assert.deepStrictEqual(summary(yield* send("/")), [200, null, "None"])
      assert.deepStrictEqual(summary(yield* send("/", "a")), [200, null, "Some"])
      assert.strictEqual((yield* send("/", "bad")).status, 401)
      assert.strictEqual((yield* send("/", "none")).challenge, `Bearer scope="a"`)
    })
  )
})

describe("auth.refuse", () => {
  it.effect("responds to an error of user code as the scheme does", () =>
    Effect.gen(function* () {
      const guard = auth
        .refuse(new SecurityError.InvalidToken({ reason: "Rejected" }))
        .pipe(SecurityScopes.require("a"))
      const send = yield* serve(HttpRouter.add("GET", "/", guard.pipe(SecurityScopes.require("b"))))
      assert.deepStrictEqual(summary(yield* send("/")), [
        401,
        `Bearer scope="b a"`,
        detail("Could not validate credentials")
      ])
    })
  )
})
