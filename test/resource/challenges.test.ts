/** The parameter `resource_metadata` in the challenges of a scheme with a resource, over a real socket. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { type Challenge, OAuth2, SecurityError } from "effect-oauth2"
import * as ResourceMetadata from "effect-oauth2/ResourceMetadata"
import { authorizationServer } from "../support/authorizationServer.ts"
import { parseChallenge } from "../support/parseChallenge.ts"
import { Verifier } from "../support/TestVerifier.ts"

const resource = "https://api.example.com/mcp?tenant=a,b"
const metadata = `resource_metadata="${ResourceMetadata.url(resource)}"`

const schemeOf = <const Name extends string>(name: Name, responses: Challenge.Responses) =>
  OAuth2.authorizationCode(name, {
    ...authorizationServer,
    scopes: { a: "", b: "" },
    implies: { b: ["a"] },
    responses,
    resource,
    renderers: { InvalidToken: () => HttpServerResponse.text("rendered", { status: 401 }) }
  })

const users = schemeOf("Users", "rfc6750")
const fastapi = schemeOf("FastApi", "fastapi")
const keys = OAuth2.apiKey("Keys", { in: "header", name: "X-API-Key", responses: "rfc6750" })
const opaque = OAuth2.bearer("Opaque", { resource: "https://api.example.com" })
const verifier = new Verifier({ none: [], a: ["a"], b: ["b"] }).layer
const ok = Effect.succeed(HttpServerResponse.text("ok"))

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("items").add(
    HttpApiEndpoint.get("list", "/api/items", { success: Schema.String }).middleware(users.require("a")),
    HttpApiEndpoint.get("own", "/api/own", { success: Schema.String }).middleware(users.require("a"))
  )
)

const own = Effect.fail(new SecurityError.InsufficientScope({ required: ["b"], missing: ["b"] }))

const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/users", ok).pipe(users.require("a")),
  HttpRouter.add("GET", "/fastapi", ok).pipe(fastapi.require("a")),
  HttpRouter.add("GET", "/opaque", ok).pipe(opaque.require()),
  HttpRouter.add("GET", "/either", ok).pipe(OAuth2.either(users.require("b"), keys.require())),
  HttpRouter.add("GET", "/nested", ok).pipe(users.require("b"), users.require("a")),
  HttpRouter.add("GET", "/refuse", own.pipe(Effect.catch(users.refuse))).pipe(users.require("a")),
  HttpApiBuilder.layer(Api).pipe(
    Layer.provide(
      HttpApiBuilder.group(Api, "items", (handlers) =>
        handlers.handle("list", () => Effect.succeed("list")).handle("own", () => own)
      )
    )
  ),
  ResourceMetadata.layer({ scheme: users, authorizationServers: ["https://idp.example.com"] })
).pipe(Layer.provide([users.layer(verifier), fastapi.layer(verifier), keys.layer(verifier), opaque.layer(verifier)]))

const get = (path: string, authorization?: string) =>
  Effect.map(
    HttpClient.get(path, { headers: authorization === undefined ? {} : { authorization } }),
    ({ headers, status }) => [status, headers["www-authenticate"]]
  )

layer(
  HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
)("the challenges of a scheme with a resource", (it) => {
  it.effect("end with resource_metadata, whatever the error", () =>
    Effect.gen(function* () {
      const table: ReadonlyArray<readonly [string, string | undefined, number, string]> = [
        ["/users", undefined, 401, `Bearer realm="Users", scope="a", ${metadata}`],
        ["/users", "Basic dTpw", 401, `Bearer realm="Users", scope="a", ${metadata}`],
        ["/users", "Bearer a b", 400, `Bearer error="invalid_request", ${metadata}`],
        ["/users", "Bearer bad", 401, `Bearer error="invalid_token", scope="a", ${metadata}`],
        ["/users", "Bearer none", 403, `Bearer error="insufficient_scope", scope="a", ${metadata}`],
        ["/fastapi", undefined, 401, `Bearer ${metadata}`],
        ["/fastapi", "Bearer a b", 401, `Bearer ${metadata}`],
        ["/fastapi", "Bearer bad", 401, `Bearer scope="a", ${metadata}`],
        ["/fastapi", "Bearer none", 401, `Bearer scope="a", ${metadata}`],
        ["/nested", "Bearer a", 403, `Bearer error="insufficient_scope", scope="b", ${metadata}`],
        ["/refuse", "Bearer a", 403, `Bearer error="insufficient_scope", scope="b", ${metadata}`],
        ["/opaque", undefined, 401, `Bearer resource_metadata="${ResourceMetadata.url("https://api.example.com")}"`],
        ["/api/items", undefined, 401, `Bearer realm="Users", scope="a", ${metadata}`],
        ["/api/items", "Bearer none", 403, `Bearer error="insufficient_scope", scope="a", ${metadata}`],
        ["/api/own", "Bearer a", 403, `Bearer error="insufficient_scope", scope="b", ${metadata}`]
      ]
      for (const [path, authorization, status, challenge] of table) {
        assert.deepStrictEqual(yield* get(path, authorization), [status, challenge], `${path} ${authorization}`)
        assert.strictEqual(parseChallenge(challenge).params.at(-1)?.[0], "resource_metadata")
      }
      assert.deepStrictEqual(yield* get("/users", "Bearer outage"), [503, undefined])
      assert.deepStrictEqual(yield* get("/users", "Bearer b"), [200, undefined])
    })
  )

  it.effect("have it for each Bearer scheme of OAuth2.either, and not for an API key", () =>
    Effect.gen(function* () {
      const [status, challenge] = yield* get("/either")
      assert.strictEqual(status, 401)
      assert.strictEqual(challenge, `Bearer realm="Users", scope="b", ${metadata}, APIKey realm="Keys"`)
    })
  )

  it.effect("lead a client to the document of the same resource", () =>
    Effect.gen(function* () {
      const [, challenge = ""] = yield* get("/users")
      const { params } = parseChallenge(String(challenge))
      const url = new URL(new Map(params).get("resource_metadata") ?? "")
      const response = yield* HttpClient.get(`${url.pathname}${url.search}`)
      const document = (yield* response.json) as ResourceMetadata.Document
      assert.strictEqual(document.resource, resource)
      assert.deepStrictEqual(document.scopes_supported, ["a", "b"])
      assert.strictEqual((yield* HttpClient.get(url.pathname)).status, 404)
      assert.strictEqual((yield* HttpClient.head(`${url.pathname}${url.search}`)).status, 200)
    })
  )

  it.effect("reach a typed client of an HttpApi", () =>
    Effect.gen(function* () {
      const { items } = yield* Effect.provide(HttpApiClient.make(Api), users.client("anonymous"))
      const error = yield* Effect.flip(items.list())
      assert.strictEqual(error._tag, "NotAuthenticated")
      assert.strictEqual("challenge" in error ? error.challenge : "", `Bearer realm="Users", scope="a", ${metadata}`)
    })
  )
})
