/** Sentences about requirements in the descriptions of operations. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpApi, HttpApiGroup, OpenApi } from "effect/http-api"
import { OAuth2, OpenApiSecurity, Requirement } from "effect-oauth2"
import { apiOf, assertValid, auth, documentOf, get, other, route } from "../support/apiDocuments.ts"
import { documentOfRoutes } from "../support/routesDocument.ts"

const key = OAuth2.apiKey("Key", { in: "header", name: "x-api-key" })
const odd = OAuth2.bearer("Odd", { scopes: { "a`b": "", "``": "" } })
const check = Requirement.check("owner", () => Effect.succeed(true))

const cases = [
  [auth.require(), "Requires a token."],
  [auth.require("a"), "Requires `a`."],
  [auth.require("a", "b"), "Requires `a` and `b`."],
  [auth.require("a", "b", "c"), "Requires `a`, `b` and `c`."],
  [auth.require(Requirement.any("a", "b")), "Requires `a` or `b`."],
  [auth.require("a", Requirement.any("b", "c")), "Requires `a` and (`b` or `c`)."],
  [auth.require(Requirement.any("a", Requirement.all("b", "c"))), "Requires `a` or (`b` and `c`)."],
  [auth.require(check), "Requires a token and another condition."],
  [auth.require(check, "a", check), "Requires `a` and another condition."],
  [auth.require(Requirement.any(check, "a")), "Requires `a` or another condition."],
  [auth.optional(), "Authentication is optional."],
  [auth.optional("a"), "Authentication is optional. A request with a token requires `a`."],
  [key.require(), "Requires a credential."],
  [key.optional(), "Authentication is optional."],
  [OAuth2.either(auth.require("a"), other.require("x")), "Requires `a` of `OAuth2`, or `x` of `Other`."],
  [
    OAuth2.either(auth.require(check), key.require()),
    "Requires a token of `OAuth2` and another condition, or a credential of `Key`."
  ],
  [odd.require("a`b", "``"), "Requires `` a`b `` and ``` `` ```."]
] as const

describe("the description of an operation", () => {
  for (const [requirement, sentence] of cases) {
    it.effect(`says: ${sentence}`, () =>
      Effect.gen(function* () {
        // Safe cast: the table has requirements of several schemes, and the document reads them at run time.
        const middleware = requirement as unknown as ReturnType<typeof auth.require>
        const ofApi = documentOf(apiOf(get("one").middleware(middleware)))
        assert.strictEqual(ofApi.paths["/one"]?.get?.description, sentence)
        yield* assertValid(ofApi)
        const ofRoutes = yield* documented(route("/one").pipe(middleware))
        assert.strictEqual(ofRoutes.paths["/one"]?.get?.description, sentence)
      })
    )
  }

  it.effect("does not name the scheme of a single credential, and names the schemes of several", () =>
    Effect.gen(function* () {
      for (const [routes, sentence] of [
        [route("/one").pipe(auth.require("a"), auth.require("b")), "Requires `b` and `a`."],
        [route("/one").pipe(other.require("x"), auth.require("a")), "Requires `a` of `OAuth2`, and `x` of `Other`."],
        [route("/one").pipe(auth.require("a"), auth.optional("b")), "Requires `b` and `a`."],
        [route("/one").pipe(other.require("x"), auth.optional("b")), "Requires `b` of `OAuth2`, and `x` of `Other`."],
        [
          route("/one").pipe(key.optional(), auth.require("a")),
          "Requires `a` of `OAuth2`. Optional: a credential of `Key`."
        ],
        [
          route("/one").pipe(key.optional(), auth.optional("a")),
          "Authentication is optional. A request with a credential requires `a` of `OAuth2`, and a credential of `Key`."
        ],
        [
          route("/one").pipe(OAuth2.either(auth.require("a"), other.require("x")), auth.require("b")),
          "Requires `b` of `OAuth2`, and (`a` of `OAuth2`, or `x` of `Other`)."
        ]
      ] as const) {
        const document = yield* documented(routes)
        assert.strictEqual(document.paths["/one"]?.get?.description, sentence)
      }
    })
  )

  it.effect("begins with your own description, and has the sentence once", () =>
    Effect.gen(function* () {
      const own = "Returns **one** item."
      const Api = HttpApi.make("api").add(
        HttpApiGroup.make("g").add(get("one").middleware(auth.require("a")).annotate(OpenApi.Description, own))
      )
      const expected = `${own}\n\nRequires \`a\`.`
      assert.strictEqual(OpenApi.fromApi(OAuth2.openApi(Api)).paths["/one"]?.get?.description, expected)
      assert.strictEqual(
        OpenApi.fromApi(Api.pipe(OAuth2.openApi, OAuth2.openApi)).paths["/one"]?.get?.description,
        expected
      )
      const document = yield* documented(
        route("/one").pipe(auth.require("a"), Layer.provide(OpenApiSecurity.operation({ description: own })))
      )
      assert.strictEqual(document.paths["/one"]?.get?.description, expected)
    })
  )

  it.effect("says nothing about a public operation", () =>
    Effect.gen(function* () {
      const document = yield* documented(route("/one").pipe(OAuth2.Public("nobody minds")))
      assert.isUndefined(document.paths["/one"]?.get?.description)
      assert.isUndefined(
        documentOf(apiOf(get("one").middleware(OAuth2.Public("nobody minds")))).paths["/one"]?.get?.description
      )
    })
  )

  it.effect("stays as it is if you turn the sentence off", () =>
    Effect.gen(function* () {
      const document = yield* documented(route("/one").pipe(auth.require("a")), { info, describeRequirements: false })
      assert.notProperty(document.paths["/one"]?.get, "description")
      assert.deepStrictEqual(document.paths["/one"]?.get?.security, [{ OAuth2: ["a"] }])

      const one = get("one").middleware(auth.require("a"))
      const two = get("two").middleware(auth.require("b"))
      const off = HttpApi.make("api").add(HttpApiGroup.make("g").add(one, two))
      const ofApi = OpenApi.fromApi(OAuth2.openApi(off.annotate(OpenApiSecurity.DescribeRequirements, false)))
      assert.notProperty(ofApi.paths["/one"]?.get, "description")
      assert.deepStrictEqual(ofApi.paths["/one"]?.get?.security, [{ OAuth2: ["a"] }])
      const ofEndpoint = documentOf(apiOf(one.annotate(OpenApiSecurity.DescribeRequirements, false), two))
      assert.deepStrictEqual(
        ["/one", "/two"].map((path) => ofEndpoint.paths[path as "/one"]?.get?.description),
        [undefined, "Requires `b`."]
      )
    })
  )
})

const info = { title: "Routes", version: "1" }

const documented = (routes: Layer.Layer<never, unknown, unknown>, options?: Parameters<typeof documentOfRoutes>[1]) => {
  const layers = Layer.mergeAll(
    auth.layerTest("anonymous"),
    other.layerTest("anonymous"),
    key.layerTest("anonymous"),
    odd.layerTest("anonymous")
  )
  return documentOfRoutes(routes.pipe(Layer.provide(layers)), options)
}
