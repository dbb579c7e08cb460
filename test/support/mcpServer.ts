/** An MCP server with guarded tools, resources and prompts, and requests to it. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { DateTime, Duration, Effect, Layer, Redacted, Schema } from "effect"
import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"
import { HttpRouter, HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import { AccessToken, type Challenge, OAuth2, Requirement, SecurityError, TokenVerifier } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"
import { authorizationServer } from "./authorizationServer.ts"

export const resource = "https://api.example.com/mcp"
export const metadata = 'resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/mcp"'
export const info = { name: "files", version: "1.0.0" }

/** A token is a subject, scopes and an issuer: `alice~mcp+files_read~a`. The scopes `bad` and `outage` fail. */
export const Verifier = TokenVerifier.layer({
  verify: (bearer) => {
    const [subject = "", scopes = "", issuer = "a"] = Redacted.value(bearer).split("~")
    if (scopes === "outage") {
      const retryAfter = Duration.seconds(7)
      return Effect.fail(new SecurityError.AuthorizationServerUnavailable({ reason: "Timeout", retryAfter }))
    }
    return scopes === "bad"
      ? Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
      : Effect.succeed(
          AccessToken.make({
            subject,
            scopes: scopes.replaceAll("+", " ").replaceAll("_", ":"),
            issuer,
            expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
          })
        )
  }
})

export const serverOf = (responses: Challenge.Responses) => {
  const auth = OAuth2.authorizationCode("OAuth2", {
    ...authorizationServer,
    scopes: { mcp: "", "files:read": "", "files:write": "", admin: "", offline_access: "" },
    implies: { admin: ["files:read", "files:write"] },
    resource,
    responses
  })
  /** The names of the tools, resources and prompts that have run. */
  const ran: Array<string> = []
  const run = (name: string) => Effect.sync(() => void ran.push(name))

  const reading = Mcp.require(auth.require("files:read"))
  const writing = Mcp.require(auth.require("files:write"))
  const hidden = Mcp.require(auth.require("admin"), { hideFromLists: true })
  const checked = Mcp.require(auth.require(Requirement.check("never", () => Effect.succeed(false))))

  const subject = (name: string) =>
    Effect.andThen(
      run(name),
      Effect.map(AccessToken, (token) => token.subject)
    )
  const Open = Toolkit.make(Tool.make("whoami", { success: Schema.String, dependencies: [AccessToken] }))
  const Reads = Toolkit.make(Tool.make("read", { success: Schema.String, dependencies: [reading.grant] }))
  const Writes = Toolkit.make(
    Tool.make("write", { success: Schema.String, dependencies: [reading.grant, writing.grant] })
  )
  const Admin = Toolkit.make(Tool.make("wipe", { success: Schema.String, dependencies: [hidden.grant] }))
  const Checked = Toolkit.make(Tool.make("never", { success: Schema.String, dependencies: [checked.grant] }))

  const Registrations = Layer.mergeAll(
    McpServer.toolkit(Open).pipe(Layer.provide(Open.toLayer({ whoami: () => subject("whoami") }))),
    McpServer.toolkit(Reads).pipe(
      Layer.provide(
        Reads.toLayer({
          read: () =>
            Effect.andThen(
              run("read"),
              Effect.map(auth.granted("files:read"), (token) => token.subject)
            )
        })
      ),
      Layer.provide(reading.layer)
    ),
    McpServer.toolkit(Writes).pipe(
      Layer.provide(
        Writes.toLayer({
          write: () =>
            Effect.andThen(
              run("write"),
              Effect.map(auth.granted("files:read", "files:write"), (token) => token.subject)
            )
        })
      ),
      Layer.provide(writing.combine(reading).layer)
    ),
    McpServer.toolkit(Admin).pipe(
      Layer.provide(
        Admin.toLayer({
          wipe: () =>
            Effect.andThen(
              run("wipe"),
              Effect.map(auth.granted("admin"), (token) => token.subject)
            )
        })
      ),
      Layer.provide(hidden.layer)
    ),
    McpServer.toolkit(Checked).pipe(
      Layer.provide(Checked.toLayer({ never: () => subject("never") })),
      Layer.provide(checked.layer)
    ),
    McpServer.resource({
      uri: "test://secret",
      name: "secret",
      content: Effect.map(auth.granted("files:read", "files:write"), (token) => `secret of ${token.subject}`)
    }).pipe(Layer.provide(writing.layer), Layer.provide(reading.layer)),
    McpServer.prompt({
      name: "summary",
      parameters: { topic: Schema.String },
      completion: { topic: () => Effect.succeed(["files"]) },
      content: ({ topic }) => Effect.map(auth.granted("files:read"), (token) => `${topic} of ${token.subject}`)
    }).pipe(Layer.provide(reading.layer))
  )

  const origin = "https://inspector.example.com"
  const Server = McpServer.layerHttp({
    ...info,
    path: "/mcp",
    protocols: [McpProtocol.v2025_03_26, McpProtocol.v2025_11_25, McpProtocol.v2026_07_28],
    registrations: Registrations,
    allowedOrigins: [origin],
    allowSessionTermination: true
  }).pipe(
    Mcp.protect(auth, {
      authorizationServers: ["https://idp.example.com"],
      require: ["mcp"],
      initialScopes: ["files:read"],
      allowedOrigins: [origin]
    }),
    OAuth2.secured,
    Layer.provide(auth.layer(Verifier))
  )
  return { auth, ran, Registrations, Server, origin }
}

export const served = <A, E, R>(server: Layer.Layer<A, E, R>) =>
  HttpRouter.serve(server as Layer.Layer<A, E, HttpRouter.HttpRouter>, {
    disableLogger: true,
    disableListenLog: true
  }).pipe(Layer.provideMerge(NodeHttpServer.layerTest))

export interface Reply {
  readonly status: number
  readonly challenge: string | null
  readonly session: string | null
  readonly headers: Headers
  /** The JSON-RPC messages of the body. */
  readonly messages: ReadonlyArray<any>
  readonly text: string
}

const messagesOf = (text: string): ReadonlyArray<any> =>
  (/^[[{]/.test(text)
    ? [text]
    : text.split("\n").flatMap((line) => (line.startsWith("data:") ? [line.slice(5)] : []))
  ).flatMap((line) => JSON.parse(line))

/** Sends a request to the server of the context. */
export const send = (
  token: string | undefined,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
  method = "POST"
): Effect.Effect<Reply, never, HttpServer.HttpServer> =>
  Effect.flatMap(HttpServer.HttpServer, ({ address }) =>
    Effect.promise(async () => {
      const port = NetAddress.isInetAddress(address) ? address.port : 0
      const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
        method,
        headers: {
          accept: "application/json, text/event-stream",
          "content-type": "application/json",
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers
        },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) })
      })
      const text = await response.text()
      return {
        status: response.status,
        challenge: response.headers.get("www-authenticate"),
        session: response.headers.get("mcp-session-id"),
        headers: response.headers,
        messages: text === "" || response.headers.get("content-type")?.startsWith("text/plain") ? [] : messagesOf(text),
        text
      }
    })
  )

let id = 0

/** A message of a legacy protocol. */
export const message = (method: string, params: object = {}) => ({ jsonrpc: "2.0", id: ++id, method, params })

export const callOf = (name: string) => message("tools/call", { name, arguments: {} })

/** The metadata of a message of the protocol 2026-07-28. */
export const meta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": info,
  "io.modelcontextprotocol/clientCapabilities": {}
}

/** Sends a message of the protocol 2026-07-28. */
export const modern = (
  token: string | undefined,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {}
) =>
  send(
    token,
    message(method, {
      ...params,
      _meta: meta
    }),
    {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...(typeof (params["name"] ?? params["uri"]) === "string"
        ? { "mcp-name": String(params["name"] ?? params["uri"]) }
        : {}),
      ...headers
    }
  )

/** Begins a session of a legacy protocol. Returns the headers of its requests. */
export const begin = Effect.fnUntraced(function* (token: string, protocolVersion: string) {
  const { session } = yield* send(token, message("initialize", { protocolVersion, capabilities: {}, clientInfo: info }))
  const headers = {
    "mcp-session-id": session ?? "",
    ...(protocolVersion < "2025-06-18" ? {} : { "mcp-protocol-version": protocolVersion })
  }
  yield* send(token, { jsonrpc: "2.0", method: "notifications/initialized" }, headers)
  return headers
})
