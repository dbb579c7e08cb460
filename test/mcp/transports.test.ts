/** Requirements of MCP servers without HTTP, without `Mcp.protect`, without a session, and in several servers. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Queue, Redacted, Schema, Sink, Stdio, Stream } from "effect"
import { McpProtocol, McpServer, McpTest, Tool, Toolkit } from "effect/ai"
import { HttpClient } from "effect/http"
import { BearerToken, OAuth2, TokenVerifier } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"
import { begin, info, message, metadata, modern, send, served, serverOf, Verifier } from "../support/mcpServer.ts"
import { verified, Verifier as TestVerifier } from "../support/TestVerifier.ts"

describe("Mcp.require without HTTP", () => {
  const protocols = [McpProtocol.v2026_07_28, McpProtocol.v2025_11_25, McpProtocol.v2025_03_26] as const

  /** Calls tools of a server with the token of the environment. */
  const calls = (environment: Layer.Layer<never> | Layer.Layer<BearerToken>) =>
    Effect.gen(function* () {
      const { auth, ran } = serverOf("rfc6750")
      const writing = Mcp.require(auth.require("files:write"), { hideFromLists: true })
      const Tools = Toolkit.make(Tool.make("write", { success: Schema.String, dependencies: [writing.grant] }))
      const Registrations = McpServer.toolkit(Tools).pipe(
        Layer.provide(
          Tools.toLayer({
            write: () => Effect.map(auth.granted("files:write"), ({ subject }) => (ran.push("write"), subject))
          })
        ),
        Layer.provide(writing.layer),
        // Safe cast: the requirement reads the token only if the program provides one.
        Layer.provide(environment as Layer.Layer<never>),
        Layer.provide(auth.layer(Verifier))
      )
      const results: Array<unknown> = []
      for (const protocol of protocols) {
        const client = yield* McpTest.makeClient(Registrations, { protocols: [protocol] })
        const { tools } = yield* client.listTools()
        const called = yield* client.callTool({ name: "write", arguments: {} }).pipe(
          Effect.map(({ content }) => content[0]),
          Effect.catch(({ code, message }) => Effect.succeed({ code, message }))
        )
        results.push([tools.length, called, ran.splice(0)])
      }
      return results
    }).pipe(Effect.scoped)

  const token = (text: string) => Layer.succeed(BearerToken, Redacted.make(text))

  it.live("uses the BearerToken that the program provides to the layer", () =>
    Effect.gen(function* () {
      const [modern, ...legacy] = yield* calls(token("env~files_write"))
      for (const [listed, content, ran] of [modern, ...legacy] as ReadonlyArray<
        [number, { readonly text: string }, unknown]
      >) {
        // Only newer protocols encode the text as JSON.
        assert.deepStrictEqual([listed, content.text.replaceAll('"', ""), ran], [1, "env", ["write"]])
      }
    })
  )

  it.live("refuses every call without a token, and a call without its scopes", () =>
    Effect.gen(function* () {
      for (const result of yield* calls(Layer.empty)) {
        assert.deepStrictEqual(result, [0, { code: -32001, message: "Not authenticated" }, []])
      }
      for (const result of yield* calls(token("env~files_read"))) {
        const message = "Not enough permissions. Required scopes: files:write"
        assert.deepStrictEqual(result, [0, { code: -32003, message }, []])
      }
      for (const result of yield* calls(token("env~bad"))) {
        assert.deepStrictEqual(result, [0, { code: -32001, message: "Could not validate credentials" }, []])
      }
    })
  )
})

describe("Mcp.require on stdio", () => {
  /** Sends calls to a server on standard streams, one after the other. Returns the results and errors. */
  const calls = (token: string | undefined) =>
    Effect.gen(function* () {
      const { auth, ran, Registrations } = serverOf("rfc6750")
      const Environment = token === undefined ? Layer.empty : Layer.succeed(BearerToken, Redacted.make(token))
      const lines = yield* Queue.make<Uint8Array>()
      const answers = yield* Queue.make<string>()
      const Server = McpServer.layerStdio({
        ...info,
        protocols: [McpProtocol.v2025_11_25],
        // The registrations need services of an endpoint, and the requirements refuse calls before these are read.
        registrations: Registrations as Layer.Layer<never>
      }).pipe(
        // Safe cast: the requirements read the token only if the program provides one.
        Layer.provide(Environment),
        Layer.provide(Layer.orDie(auth.layer(Verifier))),
        Layer.provide(
          Stdio.layerTest({
            stdin: Stream.fromQueue(lines),
            stdout: () =>
              Sink.forEach((chunk: string | Uint8Array) =>
                Queue.offer(answers, typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk))
              )
          })
        )
      )
      // The protocol interrupts the fiber that builds it when the streams end.
      yield* Effect.forkScoped(Layer.launch(Server))
      const write = (body: object) => Queue.offer(lines, new TextEncoder().encode(`${JSON.stringify(body)}\n`))
      const ask = (body: object) =>
        Effect.map(Effect.andThen(write(body), Queue.take(answers)), (text) => JSON.parse(text))
      yield* ask(message("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: info }))
      yield* write({ jsonrpc: "2.0", method: "notifications/initialized" })
      const results: Array<unknown> = []
      for (const [method, params] of [
        ["tools/call", { name: "read", arguments: {} }],
        ["tools/call", { name: "write", arguments: {} }],
        ["resources/read", { uri: "test://secret" }],
        ["prompts/get", { name: "summary", arguments: { topic: "x" } }]
      ] as const) {
        const { error, result } = yield* ask(message(method, params))
        results.push(error === undefined ? (result.content?.[0].text ?? "accepted") : [error.code, error.message])
      }
      return [results, ran]
    }).pipe(Effect.scoped)

  it.live("uses the token of the environment for tools, resources and prompts", () =>
    Effect.gen(function* () {
      const [results] = yield* calls("env~files_read+files_write")
      assert.deepStrictEqual(results, ["env", "env", "accepted", "accepted"])
    })
  )

  it.live("refuses calls without the token, and without its scopes", () =>
    Effect.gen(function* () {
      const none = [-32001, "Not authenticated"]
      assert.deepStrictEqual(yield* calls(undefined), [[none, none, none, none], []])
      const denied = [-32003, "Not enough permissions. Required scopes: files:read files:write"]
      assert.deepStrictEqual(yield* calls("env~files_read"), [["env", denied, denied, "accepted"], ["read"]])
    })
  )
})

const { auth, Registrations } = serverOf("fastapi")
const everything = Mcp.require(auth.require("mcp"))

const Global = McpServer.layerHttp({
  ...info,
  path: "/mcp",
  protocols: [McpProtocol.v2026_07_28],
  registrations: Registrations.pipe(Layer.provideMerge(everything.layerGlobal))
}).pipe(Layer.provide(auth.layer(Verifier)))

layer(served(Global))("Mcp.require for the whole server, without Mcp.protect", (it) => {
  it.effect("refuses calls without a token, and names the metadata of the scheme", () =>
    Effect.gen(function* () {
      const none = yield* modern(undefined, "tools/call", { name: "read" })
      assert.deepStrictEqual(
        [none.status, none.challenge, none.messages[0].error.code],
        [401, `Bearer realm="OAuth2", scope="mcp files:read", ${metadata}`, -32001]
      )
      const malformed = yield* modern(undefined, "tools/call", { name: "read" }, { authorization: "Bearer a b" })
      assert.deepStrictEqual(
        [malformed.status, malformed.challenge],
        [400, `Bearer error="invalid_request", ${metadata}`]
      )
    })
  )

  it.effect("responds with 503 to calls and lists if the authorization server is unavailable", () =>
    Effect.gen(function* () {
      const call = yield* modern("alice~outage", "tools/call", { name: "read" })
      // The list contains a hidden tool, so it needs a decision.
      const list = yield* modern("alice~outage", "tools/list")
      for (const { challenge, headers, messages, status } of [call, list]) {
        assert.deepStrictEqual([status, challenge, headers.get("retry-after")], [503, null, "7"])
        assert.deepStrictEqual(
          [messages[0].error.code, messages[0].error.message],
          [-32004, "Authorization server unavailable"]
        )
      }
    })
  )

  it.effect("decides nested requirements together", () =>
    Effect.gen(function* () {
      const denied = yield* modern("alice~files_read", "tools/call", { name: "read" })
      assert.deepStrictEqual(
        [denied.status, denied.challenge],
        [403, `Bearer error="insufficient_scope", scope="mcp files:read", ${metadata}`]
      )
      const accepted = yield* modern("alice~mcp+files_read", "tools/call", { name: "read" })
      assert.deepStrictEqual([accepted.status, accepted.messages[0].result.content[0].text], [200, '"alice"'])
    })
  )
})

describe("Mcp.protect without a long-lived server", () => {
  it.live("guards a server whose execution belongs to each request", () =>
    Effect.gen(function* () {
      const { auth, ran, Registrations } = serverOf("rfc6750")
      const Server = McpServer.layerHttpRequestScoped({
        ...info,
        path: "/mcp",
        protocols: [McpProtocol.v2026_07_28],
        registrations: Registrations
      }).pipe(
        Mcp.protect(auth, { authorizationServers: ["https://idp.example.com"], require: ["mcp"] }),
        OAuth2.secured,
        Layer.provide(auth.layer(Verifier))
      )
      yield* Effect.gen(function* () {
        const none = yield* modern(undefined, "tools/call", { name: "read" })
        assert.deepStrictEqual([none.status, none.challenge], [401, `Bearer realm="OAuth2", scope="mcp", ${metadata}`])
        const denied = yield* modern("alice~mcp", "tools/call", { name: "write" })
        const needed = `Bearer error="insufficient_scope", scope="mcp files:read files:write", ${metadata}`
        assert.deepStrictEqual([denied.status, denied.challenge, ran], [403, needed, []])
        const accepted = yield* modern("alice~mcp+admin", "tools/call", { name: "write" })
        assert.deepStrictEqual([accepted.status, ran], [200, ["write"]])
      }).pipe(Effect.provide(served(Server)))
    })
  )
})

describe("one requirement in two servers", () => {
  it.live("asks the verifier of the server that was called", () =>
    Effect.gen(function* () {
      const { auth } = serverOf("rfc6750")
      const reading = Mcp.require(auth.require("files:read"))
      const writing = Mcp.require(auth.require("files:write"))
      const Tools = Toolkit.make(Tool.make("write", { success: Schema.String }))
      const Live = Tools.toLayer({ write: () => Effect.succeed("written") })
      const registrations = {
        nested: McpServer.toolkit(Tools).pipe(
          Layer.provide(Live),
          Layer.provide(writing.layer),
          Layer.provide(reading.layer)
        ),
        combined: McpServer.toolkit(Tools).pipe(Layer.provide(Live), Layer.provide(writing.combine(reading).layer)),
        global: McpServer.toolkit(Tools).pipe(Layer.provide(Live), Layer.provideMerge(writing.layerGlobal))
      }
      for (const [how, registered] of Object.entries(registrations)) {
        const called: Array<string> = []
        const server = (path: `/${string}`) =>
          McpServer.layerHttp({ ...info, path, protocols: [McpProtocol.v2026_07_28], registrations: registered }).pipe(
            Layer.provide(
              auth.layer(
                TokenVerifier.layer({
                  verify: () =>
                    Effect.sync(() => {
                      called.push(path)
                      return verified(path, path === "/mcp" ? ["files:read"] : ["files:read", "files:write"])
                    })
                })
              )
            ),
            // Each server has its own registrations.
            Layer.fresh
          )
        const Both = Layer.merge(server("/other"), server("/mcp"))
        const { challenge, status } = yield* modern("alice", "tools/call", { name: "write" }).pipe(
          Effect.provide(served(Both))
        )
        assert.deepStrictEqual([how, status, called], [how, 403, ["/mcp"]])
        assert.include(challenge ?? "", "files:write")
      }
    })
  )
})

describe("Mcp.protect with a resource of its own", () => {
  it.live("names the metadata of this resource in every challenge", () =>
    Effect.gen(function* () {
      const urls = [undefined, "https://api.example.com"] as const
      for (const ofScheme of urls) {
        const auth = OAuth2.bearer("Own", {
          scopes: { mcp: "", read: "" },
          ...(ofScheme === undefined ? {} : { resource: ofScheme })
        })
        const reading = Mcp.require(auth.require("read"))
        const Server = McpServer.layerHttp({
          ...info,
          path: "/mcp",
          protocols: [McpProtocol.v2026_07_28, McpProtocol.v2025_03_26],
          registrations: McpServer.resource({ uri: "test://a", name: "a", content: Effect.succeed("a") }).pipe(
            Layer.provide(reading.layer)
          )
        }).pipe(
          Mcp.protect(auth, {
            resource: "https://mcp.example.com/mcp",
            authorizationServers: ["https://idp.example.com"],
            require: ["mcp"],
            scopes: ["mcp"]
          }),
          Layer.provide(auth.layer(new TestVerifier({ low: ["mcp"] }).layer))
        )
        const own = 'resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"'
        yield* Effect.gen(function* () {
          const none = yield* modern(undefined, "resources/read", { uri: "test://a" })
          assert.deepStrictEqual([none.status, none.challenge], [401, `Bearer realm="Own", scope="mcp", ${own}`])
          const session = yield* begin("low", "2025-03-26")
          for (const denied of [
            yield* modern("low", "resources/read", { uri: "test://a" }),
            yield* send("low", message("resources/read", { uri: "test://a" }), session)
          ]) {
            const challenge = `Bearer error="insufficient_scope", scope="mcp read", ${own}`
            assert.deepStrictEqual([denied.status, denied.challenge], [403, challenge])
            assert.strictEqual(denied.messages[0].error.data.challenge, challenge)
          }
          const document = yield* HttpClient.get("/.well-known/oauth-protected-resource/mcp")
          assert.deepInclude(yield* document.json, {
            resource: "https://mcp.example.com/mcp",
            scopes_supported: ["mcp"]
          })
        }).pipe(Effect.provide(served(Server)))
      }
    })
  )

  it("refuses a scheme and options without a resource", () => {
    const auth = OAuth2.bearer("Own", {})
    assert.throws(
      () => Mcp.protect(auth, { authorizationServers: ["https://idp.example.com"] }),
      TypeError,
      "Pass the option resource to Mcp.protect or to the constructor of the scheme."
    )
  })
})
