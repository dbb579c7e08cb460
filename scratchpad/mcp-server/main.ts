/**
 * Runs an MCP server and its authorization server. Then the client of the official TypeScript SDK logs in, calls a tool,
 * is refused by another tool, requests the missing scope, and succeeds.
 *
 * Run `npm run example -- mcp-server`. Without the SDK, or with `--serve`, the program only
 * serves. `npm ci --prefix clients` installs the SDK.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer } from "effect"
import { FetchHttpClient, HttpRouter } from "effect/http"
import { JwtVerifier } from "effect-oauth2"
import { createServer } from "node:http"
import * as SdkClient from "../../clients/mcp.ts"
import { AuthorizationServer, clients } from "../items-api/AuthorizationServer.ts"
import * as Files from "./Files.ts"

/** The page to which the browser returns. The client reads the code from the URL, so nothing needs to listen there. */
const redirectUri = "http://127.0.0.1:33418/callback"

const port = (name: string, fallback: number) => Config.withDefault(Config.Port(name), fallback)

const session = Effect.fnUntraced(function* (url: string) {
  const show = ({ challenge, method, status, url }: SdkClient.Exchange) => {
    console.log(`  ${status} ${method} ${url.pathname}${challenge === null ? "" : `\n      ${challenge}`}`)
  }
  yield* Console.log("\nThe client knows only the URL, and connects:")
  const client = yield* Effect.acquireRelease(
    Effect.promise(() =>
      SdkClient.connect({ url, redirectUri, clientId: clients.mcp.clientId, login: "demo", onResponse: show })
    ),
    (client) => Effect.promise(() => client.close())
  )
  yield* Console.log(`The user grants ${client.requested.at(-1)}. The client lists the tools:`)
  yield* Console.log(`  ${(yield* Effect.promise(() => client.tools())).join(", ")}`)
  yield* Console.log(`list_files: ${yield* Effect.promise(() => client.call("list_files"))}`)
  yield* Console.log("write_file needs files:write:")
  const written = yield* Effect.promise(() => client.call("write_file", { name: "a.txt", text: "hello" }))
  yield* Console.log(`The user grants ${client.requested.at(-1)}.`)
  yield* Console.log(`write_file: ${written}`)
  yield* Console.log(`list_files: ${yield* Effect.promise(() => client.call("list_files"))}`)
})

const program = Effect.gen(function* () {
  const serverPort = yield* port("PORT", 3010)
  const issuerPort = yield* port("AUTHORIZATION_SERVER_PORT", 3011)
  const serves = yield* Config.withDefault(Config.Boolean("SERVE"), false)
  const resource = `http://127.0.0.1:${serverPort}/mcp`
  const { issuer } = yield* Effect.provideContext(
    AuthorizationServer,
    yield* Layer.build(
      AuthorizationServer.layer({
        port: issuerPort,
        audience: resource,
        redirectUris: [],
        mcpRedirectUris: [redirectUri],
        origins: [],
        scopes: Object.keys(Files.scopes)
      })
    )
  )
  const { auth, Server } = Files.make({ resource, issuer })
  yield* Layer.build(
    HttpRouter.serve(Server.pipe(Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience: resource })))), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(
      Layer.provide(
        NodeHttpServer.layer(createServer, { port: serverPort, host: "127.0.0.1", gracefulShutdownTimeout: 0 })
      )
    )
  )
  yield* Console.log(`The MCP server is at ${resource}, and its authorization server at ${issuer}.`)
  if (serves || SdkClient.missing().length > 0) {
    yield* Console.log("Ctrl-C ends the program.")
    return yield* Effect.never
  }
  yield* Effect.scoped(session(resource))
})

program.pipe(Effect.scoped, Effect.provide(FetchHttpClient.layer), NodeRuntime.runMain)
