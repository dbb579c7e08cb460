/** What typed clients, procedures, MCP clients, documents and descriptions say about step-up authentication. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Schema } from "effect"
import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { OAuth2, Requirement, SecurityError } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"
import { authorizationServer } from "../support/authorizationServer.ts"
import { documentOfRoutes } from "../support/routesDocument.ts"
import * as mcp from "../support/mcpServer.ts"
import { bearer, transports, verifierLayer } from "../support/rpc.ts"

const strong = Requirement.acr("phr", "mfa")
const recently = Requirement.authenticatedWithin("5 minutes")
const mayPay = Requirement.authorizationDetails("payment", Schema.Struct({}), () => true)

const schemeOf = (responses: "fastapi" | "rfc6750") =>
  OAuth2.authorizationCode("OAuth2", { ...authorizationServer, responses, scopes: { pay: "Pay", read: "Read" } })
const auth = schemeOf("rfc6750")
const text = { success: Schema.String }
const stepUp = 'error="insufficient_user_authentication", acr_values="phr mfa", max_age="300", scope="pay"'

const facts = (error: unknown) => {
  assert.instanceOf(error, SecurityError.InsufficientUserAuthentication)
  const { acrValues, challenge, maxAge, message, reason, required } = error
  return { acrValues, challenge, maxAge: maxAge && Duration.toSeconds(maxAge), message, reason, required }
}
const received = {
  acrValues: ["phr", "mfa"],
  challenge: `Bearer ${stepUp}`,
  maxAge: 300,
  message: "The authentication of the user is too weak or too old",
  reason: "Unspecified" as const,
  required: ["pay"]
}

for (const responses of ["fastapi", "rfc6750"] as const) {
  describe(`a typed client of an HttpApi with responses: ${responses}`, () => {
    const scheme = schemeOf(responses)
    const Api = HttpApi.make("api").add(
      HttpApiGroup.make("items").add(
        HttpApiEndpoint.get("pay", "/pay", text).middleware(scheme.require("pay", strong, recently))
      )
    )
    const served = HttpRouter.serve(
      HttpApiBuilder.layer(Api).pipe(
        Layer.provide(
          HttpApiBuilder.group(Api, "items", (handlers) => handlers.handle("pay", () => Effect.succeed("paid")))
        ),
        Layer.provide(scheme.layer(verifierLayer))
      ),
      { disableLogger: true, disableListenLog: true }
    ).pipe(Layer.provideMerge(NodeHttpServer.layerTest))

    it.effect("receives the values of the challenge", () =>
      Effect.gen(function* () {
        const { items } = yield* HttpApiClient.make(Api, {
          transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken("alice~read"))
        })
        assert.deepStrictEqual(facts(yield* Effect.flip(items.pay())), received)
      }).pipe(Effect.provide(scheme.client("anonymous")), Effect.provide(served))
    )
  })
}

describe("a procedure", () => {
  const Procedures = RpcGroup.make(Rpc.make("Pay", text).middleware(auth.require("pay", strong, recently).rpc))
  const Handlers = Procedures.toLayer({
    Pay: () => Effect.map(auth.granted("pay", strong, recently), ({ subject }) => subject)
  })
  const serverOf = (path: `/${string}`, protocol: "http" | "websocket") =>
    RpcServer.layerHttp({ group: Procedures, path, protocol, disableFatalDefects: true }).pipe(
      OAuth2.Public("each procedure has its requirement")
    )
  const App = Layer.mergeAll(serverOf("/http", "http"), serverOf("/socket", "websocket")).pipe(
    Layer.provide(Handlers),
    Layer.provide(RpcSerialization.layerNdjson),
    Layer.provide(auth.layer(verifierLayer))
  )
  const server = HttpRouter.serve(App, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
  for (const [name, transport] of Object.entries(transports)) {
    layer(server)((it) => {
      it.effect(`sends the values to a client over ${name}`, () =>
        Effect.gen(function* () {
          const context = yield* Layer.build(Layer.fresh(transport()))
          const { Pay } = yield* RpcClient.make(Procedures).pipe(
            Effect.provide(auth.client("anonymous")),
            Effect.provide(context)
          )
          assert.deepStrictEqual(facts(yield* Effect.flip(Pay(undefined, bearer("alice~read")))), received)
        })
      )
    })
  }
})

describe("a tool of an MCP server", () => {
  const { auth } = mcp.serverOf("fastapi")
  const careful = Mcp.require(auth.require("files:write", strong, recently))
  const Tools = Toolkit.make(Tool.make("wipe", { success: Schema.String, dependencies: [careful.grant] }))
  const Server = McpServer.layerHttp({
    ...mcp.info,
    path: "/mcp",
    protocols: [McpProtocol.v2025_03_26],
    registrations: McpServer.toolkit(Tools).pipe(
      Layer.provide(Tools.toLayer({ wipe: () => Effect.map(auth.granted(strong), ({ subject }) => subject) })),
      Layer.provide(careful.layer)
    )
  }).pipe(Layer.provide(auth.require("mcp").route.layer), OAuth2.secured, Layer.provide(auth.layer(mcp.Verifier)))

  it.effect("responds with 401, the challenge, and the values in the error of the message", () =>
    Effect.gen(function* () {
      const token = "alice~mcp"
      const session = yield* mcp.begin(token, "2025-03-26")
      const { challenge, messages, status } = yield* mcp.send(token, mcp.callOf("wipe"), session)
      const scope = "mcp files:write"
      const expected = `Bearer error="insufficient_user_authentication", acr_values="phr mfa", max_age="300", scope="${scope}", ${mcp.metadata}`
      assert.deepStrictEqual([status, challenge], [401, expected])
      assert.strictEqual(messages[0].error.code, -32003)
      const { acr_values, challenge: inData, max_age, scope: scopes } = messages[0].error.data
      assert.deepStrictEqual(
        { acr_values, max_age, scopes, inData },
        { acr_values: "phr mfa", max_age: 300, scopes: scope, inData: expected }
      )
    }).pipe(Effect.provide(mcp.served(Server)))
  )
})

describe("a document", () => {
  const endpoint = HttpApiEndpoint.get("pay", "/pay", text).middleware(auth.require("pay", strong, recently, mayPay))
  const plain = HttpApiEndpoint.get("read", "/read", text).middleware(auth.require("read"))
  const Api = HttpApi.make("api").add(HttpApiGroup.make("items").add(endpoint).add(plain))
  const ofApi = OpenApi.fromApi(OAuth2.openApi(Api)).paths
  const route = (path: HttpRouter.PathInput) => HttpRouter.add("GET", path, HttpServerResponse.empty())

  const sentence =
    "Requires `pay`, an authentication of a class among `phr`, `mfa`, an authentication within the last 5 minutes and authorization details of the type `payment`."

  it("says what an endpoint requires, for people and for programs", () => {
    const operation = ofApi["/pay"]?.get
    assert.strictEqual(operation?.description, sentence)
    assert.deepStrictEqual((operation as unknown as Record<string, unknown>)["x-step-up"], {
      OAuth2: { acr_values: ["phr", "mfa"], max_age: 300 }
    })
    assert.deepStrictEqual(operation?.security, [{ OAuth2: ["pay"] }])
    const details = JSON.stringify(operation?.responses[401])
    assert.include(details, "Authentication too weak or too old")
  })

  it("does not mention step-up where it is not required", () => {
    const operation = ofApi["/read"]?.get
    assert.notProperty(operation, "x-step-up")
    assert.notInclude(JSON.stringify(operation), "too weak")
  })

  it.effect("says the same of routes", () =>
    Effect.gen(function* () {
      const routes = Layer.mergeAll(
        route("/pay").pipe(auth.require("pay", strong, recently, mayPay)),
        route("/any").pipe(auth.require(Requirement.any("pay", Requirement.acr("mfa")))),
        route("/alternatives").pipe(auth.require(Requirement.any(Requirement.acr("mfa"), recently))),
        route("/optional").pipe(auth.optional(Requirement.authenticatedWithin(90_000)))
      ).pipe(Layer.provide(auth.layer(verifierLayer)))
      const { paths } = yield* documentOfRoutes(routes)
      const said = (path: string) => {
        const operation = paths[path]?.get as unknown as Record<string, unknown>
        return [operation["description"], operation["x-step-up"]]
      }
      assert.deepStrictEqual(said("/pay"), [sentence, { OAuth2: { acr_values: ["phr", "mfa"], max_age: 300 } }])
      // The challenge asks for the first alternative, which is a scope.
      assert.deepStrictEqual(said("/any"), ["Requires `pay` or an authentication of the class `mfa`.", undefined])
      assert.deepStrictEqual(said("/alternatives"), [
        "Requires an authentication of the class `mfa` or an authentication within the last 5 minutes.",
        { OAuth2: { acr_values: ["mfa"] } }
      ])
      assert.deepStrictEqual(said("/optional"), [
        "Authentication is optional. A request with a token requires an authentication within the last 90 seconds.",
        { OAuth2: { max_age: 90 } }
      ])
    })
  )
})

describe("OAuth2.describe", () => {
  it("names the authentication", () => {
    assert.strictEqual(
      OAuth2.describe(auth.require("pay", strong, Requirement.any(recently, "read"))),
      'a token of the scheme "OAuth2" with "pay" and the acr "phr", "mfa" and (an authentication within 5 minutes or "read")'
    )
    assert.strictEqual(
      OAuth2.describe(auth.require(Requirement.authenticatedWithin(Duration.minutes(1)))),
      'a token of the scheme "OAuth2" with an authentication within 60 seconds'
    )
  })
})
