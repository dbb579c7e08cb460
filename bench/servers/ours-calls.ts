/** Open and protected procedures of `effect/rpc`, and open and protected tools of MCP. */
import { Effect, Layer, Schema } from "effect"
import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"
import { HttpRouter } from "effect/http"
import { Rpc, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import * as Mcp from "../../src/mcp/Mcp.ts"
import { settings } from "./child.ts"
import { quiet, serveEffect } from "./effect.ts"
import { auth, Authentication, required } from "./ours.ts"

const items = Effect.succeed("items")

const Procedures = RpcGroup.make(
  Rpc.make("open", { success: Schema.String }),
  Rpc.make("protected", { success: Schema.String }).middleware(required.rpc)
)

const Calls = RpcServer.layerHttp({ group: Procedures, path: "/rpc", protocol: "http" }).pipe(
  Layer.provide([Procedures.toLayer({ open: () => items, protected: () => items }), RpcSerialization.layerNdjson])
)

const Tools = Toolkit.make(Tool.make("list", { success: Schema.String }))
const Registered = McpServer.toolkit(Tools).pipe(Layer.provide(Tools.toLayer({ list: () => items })))

const mcpServer = <A, E, R>(path: HttpRouter.PathInput, registrations: Layer.Layer<A, E, R>) =>
  McpServer.layerHttp({
    name: "items",
    version: "1.0.0",
    path,
    protocols: [McpProtocol.v2026_07_28],
    registrations
  })

const Open = mcpServer("/mcp-open", Registered)

const Protected = mcpServer("/mcp", Registered.pipe(Layer.provide(Mcp.require(required).layer))).pipe(
  Mcp.protect(auth, { resource: "https://api.example.com/mcp", authorizationServers: [settings.issuer] })
)

serveEffect(HttpRouter.serve(Layer.mergeAll(Calls, Open, Protected), quiet).pipe(Layer.provide(Authentication)))
