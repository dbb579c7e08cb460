import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option, Redacted, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { BearerToken, OAuth2, OptionalAccessToken, Requirement, SecurityError, TokenVerifier } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { verified } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"
import { auth, detail, summary } from "../support/schemeWithFourScopes.ts"

describe("the claims of a token", () => {
  const typed = OAuth2.authorizationCode("Typed", {
    ...authorizationServer,
    scopes: { a: "" },
    claims: Schema.Struct({ tenant: Schema.String, level: Schema.NumberFromString })
  })
  const handler = Effect.map(typed.granted("a"), ({ claims }) =>
    HttpServerResponse.jsonUnsafe({ tenant: claims.tenant.toUpperCase(), level: claims.level + 1 })
  )
  const app = HttpRouter.add("GET", "/", handler).pipe(typed.require("a"))
  const withClaims = (claims: Record<string, unknown>) =>
    TokenVerifier.layer({ verify: () => Effect.succeed({ ...verified("demo", ["a"]), claims }) })

  it.effect("are decoded by the scheme's schema, and the token is refused if they do not decode", () =>
    Effect.gen(function* () {
      const answer = (claims: Record<string, unknown>) =>
        Effect.flatMap(serve(app.pipe(Layer.provide(typed.layer(withClaims(claims))))), (send) =>
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

  it.effect("are typed for optional authentication, and absent for an anonymous request", () =>
    Effect.gen(function* () {
      const tenant = Effect.map(typed.optionalToken, (token) =>
        HttpServerResponse.text(Option.isSome(token) ? token.value.claims.tenant : "nobody")
      )
      const other = OAuth2.authorizationCode("Other", { ...authorizationServer, scopes: { a: "" } })
      const verifier = withClaims({ tenant: "t1", level: "1" })
      const send = yield* serve(
        Layer.mergeAll(
          HttpRouter.add("GET", "/optional", tenant).pipe(typed.optional()),
          HttpRouter.add("GET", "/required", tenant).pipe(typed.optional("a"), typed.require()),
          HttpRouter.add("GET", "/other", tenant).pipe(OAuth2.either(other.optional(), typed.optional()))
        ).pipe(Layer.provide([typed.layer(verifier), other.layer(verifier)]))
      )
      assert.strictEqual((yield* send("/optional", "t")).body, "t1")
      assert.strictEqual((yield* send("/optional")).body, "nobody")
      assert.strictEqual((yield* send("/required", "t")).body, "t1")
      assert.strictEqual((yield* send("/other", "t")).body, "nobody", "the other scheme verified the token")
    })
  )

  it.effect("are decoded by layerTest and layerTestGranted, too", () =>
    Effect.gen(function* () {
      const layer = typed.layerTest({ scopes: ["a"], claims: { tenant: "t1", level: "4" } })
      const send = yield* serve(app.pipe(Layer.provide(layer)))
      assert.strictEqual((yield* send("/")).body, `{"tenant":"T1","level":5}`)
      const level = Effect.map(typed.granted("a"), ({ claims }) => claims.level)
      const grant = typed.layerTestGranted({ scopes: ["a"], claims: { tenant: "t1", level: "6" } })
      assert.strictEqual(yield* Effect.provide(level, grant), 6)
    })
  )

  it.effect("cause a defect with an explanation if a test passes claims that do not decode", () =>
    Effect.gen(function* () {
      for (const layer of [
        typed.layerTest({ scopes: ["a"] }),
        typed.layerTestGranted({ claims: { tenant: 1, level: "6" } })
      ]) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(layer as Layer.Layer<unknown>)))
        assert(Exit.isFailure(exit))
        const { message } = Cause.squash(exit.cause) as Error
        assert.match(
          message,
          /^The claims schema cannot decode the claims given to layerTest or layerTestGranted of "Typed"\. .*"tenant"/s
        )
      }
    })
  )

  it.effect("are not needed for an anonymous test layer", () =>
    Effect.gen(function* () {
      const optional = HttpRouter.add(
        "GET",
        "/optional",
        Effect.map(OptionalAccessToken, (token) => HttpServerResponse.text(token._tag))
      ).pipe(typed.optional("a"))
      const send = yield* serve(Layer.merge(app, optional).pipe(Layer.provide(typed.layerTest("anonymous"))))
      assert.strictEqual((yield* send("/optional", "whatever")).body, "None")
      assert.deepStrictEqual(summary(yield* send("/", "whatever")), [401, "Bearer", detail("Not authenticated")])
      const exit = yield* Effect.exit(typed.authorize).pipe(
        Effect.provide([BearerToken.layerTest("whatever"), typed.layerTest("anonymous")])
      )
      assert(Exit.isFailure(exit))
    })
  )

  // A second scheme with a different claims schema.
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
    typed.layer(tokensOf("user", { tenant: "t1", level: "1" })),
    plans.layer(tokensOf("customer", { plan: "paid" }))
  )

  const user = Effect.map(typed.token, ({ claims, subject }) => `${subject} ${claims.tenant} ${claims.level + 1}`)
  const customer = Effect.map(plans.token, ({ claims, subject }) => `${subject} ${claims.plan}`)
  const both = Effect.map(Effect.all([user, customer]), (both) => both.join(", "))
  const text = Effect.map((value: string) => HttpServerResponse.text(value))

  const routes = Layer.mergeAll(
    HttpRouter.add("GET", "/user", text(user)).pipe(typed.require()),
    HttpRouter.add("GET", "/both", text(both)).pipe(plans.require("x"), typed.require("a")),
    HttpRouter.add("GET", "/around", text(both)).pipe(
      typed.require("a"),
      Layer.provide(HttpRouter.middleware(Effect.map(HttpServerResponse.setHeader("x-between", "1"))).layer),
      plans.require("x")
    ),
    HttpRouter.add("GET", "/either", text(user)).pipe(OAuth2.either(typed.require("a"), typed.require()))
  ).pipe(OAuth2.secured)

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
          .pipe(OAuth2.secured)
      )
    ),
    Layer.provide(HttpServer.layerServices)
  )

  for (const [name, app] of [
    ["HttpRouter", routes],
    ["HttpApi", served]
  ] as const) {
    it.effect(`are typed by each scheme's own schema in auth.token, in ${name}`, () =>
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

  it.effect("are typed inside auth.prove without HTTP", () =>
    Effect.gen(function* () {
      const program = (token: string) =>
        user.pipe(typed.prove("a"), Effect.provide([BearerToken.layerTest(token), layers]))
      assert.strictEqual(yield* program("t"), "user t1 2")
      assert.strictEqual((yield* Effect.flip(program("bad")))._tag, "InvalidToken")
    })
  )

  it.effect("are typed in authorizeOption inside an optional requirement, which does not verify the token again", () =>
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
        typed.optional("a"),
        Layer.provide(typed.layer(counting))
      )
      const send = yield* serve(app)
      assert.deepStrictEqual(summary(yield* send("/")), [200, null, "anonymous"])
      assert.deepStrictEqual(summary(yield* send("/", "t")), [200, null, "t1 2"])
      assert.strictEqual(calls, 1)
    })
  )

  describe("in auth.check", () => {
    const tenant = (name: string) => typed.check("tenant", ({ claims }) => Effect.succeed(claims.tenant === name))
    const level = (least: number) => typed.check("level", ({ claims }) => Effect.succeed(claims.level >= least))

    it.effect("are decoded by the scheme's schema", () =>
      Effect.gen(function* () {
        const get = (path: `/${string}`) => HttpRouter.add("GET", path, text(user))
        const either = Requirement.any(tenant("t2"), Requirement.all(tenant("t1"), level(1)))
        const app = Layer.mergeAll(
          get("/t1").pipe(typed.require("a", tenant("t1"))),
          get("/t2").pipe(typed.require("a", tenant("t2"))),
          get("/either").pipe(typed.require(either)),
          get("/both").pipe(typed.require(tenant("t1"), level(2)))
        )
        const send = yield* serve(app.pipe(Layer.provide(layers)))
        assert.deepStrictEqual(summary(yield* send("/t1", "t")), [200, null, "user t1 2"])
        assert.deepStrictEqual(summary(yield* send("/t2", "t")), [401, "Bearer", detail("Not enough permissions")])
        assert.strictEqual((yield* send("/either", "t")).status, 200)
        assert.strictEqual((yield* send("/both", "t")).status, 401)
      })
    )

    it("are never those of another scheme: it refuses the check, even if both schemes have the same name", () => {
      const twin = OAuth2.authorizationCode("Typed", { ...authorizationServer, scopes: { a: "" } })
      const foreign = Requirement.any("a", Requirement.all(tenant("t1")))
      const why = (scheme: string, method: string) =>
        `OAuth2.authorizationCode("${scheme}"): ${method} was given the check "tenant", which reads the claims of another scheme, "Typed". Make the check with this scheme's own check method, or with Requirement.check.`
      assert.throws(() => twin.require(foreign), TypeError, why("Typed", "require"))
      assert.throws(() => twin.optional(foreign), TypeError, why("Typed", "optional"))
      assert.throws(() => twin.prove(foreign), TypeError, why("Typed", "prove"))
      assert.throws(() => auth.require(foreign as never), TypeError, why("OAuth2", "require"))
      typed.require(foreign)
    })
  })
})
