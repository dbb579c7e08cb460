import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Option, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import {
  AccessToken,
  BearerToken,
  OAuth2,
  OptionalAccessToken,
  SecurityError,
  SecurityScopes,
  TokenVerifier
} from "effect-oauth2"
import { TestClock } from "effect/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import { Verifier, verified } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"
import { auth, detail, summary, verifier } from "../support/schemeWithFourScopes.ts"
import { fromContext } from "../support/contextVerifier.ts"

/** Responds with the subject and the scopes that the handler sees as required. */
const whoAmI = Effect.gen(function* () {
  const token = yield* AccessToken
  const required = yield* SecurityScopes
  return HttpServerResponse.jsonUnsafe({ subject: token.subject, required: required.scopeStr })
})

const route = (path: `/${string}`, ...scopes: ReadonlyArray<"a" | "b" | "c" | "d">) =>
  HttpRouter.add("GET", path, whoAmI).pipe(auth.require(...scopes))

describe("auth.require", () => {
  it.effect("responds as FastAPI does by default", () =>
    Effect.gen(function* () {
      const tokens = verifier()
      const send = yield* serve(route("/", "a", "b").pipe(Layer.provide(auth.layer(tokens.layer))))
      assert.deepStrictEqual(summary(yield* send("/", "ab")), [200, null, `{"subject":"ab","required":"a b"}`])
      assert.deepStrictEqual(summary(yield* send("/")), [401, "Bearer", detail("Not authenticated")])
      assert.deepStrictEqual(summary(yield* send("/", "x y")), [401, "Bearer", detail("Not authenticated")])
      const bad = yield* send("/", "bad")
      assert.deepStrictEqual(summary(bad), [401, `Bearer scope="a b"`, detail("Could not validate credentials")])
      const few = yield* send("/", "a")
      assert.deepStrictEqual(summary(few), [401, `Bearer scope="a b"`, detail("Not enough permissions")])
      const outage = yield* send("/", "outage")
      assert.deepStrictEqual(summary(outage), [503, null, detail("Authorization server unavailable")])
      assert.strictEqual(outage.headers.get("retry-after"), "5")
    })
  )

  it.effect("responds as RFC 6750 says with the option responses: rfc6750", () =>
    Effect.gen(function* () {
      const strict = OAuth2.authorizationCode("OAuth2", {
        ...authorizationServer,
        scopes: { a: "", b: "" },
        responses: "rfc6750",
        realm: `the "api"`
      })
      const Routes = Layer.mergeAll(
        HttpRouter.add("GET", "/", whoAmI).pipe(strict.require("a", "b")),
        HttpRouter.add("GET", "/any", whoAmI).pipe(strict.require())
      )
      const send = yield* serve(Routes.pipe(Layer.provide(strict.layer(verifier().layer))))
      const challenges = [
        yield* send("/"),
        yield* send("/", "x y"),
        yield* send("/", "bad"),
        yield* send("/", "a"),
        yield* send("/any"),
        yield* send("/any", "bad"),
        yield* send("/any", "none")
      ].map(({ challenge, status }) => [status, challenge])
      assert.deepStrictEqual(challenges, [
        [401, `Bearer realm="the \\"api\\"", scope="a b"`],
        [400, `Bearer error="invalid_request"`],
        [401, `Bearer error="invalid_token", scope="a b"`],
        [403, `Bearer error="insufficient_scope", scope="a b"`],
        [401, `Bearer realm="the \\"api\\""`],
        [401, `Bearer error="invalid_token"`],
        [200, null]
      ])
    })
  )

  it.effect("accepts any valid token without scopes", () =>
    Effect.gen(function* () {
      const send = yield* serve(route("/").pipe(Layer.provide(auth.layer(verifier().layer))))
      assert.deepStrictEqual(summary(yield* send("/", "none")), [200, null, `{"subject":"none","required":""}`])
      const bad = yield* send("/", "bad")
      assert.deepStrictEqual(summary(bad), [401, "Bearer", detail("Could not validate credentials")])
    })
  )

  describe("nested", () => {
    const stacked = Layer.mergeAll(route("/inner", "c", "a"), route("/plain")).pipe(
      auth.require("b", "a"),
      Layer.merge(route("/sibling", "d")),
      auth.require("a")
    )

    it.effect("accumulates scopes once each and outermost first, without those of siblings", () =>
      Effect.gen(function* () {
        const send = yield* serve(stacked.pipe(Layer.provide(auth.layer(verifier().layer))))
        assert.deepStrictEqual(summary(yield* send("/inner", "abc")), [
          200,
          null,
          `{"subject":"abc","required":"a b c"}`
        ])
        assert.deepStrictEqual(summary(yield* send("/plain", "ab")), [200, null, `{"subject":"ab","required":"a b"}`])
        assert.strictEqual((yield* send("/inner", "none")).challenge, `Bearer scope="a b c"`)
        assert.strictEqual((yield* send("/sibling", "none")).challenge, `Bearer scope="a d"`)
      })
    )

    it.effect("verifies the token once", () =>
      Effect.gen(function* () {
        const tokens = verifier()
        const send = yield* serve(stacked.pipe(Layer.provide(auth.layer(tokens.layer))))
        yield* send("/inner", "abc")
        assert.deepStrictEqual(tokens.calls, ["abc"])
        yield* send("/inner", "none")
        assert.deepStrictEqual(tokens.calls, ["abc", "none"])
        yield* send("/inner")
        yield* send("/inner", "not a token")
        assert.deepStrictEqual(tokens.calls, ["abc", "none"])
      })
    )

    it.effect("accumulates scopes and verifies once with other middleware in between", () =>
      Effect.gen(function* () {
        const tokens = verifier()
        const between = HttpRouter.middleware((effect) =>
          Effect.map(effect, HttpServerResponse.setHeader("x-between", "1"))
        )
        const app = route("/", "b").pipe(
          Layer.provide(between.layer),
          auth.require("a"),
          Layer.provide(auth.layer(tokens.layer))
        )
        const send = yield* serve(app)
        const answer = yield* send("/", "ab")
        assert.deepStrictEqual(summary(answer), [200, null, `{"subject":"ab","required":"a b"}`])
        assert.strictEqual(answer.headers.get("x-between"), "1")
        assert.strictEqual((yield* send("/", "a")).challenge, `Bearer scope="a b"`)
        assert.deepStrictEqual(tokens.calls, ["ab", "a"])
      })
    )

    it.effect("asks both verifiers if two layers of the scheme have different verifiers", () =>
      Effect.gen(function* () {
        const [inner, outer] = [new Verifier({ t: ["a"], u: ["a"] }), new Verifier({ t: ["b"] })]
        const app = route("/", "a").pipe(
          Layer.provide(auth.layer(inner.layer)),
          auth.require("b"),
          Layer.provide(Layer.fresh(auth.layer(fromContext)).pipe(Layer.provide(outer.layer)))
        )
        const send = yield* serve(app)
        yield* send("/", "t")
        yield* send("/", "u")
        assert.deepStrictEqual([inner.calls, outer.calls], [["t"], ["t", "u"]])
      })
    )

    it.effect("accumulates scopes with combine, whose argument is the outer requirement", () =>
      Effect.gen(function* () {
        const app = HttpRouter.add("GET", "/", whoAmI).pipe(
          Layer.provide(auth.require("b").route.combine(auth.require("a").route).layer),
          Layer.provide(auth.layer(verifier().layer))
        )
        const send = yield* serve(app)
        assert.deepStrictEqual(summary(yield* send("/", "ab")), [200, null, `{"subject":"ab","required":"a b"}`])
        assert.strictEqual((yield* send("/", "bad")).challenge, `Bearer scope="a b"`)
      })
    )
  })

  it.effect("refuses a request before the handler runs", () =>
    Effect.gen(function* () {
      let handled = 0
      const app = HttpRouter.add(
        "POST",
        "/",
        Effect.sync(() => {
          handled++
          return HttpServerResponse.empty()
        })
      ).pipe(auth.require("a"), Layer.provide(auth.layer(verifier().layer)))
      const send = yield* serve(app)
      assert.strictEqual((yield* send("/", undefined, { method: "POST", body: "{" })).status, 401)
      assert.strictEqual((yield* send("/", "none", { method: "POST", body: "{" })).status, 401)
      assert.strictEqual(handled, 0)
      assert.strictEqual((yield* send("/", "a", { method: "POST", body: "{" })).status, 204)
    })
  )

  it.effect("provides each concurrent request with its own token", () =>
    Effect.gen(function* () {
      const slow = Effect.gen(function* () {
        for (let i = 0; i < 5; i++) yield* Effect.yieldNow
        const token = yield* AccessToken
        const credential = yield* BearerToken
        return HttpServerResponse.text(`${token.subject} ${Redacted.value(credential)}`)
      })
      const app = HttpRouter.add("GET", "/", slow).pipe(auth.require(), Layer.provide(auth.layer(verifier().layer)))
      const send = yield* serve(app)
      const names = Array.from({ length: 60 }, (_, i) => ["a", "ab", "abc"][i % 3] ?? "a")
      const answers = yield* Effect.all(
        names.map((name) => send("/", name)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers.map(({ body }) => body),
        names.map((name) => `${name} ${name}`)
      )
    })
  )

  it.effect("verifies the token of a long request again after 30 seconds", () =>
    Effect.gen(function* () {
      const tokens = verifier()
      const request = HttpServerRequest.fromWeb(
        new Request("http://localhost/", { headers: { authorization: "Bearer a" } })
      )
      const twice = Effect.gen(function* () {
        yield* auth.authorizeOption
        yield* TestClock.adjust("29 seconds")
        yield* auth.authorizeOption
        assert.deepStrictEqual(tokens.calls, ["a"])
        yield* TestClock.adjust("1 second")
        yield* auth.authorizeOption
        assert.deepStrictEqual(tokens.calls, ["a", "a"])
      })
      yield* twice.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, request),
        Effect.provide(auth.layer(tokens.layer))
      )
    })
  )

  it.effect("verifies the token of a request again when the token expires", () =>
    Effect.gen(function* () {
      const expiresAt = DateTime.makeUnsafe(10_000)
      let calls = 0
      const tokens = TokenVerifier.layer({
        cache: false,
        verify: () =>
          Effect.flatMap(DateTime.now, (now) => {
            calls++
            return DateTime.isLessThan(now, expiresAt)
              ? Effect.succeed({ ...verified("a", ["a"]), expiresAt })
              : Effect.fail(new SecurityError.InvalidToken({ reason: "Expired" }))
          })
      })
      const request = HttpServerRequest.fromWeb(
        new Request("http://localhost/", { headers: { authorization: "Bearer a" } })
      )
      const program = Effect.gen(function* () {
        yield* auth.authorizeOption
        yield* TestClock.adjust("9 seconds")
        yield* auth.authorizeOption
        assert.strictEqual(calls, 1)
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Effect.flip(auth.authorizeOption))._tag, "InvalidToken")
        assert.strictEqual(calls, 2)
      })
      yield* program.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, request),
        Effect.provide(auth.layer(tokens))
      )
    })
  )

  it.effect("remembers only the token of the request and the last token from BearerToken", () =>
    Effect.gen(function* () {
      const tokens = verifier()
      const request = HttpServerRequest.fromWeb(
        new Request("http://localhost/", { headers: { authorization: "Bearer a" } })
      )
      const bring = (token: string) => Effect.exit(auth.authorize.pipe(Effect.provide(BearerToken.layerTest(token))))
      const program = Effect.gen(function* () {
        yield* auth.authorizeOption
        for (const token of ["x", "x", "y", "y", "a", "x"]) yield* bring(token)
        yield* auth.authorizeOption
        assert.deepStrictEqual(tokens.calls, ["a", "x", "y", "x"])
      })
      yield* program.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, request),
        Effect.provide(auth.layer(tokens.layer))
      )
    })
  )

  it.effect("does not accept stubs of the token services as proof", () =>
    Effect.gen(function* () {
      const stubs = Layer.mergeAll(
        BearerToken.layerTest("abc"),
        Layer.succeed(AccessToken, verified("stub", ["a"])),
        Layer.succeed(OptionalAccessToken, Option.some(verified("stub", ["a"])))
      )
      const app = route("/", "a").pipe(
        HttpRouter.provideRequest(stubs),
        Layer.provide(stubs),
        Layer.provide(auth.layer(verifier().layer)),
        Layer.provide(stubs)
      )
      const send = yield* serve(app)
      assert.strictEqual((yield* send("/")).status, 401)
      assert.strictEqual((yield* send("/", "none")).status, 401)
      assert.include((yield* send("/", "a")).body, `"subject":"a"`)
    })
  )

  it.effect("verifies again if middleware changes the Authorization header", () =>
    Effect.gen(function* () {
      const tokens = verifier()
      const swap = HttpRouter.middleware((effect) =>
        Effect.updateService(effect, HttpServerRequest.HttpServerRequest, (request) =>
          request.modify({ headers: { ...request.headers, authorization: "Bearer none" } })
        )
      )
      const app = route("/", "b").pipe(
        Layer.provide(swap.layer),
        auth.require("a"),
        Layer.provide(auth.layer(tokens.layer))
      )
      const send = yield* serve(app)
      assert.strictEqual((yield* send("/", "ab")).status, 401)
      assert.deepStrictEqual(tokens.calls, ["ab", "none"])
    })
  )
})

describe("auth.optional", () => {
  const greeting = Effect.map(OptionalAccessToken, (token) =>
    HttpServerResponse.text(Option.match(token, { onNone: () => "anonymous", onSome: ({ subject }) => subject }))
  )
  const app = HttpRouter.add("GET", "/", greeting).pipe(auth.optional("a"))

  it.effect("accepts anonymous requests and refuses invalid tokens", () =>
    Effect.gen(function* () {
      const send = yield* serve(app.pipe(Layer.provide(auth.layer(verifier().layer))))
      assert.deepStrictEqual(summary(yield* send("/")), [200, null, "anonymous"])
      const basic = yield* send("/", undefined, { headers: { authorization: "Basic eDp5" } })
      assert.deepStrictEqual(summary(basic), [200, null, "anonymous"])
      assert.deepStrictEqual(summary(yield* send("/", "a")), [200, null, "a"])
      assert.strictEqual((yield* send("/", "bad")).challenge, `Bearer scope="a"`)
      assert.deepStrictEqual(summary(yield* send("/", "none")), [
        401,
        `Bearer scope="a"`,
        detail("Not enough permissions")
      ])
      assert.strictEqual((yield* send("/", "not a token")).status, 401)
      assert.strictEqual((yield* send("/", "outage")).status, 503)
    })
  )

  it.effect("is not optional anymore inside or outside auth.require", () =>
    Effect.gen(function* () {
      const inside = HttpRouter.add("GET", "/inside", greeting).pipe(auth.optional("a"), auth.require("b"))
      const outside = route("/outside", "b").pipe(auth.optional("a"))
      const send = yield* serve(Layer.mergeAll(inside, outside).pipe(Layer.provide(auth.layer(verifier().layer))))
      for (const path of ["/inside", "/outside"]) {
        assert.strictEqual((yield* send(path)).status, 401)
        assert.strictEqual((yield* send(path, "a")).status, 401)
        assert.strictEqual((yield* send(path, "ab")).status, 200)
      }
    })
  )
})

describe("two schemes", () => {
  it.effect("verify tokens with their own verifiers", () =>
    Effect.gen(function* () {
      const other = OAuth2.authorizationCode("Other", { ...authorizationServer, scopes: { x: "" } })
      const app = Layer.mergeAll(
        route("/", "a"),
        HttpRouter.add("GET", "/other", whoAmI).pipe(other.require("x"))
      ).pipe(
        Layer.provide(auth.layer(new Verifier({ t: ["a"] }).layer)),
        Layer.provide(other.layer(new Verifier({ t: ["x"] }).layer))
      )
      const send = yield* serve(app)
      assert.include((yield* send("/", "t")).body, `"required":"a"`)
      assert.include((yield* send("/other", "t")).body, `"required":"x"`)
    })
  )
})
