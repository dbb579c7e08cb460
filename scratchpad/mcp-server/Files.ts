/** An MCP server with the files of each user: everyone with a token lists files, and writing needs another scope. */
import { Context, Effect, Layer, Ref, Schema } from "effect"
import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"
import { OAuth2 } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"

export const scopes = { mcp: "Use the server", "files:read": "Read your files", "files:write": "Change your files" }

/** The files in memory, by their owner and name. */
class Store extends Context.Service<Store, Ref.Ref<ReadonlyMap<string, string>>>()("mcp-server/Store") {
  static readonly layer = Layer.effect(Store, Ref.make<ReadonlyMap<string, string>>(new Map()))
}

const Name = Schema.String.check(Schema.isPattern(/^[\w.-]{1,100}$/))
const keyOf = (subject: string, name: string) => `${subject}/${name}`

export const make = (options: { readonly resource: string; readonly issuer: string }) => {
  const auth = OAuth2.openIdConnect("OAuth2", {
    openIdConnectUrl: `${options.issuer}/.well-known/openid-configuration`,
    scopes,
    implies: { "files:write": ["files:read"] },
    resource: options.resource
  })
  const reading = Mcp.require(auth.require("files:read"))
  const writing = Mcp.require(auth.require("files:write"))

  const Reads = Toolkit.make(
    Tool.make("list_files", { success: Schema.Array(Schema.String), dependencies: [reading.grant] })
  )
  const Writes = Toolkit.make(
    Tool.make("write_file", {
      parameters: Schema.Struct({ name: Name, text: Schema.String }),
      success: Schema.String,
      dependencies: [writing.grant]
    })
  )
  const ReadsLive = Reads.toLayer(
    Effect.gen(function* () {
      const store = yield* Store
      return {
        list_files: Effect.fn("list_files")(function* () {
          const { subject } = yield* auth.granted("files:read")
          const prefix = keyOf(subject, "")
          return Array.from((yield* Ref.get(store)).keys())
            .filter((key) => key.startsWith(prefix))
            .map((key) => key.slice(prefix.length))
        })
      }
    })
  )
  const WritesLive = Writes.toLayer(
    Effect.gen(function* () {
      const store = yield* Store
      return {
        write_file: Effect.fn("write_file")(function* ({ name, text }) {
          const { subject } = yield* auth.granted("files:write")
          yield* Ref.update(store, (files) => new Map(files).set(keyOf(subject, name), text))
          return `${name} of ${subject} has ${text.length} characters`
        })
      }
    })
  )
  const Tools = Layer.mergeAll(
    McpServer.toolkit(Reads).pipe(Layer.provide(ReadsLive), Layer.provide(reading.layer)),
    McpServer.toolkit(Writes).pipe(Layer.provide(WritesLive), Layer.provide(writing.layer))
  ).pipe(Layer.provide(Store.layer))

  const Server = McpServer.layerHttp({
    name: "files",
    version: "1.0.0",
    path: "/mcp",
    protocols: [McpProtocol.v2026_07_28, McpProtocol.v2025_11_25, McpProtocol.v2025_06_18],
    registrations: Tools,
    allowSessionTermination: true
  }).pipe(
    Mcp.protect(auth, {
      authorizationServers: [options.issuer],
      require: ["mcp"],
      initialScopes: ["files:read"],
      name: "Files"
    }),
    OAuth2.secured
  )
  return { auth, Server }
}
