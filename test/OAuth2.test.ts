import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, DateTime, Effect, Exit, Fiber, Layer, Option, Redacted, Schema } from "effect"
import { HttpEffect, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import {
  AccessToken,
  BearerToken,
  OAuth2,
  OptionalAccessToken,
  Requirement,
  SecurityError,
  SecurityScopes,
  TokenVerifier
} from "effect-oauth2"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { authorizationServer } from "./support/authorizationServer.ts"
import { Verifier, verified } from "./support/Verifier.ts"
import { type Answer, serve } from "./support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "", c: "", d: "" } })

const verifier = () => new Verifier({ none: [], a: ["a"], ab: ["a", "b"], abc: ["a", "b", "c"] })

/** Says who acts, and which scopes the handler sees as required. */
const whoAmI = Effect.gen(function* () {
  const token = yield* AccessToken
  const required = yield* SecurityScopes
  return HttpServerResponse.jsonUnsafe({ subject: token.subject, required: required.scopeStr })
})

const route = (path: `/${string}`, ...scopes: ReadonlyArray<"a" | "b" | "c" | "d">) =>
  HttpRouter.add("GET", path, whoAmI).pipe(Layer.provide(auth.require(...scopes).route.layer))

const summary = ({ body, challenge, status }: Answer) => [status, challenge, body]

const detail = (text: string) => `{"detail":"${text}"}`

describe("require", () => {
  it.effect("answers as FastAPI does", () =>
    Effect.gen(function* () {
      const tokens = verifier()
      const send = yield* serve(route("/", "a", "b").pipe(Layer.provide(auth.layer), Layer.provide(tokens.layer)))
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

  it.effect("answers as RFC 6750 says, where that is chosen", () =>
    Effect.gen(function* () {
      const strict = OAuth2.authorizationCode("OAuth2", {
        ...authorizationServer,
        scopes: { a: "", b: "" },
        responses: "rfc6750",
        realm: `the "api"`
      })
      const Routes = Layer.mergeAll(
        HttpRouter.add("GET", "/", whoAmI).pipe(Layer.provide(strict.require("a", "b").route.layer)),
        HttpRouter.add("GET", "/any", whoAmI).pipe(Layer.provide(strict.require().route.layer))
      )
      const send = yield* serve(Routes.pipe(Layer.provide(strict.layer), Layer.provide(verifier().layer)))
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

  it.effect("takes any valid token where no scope is asked for", () =>
    Effect.gen(function* () {
      const send = yield* serve(route("/").pipe(Layer.provide(auth.layer), Layer.provide(verifier().layer)))
      assert.deepStrictEqual(summary(yield* send("/", "none")), [200, null, `{"subject":"none","required":""}`])
      const bad = yield* send("/", "bad")
      assert.deepStrictEqual(summary(bad), [401, "Bearer", detail("Could not validate credentials")])
    })
  )

  describe("stacked", () => {
    const stacked = Layer.mergeAll(route("/inner", "c", "a"), route("/plain")).pipe(
      Layer.provide(auth.require("b", "a").route.layer),
      Layer.merge(route("/sibling", "d")),
      Layer.provide(auth.require("a").route.layer)
    )

    it.effect("accumulates, outermost first and each once; siblings are apart", () =>
      Effect.gen(function* () {
        const send = yield* serve(stacked.pipe(Layer.provide(auth.layer), Layer.provide(verifier().layer)))
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

    it.effect("verifies once", () =>
      Effect.gen(function* () {
        const tokens = verifier()
        const send = yield* serve(stacked.pipe(Layer.provide(auth.layer), Layer.provide(tokens.layer)))
        yield* send("/inner", "abc")
        assert.deepStrictEqual(tokens.calls, ["abc"])
        yield* send("/inner", "none")
        assert.deepStrictEqual(tokens.calls, ["abc", "none"])
        yield* send("/inner")
        yield* send("/inner", "not a token")
        assert.deepStrictEqual(tokens.calls, ["abc", "none"])
      })
    )

    it.effect("accumulates and verifies once with another middleware in between", () =>
      Effect.gen(function* () {
        const tokens = verifier()
        const between = HttpRouter.middleware((effect) =>
          Effect.map(effect, HttpServerResponse.setHeader("x-between", "1"))
        )
        const app = route("/", "b").pipe(
          Layer.provide(between.layer),
          Layer.provide(auth.require("a").route.layer),
          Layer.provide(auth.layer),
          Layer.provide(tokens.layer)
        )
        const send = yield* serve(app)
        const answer = yield* send("/", "ab")
        assert.deepStrictEqual(summary(answer), [200, null, `{"subject":"ab","required":"a b"}`])
        assert.strictEqual(answer.headers.get("x-between"), "1")
        assert.strictEqual((yield* send("/", "a")).challenge, `Bearer scope="a b"`)
        assert.deepStrictEqual(tokens.calls, ["ab", "a"])
      })
    )

    it.effect("asks both where the scheme is authenticated in two ways", () =>
      Effect.gen(function* () {
        const [inner, outer] = [new Verifier({ t: ["a"], u: ["a"] }), new Verifier({ t: ["b"] })]
        const app = route("/", "a").pipe(
          Layer.provide(auth.layer.pipe(Layer.provide(inner.layer))),
          Layer.provide(auth.require("b").route.layer),
          Layer.provide(Layer.fresh(auth.layer).pipe(Layer.provide(outer.layer)))
        )
        const send = yield* serve(app)
        yield* send("/", "t")
        yield* send("/", "u")
        assert.deepStrictEqual([inner.calls, outer.calls], [["t"], ["t", "u"]])
      })
    )

    it.effect("is the same by combine, where the later is the outer one", () =>
      Effect.gen(function* () {
        const app = HttpRouter.add("GET", "/", whoAmI).pipe(
          Layer.provide(auth.require("b").route.combine(auth.require("a").route).layer),
          Layer.provide(auth.layer),
          Layer.provide(verifier().layer)
        )
        const send = yield* serve(app)
        assert.deepStrictEqual(summary(yield* send("/", "ab")), [200, null, `{"subject":"ab","required":"a b"}`])
        assert.strictEqual((yield* send("/", "bad")).challenge, `Bearer scope="a b"`)
      })
    )
  })

  it.effect("answers before the handler sees the body", () =>
    Effect.gen(function* () {
      let handled = 0
      const app = HttpRouter.add(
        "POST",
        "/",
        Effect.sync(() => {
          handled++
          return HttpServerResponse.empty()
        })
      ).pipe(Layer.provide(auth.require("a").route.layer), Layer.provide(auth.layer), Layer.provide(verifier().layer))
      const send = yield* serve(app)
      assert.strictEqual((yield* send("/", undefined, { method: "POST", body: "{" })).status, 401)
      assert.strictEqual((yield* send("/", "none", { method: "POST", body: "{" })).status, 401)
      assert.strictEqual(handled, 0)
      assert.strictEqual((yield* send("/", "a", { method: "POST", body: "{" })).status, 204)
    })
  )

  it.effect("keeps concurrent requests apart", () =>
    Effect.gen(function* () {
      const slow = Effect.gen(function* () {
        for (let i = 0; i < 5; i++) yield* Effect.yieldNow
        const token = yield* AccessToken
        const credential = yield* BearerToken
        return HttpServerResponse.text(`${token.subject} ${Redacted.value(credential)}`)
      })
      const app = HttpRouter.add("GET", "/", slow).pipe(
        Layer.provide(auth.require().route.layer),
        Layer.provide(auth.layer),
        Layer.provide(verifier().layer)
      )
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

  it.effect("does not remember a verification for as long as a stream of the request may live", () =>
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
        Effect.provide(auth.layer.pipe(Layer.provide(tokens.layer)))
      )
    })
  )

  it.effect("does not remember a token for longer than it is good", () =>
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
        Effect.provide(auth.layer.pipe(Layer.provide(tokens)))
      )
    })
  )

  it.effect("remembers the request's own token and the last one that a program brought, however many it brings", () =>
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
        Effect.provide(auth.layer.pipe(Layer.provide(tokens.layer)))
      )
    })
  )

  it.effect("does not take a stub of the token's services for proof", () =>
    Effect.gen(function* () {
      const stubs = Layer.mergeAll(
        BearerToken.layerTest("abc"),
        Layer.succeed(AccessToken, verified("stub", ["a"])),
        Layer.succeed(OptionalAccessToken, Option.some(verified("stub", ["a"])))
      )
      const app = route("/", "a").pipe(
        HttpRouter.provideRequest(stubs),
        Layer.provide(stubs),
        Layer.provide(auth.layer),
        Layer.provide(verifier().layer),
        Layer.provide(stubs)
      )
      const send = yield* serve(app)
      assert.strictEqual((yield* send("/")).status, 401)
      assert.strictEqual((yield* send("/", "none")).status, 401)
      assert.include((yield* send("/", "a")).body, `"subject":"a"`)
    })
  )

  it.effect("verifies anew where the field was changed on the way", () =>
    Effect.gen(function* () {
      const tokens = verifier()
      const swap = HttpRouter.middleware((effect) =>
        Effect.updateService(effect, HttpServerRequest.HttpServerRequest, (request) =>
          request.modify({ headers: { ...request.headers, authorization: "Bearer none" } })
        )
      )
      const app = route("/", "b").pipe(
        Layer.provide(swap.layer),
        Layer.provide(auth.require("a").route.layer),
        Layer.provide(auth.layer),
        Layer.provide(tokens.layer)
      )
      const send = yield* serve(app)
      assert.strictEqual((yield* send("/", "ab")).status, 401)
      assert.deepStrictEqual(tokens.calls, ["ab", "none"])
    })
  )
})

describe("optional", () => {
  const greeting = Effect.map(OptionalAccessToken, (token) =>
    HttpServerResponse.text(Option.match(token, { onNone: () => "anonymous", onSome: ({ subject }) => subject }))
  )
  const app = HttpRouter.add("GET", "/", greeting).pipe(Layer.provide(auth.optional("a").route.layer))

  it.effect("takes anonymous requests and refuses bad tokens", () =>
    Effect.gen(function* () {
      const send = yield* serve(app.pipe(Layer.provide(auth.layer), Layer.provide(verifier().layer)))
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

  it.effect("is no longer optional inside or outside a requirement", () =>
    Effect.gen(function* () {
      const inside = HttpRouter.add("GET", "/inside", greeting).pipe(
        Layer.provide(auth.optional("a").route.layer),
        Layer.provide(auth.require("b").route.layer)
      )
      const outside = route("/outside", "b").pipe(Layer.provide(auth.optional("a").route.layer))
      const send = yield* serve(
        Layer.mergeAll(inside, outside).pipe(Layer.provide(auth.layer), Layer.provide(verifier().layer))
      )
      for (const path of ["/inside", "/outside"]) {
        assert.strictEqual((yield* send(path)).status, 401)
        assert.strictEqual((yield* send(path, "a")).status, 401)
        assert.strictEqual((yield* send(path, "ab")).status, 200)
      }
    })
  )
})

describe("authorize", () => {
  const currentUser = Effect.map(auth.authorize, (token) => token.subject)

  it.effect("verifies the bearer token against the scopes in force, without HTTP", () =>
    Effect.gen(function* () {
      const run = <A, E>(effect: Effect.Effect<A, E, BearerToken | OAuth2.Authentication<"OAuth2">>, token: string) =>
        effect.pipe(Effect.provide([BearerToken.layerTest(token), auth.layer.pipe(Layer.provide(verifier().layer))]))
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

  it.effect("asks for the scopes that are added with the scheme's own, and of its own tokens only", () =>
    Effect.gen(function* () {
      const other = OAuth2.authorizationCode("Other", { ...authorizationServer, scopes: { x: "" } })
      const schemes = Layer.merge(auth.layer, other.layer).pipe(Layer.provide(verifier().layer))
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
      assert.throws(() => auth.withScopes("e" as "a"), TypeError, `withScopes("e") is not declared`)
    })
  )

  it.effect("responds by itself in a handler, and verifies once a request, concurrent guards included", () =>
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
        HttpRouter.provideRequest(auth.layer),
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
    "verifies once a request where a handler opens a scope of its own, and anew where a request comes twice",
    () =>
      Effect.gen(function* () {
        const tokens = verifier()
        const { verify } = yield* Effect.provide(TokenVerifier, tokens.layer)
        const scheme = Layer.provide(
          auth.layer,
          Layer.succeed(TokenVerifier, { verify, invalidate: () => Effect.void })
        )
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

  it.effect("keeps nothing of a request that is over, however long the scope lives in which it was handled", () =>
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
      // A `WeakRef` holds what it was made of until the turn is over.
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      collect()
      assert.deepStrictEqual(
        kept.map((reference) => reference.deref()),
        [undefined, undefined, undefined, undefined]
      )
    }).pipe(Effect.provide(Layer.provide(auth.layer, verifier().layer)), Effect.scoped)
  )

  it.effect("a token that a program brings along is never taken for the request's own", () =>
    Effect.gen(function* () {
      const tokens = verifier()
      const handler = Effect.gen(function* () {
        const brought = yield* Effect.provide(currentUser, BearerToken.layerTest("abc"))
        const own = yield* auth.authorizeOption
        return HttpServerResponse.jsonUnsafe([brought, Option.map(own, (token) => token.subject)])
      })
      const app = HttpRouter.add("GET", "/", handler).pipe(
        HttpRouter.provideRequest(auth.layer),
        Layer.provide(tokens.layer)
      )
      const send = yield* serve(app)
      assert.include((yield* send("/", "a")).body, `"value":"a"`)
      assert.include((yield* send("/")).body, `"None"`)
      assert.deepStrictEqual(tokens.calls, ["abc", "a", "abc"])
    })
  )

  it.effect("is None without credentials and an error with bad ones, by authorizeOption", () =>
    Effect.gen(function* () {
      const handler = Effect.map(auth.authorizeOption, (token) => HttpServerResponse.text(token._tag)).pipe(
        SecurityScopes.require("a")
      )
      const app = HttpRouter.add("GET", "/", handler).pipe(
        HttpRouter.provideRequest(auth.layer),
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

describe("refuse", () => {
  it.effect("answers an error of the program's own as the scheme does", () =>
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

describe("layerRequest", () => {
  it.effect("gives an effect the token of its own request, never of another", () =>
    Effect.gen(function* () {
      const handler = Effect.gen(function* () {
        yield* Effect.yieldNow
        const token = yield* AccessToken
        const credential = yield* BearerToken
        return HttpServerResponse.text(`${token.subject} ${Redacted.value(credential)}`)
      }).pipe(Effect.provide(auth.layerRequest), SecurityScopes.require("a"))
      const app = HttpRouter.add("GET", "/", handler).pipe(
        HttpRouter.provideRequest(auth.layer),
        Layer.provide(verifier().layer)
      )
      const send = yield* serve(app)
      const names = Array.from({ length: 30 }, (_, i) => ["a", "ab", "abc", "none"][i % 4] ?? "a")
      const answers = yield* Effect.all(
        names.map((name) => send("/", name)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers.map(({ body }) => body),
        names.map((name) => (name === "none" ? detail("Not enough permissions") : `${name} ${name}`))
      )
    })
  )
})

describe("layerRequest, where one build serves several requests", () => {
  it.effect("is built anew for each, with one memo map and one scope for all", () =>
    Effect.gen(function* () {
      const memoMap = yield* Layer.makeMemoMap
      const scope = yield* Effect.scope
      const tokens = verifier()
      const scheme = yield* Layer.build(Layer.provide(auth.layer, tokens.layer))
      const names = ["a", "ab", "abc"]
      for (const name of [...names, ...names]) {
        const request = new Request("http://localhost/", { headers: { authorization: `Bearer ${name}` } })
        const context = yield* Layer.buildWithMemoMap(auth.layerRequest, memoMap, scope).pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(request)),
          Effect.provideContext(scheme)
        )
        assert.strictEqual(Context.get(context, AccessToken).subject, name)
        assert.strictEqual(Redacted.value(Context.get(context, BearerToken)), name)
      }
      assert.deepStrictEqual(tokens.calls, [...names, ...names])
    })
  )
})

describe("two schemes", () => {
  it.effect("verify by their own verifiers", () =>
    Effect.gen(function* () {
      const other = OAuth2.authorizationCode("Other", { ...authorizationServer, scopes: { x: "" } })
      const app = Layer.mergeAll(
        route("/", "a"),
        HttpRouter.add("GET", "/other", whoAmI).pipe(Layer.provide(other.require("x").route.layer))
      ).pipe(
        Layer.provide(auth.layer.pipe(Layer.provide(new Verifier({ t: ["a"] }).layer))),
        Layer.provide(other.layer.pipe(Layer.provide(new Verifier({ t: ["x"] }).layer)))
      )
      const send = yield* serve(app)
      assert.include((yield* send("/", "t")).body, `"required":"a"`)
      assert.include((yield* send("/other", "t")).body, `"required":"x"`)
    })
  )
})

describe("declaring", () => {
  const declare = (scope: string) =>
    OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { [scope]: "" } })

  it("refuses a scope that is no scope-token, and says which", () => {
    for (const scope of ["", " ", "a b", `a"b`, "a\\b", "a\tb", "a\u00a0b", "ä", "a\n"]) {
      assert.throws(() => declare(scope), TypeError, JSON.stringify(scope))
    }
    for (const scope of ["a", "!", "items:read", "https://example.com/.default", "[]^_`{|}~", "#"]) declare(scope)
  })

  it("refuses a flow whose URLs are not there", () => {
    const scopes = {}
    const bad: Readonly<Record<string, () => unknown>> = {
      tokenUrl: () => OAuth2.clientCredentials("S", { tokenUrl: undefined as never, scopes }),
      "tokenUrl ": () => OAuth2.authorizationCode("S", { authorizationUrl: "/authorize", scopes } as never),
      authorizationUrl: () => OAuth2.authorizationCode("S", { ...authorizationServer, authorizationUrl: "", scopes }),
      refreshUrl: () => OAuth2.clientCredentials("S", { tokenUrl: "/token", refreshUrl: " /token", scopes }),
      deviceAuthorizationUrl: () =>
        OAuth2.make("S", { flows: { deviceAuthorization: { tokenUrl: "/token" } as never }, scopes }),
      openIdConnectUrl: () => OAuth2.openIdConnect("S", { openIdConnectUrl: "", scopes }),
      "openIdConnectUrl ": () => OAuth2.openIdConnect("S", { openIdConnectUrl: undefined as never, scopes }),
      oauth2MetadataUrl: () =>
        OAuth2.clientCredentials("S", { tokenUrl: "/token", oauth2MetadataUrl: "no url", scopes })
    }
    for (const [name, declare] of Object.entries(bad)) {
      assert.throws(declare, TypeError, `${name.trim()} must be a URL`)
    }
    OAuth2.clientCredentials("S", { tokenUrl: "token", scopes })
  })

  it("refuses options that are none, past their types", () => {
    const flow = { tokenUrl: "/token" }
    const bad: Readonly<Record<string, () => unknown>> = {
      "name at least one flow": () => OAuth2.make("S", { scopes: {} } as never),
      "clientCredential is no flow": () => OAuth2.make("S", { flows: { clientCredential: flow } as never, scopes: {} }),
      "scopes says of each scope": () => OAuth2.clientCredentials("S", flow as never),
      "scopes says of each scope ": () => OAuth2.clientCredentials("S", { ...flow, scopes: ["a"] as never }),
      "responses must be": () =>
        OAuth2.clientCredentials("S", { ...flow, scopes: {}, responses: "FastAPI" as "fastapi" })
    }
    for (const [message, declare] of Object.entries(bad)) assert.throws(declare, TypeError, message.trim())
  })

  it("refuses names and realms that cannot be written", () => {
    assert.throws(() => OAuth2.authorizationCode("a b", { ...authorizationServer, scopes: {} }), TypeError, "a b")
    assert.throws(
      () => OAuth2.authorizationCode("A", { ...authorizationServer, scopes: {}, realm: "a\r\nx: y" }),
      TypeError,
      "realm"
    )
  })

  it("refuses to require what is not declared, and lists what is", () => {
    const undeclared = "items:delete" as "a"
    assert.throws(() => auth.require(undeclared), TypeError, `declared are "a", "b", "c", "d"`)
    assert.throws(() => auth.optional("toString" as "a"), TypeError, "toString")
  })

  it("keeps the URLs as they are given, relative ones too", () => {
    const scheme = OAuth2.authorizationCode("OAuth2", {
      authorizationUrl: "authorize",
      tokenUrl: "/token",
      refreshUrl: "refresh",
      scopes: {}
    })
    assert.deepStrictEqual(scheme.flows.authorizationCode, {
      authorizationUrl: "authorize",
      tokenUrl: "/token",
      refreshUrl: "refresh"
    })
  })
})

describe("claims", () => {
  const typed = OAuth2.authorizationCode("Typed", {
    ...authorizationServer,
    scopes: { a: "" },
    claims: Schema.Struct({ tenant: Schema.String, level: Schema.NumberFromString })
  })
  const handler = Effect.map(typed.granted("a"), ({ claims }) =>
    HttpServerResponse.jsonUnsafe({ tenant: claims.tenant.toUpperCase(), level: claims.level + 1 })
  )
  const app = HttpRouter.add("GET", "/", handler).pipe(Layer.provide(typed.require("a").route.layer))
  const withClaims = (claims: Record<string, unknown>) =>
    TokenVerifier.layer({ verify: () => Effect.succeed({ ...verified("demo", ["a"]), claims }) })

  it.effect("are what the scheme's schema makes of them, or the token is refused", () =>
    Effect.gen(function* () {
      const answer = (claims: Record<string, unknown>) =>
        Effect.flatMap(serve(app.pipe(Layer.provide(typed.layer), Layer.provide(withClaims(claims)))), (send) =>
          Effect.map(send("/", "t"), summary)
        )
      assert.deepStrictEqual(yield* answer({ tenant: "t1", level: "1", more: true }), [
        200,
        null,
        `{"tenant":"T1","level":2}`
      ])
      const refused = [401, `Bearer scope="a"`, detail("Could not validate credentials")]
      assert.deepStrictEqual(yield* answer({ tenant: 1, level: "1" }), refused)
      assert.deepStrictEqual(yield* answer({ tenant: "t1" }), refused)
    })
  )

  it.effect("decode in tests too", () =>
    Effect.gen(function* () {
      const layer = typed.layerTest({ scopes: ["a"], claims: { tenant: "t1", level: "4" } })
      const send = yield* serve(app.pipe(Layer.provide(layer)))
      assert.strictEqual((yield* send("/")).body, `{"tenant":"T1","level":5}`)
      const level = Effect.map(typed.granted("a"), ({ claims }) => claims.level)
      const grant = typed.grant({ scopes: ["a"], claims: { tenant: "t1", level: "6" } })
      assert.strictEqual(yield* Effect.provide(level, grant), 6)
    })
  )

  it.effect("are a defect that says what is wrong where a test gives others", () =>
    Effect.gen(function* () {
      for (const layer of [typed.layerTest({ scopes: ["a"] }), typed.grant({ claims: { tenant: 1, level: "6" } })]) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(layer as Layer.Layer<unknown>)))
        assert(Exit.isFailure(exit))
        const { message } = Cause.squash(exit.cause) as Error
        assert.match(
          message,
          /^The claims given to layerTest or grant of "Typed" are not those of the scheme: .*"tenant"/s
        )
      }
    })
  )

  it.effect("are not asked for where a test is anonymous", () =>
    Effect.gen(function* () {
      const optional = HttpRouter.add(
        "GET",
        "/optional",
        Effect.map(OptionalAccessToken, (token) => HttpServerResponse.text(token._tag))
      ).pipe(Layer.provide(typed.optional("a").route.layer))
      const send = yield* serve(Layer.merge(app, optional).pipe(Layer.provide(typed.layerTest("anonymous"))))
      assert.strictEqual((yield* send("/optional", "whatever")).body, "None")
      assert.deepStrictEqual(summary(yield* send("/", "whatever")), [401, "Bearer", detail("Not authenticated")])
      const exit = yield* Effect.exit(typed.authorize).pipe(
        Effect.provide([BearerToken.layerTest("whatever"), typed.layerTest("anonymous")])
      )
      assert(Exit.isFailure(exit))
    })
  )

  // A scheme whose tokens say other things.
  const plans = OAuth2.authorizationCode("Plans", {
    ...authorizationServer,
    scopes: { x: "" },
    claims: Schema.Struct({ plan: Schema.Literals(["free", "paid"]) })
  })
  const tokensOf = (subject: string, claims: Record<string, unknown>) =>
    TokenVerifier.layer({
      verify: (token) =>
        Redacted.value(token) === "bad"
          ? Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
          : Effect.succeed({ ...verified(subject, ["a", "x"]), claims })
    })
  const layers = Layer.merge(
    typed.layer.pipe(Layer.provide(tokensOf("user", { tenant: "t1", level: "1" }))),
    plans.layer.pipe(Layer.provide(tokensOf("customer", { plan: "paid" })))
  )

  const user = Effect.map(typed.accessToken, ({ claims, subject }) => `${subject} ${claims.tenant} ${claims.level + 1}`)
  const customer = Effect.map(plans.accessToken, ({ claims, subject }) => `${subject} ${claims.plan}`)
  const both = Effect.map(Effect.all([user, customer]), (both) => both.join(", "))
  const text = Effect.map((value: string) => HttpServerResponse.text(value))

  const routes = Layer.mergeAll(
    HttpRouter.add("GET", "/user", text(user)).pipe(Layer.provide(typed.require().route.layer)),
    HttpRouter.add("GET", "/both", text(both)).pipe(
      Layer.provide(plans.require("x").route.layer),
      Layer.provide(typed.require("a").route.layer)
    ),
    HttpRouter.add("GET", "/around", text(both)).pipe(
      Layer.provide(typed.require("a").route.layer),
      Layer.provide(HttpRouter.middleware(Effect.map(HttpServerResponse.setHeader("x-between", "1"))).layer),
      Layer.provide(plans.require("x").route.layer)
    ),
    HttpRouter.add("GET", "/either", text(user)).pipe(
      Layer.provide(OAuth2.either(typed.require("a"), typed.require()).route.layer)
    )
  ).pipe(OAuth2.proven)

  const success = Schema.String
  const Api = HttpApi.make("api")
    .add(
      HttpApiGroup.make("group")
        .add(HttpApiEndpoint.get("user", "/user", { success }).middleware(typed.require()))
        .add(
          HttpApiEndpoint.get("both", "/both", { success }).middleware(plans.require("x")).middleware(typed.require())
        )
        .add(HttpApiEndpoint.get("around", "/around", { success }).middleware(typed.require("a")))
        .add(
          HttpApiEndpoint.get("either", "/either", { success }).middleware(
            OAuth2.either(typed.require("a"), typed.require())
          )
        )
    )
    .middleware(plans.require())
  const served = HttpApiBuilder.layer(Api).pipe(
    Layer.provide(
      HttpApiBuilder.group(Api, "group", (handlers) =>
        handlers
          .handle("user", () => user)
          .handle("both", () => both)
          .handle("around", () => both)
          .handle("either", () => user)
          .pipe(OAuth2.proven)
      )
    ),
    Layer.provide(HttpServer.layerServices)
  )

  for (const [name, app] of [
    ["HttpRouter", routes],
    ["HttpApi", served]
  ] as const) {
    it.effect(`are typed on the scheme's access token, and each scheme has its own, in ${name}`, () =>
      Effect.gen(function* () {
        const send = yield* serve(app.pipe(Layer.provide(layers)))
        for (const [path, answer] of [
          ["/user", "user t1 2"],
          ["/either", "user t1 2"],
          ["/both", "user t1 2, customer paid"],
          ["/around", "user t1 2, customer paid"]
        ] as const) {
          const { body, status } = yield* send(path, "t")
          assert.deepStrictEqual([status, body], [200, name === "HttpApi" ? JSON.stringify(answer) : answer])
          assert.strictEqual((yield* send(path)).status, 401)
          assert.strictEqual((yield* send(path, "bad")).status, 401)
        }
      })
    )
  }

  it.effect("are typed without HTTP, where a message's token is proven", () =>
    Effect.gen(function* () {
      const program = (token: string) =>
        user.pipe(typed.prove("a"), Effect.provide([BearerToken.layerTest(token), layers]))
      assert.strictEqual(yield* program("t"), "user t1 2")
      assert.strictEqual((yield* Effect.flip(program("bad")))._tag, "InvalidToken")
    })
  )

  it.effect("are typed where the token is optional, by authorizeOption, which verifies nothing again", () =>
    Effect.gen(function* () {
      let calls = 0
      const counting = TokenVerifier.layer({
        verify: () =>
          Effect.sync(() => {
            calls++
            return { ...verified("user", ["a"]), claims: { tenant: "t1", level: "1" } }
          })
      })
      const greeting = Effect.map(
        typed.authorizeOption,
        Option.match({ onNone: () => "anonymous", onSome: ({ claims }) => `${claims.tenant} ${claims.level + 1}` })
      )
      const app = HttpRouter.add("GET", "/", text(greeting)).pipe(
        Layer.provide(typed.optional("a").route.layer),
        Layer.provide(typed.layer.pipe(Layer.provide(counting)))
      )
      const send = yield* serve(app)
      assert.deepStrictEqual(summary(yield* send("/")), [200, null, "anonymous"])
      assert.deepStrictEqual(summary(yield* send("/", "t")), [200, null, "t1 2"])
      assert.strictEqual(calls, 1)
    })
  )

  describe("in a check of the scheme's own", () => {
    const tenant = (name: string) => typed.check("tenant", ({ claims }) => Effect.succeed(claims.tenant === name))
    const level = (least: number) => typed.check("level", ({ claims }) => Effect.succeed(claims.level >= least))

    it.effect("are what the schema makes of them", () =>
      Effect.gen(function* () {
        const get = (path: `/${string}`) => HttpRouter.add("GET", path, text(user))
        const either = Requirement.any(tenant("t2"), Requirement.all(tenant("t1"), level(1)))
        const app = Layer.mergeAll(
          get("/t1").pipe(Layer.provide(typed.require("a", tenant("t1")).route.layer)),
          get("/t2").pipe(Layer.provide(typed.require("a", tenant("t2")).route.layer)),
          get("/either").pipe(Layer.provide(typed.require(either).route.layer)),
          get("/both").pipe(Layer.provide(typed.require(tenant("t1"), level(2)).route.layer))
        )
        const send = yield* serve(app.pipe(Layer.provide(layers)))
        assert.deepStrictEqual(summary(yield* send("/t1", "t")), [200, null, "user t1 2"])
        assert.deepStrictEqual(summary(yield* send("/t2", "t")), [401, "Bearer", detail("Not enough permissions")])
        assert.strictEqual((yield* send("/either", "t")).status, 200)
        assert.strictEqual((yield* send("/both", "t")).status, 401)
      })
    )

    it("are no other scheme's, whatever its name: its requirement is not made", () => {
      const twin = OAuth2.authorizationCode("Typed", { ...authorizationServer, scopes: { a: "" } })
      const foreign = Requirement.any("a", Requirement.all(tenant("t1")))
      const why = (scheme: string, method: string) =>
        `OAuth2.authorizationCode("${scheme}"): ${method} was given the check "tenant" of another scheme, "Typed", whose claims it reads; make it with this scheme's own check, or with Requirement.check, which is for every scheme.`
      assert.throws(() => twin.require(foreign), TypeError, why("Typed", "require"))
      assert.throws(() => twin.optional(foreign), TypeError, why("Typed", "optional"))
      assert.throws(() => twin.prove(foreign), TypeError, why("Typed", "prove"))
      assert.throws(() => auth.require(foreign as never), TypeError, why("OAuth2", "require"))
      typed.require(foreign)
    })
  })
})
