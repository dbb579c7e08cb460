/** Streamed responses of an MCP server end with their token. */
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted, Schema } from "effect"
import { McpProtocol, McpSchema, McpServer, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import { OAuth2, TokenVerifier } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"
import { begin, info, message, meta, metadata, resource, served } from "../support/mcpServer.ts"
import { portOf, revoked, verifierLayer } from "../support/rpc.ts"

const auth = OAuth2.bearer("OAuth2", { scopes: { mcp: "", watch: "" }, responses: "rfc6750", resource })
const watching = Mcp.require(auth.require("watch"))

/** Completes when the next tool that waits ends. */
let ended = Deferred.makeUnsafe<"interrupted">()
/** Completes when a tool waits. */
let waits = Deferred.makeUnsafe<void>()
/** Ends the tools that wait. */
let finish = Deferred.makeUnsafe<void>()

const notify = Effect.gen(function* () {
  const { notifications } = yield* McpServer.McpServer
  const { requestMetadata } = yield* McpSchema.McpRequestContext
  const progressToken = String(requestMetadata?.["progressToken"])
  yield* notifications["notifications/progress"]({ progressToken, progress: 1 })
})

const waiting = Effect.suspend(() => {
  Deferred.doneUnsafe(waits, Effect.void)
  return Effect.onInterrupt(Deferred.await(finish), () => Deferred.succeed(ended, "interrupted"))
})

const services = [McpServer.McpServer, McpSchema.McpRequestContext] as const

const Guarded = Toolkit.make(
  Tool.make("watch", { success: Schema.String, dependencies: [watching.grant, ...services] }),
  Tool.make("wait", { success: Schema.String, dependencies: [watching.grant, ...services] })
)
const Open = Toolkit.make(Tool.make("open", { success: Schema.String, dependencies: [...services] }))

const Registrations = Layer.mergeAll(
  McpServer.toolkit(Guarded).pipe(
    Layer.provide(
      Guarded.toLayer({
        watch: () => Effect.andThen(notify, Effect.as(waiting, "watched")),
        // Begins its stream after it has waited.
        wait: () => waiting.pipe(Effect.andThen(notify), Effect.andThen(Effect.never))
      })
    ),
    Layer.provide(watching.layer)
  ),
  McpServer.toolkit(Open).pipe(
    Layer.provide(Open.toLayer({ open: () => Effect.andThen(notify, Effect.as(waiting, "open")) }))
  )
)

const protocols = [McpProtocol.v2026_07_28, McpProtocol.v2025_11_25, McpProtocol.v2025_03_26] as const
const protection = {
  authorizationServers: ["https://idp.example.com"],
  require: ["mcp"],
  initialScopes: ["watch"]
} as const

const Server = McpServer.layerHttp({ ...info, path: "/mcp", protocols, registrations: Registrations }).pipe(
  Mcp.protect(auth, protection),
  OAuth2.secured,
  Layer.provide(auth.layer(verifierLayer)),
  Layer.provideMerge(verifierLayer)
)

/** Sends a message. Returns the status, and effects that read the next chunk, and all other events. */
const open = Effect.fnUntraced(function* (token: string, body: object, headers: Readonly<Record<string, string>>) {
  const port = yield* portOf
  const response = yield* Effect.promise(() =>
    fetch(`http://127.0.0.1:${port}/mcp`, {
      method: "POST",
      headers: {
        accept: "application/json, text/event-stream",
        "content-type": "application/json",
        authorization: `Bearer ${token}`,
        ...headers
      },
      body: JSON.stringify(body)
    })
  )
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  const next = Effect.promise(async () => (await reader.read()).value ?? "")
  const rest = Effect.promise(async () => {
    let text = ""
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) text += chunk.value
    return text.split("\n\n").flatMap((event): ReadonlyArray<any> =>
      // The server keeps subscriptions alive with comments.
      event.startsWith("data: ") ? [JSON.parse(event.slice(6))] : []
    )
  })
  return { status: response.status, type: response.headers.get("content-type"), next, rest }
})

const failure = (id: number) => {
  const challenge = `Bearer error="invalid_token", scope="mcp watch", ${metadata}`
  const error = {
    code: -32001,
    message: "Could not validate credentials",
    data: { challenge, resource_metadata: "https://api.example.com/.well-known/oauth-protected-resource/mcp" }
  }
  return { jsonrpc: "2.0", id, error }
}

let calls = 0
const call = (name: string) =>
  message("tools/call", { name, arguments: {}, _meta: { ...meta, progressToken: `progress ${++calls}` } })
/** A call of a legacy protocol. */
const legacyCall = (name: string) =>
  message("tools/call", { name, arguments: {}, _meta: { progressToken: `progress ${++calls}` } })
const modern = (method: string, name: string) => ({
  "mcp-protocol-version": "2026-07-28",
  "mcp-method": method,
  "mcp-name": name
})
const restart = Effect.sync(() => {
  ended = Deferred.makeUnsafe()
  waits = Deferred.makeUnsafe()
  finish = Deferred.makeUnsafe()
})

layer(served(Server))("a streamed response of an MCP server", (it) => {
  for (const name of ["watch", "open"]) {
    it.effect(`ends when the token expires, and interrupts the tool ${name}`, () =>
      Effect.gen(function* () {
        yield* restart
        const body = call(name)
        const token = `alice~mcp+watch~${name === "watch" ? 100 : 200}`
        const { next, rest, status, type } = yield* open(token, body, modern("tools/call", name))
        assert.deepStrictEqual([status, type], [200, "text/event-stream"])
        assert.include(yield* next, "notifications/progress")
        yield* TestClock.setTime(name === "watch" ? 99_999 : 199_999)
        assert.isFalse(yield* Deferred.isDone(ended))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(yield* rest, [failure(body.id)])
        assert.strictEqual(yield* Deferred.await(ended), "interrupted")
      })
    )
  }

  it.effect("ends when the token is invalidated", () =>
    Effect.gen(function* () {
      yield* restart
      const [token, other] = ["alice~mcp+watch~9000", "bob~mcp+watch~9000"]
      const [body, headers] = [call("watch"), modern("tools/call", "watch")]
      const mine = yield* open(token, body, headers)
      assert.include(yield* mine.next, "notifications/progress")
      const theirs = yield* open(other, call("watch"), headers)
      assert.include(yield* theirs.next, "notifications/progress")
      revoked.add(token)
      yield* TokenVerifier.invalidate(Redacted.make(token))
      assert.deepStrictEqual(yield* mine.rest, [failure(body.id)])
      // The client gets 401 for its next request. The stream of another token continues.
      const next = yield* open(token, call("watch"), headers)
      assert.strictEqual(next.status, 401)
      revoked.delete(token)
      yield* Deferred.succeed(finish, undefined)
      assert.include(JSON.stringify(yield* theirs.rest), "watched")
    })
  )

  it.effect("ends with the token if the response is a subscription", () =>
    Effect.gen(function* () {
      const body = message("subscriptions/listen", { notifications: { toolsListChanged: true }, _meta: meta })
      const { next, rest, status } = yield* open("carol~mcp~1000", body, {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "subscriptions/listen"
      })
      assert.strictEqual(status, 200)
      assert.include(yield* next, "notifications/subscriptions/acknowledged")
      yield* TestClock.setTime(1_000_000)
      assert.deepStrictEqual(yield* rest, [failure(body.id)])
    })
  )

  it.effect("ends at once if the token expired before the stream began", () =>
    Effect.gen(function* () {
      yield* restart
      const body = call("wait")
      const opening = yield* Effect.forkChild(open("dave~mcp+watch~2000", body, modern("tools/call", "wait")))
      yield* Deferred.await(waits)
      // A response that has not begun does not end with its token.
      yield* TestClock.setTime(2_000_000)
      assert.isUndefined(opening.pollUnsafe())
      yield* Deferred.succeed(finish, undefined)
      const { rest } = yield* Fiber.join(opening)
      assert.deepStrictEqual((yield* rest).at(-1), failure(body.id))
    })
  )

  it.effect("of a legacy session ends with the token that sent the message, and a batch ends without an error", () =>
    Effect.gen(function* () {
      yield* restart
      const headers = yield* begin("erin~mcp~9000000", "2025-03-26")
      const body = legacyCall("watch")
      const single = yield* open("erin~mcp+watch~3000", body, headers)
      assert.include(yield* single.next, "notifications/progress")
      const batch = yield* open("erin~mcp+watch~3000", [legacyCall("watch")], headers)
      assert.include(yield* batch.next, "notifications/progress")
      yield* TestClock.setTime(3_000_000)
      assert.deepStrictEqual([yield* single.rest, yield* batch.rest], [[failure(body.id)], []])
      // The session continues with another token of its user.
      yield* restart
      const renewed = yield* open("erin~mcp+watch~4000", legacyCall("watch"), headers)
      assert.include(yield* renewed.next, "notifications/progress")
      yield* Deferred.succeed(finish, undefined)
      assert.include(JSON.stringify(yield* renewed.rest), "watched")
    })
  )
})

const RequestScoped = McpServer.layerHttpRequestScoped({
  ...info,
  path: "/mcp",
  protocols: [McpProtocol.v2026_07_28],
  registrations: Registrations
}).pipe(Mcp.protect(auth, protection), OAuth2.secured, Layer.provide(auth.layer(verifierLayer)))

layer(served(RequestScoped))("a streamed response of an MCP server that belongs to each request", (it) => {
  it.effect("ends when the token expires, and interrupts the tool", () =>
    Effect.gen(function* () {
      yield* restart
      const body = call("watch")
      const { next, rest } = yield* open("alice~mcp+watch~100", body, modern("tools/call", "watch"))
      assert.include(yield* next, "notifications/progress")
      yield* TestClock.setTime(100_000)
      assert.deepStrictEqual(yield* rest, [failure(body.id)])
      assert.strictEqual(yield* Deferred.await(ended), "interrupted")
    })
  )
})
