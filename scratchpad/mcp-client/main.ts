/**
 * Runs an MCP server and its authorization server, and a client of `effect/ai` that knows only the URL of the server.
 * The user signs in when the server wants a token, and grants another scope when a tool needs it.
 *
 * Run `npm run example -- mcp-client`. The "browser" of this example is a request, and its user is signed in.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { McpClient, McpProtocol } from "effect/ai"
import { FetchHttpClient, HttpClient, HttpRouter } from "effect/http"
import { JwtVerifier } from "effect-oauth2"
import { ClientAuthentication, ClientRegistration } from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"
import * as Files from "../mcp-server/Files.ts"
import { authorizationServerPort, host, issuer } from "../support/Addresses.ts"
import * as Client from "./Client.ts"

const clientId = "mcp-client"

const call = Effect.fnUntraced(function* (name: string, args: Readonly<Record<string, string>> = {}) {
  const client = yield* McpClient.McpClient
  const tool = (yield* client.listTools()).find((tool) => tool.name === name)
  if (tool === undefined) return yield* Effect.die(new Error(`The server has no tool ${name}.`))
  const { content } = yield* client.callTool({ tool, arguments: args })
  const [first] = content
  yield* Console.log(`${name}: ${first?.type === "text" ? first.text : "no text"}`)
})

const session = Effect.gen(function* () {
  const client = yield* McpClient.McpClient
  const tools = yield* client.listTools()
  yield* Console.log(`The server has the tools ${tools.map(({ name }) => name).join(", ")}.`)
  yield* call("list_files")
  yield* call("write_file", { name: "a.txt", text: "hello" })
  yield* call("list_files")
})

const program = Effect.gen(function* () {
  const port = yield* Config.withDefault(Config.Port("PORT"), 3000)
  const serves = yield* Config.withDefault(Config.Boolean("SERVE"), false)
  const url = `http://${host}:${port}/mcp`
  yield* Layer.build(
    TestIssuer.serve({ audience: url, clients: [{ clientId, redirectUris: [Client.redirectUri] }] }).pipe(
      Layer.provide(NodeHttpServer.layer(createServer, { port: authorizationServerPort, host }))
    )
  )
  const { auth, Server } = Files.make({ resource: url, issuer })
  yield* Layer.build(
    HttpRouter.serve(Server.pipe(Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience: url })))), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(Layer.provide(NodeHttpServer.layer(createServer, { port, host, gracefulShutdownTimeout: 0 })))
  )
  yield* Console.log(`The MCP server is at ${url}.`)
  if (serves) {
    yield* Console.log("Ctrl-C ends the program.")
    return yield* Effect.never
  }

  const http = HttpClient.followRedirects(yield* HttpClient.HttpClient)
  const registrations = yield* ClientRegistration.make({
    // This issuer knows the client. At any other issuer, the client registers itself.
    clients: { [issuer]: { clientId, authentication: ClientAuthentication.none } },
    register: Client.metadata
  })
  const authorize = Client.signIn(registrations, {
    show: (page) => Console.log(`The user grants ${new URL(page).searchParams.get("scope")}.`),
    open: (page) => http.get(page)
  })
  yield* Effect.provide(session, Client.layer({ url, protocol: McpProtocol.v2026_07_28 }, authorize))
})

program.pipe(Effect.scoped, Effect.provide(FetchHttpClient.layer), NodeRuntime.runMain)
