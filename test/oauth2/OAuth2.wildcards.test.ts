/** Wildcard scopes: which tokens they let in, compared with a second implementation, and what documents show. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { BearerToken, OAuth2, OpenApiSecurity, Requirement } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { serve } from "../support/web.ts"

const scopesOf = (names: ReadonlyArray<string>): Readonly<Record<string, string>> =>
  Object.fromEntries(names.map((name) => [name, ""]))

const schemeOf = (names: ReadonlyArray<string>, wildcards: boolean) =>
  OAuth2.authorizationCode("Wild", { ...authorizationServer, scopes: scopesOf(names), wildcards })

/** Returns `true` if a token with the scopes `granted` satisfies the requirement of one scope. */
const accepts = (scheme: ReturnType<typeof schemeOf>, granted: ReadonlyArray<string>, required: string) =>
  Effect.map(
    Effect.exit(
      Effect.void.pipe(
        scheme.prove(required),
        Effect.provide([BearerToken.layerTest("x"), scheme.layerTest({ scopes: granted })])
      )
    ),
    (exit) => exit._tag === "Success"
  )

/** The second implementation. It compares segments. */
const model = (declared: ReadonlyArray<string>, wildcards: boolean, granted: string, required: string): boolean => {
  if (granted === required) return true
  if (!wildcards || !declared.includes(granted)) return false
  if (granted === "*") return true
  const [own, needed] = [granted.split(":"), required.split(":")]
  return (
    own.length === needed.length &&
    own.every((segment, i) =>
      i < own.length - 1 ? segment === needed[i] : segment === "*" && needed[i] !== "" && needed[i] !== "*"
    )
  )
}

const concrete = ["read", "read:items", "read:Items", "read:items:own", "read:a", "write:items", "READ:items", "read:"]
const wildcards = ["*", "read:*", "write:*", "read:items:*", "read:a:*"]
/** Scopes that only look like wildcards. */
const tricks = [
  "re*",
  "read*",
  "read:**",
  "read:*:own",
  "read:*:*",
  "*:items",
  ":*",
  "read::*",
  "read:i*",
  "READ:*",
  "read.*",
  "read/*",
  "read:%2A",
  "**",
  "read:.*",
  "read:{any}",
  "read:?",
  "delete:*"
]

describe("wildcard scopes", () => {
  const subsetOf = (names: ReadonlyArray<string>) =>
    Arbitrary.map(
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** names.length - 1 }))),
      (mask) => names.filter((_, i) => (mask >> i) & 1)
    )

  it.effect.prop(
    "are accepted as a second implementation accepts them",
    { some: subsetOf(wildcards), granted: subsetOf([...concrete, ...wildcards]), tricky: subsetOf(tricks) },
    Effect.fnUntraced(function* ({ granted, some, tricky }) {
      const declared = [...concrete, ...some]
      for (const enabled of [true, false]) {
        const scheme = schemeOf(declared, enabled)
        for (const required of concrete) {
          const token = [...granted, ...tricky]
          const right = token.some((one) => model(declared, enabled, one, required))
          assert.strictEqual(yield* accepts(scheme, token, required), right, `${token.join(" ")} for ${required}`)
        }
      }
    }),
    { arbitrary: { runs: 300, size: 64, seed: 20261130 } }
  )

  it.effect("satisfy the scopes of exactly one more segment, and not by default", () =>
    Effect.gen(function* () {
      const names = ["read:items", "read:items:own", "read", "read:*"]
      const [on, off] = [schemeOf(names, true), schemeOf(names, false)]
      assert.isTrue(yield* accepts(on, ["read:*"], "read:items"))
      assert.isFalse(yield* accepts(on, ["read:*"], "read:items:own"))
      assert.isFalse(yield* accepts(on, ["read:*"], "read"))
      assert.isFalse(yield* accepts(off, ["read:*"], "read:items"))
      assert.isTrue(yield* accepts(off, ["read:*"], "read:*"), "without the option, an asterisk has no meaning")
    })
  )

  it.effect("grant nothing if they are not declared, however a token writes them", () =>
    Effect.gen(function* () {
      const scheme = schemeOf(concrete, true)
      for (const trick of [
        ...wildcards,
        ...tricks,
        "read:＊",
        "read:∗",
        "read:*\u200b",
        "ｒead:items",
        "read：items"
      ]) {
        for (const required of concrete) {
          assert.isFalse(yield* accepts(scheme, [trick], required), `${trick} for ${required}`)
        }
      }
    })
  )

  it.effect("imply further scopes, and can be implied", () =>
    Effect.gen(function* () {
      const scheme = OAuth2.authorizationCode("Wild", {
        ...authorizationServer,
        scopes: { "read:items": "", "read:users": "", "write:items": "", "write:*": "", "read:*": "", admin: "" },
        implies: { "write:items": ["read:items"], admin: ["write:*"] },
        wildcards: true
      })
      for (const [granted, required, right] of [
        ["write:*", "read:items", true],
        ["write:*", "read:users", false],
        ["admin", "read:items", true],
        ["admin", "write:items", true],
        ["admin", "read:users", false]
      ] as const) {
        assert.strictEqual(yield* accepts(scheme as never, [granted], required), right, `${granted} for ${required}`)
      }
    })
  )

  it("must be whole segments, and cannot be required", () => {
    for (const name of ["re*", "read:**", "read:*:own", "read::*", ":*", "*:read", "**", "read*"]) {
      assert.throws(
        () => schemeOf(["read:items", name], true),
        TypeError,
        `OAuth2.authorizationCode("Wild"): the scope ${JSON.stringify(name)} is not a wildcard. With the option wildcards, an asterisk must be the whole last segment after a colon, such as "read:*".`
      )
      assert.strictEqual(schemeOf([name], false).name, "Wild", "without the option, an asterisk has no meaning")
    }
    const scheme = schemeOf(["read:items", "read:*", "*"], true)
    for (const require of [
      () => scheme.require("read:*"),
      () => scheme.optional("read:items", "*"),
      () => scheme.require(Requirement.any("read:items", "read:*")),
      () => scheme.prove("read:*"),
      () => scheme.withScopes("read:*")
    ]) {
      assert.throws(require, TypeError, "names the wildcard scope")
    }
    assert.throws(
      () => OAuth2.authorizationCode("Wild", { ...authorizationServer, scopes: {}, wildcards: "yes" as never }),
      TypeError,
      "wildcards must be true or false"
    )
    assert.throws(
      () =>
        OAuth2.authorizationCode("Wild", {
          ...authorizationServer,
          scopes: { "read:items": "", "read:*": "" },
          implies: { "read:items": ["read:*"] },
          wildcards: true
        }),
      TypeError,
      "a scope implies itself"
    )
  })

  const auth = OAuth2.authorizationCode("Wild", {
    ...authorizationServer,
    scopes: { "read:items": "", "read:*": "", "*": "" },
    wildcards: true
  })

  it.effect("prove the granted scope to handlers, and challenges ask for the required scope", () =>
    Effect.gen(function* () {
      const handler = Effect.map(auth.granted("read:items"), ({ scopes }) =>
        HttpServerResponse.text([...scopes].join(" "))
      )
      const app = HttpRouter.add("GET", "/", handler).pipe(auth.require("read:items"), OAuth2.secured)
      const answerTo = (scopes: ReadonlyArray<"read:items" | "read:*" | "*">) =>
        Effect.gen(function* () {
          return yield* (yield* serve(app.pipe(Layer.provide(auth.layerTest({ scopes })))))("/", "x")
        })
      assert.strictEqual((yield* answerTo(["read:*"])).body, "read:*")
      assert.strictEqual((yield* answerTo(["*"])).body, "*")
      assert.strictEqual((yield* answerTo([])).challenge, 'Bearer scope="read:items"')
      const granted = Effect.provide(auth.granted("read:items"), auth.layerTestGranted({ scopes: ["read:*"] }))
      assert.strictEqual((yield* granted).subject, "demo")
    })
  )

  it("are alternatives in documents", () => {
    const alternatives = [{ Wild: ["read:items"] }, { Wild: ["read:*"] }, { Wild: ["*"] }]
    assert.deepStrictEqual(OpenApiSecurity.of(auth.require("read:items")), alternatives)
    const Api = HttpApi.make("api")
      .add(HttpApiGroup.make("g").add(HttpApiEndpoint.get("get", "/").middleware(auth.require("read:items"))))
      .pipe(OAuth2.openApi)
    const { components, paths } = OpenApi.fromApi(Api)
    assert.deepStrictEqual(paths["/"]?.get?.security, alternatives)
    assert.deepNestedPropertyVal(components.securitySchemes, "Wild.flows.authorizationCode.scopes", {
      "read:items": "",
      "read:*": "",
      "*": ""
    })
  })
})
