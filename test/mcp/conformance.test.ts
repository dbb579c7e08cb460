/** The contract of the scope scenario that the MCP conformance suite plans for servers. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { McpProtocol, McpSchema, McpServer, Tool, Toolkit } from "effect/ai"
import { OAuth2 } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"
import { info, modern, served } from "../support/mcpServer.ts"
import { parseChallenge } from "../support/parseChallenge.ts"
import { Verifier } from "../support/TestVerifier.ts"

const names = [
  "baseline",
  "tools:call",
  "tools:test_simple_text",
  "resources:read",
  "resources:static",
  "resources:template:123",
  "prompts:get",
  "prompts:test_simple_prompt"
] as const

const scopeOf = <const Name extends string>(name: Name): `mcp:conformance:${Name}` => `mcp:conformance:${name}`
const scopes = names.map(scopeOf)

const auth = OAuth2.bearer("Conformance", {
  resource: "https://api.example.com/mcp",
  // Safe cast: the object has exactly these keys.
  scopes: Object.fromEntries(scopes.map((scope) => [scope, ""])) as Readonly<Record<(typeof scopes)[number], string>>
})

const tool = Mcp.require(auth.require(scopeOf("tools:call"), scopeOf("tools:test_simple_text")))
const fixed = Mcp.require(auth.require(scopeOf("resources:read"), scopeOf("resources:static")))
const template = Mcp.require(auth.require(scopeOf("resources:read"), scopeOf("resources:template:123")))
const prompt = Mcp.require(auth.require(scopeOf("prompts:get"), scopeOf("prompts:test_simple_prompt")))

const Tools = Toolkit.make(Tool.make("test_simple_text", { success: Schema.String, dependencies: [tool.grant] }))

const Registrations = Layer.mergeAll(
  McpServer.toolkit(Tools).pipe(
    Layer.provide(
      Tools.toLayer({ test_simple_text: () => Effect.as(auth.granted(scopeOf("tools:test_simple_text")), "text") })
    ),
    Layer.provide(tool.layer)
  ),
  McpServer.resource({
    uri: "test://static-text",
    name: "static",
    content: Effect.as(auth.granted(scopeOf("resources:static")), "static")
  }).pipe(Layer.provide(fixed.layer)),
  McpServer.resource`test://template/${McpSchema.param("id", Schema.String)}/data`({
    name: "template",
    content: (_, id) => Effect.as(auth.granted(scopeOf("resources:template:123")), `template ${id}`)
  }).pipe(Layer.provide(template.layer)),
  McpServer.prompt({
    name: "test_simple_prompt",
    content: () => Effect.as(auth.granted(scopeOf("prompts:test_simple_prompt")), "prompt")
  }).pipe(Layer.provide(prompt.layer))
)

const Server = McpServer.layerHttp({
  ...info,
  path: "/mcp",
  protocols: [McpProtocol.v2026_07_28],
  registrations: Registrations
}).pipe(
  Mcp.protect(auth, { authorizationServers: ["https://idp.example.com"] }),
  OAuth2.secured,
  Layer.provide(
    auth.layer(
      new Verifier({ "mcp-conformance-scope-low": [scopeOf("baseline")], "mcp-conformance-scope-full": scopes }).layer
    )
  )
)

layer(served(Server))("the scope scenario of the MCP conformance suite", (it) => {
  const table: ReadonlyArray<
    readonly [string, Readonly<Record<string, unknown>>, ReadonlyArray<(typeof names)[number]>]
  > = [
    ["tools/call", { name: "test_simple_text" }, ["tools:call", "tools:test_simple_text"]],
    ["resources/read", { uri: "test://static-text" }, ["resources:read", "resources:static"]],
    ["resources/read", { uri: "test://template/123/data" }, ["resources:read", "resources:template:123"]],
    ["prompts/get", { name: "test_simple_prompt" }, ["prompts:get", "prompts:test_simple_prompt"]]
  ]
  for (const [method, params, needed] of table) {
    it.effect(`passes for ${method} ${JSON.stringify(params)}`, () =>
      Effect.gen(function* () {
        const low = yield* modern("mcp-conformance-scope-low", method, params)
        assert.strictEqual(low.status, 403)
        assert.deepStrictEqual(parseChallenge(low.challenge ?? ""), {
          scheme: "Bearer",
          params: [
            ["error", "insufficient_scope"],
            ["scope", needed.map(scopeOf).join(" ")],
            ["resource_metadata", "https://api.example.com/.well-known/oauth-protected-resource/mcp"]
          ]
        })
        const full = yield* modern("mcp-conformance-scope-full", method, params)
        assert.deepStrictEqual([full.status, full.challenge, full.messages[0].error], [200, null, undefined])
        assert.strictEqual((yield* modern(undefined, method, params)).status, 401)
      })
    )
  }
})
