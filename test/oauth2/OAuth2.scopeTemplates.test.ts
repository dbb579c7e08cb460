/** Scopes with placeholders: values from paths, headers and services, hostile values, and what documents show. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Context, Effect, Exit, Layer, Logger, Redacted, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware, OpenApi } from "effect/http-api"
import {
  BearerToken,
  OAuth2,
  OpenApiSecurity,
  Requirement,
  SecurityError,
  SecurityScopes,
  TokenVerifier
} from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { verified } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  scopes: { a: "", "read:{org}": "Read one organization", "write:{org}": "", "by:{org}:{team}": "" },
  implies: { "write:{org}": ["read:{org}"] },
  responses: "rfc6750"
})

class Tenants extends Context.Service<Tenants, (name: string | undefined) => string | undefined>()("test/Tenants") {}

const header = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-org"])
const fromHeader = auth.scopeOf(
  "read:{org}",
  Effect.map(header, (org) => ({ org }))
)
const fromService = auth.scopeOf(
  "read:{org}",
  Effect.gen(function* () {
    const find = yield* Tenants
    return { org: find(yield* header) }
  })
)

const tenants = Layer.succeed(Tenants, (name) => (name === "acme" ? "t1" : undefined))

/** The scopes that handlers receive, and what they have proven. */
const handler = Effect.gen(function* () {
  const { scopeStr } = yield* SecurityScopes
  const token = yield* auth.granted("read:{org}")
  return HttpServerResponse.text(`${token.subject} [${scopeStr}]`)
})

type Guard = OAuth2.SecurityRequirement<"OAuth2", any, never, any>

const adapters = {
  HttpRouter: (path: `/${string}`, guard: Guard) =>
    HttpRouter.add("GET", path, handler as Effect.Effect<HttpServerResponse.HttpServerResponse>).pipe(guard),
  HttpApi: (path: `/${string}`, guard: Guard) => {
    const endpoint = HttpApiEndpoint.get("get", path, { success: Schema.String })
    const Api = HttpApi.make("api").add(HttpApiGroup.make("g").add(endpoint).middleware(guard))
    const Group = HttpApiBuilder.group(Api, "g", (handlers) => handlers.handle("get", () => handler as never))
    return HttpApiBuilder.layer(Api).pipe(Layer.provide([Group, HttpServer.layerServices]))
  }
}

/** The text of a token lists its scopes, in base64url because they may have any characters. */
const verifier = TokenVerifier.layer({
  verify: (token) => {
    const scopes = Buffer.from(Redacted.value(token), "base64url").toString().split(" ")
    return Effect.succeed(verified("demo", scopes))
  }
})
const tokenOf = (scopes: string) => Buffer.from(scopes).toString("base64url")

const served = (adapter: keyof typeof adapters, path: `/${string}`, guard: Guard) =>
  Effect.map(
    serve(
      adapters[adapter](path, guard).pipe(
        Layer.provide([auth.layer(verifier), tenants, Logger.layer([])])
      ) as Layer.Layer<never, never, HttpRouter.HttpRouter>
    ),
    (send) => (path: string, scopes: string | undefined, org?: string) =>
      Effect.map(
        send(path, scopes === undefined ? undefined : tokenOf(scopes), {
          headers: org === undefined ? {} : { "x-org": org }
        }),
        ({ body, challenge, status }) => [status, challenge ?? body] as const
      )
  )

const insufficient = (scope: string) =>
  [403, `Bearer ${scope === "" ? 'realm="OAuth2"' : `error="insufficient_scope", scope="${scope}"`}`] as const

for (const adapter of ["HttpRouter", "HttpApi"] as const) {
  describe(`a scope with a placeholder, ${adapter}`, () => {
    it.effect("takes its value from a header by scopeOf", () =>
      Effect.gen(function* () {
        const ask = yield* served(adapter, "/", auth.require(fromHeader))
        assert.deepStrictEqual(yield* ask("/", "read:acme", "acme"), [200, "demo [read:acme]"])
        assert.deepStrictEqual(yield* ask("/", "write:acme", "acme"), [200, "demo [read:acme]"])
        assert.deepStrictEqual(yield* ask("/", "read:acme", "other"), insufficient("read:other"))
        assert.deepStrictEqual(yield* ask("/", undefined, "acme"), [401, 'Bearer realm="OAuth2", scope="read:acme"'])
        assert.deepStrictEqual(yield* ask("/", "read:acme read:undefined read:"), insufficient(""))
        assert.deepStrictEqual(yield* ask("/", undefined), [401, 'Bearer realm="OAuth2"'])
        const [longest, tooLong] = ["a".repeat(256), "a".repeat(257)]
        assert.strictEqual((yield* ask("/", `read:${longest}`, longest))[0], 200)
        assert.deepStrictEqual(yield* ask("/", `read:${tooLong}`, tooLong), insufficient(""))
      })
    )

    it.effect("takes its value from a service around the requirement", () =>
      Effect.gen(function* () {
        const ask = yield* served(adapter, "/", auth.require("a", fromService))
        assert.deepStrictEqual(yield* ask("/", "a read:t1", "acme"), [200, "demo [a read:t1]"])
        assert.deepStrictEqual(yield* ask("/", "a read:acme", "acme"), insufficient("a read:t1"))
        assert.deepStrictEqual(yield* ask("/", "a read:t1 read:other", "other"), insufficient(""))
      })
    )

    it.effect("refuses hostile values of a path without a broken header, and grants nothing", () =>
      Effect.gen(function* () {
        const ask = yield* served(adapter, "/orgs/:org", auth.require("read:{org}"))
        for (const value of [
          " ",
          "acme other",
          "acme\tother",
          'acme"',
          'acme", error="none',
          "acme\\",
          "acme\r\nx-injected: 1",
          "acme:read",
          "*",
          "acme*",
          "{org}",
          "acme}",
          "a\u0000",
          "acmé",
          "аcme",
          "acme\u200b",
          "😀"
        ]) {
          const path = `/orgs/${encodeURIComponent(value)}`
          const everything = ["read:acme", "read:{org}", "read:*", "read:acme:read", `read:${value}`, "read:"].join(" ")
          assert.deepStrictEqual(yield* ask(path, everything), insufficient(""), JSON.stringify(value))
          assert.deepStrictEqual(yield* ask(path, undefined), [401, 'Bearer realm="OAuth2"'], JSON.stringify(value))
        }
        for (const value of ["acme", "acme.com", "a-b_c~d", "user@acme", "constructor", "__proto__", "a".repeat(100)]) {
          assert.strictEqual((yield* ask(`/orgs/${value}`, `read:${value}`))[0], 200, value)
          assert.deepStrictEqual(yield* ask(`/orgs/${value}`, "read:other"), insufficient(`read:${value}`))
        }
      })
    )

    it.effect("keeps segments apart", () =>
      Effect.gen(function* () {
        const guard = auth.require("by:{org}:{team}", "read:{org}")
        const ask = yield* served(adapter, "/:org/:team", guard)
        assert.strictEqual((yield* ask("/a/b", "by:a:b read:a"))[0], 200)
        assert.deepStrictEqual(yield* ask("/b/a", "by:a:b read:b"), insufficient("by:b:a read:b"))
        assert.deepStrictEqual(yield* ask("/a%3Ab/c", "by:a:b:c read:a:b"), insufficient(""))
      })
    )

    it.effect("fails with a defect if the route has no such parameter", () =>
      Effect.gen(function* () {
        const ask = yield* served(adapter, "/items/:id", auth.require("read:{org}"))
        assert.strictEqual((yield* ask("/items/acme", "read:acme read:{org}"))[0], 500)
      })
    )
  })
}

describe("a scope with a placeholder", () => {
  const asked = (scopes: ReadonlyArray<string>) =>
    Layer.merge(BearerToken.layerTest(tokenOf(scopes.join(" "))), Layer.orDie(auth.layer(verifier)))

  it.effect("works with auth.prove and scopeOf outside HTTP, and dies without scopeOf", () =>
    Effect.gen(function* () {
      const guarded = Effect.map(auth.granted("read:{org}"), ({ subject }) => subject).pipe(
        auth.prove(auth.scopeOf("read:{org}", Effect.succeed({ org: "acme" })))
      )
      assert.strictEqual(yield* Effect.provide(guarded, asked(["read:acme"])), "demo")
      const error = yield* Effect.flip(Effect.provide(guarded, asked(["read:other", "read:{org}"])))
      assert(error instanceof SecurityError.InsufficientScope)
      assert.deepStrictEqual([error.required, error.missing], [["read:acme"], ["read:acme"]])
      const invalid = Effect.void.pipe(auth.prove(auth.scopeOf("read:{org}", Effect.succeed({ org: "*" }))))
      const refused = yield* Effect.flip(Effect.provide(invalid, asked(["read:*"])))
      assert(refused instanceof SecurityError.FailedCheck)
      assert.deepStrictEqual(refused.checks, ["read:{org}"])
      const exit = yield* Effect.exit(Effect.provide(Effect.void.pipe(auth.prove("read:{org}")), asked(["read:acme"])))
      assert(Exit.isFailure(exit))
      assert.include(
        String(exit.cause),
        'The scope "read:{org}" needs the path parameter "org", but does not run in a route. Give the placeholder the name of a path parameter, or compute its value with auth.scopeOf.'
      )
    })
  )

  it.effect("with an invalid value leaves the other alternative of any()", () =>
    Effect.gen(function* () {
      const guarded = Effect.succeed("ran").pipe(
        auth.prove(Requirement.any(auth.scopeOf("read:{org}", Effect.succeed({ org: "b c" })), "a"))
      )
      assert.strictEqual(yield* Effect.provide(guarded, asked(["a"])), "ran")
      const error = yield* Effect.flip(Effect.provide(guarded, asked(["read:b", "read:{org}"])))
      assert(error instanceof SecurityError.InsufficientScope)
      assert.deepStrictEqual([error.required, error.checks], [["a"], ["read:{org}"]])
    })
  )

  it.effect("is refused if an optional path parameter is missing", () =>
    Effect.gen(function* () {
      const ask = yield* served("HttpRouter", "/orgs/:org?", auth.require("read:{org}"))
      assert.deepStrictEqual(yield* ask("/orgs", "read:acme read: read:undefined"), insufficient(""))
      assert.strictEqual((yield* ask("/orgs/acme", "read:acme"))[0], 200)
    })
  )

  it.effect("is not granted by a token that contains its text, also with auth.authorize", () =>
    Effect.gen(function* () {
      const guarded = auth.authorize.pipe(SecurityScopes.require("read:{org}"))
      const exit = yield* Effect.exit(Effect.provide(guarded, asked(["read:{org}", "write:{org}"])))
      assert(Exit.isFailure(exit))
      const filled = auth.authorize.pipe(SecurityScopes.require("read:acme"))
      assert.strictEqual((yield* Effect.provide(filled, asked(["write:acme"]))).subject, "demo")
    })
  )

  it.effect("is proven as declared by layerTestGranted, and test tokens have filled scopes", () =>
    Effect.gen(function* () {
      const proven = Effect.provide(auth.granted("read:{org}"), auth.layerTestGranted({ scopes: ["read:{org}"] }))
      assert.strictEqual((yield* proven).subject, "demo")
      const send = yield* serve(
        HttpRouter.add("GET", "/:org", handler).pipe(
          auth.require("read:{org}"),
          Layer.provide(auth.layerTest({ scopes: ["read:acme"] }))
        )
      )
      assert.strictEqual((yield* send("/acme")).body, "demo [read:acme]")
      assert.strictEqual((yield* send("/other")).status, 403)
    })
  )

  it.effect("with values of a service between two requirements is decided by the inner requirement", () =>
    Effect.gen(function* () {
      class Found extends HttpApiMiddleware.Service<Found, { provides: Tenants }>()("test/Found") {}
      const Api = HttpApi.make("api").add(
        HttpApiGroup.make("g")
          .add(HttpApiEndpoint.get("get", "/", { success: Schema.String }))
          .middleware(auth.require(fromService))
          .middleware(Found)
          .middleware(auth.require("a"))
      )
      const Group = HttpApiBuilder.group(Api, "g", (handlers) =>
        handlers.handle("get", () => Effect.map(auth.granted("read:{org}"), ({ subject }) => subject))
      )
      const FoundLive = Layer.succeed(
        Found,
        Effect.provideService(Tenants, () => "t1")
      )
      const send = yield* serve(
        HttpApiBuilder.layer(Api).pipe(
          Layer.provide([Group.pipe(Layer.provide(FoundLive)), HttpServer.layerServices]),
          Layer.provide(auth.layer(verifier))
        )
      )
      assert.strictEqual((yield* send("/", tokenOf("a read:t1"))).body, '"demo"')
      assert.strictEqual((yield* send("/", tokenOf("read:t1"))).challenge, insufficient("a")[1])
      assert.strictEqual((yield* send("/", tokenOf("a read:t2"))).challenge, insufficient("a read:t1")[1])
    })
  )

  it("is shown in documents as declared", () => {
    assert.deepStrictEqual(OpenApiSecurity.of(auth.require("read:{org}", "a")), [
      { OAuth2: ["read:{org}", "a"] },
      { OAuth2: ["write:{org}", "a"] }
    ])
    assert.deepStrictEqual(OpenApiSecurity.of(auth.require(fromHeader)), [
      { OAuth2: ["read:{org}"] },
      { OAuth2: ["write:{org}"] }
    ])
    const Api = HttpApi.make("api")
      .add(HttpApiGroup.make("g").add(HttpApiEndpoint.get("get", "/:org").middleware(auth.require("write:{org}"))))
      .pipe(OAuth2.openApi)
    const { components, paths } = OpenApi.fromApi(Api)
    assert.deepStrictEqual(Object.values(paths)[0]?.get?.security, [{ OAuth2: ["write:{org}"] }])
    assert.include(JSON.stringify(components.securitySchemes), '"read:{org}":"Read one organization"')
  })

  it("must not become another declared scope, and must keep its placeholders in implications", () => {
    const declare = (scopes: Readonly<Record<string, string>>, implies = {}, wildcards = false) =>
      OAuth2.authorizationCode("T", { ...authorizationServer, scopes, implies, wildcards })
    for (const [template, other] of [
      ["read:{org}", "read:items"],
      ["read:{org}", "read:{user}"],
      ["{x}:items", "read:items"],
      ["{x}:a", "b:{y}"],
      ["{org}", "me"]
    ] as const) {
      assert.throws(
        () => declare({ [other]: "", [template]: "" }),
        TypeError,
        /^OAuth2\.authorizationCode\("T"\): a value can make the scope .* equal to the declared scope .*\. Give one of the two another prefix, or another number of segments\.$/
      )
    }
    declare({ "read:{org}": "", "read:*": "", "read:{org}:all": "", "write:{org}": "", read: "" }, {}, true)
    for (const implies of [
      { "read:{org}": ["me"] },
      { "write:{team}": ["read:{org}"] },
      { "read:{org}": ["by:{org}:{team}"], "by:{org}:{team}": ["me"] }
    ]) {
      assert.throws(
        () => declare({ "read:{org}": "", "write:{team}": "", me: "", "by:{org}:{team}": "" }, implies),
        TypeError,
        "which lacks one of its placeholders. Use the same placeholders in both scopes."
      )
    }
  })

  it("must be declared with a placeholder for scopeOf, and does not fit withScopes", () => {
    const scopeOf: (template: never, values: never) => unknown = auth.scopeOf
    const fill = (template: string) => () => scopeOf(template as never, Effect.succeed({}) as never)
    assert.throws(fill("a"), TypeError, "which has no placeholder")
    assert.throws(fill("x:{y}"), TypeError, "which is not declared")
    assert.throws(() => auth.withScopes("read:{org}"), TypeError, "whose placeholders it cannot fill")
    const other = OAuth2.bearer("Other", { scopes: { me: "" } })
    assert.throws(() => other.require(fromHeader as never), TypeError, "which is not declared")
  })

  const character = Arbitrary.map(
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x17f }))),
    (code) => String.fromCharCode(code)
  )
  it.effect.prop(
    "accepts exactly one segment of printable ASCII characters, whatever the token has",
    { value: Arbitrary.map(Arbitrary.array(character, { minLength: 0, maxLength: 4 }), (of) => of.join("")) },
    Effect.fnUntraced(function* ({ value }) {
      const guarded = Effect.void.pipe(auth.prove(auth.scopeOf("read:{org}", Effect.succeed({ org: value }))))
      const codes = Array.from(value, (one) => one.charCodeAt(0))
      const forbidden = Array.from('"\\:*{}', (one) => one.charCodeAt(0))
      const right = codes.length > 0 && codes.every((code) => code > 0x20 && code < 0x7f && !forbidden.includes(code))
      const exit = yield* Effect.exit(
        Effect.provide(guarded, [BearerToken.layerTest("x"), auth.layerTest({ scopes: [`read:${value}`] })])
      )
      assert.strictEqual(exit._tag === "Success", right, JSON.stringify(value))
    }),
    { arbitrary: { runs: 1000, size: 64, seed: 20261130 } }
  )
})
