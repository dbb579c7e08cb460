/** Attacks by calls and messages: MCP, `effect/rpc` and WebSockets. Each scenario has its own server on `TestClock`. */
import { assert } from "@effect/vitest"
import { Effect, Layer, Redacted, type Scope } from "effect"
import type { HttpServer } from "effect/http"
import { TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { begin, callOf, message, meta, modern } from "../support/mcpServer.ts"
import * as Arena from "./Arena.ts"
import { bearer, http, layer, line, mcp, open, ran, subscribe, tokenOf, tokens, assertSecret } from "./CallArena.ts"

export interface Scenario {
  readonly class: number
  readonly name: string
  readonly run: Effect.Effect<void, unknown, TestIssuer | TokenVerifier | HttpServer.HttpServer | Scope.Scope>
}

const scenario = (n: number, name: string, run: Scenario["run"]): Scenario => ({ class: n, name, run })

const legacy = ["2025-03-26", "2025-11-25"] as const
const metadata = 'resource_metadata="https://api.test/.well-known/oauth-protected-resource/mcp"'
const needsWrite = [403, `Bearer error="insufficient_scope", scope="mcp write", ${metadata}`] as const

/** Begins a session of a user who may only use `whoami`. */
const session = Effect.fnUntraced(function* (protocol: string, subject = "alice") {
  const token = yield* tokenOf(subject, "mcp")
  return { token, headers: yield* begin(token, protocol) }
})

/** A socket on which each message is a token and a command, or procedures over HTTP and sockets. */
const onePerTransport = (
  n: number,
  name: string,
  run: (
    call: (tag: string, ...headers: ReadonlyArray<readonly [string, unknown]>) => Effect.Effect<unknown, never, any>
  ) => Effect.Effect<void, unknown, TestIssuer | TokenVerifier | HttpServer.HttpServer | Scope.Scope>
): ReadonlyArray<Scenario> => [
  scenario(
    n,
    `${name}, over HTTP`,
    run((tag, ...headers) => Effect.map(http(line(tag, headers)), ([result]) => result))
  ),
  scenario(
    n,
    `${name}, over a WebSocket`,
    Effect.flatMap(open("/socket"), ({ call }) =>
      run((tag, ...headers) => Effect.map(call(line(tag, headers)), ([result]) => result))
    )
  )
]

/** Sends a body to the server with a session of each legacy protocol, and asserts that nothing of the body runs. */
const runsNothing = (
  n: number,
  name: string,
  body: unknown,
  expected?: readonly [status: number, challenge?: string]
): ReadonlyArray<Scenario> =>
  legacy.map((protocol) =>
    scenario(
      n,
      `${name}, ${protocol}`,
      Effect.gen(function* () {
        const { headers, token } = yield* session(protocol)
        const { challenge, status } = yield* mcp(token, body, headers)
        assert.deepStrictEqual(ran, [])
        if (expected !== undefined) assert.deepStrictEqual([status, challenge], [expected[0], expected[1] ?? null])
      })
    )
  )

const text = (value: unknown) => JSON.stringify(value)
const [open1, write1] = [text(callOf("whoami")), text(callOf("write"))]

export const scenarios: ReadonlyArray<Scenario> = [
  ...onePerTransport(24, "a program keeps the proof of a call for the next call", (call) =>
    Effect.gen(function* () {
      const token = yield* tokenOf("alice", "read write")
      assert.strictEqual(yield* call("Keep", bearer(token)), "kept")
      assert.strictEqual(yield* call("UseKept", bearer(token)), "defect")
      assert.strictEqual(yield* call("UseKept", bearer(yield* tokenOf("mallory", "read"))), "defect")
    })
  ),
  ...["/messages", "/guarded-messages"].map((path) =>
    scenario(
      24,
      `a program keeps the proof of a message for the next message of ${path}`,
      Effect.gen(function* () {
        const token = yield* tokenOf("alice", "read write")
        const { ask } = yield* open(path, token)
        assert.strictEqual(yield* ask(`${token} keep`), "kept")
        assert.strictEqual(yield* ask(`${token} steal`), "defect")
      })
    )
  ),
  scenario(
    24,
    "a message without a token follows an authorized message",
    Effect.gen(function* () {
      const { ask } = yield* open("/messages", yield* tokenOf("alice", "read write"))
      assert.strictEqual(yield* ask(yield* tokenOf("alice", "read write")), "alice")
      assert.strictEqual(yield* ask(""), "InvalidToken")
      assert.strictEqual(yield* ask(yield* tokenOf("alice", "read")), "InsufficientScope")
      assert.deepStrictEqual(ran, ["message alice"])
    })
  ),
  scenario(
    24,
    "calls without a token follow an authorized call in one HTTP request",
    Effect.gen(function* () {
      const token = yield* tokenOf("alice", "write")
      const results = yield* http(line("Write") + line("Write", [bearer(token)]) + line("Write"))
      assert.sameMembers(Array.from(results), ["NotAuthenticated", "NotAuthenticated", "alice"])
      assert.deepStrictEqual(ran, ["Write alice"])
    })
  ),

  scenario(
    25,
    "a call with another user's token on a connection with a requirement",
    Effect.gen(function* () {
      const { call } = yield* open("/guarded", yield* tokenOf("alice", "read"))
      assert.deepStrictEqual(yield* call(line("Read", [bearer(yield* tokenOf("mallory", "read write"))])), [
        "InvalidToken"
      ])
      assert.deepStrictEqual(yield* call(line("Read")), ["alice"])
      assert.deepStrictEqual(ran, ["Read alice"])
    })
  ),
  scenario(
    25,
    "a message with another user's token on a connection with a requirement",
    Effect.gen(function* () {
      const { ask } = yield* open("/guarded-messages", yield* tokenOf("alice", "read"))
      assert.strictEqual(yield* ask(yield* tokenOf("mallory", "read write")), "InvalidToken")
      assert.deepStrictEqual(ran, [])
    })
  ),
  ...onePerTransport(25, "simultaneous calls of two users on a public connection", (call) =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* tokenOf("alice", "read"), yield* tokenOf("bob", "write")]
      for (let i = 0; i < 5; i++) {
        assert.strictEqual(yield* call("Read", bearer(alice)), "alice")
        assert.strictEqual(yield* call("Read", bearer(bob)), "InsufficientScope")
        assert.strictEqual(yield* call("Write", bearer(bob)), "bob")
      }
      assert.isFalse(ran.includes("Read bob"))
    })
  ),

  ...[
    { "mcp-name": "whoami" },
    { "mcp-name": "whoami", "mcp-method": "tools/call" },
    { "mcp-name": "whoami", "mcp-method": "tools/list" },
    { "mcp-method": "ping" }
  ].flatMap((lie) => [
    ...legacy.map((protocol) =>
      scenario(
        26,
        `${text(lie)}, ${protocol}`,
        Effect.gen(function* () {
          const { headers, token } = yield* session(protocol)
          const { challenge, status } = yield* mcp(token, callOf("write"), { ...headers, ...lie })
          assert.deepStrictEqual([status, challenge, ran], [...needsWrite, []])
        })
      )
    ),
    scenario(
      26,
      `${text(lie)}, 2026-07-28`,
      Effect.gen(function* () {
        const { status } = yield* modern(yield* tokenOf("alice", "mcp"), "tools/call", { name: "write" }, lie)
        assert.deepStrictEqual([status, ran], [400, []])
      })
    )
  ]),

  ...[
    ["an allowed call first", `[${open1},${write1}]`],
    ["a forbidden call first", `[${write1},${open1}]`],
    ["two allowed calls", `[${open1},${open1}]`],
    ["an allowed call without an id", `[${open1.replace(/"id":\d+,/, "")},${write1}]`],
    ["a forbidden call without an id", `[${open1},${write1.replace(/"id":\d+,/, "")}]`],
    ["an id that is null", `[${open1},${write1.replace(/"id":\d+/, '"id":null')}]`],
    ["space before the batch", ` \r\n\t[${open1},${write1}]`],
    ["a method that is written twice", `[${open1},${write1.replace('"method"', '"method":"ping","method"')}]`],
    ["a method with an escape", `[${open1},${write1.replace("tools/call", "tools\\/c\\u0061ll")}]`]
  ].map(([name = "", body]) =>
    scenario(
      27,
      `a batch: ${name}`,
      Effect.gen(function* () {
        const { headers, token } = yield* session("2025-03-26")
        const { status } = yield* mcp(token, body, headers)
        assert.deepStrictEqual([status, ran], [400, []])
      })
    )
  ),
  scenario(
    27,
    "a batch: a forbidden call among messages that are not calls",
    Effect.gen(function* () {
      const { headers, token } = yield* session("2025-03-26")
      const { challenge, status } = yield* mcp(token, [message("ping"), callOf("write"), message("ping")], headers)
      assert.deepStrictEqual([status, challenge, ran], [...needsWrite, []])
    })
  ),
  ...[
    ["in a nested batch", `[[${open1},${write1}]]`],
    ["after the end of the message", `${open1}\n${write1}`],
    ["behind a byte order mark", `\uFEFF[${open1},${write1}]`]
  ].flatMap(([name = "", body]) => runsNothing(27, `a batch: calls ${name}`, body)),

  ...legacy.flatMap((protocol) =>
    (
      [
        ["a call", callOf("whoami"), "POST"],
        ["the end of the session", undefined, "DELETE"],
        ["a cancellation", { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } }, "POST"]
      ] as const
    ).map(([name, body, method]) =>
      scenario(
        28,
        `${name}, ${protocol}`,
        Effect.gen(function* () {
          const { headers, token } = yield* session(protocol)
          for (const scopes of ["mcp", "mcp write"]) {
            const other = yield* tokenOf("mallory", scopes)
            assert.strictEqual((yield* mcp(other, body, headers, method)).status, 404)
          }
          assert.deepStrictEqual(ran, [])
          assert.strictEqual((yield* mcp(token, callOf("whoami"), headers)).status, 200)
        })
      )
    )
  ),
  scenario(
    28,
    "a session that does not exist",
    Effect.gen(function* () {
      const unknown = { "mcp-session-id": "00000000-0000-4000-8000-000000000000" }
      const token = yield* tokenOf("alice", "mcp")
      assert.strictEqual((yield* mcp(token, callOf("whoami"), unknown)).status, 404)
    })
  ),

  ...(["expires", "is invalidated"] as const).flatMap((how) => {
    /** Ends a token that lives for 100 seconds. */
    const end = (token: string) =>
      how === "expires" ? TestClock.adjust("106 seconds") : TokenVerifier.invalidate(Redacted.make(token))
    const minted = tokenOf("alice", "mcp read", { lifetime: "100 seconds" })
    return [
      scenario(
        29,
        `a stream of a WebSocket whose token ${how}`,
        Effect.gen(function* () {
          const token = yield* minted
          const { call, next } = yield* open("/socket", token)
          assert.deepStrictEqual(yield* call(line("Ticks")), [0])
          yield* end(token)
          assert.deepStrictEqual(yield* next(), ["InvalidToken"])
        })
      ),
      scenario(
        29,
        `a WebSocket with auth.expiry whose token ${how}`,
        Effect.gen(function* () {
          const token = yield* minted
          const { ask, closed } = yield* open("/echo", token)
          assert.strictEqual(yield* ask("hello"), "hello")
          yield* end(token)
          assert.strictEqual(yield* closed, 4401)
        })
      ),
      scenario(
        29,
        `a subscription of MCP whose token ${how}`,
        Effect.gen(function* () {
          const token = yield* minted
          const rest = yield* subscribe(token)
          yield* end(token)
          assert.include(yield* rest, '"code":-32001')
        })
      )
    ]
  }),
  scenario(
    29,
    "calls on a WebSocket whose token has expired",
    Effect.gen(function* () {
      const { call } = yield* open("/socket", yield* tokenOf("alice", "read", { lifetime: "100 seconds" }))
      assert.deepStrictEqual(yield* call(line("Read")), ["alice"])
      yield* TestClock.adjust("106 seconds")
      assert.deepStrictEqual(yield* call(line("Read")), ["InvalidToken"])
      assert.deepStrictEqual(yield* call(line("Read", [bearer(yield* tokenOf("alice", "read"))])), ["alice"])
    })
  ),
  scenario(
    29,
    "a session of MCP whose token has expired",
    Effect.gen(function* () {
      const token = yield* tokenOf("alice", "mcp", { lifetime: "100 seconds" })
      const headers = yield* begin(token, "2025-11-25")
      yield* TestClock.adjust("106 seconds")
      assert.strictEqual((yield* mcp(token, callOf("whoami"), headers)).status, 401)
      assert.strictEqual((yield* mcp(undefined, callOf("whoami"), headers)).status, 401)
      assert.deepStrictEqual(ran, [])
    })
  ),

  ...onePerTransport(30, "two headers", (call) =>
    Effect.gen(function* () {
      const [alice, mallory] = [yield* tokenOf("alice", "read"), yield* tokenOf("mallory", "write")]
      assert.strictEqual(yield* call("Read", bearer(mallory), bearer(alice)), "alice")
      assert.strictEqual(yield* call("Read", bearer(alice), bearer(mallory)), "InsufficientScope")
      assert.strictEqual(yield* call("Read", bearer(alice), bearer(`${alice}x`)), "InvalidToken")
      assert.strictEqual(yield* call("Read", bearer(alice), ["Authorization", "Basic YTpi"]), "NotAuthenticated")
    })
  ),
  ...onePerTransport(30, "several values in one header", (call) =>
    Effect.gen(function* () {
      const [alice, mallory] = [yield* tokenOf("alice", "read"), yield* tokenOf("mallory", "write")]
      for (const value of [
        `Bearer ${mallory}, Bearer ${alice}`,
        `Bearer ${alice}, Bearer ${mallory}`,
        `Bearer ${alice},Bearer ${alice}`,
        `Bearer ${alice} ${mallory}`,
        `Bearer ${alice}\r\nauthorization: Bearer ${mallory}`
      ]) {
        assert.strictEqual(yield* call("Read", ["authorization", value]), "InvalidRequest", value)
      }
      assert.deepStrictEqual(ran, [])
    })
  ),
  ...onePerTransport(30, "a header that is not a string", (call) =>
    Effect.gen(function* () {
      const alice = `Bearer ${yield* tokenOf("alice", "read")}`
      for (const value of [[alice], [alice, alice], { 0: alice }, null, 1, true]) {
        const result = yield* call("Read", ["authorization", value])
        assert.include(["NotAuthenticated", "InvalidRequest"], result, text(value))
      }
      assert.deepStrictEqual(ran, [])
    })
  ),

  ...runsNothing(31, "a notification", write1.replace(/"id":\d+,/, ""), needsWrite),
  ...runsNothing(31, "an id that is null", write1.replace(/"id":\d+/, '"id":null')),
  ...runsNothing(31, "an id that is an object", write1.replace(/"id":\d+/, '"id":{"toString":1}')),
  ...[
    "tools/Call",
    "TOOLS/CALL",
    " tools/call",
    "tools/call ",
    "tools/call\u0000",
    "tools//call",
    "/tools/call",
    "tools/call/write",
    "notifications/tools/call",
    "rpc.tools/call",
    "__proto__",
    "constructor"
  ].flatMap((method) => [
    ...runsNothing(31, `method ${text(method)}`, { ...callOf("write"), method }),
    scenario(
      31,
      `method ${text(method)}, 2026-07-28`,
      Effect.gen(function* () {
        const token = yield* tokenOf("alice", "mcp")
        // A header cannot contain all characters of the method.
        yield* modern(token, method, { name: "write" }, { "mcp-method": "tools/call", "mcp-name": "write" })
        assert.deepStrictEqual(ran, [])
      })
    )
  ]),
  ...runsNothing(31, "a method that is an array", { ...callOf("write"), method: ["tools/call"] }),
  ...runsNothing(31, "a call that is also a response", { ...callOf("write"), result: {} }),
  ...runsNothing(31, "a call inside of the parameters of ping", message("ping", callOf("write"))),
  scenario(
    31,
    "a notification, 2026-07-28",
    Effect.gen(function* () {
      const token = yield* tokenOf("alice", "mcp")
      const body = { jsonrpc: "2.0", method: "tools/call", params: { name: "write", arguments: {}, _meta: meta } }
      const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "write" }
      const { status } = yield* mcp(token, body, headers)
      assert.deepStrictEqual(ran, [])
      assert.isAtLeast(status, 400)
    })
  ),

  ...[
    ["the forbidden tool last", '"name":"whoami","name":"write"'],
    ["the forbidden tool last, with an escape", '"name":"whoami","n\\u0061me":"write"'],
    ["the allowed tool in __proto__", '"__proto__":{"name":"whoami"},"name":"write"'],
    ["the allowed tool in other letters", '"Name":"whoami","name":"write"']
  ].flatMap(([name, members = ""]) =>
    runsNothing(32, `two names: ${name}`, write1.replace('"name":"write"', members), needsWrite)
  ),
  ...legacy.map((protocol) =>
    scenario(
      32,
      `two names: the allowed tool last, ${protocol}`,
      Effect.gen(function* () {
        const { headers, token } = yield* session(protocol)
        yield* mcp(token, write1.replace('"name":"write"', '"name":"write","name":"whoami"'), headers)
        assert.deepStrictEqual(ran, ["whoami alice"])
      })
    )
  ),
  ...[
    ["two methods", write1.replace('"method"', '"method":"ping","method"')],
    ["two parameters", write1.replace('"params"', '"params":{"name":"whoami","arguments":{}},"params"')],
    ["two ids", write1.replace('"id"', '"id":"first","id"')]
  ].flatMap(([name = "", body]) => runsNothing(32, name, body, needsWrite)),
  ...[
    ["2^53 + 1", "9007199254740993"],
    ["a number that overflows", "1e999"],
    ["a negative number", "-9223372036854775809"],
    ["a fraction", "0.1"],
    ["1,000 digits", "9".repeat(1000)],
    ["a text of 100,000 characters", text("i".repeat(100_000))],
    ["the name of a prototype", text("__proto__")]
  ].flatMap(([name = "", value]) => runsNothing(32, `an id: ${name}`, write1.replace(/"id":\d+/, `"id":${value}`)))
]

/** Builds the layer inside of the test, and checks afterwards that the server works, and that no token leaked. */
export const run = ({ run }: Scenario) =>
  Effect.gen(function* () {
    ran.length = 0
    tokens.length = 0
    yield* run
    ran.length = 0
    const good = yield* tokenOf("good", "mcp read write")
    const { messages, status } = yield* modern(good, "tools/call", { name: "write" })
    assert.deepStrictEqual([status, messages[0].result.content[0].text], [200, '"good"'])
    assert.deepStrictEqual(yield* http(line("Write", [bearer(good)])), ["good"])
    assert.deepStrictEqual(ran, ["write good", "Write good"])
    for (const { url } of yield* TestIssuer.use(({ requests }) => requests)) {
      assert.isTrue(url.startsWith("https://issuer.test/"), url)
    }
    assertSecret(yield* Arena.telemetry)
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(layer)))
