/** The words for a requirement, and the log of a secured app at start-up. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, References, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { OAuth2, Requirement } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { serve } from "../support/web.ts"

const scopes = { a: "", b: "", c: "" }
const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes })
const partners = OAuth2.authorizationCode("Partners", { ...authorizationServer, scopes: { x: "" } })
const key = OAuth2.apiKey("Key", { in: "header", name: "X-Key" })
const owner = Requirement.check("owner", () => Effect.succeed(true))
const { all, any } = Requirement

describe("OAuth2.describe", () => {
  for (const [requirement, description] of [
    [auth.require(), 'a token of the scheme "OAuth2"'],
    [auth.require("a"), 'a token of the scheme "OAuth2" with "a"'],
    [auth.require("a", "b"), 'a token of the scheme "OAuth2" with "a" and "b"'],
    [auth.require("a", any("b", "c")), 'a token of the scheme "OAuth2" with "a" and ("b" or "c")'],
    [auth.require(any("a", all("b", "c"))), 'a token of the scheme "OAuth2" with "a" or ("b" and "c")'],
    [auth.require("a", all(all("b"), all())), 'a token of the scheme "OAuth2" with "a" and "b"'],
    [auth.require(any("a", all())), 'a token of the scheme "OAuth2"'],
    [auth.require(any("a"), owner), 'a token of the scheme "OAuth2" with "a" and the check "owner"'],
    [
      auth.require(
        "a",
        Requirement.check("x and y", () => Effect.succeed(true))
      ),
      'a token of the scheme "OAuth2" with "a" and the check "x and y"'
    ],
    [auth.optional("a"), 'no token, or a token of the scheme "OAuth2" with "a"'],
    [key.optional(), 'no credential, or a credential of the scheme "Key"'],
    [
      OAuth2.either(auth.require("a"), partners.require("x"), key.require()),
      'a token of the scheme "OAuth2" with "a", or a token of the scheme "Partners" with "x", or a credential of the scheme "Key"'
    ]
  ] as const) {
    it(`says: ${description}`, () => {
      assert.strictEqual(OAuth2.describe(requirement), description)
    })
  }

  it("throws if the argument is not a requirement", () => {
    for (const value of [{}, () => {}, OAuth2.Public("it is a test")])
      assert.throws(
        () => OAuth2.describe(value as never),
        TypeError,
        /^OAuth2\.describe: the argument is not a requirement/
      )
  })
})

describe("OAuth2.secured", () => {
  it.effect("logs at start-up what each route requires, at the level Debug", () =>
    Effect.gen(function* () {
      const open = OAuth2.Public("it is a test")
      const Api = HttpApi.make("api").add(
        HttpApiGroup.make("items")
          .add(
            HttpApiEndpoint.get("list", "/items", { success: Schema.String })
              .middleware(auth.require("b"))
              .middleware(auth.require("a"))
          )
          .add(HttpApiEndpoint.get("health", "/health", { success: Schema.String }).middleware(open))
      )
      const routes = Layer.mergeAll(
        HttpRouter.add("POST", "/items/:id", HttpServerResponse.empty()).pipe(partners.require("x"), auth.require("a")),
        HttpRouter.add("GET", "/open", HttpServerResponse.empty()).pipe(open),
        HttpApiBuilder.layer(Api).pipe(
          Layer.provide(
            HttpApiBuilder.group(Api, "items", (handlers) =>
              handlers.handle("list", () => Effect.succeed("")).handle("health", () => Effect.succeed(""))
            )
          ),
          Layer.provide(HttpServer.layerServices)
        )
      ).pipe(OAuth2.secured, Layer.provide([auth.layerTest({}), partners.layerTest({})]))
      for (const [level, expected] of [
        [
          "Debug",
          [
            "GET /health is public",
            'GET /items requires a token of the scheme "OAuth2" with "a" and "b"',
            "GET /open is public",
            'POST /items/:id requires a token of the scheme "OAuth2" with "a", and a token of the scheme "Partners" with "x"'
          ]
        ],
        ["Info", []]
      ] as const) {
        const logged: Array<string> = []
        const logger = Logger.layer([
          Logger.make(({ logLevel, message }) => {
            if (logLevel === "Debug") logged.push(String(message))
          })
        ])
        const send = yield* serve(
          routes.pipe(Layer.provide(logger), Layer.provide(Layer.succeed(References.MinimumLogLevel, level)))
        )
        assert.strictEqual((yield* send("/open")).status, 204)
        assert.deepEqual<ReadonlyArray<string>>(logged.toSorted(), expected)
      }
    })
  )
})
