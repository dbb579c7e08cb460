/** Tools, resources, templates and prompts that lists contain only for tokens that may use them. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { McpProtocol, McpSchema, McpServer, Tool, Toolkit } from "effect/ai"
import { OAuth2 } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"
import { begin, info, message, metadata, modern, resource, send, served, Verifier } from "../support/mcpServer.ts"

const auth = OAuth2.bearer("OAuth2", {
  scopes: { mcp: "", "files:read": "", "files:write": "", admin: "" },
  implies: { admin: ["files:read"] },
  responses: "rfc6750",
  resource
})
const hidden = Mcp.require(auth.require("files:read"), { hideFromLists: true })

const Tools = Toolkit.make(Tool.make("read", { success: Schema.String, dependencies: [hidden.grant] }))
const owner = Effect.map(auth.granted("files:read"), ({ subject }) => subject)

const Registrations = Layer.mergeAll(
  McpServer.toolkit(Tools).pipe(Layer.provide(Tools.toLayer({ read: () => owner }))),
  McpServer.resource({ uri: "test://secret", name: "secret", content: owner }),
  McpServer.resource`test://files/${McpSchema.param("name", Schema.String)}`({
    name: "file",
    completion: { name: () => Effect.succeed(["a.txt"]) },
    content: (_, name) => Effect.map(owner, (subject) => `${name} of ${subject}`)
  }),
  McpServer.prompt({
    name: "summary",
    parameters: { topic: Schema.String },
    completion: { topic: () => Effect.succeed(["files"]) },
    content: ({ topic }) => Effect.map(owner, (subject) => `${topic} of ${subject}`)
  })
).pipe(Layer.provide(hidden.layer))

const Server = McpServer.layerHttp({
  ...info,
  path: "/mcp",
  protocols: [McpProtocol.v2026_07_28, McpProtocol.v2025_11_25],
  registrations: Registrations
}).pipe(
  Mcp.protect(auth, { authorizationServers: ["https://idp.example.com"], require: ["mcp"] }),
  OAuth2.secured,
  Layer.provide(auth.layer(Verifier))
)

layer(served(Server))("a hidden registration", (it) => {
  const request = (protocol: string, token: string, method: string, params: Readonly<Record<string, unknown>> = {}) =>
    protocol === "2026-07-28"
      ? modern(token, method, params)
      : Effect.flatMap(begin(token, protocol), (headers) => send(token, message(method, params), headers))

  for (const protocol of ["2026-07-28", "2025-11-25"]) {
    it.effect(`is in lists only for tokens that may use it, ${protocol}`, () =>
      Effect.gen(function* () {
        for (const [method, key] of [
          ["tools/list", "tools"],
          ["resources/list", "resources"],
          ["resources/templates/list", "resourceTemplates"],
          ["prompts/list", "prompts"]
        ] as const) {
          for (const [token, length] of [
            ["alice~mcp", 0],
            ["alice~mcp+files_write", 0],
            ["alice~mcp+files_read", 1],
            ["alice~mcp+admin", 1]
          ] as const) {
            const { messages, status } = yield* request(protocol, token, method)
            assert.deepStrictEqual([status, messages[0].result[key].length], [200, length], `${method} ${token}`)
          }
        }
      })
    )

    it.effect(`is refused with its scopes, and accepted with a scope that implies them, ${protocol}`, () =>
      Effect.gen(function* () {
        for (const [method, params] of [
          ["tools/call", { name: "read" }],
          ["resources/read", { uri: "test://secret" }],
          ["resources/read", { uri: "test://files/a.txt" }],
          ["resources/read", { uri: "test://files/..%2Fsecret" }],
          ["prompts/get", { name: "summary", arguments: { topic: "x" } }],
          [
            "completion/complete",
            { ref: { type: "ref/prompt", name: "summary" }, argument: { name: "topic", value: "f" } }
          ],
          [
            "completion/complete",
            { ref: { type: "ref/resource", uri: "test://files/{name}" }, argument: { name: "name", value: "a" } }
          ]
        ] as const) {
          const where = `${method} ${JSON.stringify(params)}`
          const refused = yield* request(protocol, "alice~mcp", method, params)
          const challenge = `Bearer error="insufficient_scope", scope="mcp files:read", ${metadata}`
          assert.deepStrictEqual([refused.status, refused.challenge], [403, challenge], where)
          const accepted = yield* request(protocol, "alice~mcp+admin", method, params)
          assert.deepStrictEqual([accepted.status, accepted.messages[0].error], [200, undefined], where)
        }
      })
    )
  }
})
