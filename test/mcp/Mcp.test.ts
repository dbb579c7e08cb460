/** Requirements of an MCP server, over a real socket. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { HttpClient } from "effect/http"
import * as Mcp from "effect-oauth2/Mcp"
import {
  begin,
  callOf,
  info,
  message,
  metadata,
  modern,
  resource,
  send,
  served,
  serverOf
} from "../support/mcpServer.ts"

for (const responses of ["rfc6750", "fastapi"] as const) {
  const { origin, ran, Server } = serverOf(responses)
  const needs = (scopes: string) => `Bearer error="insufficient_scope", scope="${scopes}", ${metadata}`

  layer(served(Server))(`an MCP server whose scheme has the responses of ${responses}`, (it) => {
    it.effect("refuses every request without a valid token, and names the metadata and the initial scopes", () =>
      Effect.gen(function* () {
        const none = [401, `Bearer realm="OAuth2", scope="mcp files:read", ${metadata}`]
        for (const method of ["POST", "GET", "DELETE", "PUT", "PATCH", "OPTIONS"]) {
          const { challenge, headers, status } = yield* send(
            undefined,
            method === "POST" ? callOf("read") : undefined,
            {},
            method
          )
          assert.deepStrictEqual([status, challenge], none, method)
          assert.strictEqual(headers.get("cache-control"), "no-store")
        }
        const bad = yield* modern("alice~bad", "tools/list")
        assert.deepStrictEqual(
          [bad.status, bad.challenge],
          [401, `Bearer error="invalid_token", scope="mcp files:read", ${metadata}`]
        )
        const malformed = yield* send(undefined, callOf("read"), { authorization: "Bearer a b" })
        assert.deepStrictEqual(
          [malformed.status, malformed.challenge],
          [400, `Bearer error="invalid_request", ${metadata}`]
        )
        const outage = yield* modern("alice~outage", "tools/list")
        assert.deepStrictEqual([outage.status, outage.challenge, outage.headers.get("retry-after")], [503, null, "7"])
        for (const [method, params] of [
          ["tools/list", {}],
          ["tools/call", { name: "write" }]
        ] as const) {
          const other = yield* modern("alice~files_read", method, params)
          assert.deepStrictEqual([other.status, other.challenge], [403, needs("mcp")])
          assert.deepStrictEqual(other.messages, [
            {
              jsonrpc: "2.0",
              id: null,
              error: {
                code: -32003,
                message: "Not enough permissions. Required scopes: mcp",
                data: {
                  challenge: needs("mcp"),
                  scope: "mcp",
                  resource_metadata: "https://api.example.com/.well-known/oauth-protected-resource/mcp"
                }
              }
            }
          ])
        }
        assert.deepStrictEqual([bad.messages[0].error.code, outage.messages[0].error.code], [-32001, -32004])
      })
    )

    it.effect("serves the metadata of its resource", () =>
      Effect.gen(function* () {
        const response = yield* HttpClient.get("/.well-known/oauth-protected-resource/mcp")
        assert.deepStrictEqual(yield* response.json, {
          resource,
          authorization_servers: ["https://idp.example.com"],
          bearer_methods_supported: ["header"],
          scopes_supported: ["mcp", "files:read", "files:write", "admin"]
        })
      })
    )

    it.effect("calls a tool with the proven scopes, also with a scope that implies them", () =>
      Effect.gen(function* () {
        for (const [token, name] of [
          ["alice~mcp", "whoami"],
          ["alice~mcp+files_read", "read"],
          ["alice~mcp+files_read+files_write", "write"],
          ["alice~mcp+admin", "write"],
          ["alice~mcp+admin", "wipe"]
        ] as const) {
          const { challenge, messages, status } = yield* modern(token, "tools/call", { name })
          assert.deepStrictEqual([status, challenge, messages[0].result.content[0].text], [200, null, '"alice"'], name)
        }
      })
    )

    const calls: ReadonlyArray<readonly [string, Readonly<Record<string, unknown>>, string, string]> = [
      ["tools/call", { name: "read" }, "alice~mcp", "mcp files:read"],
      ["tools/call", { name: "write" }, "alice~mcp", "mcp files:read files:write"],
      ["tools/call", { name: "write" }, "alice~mcp+files_read", "mcp files:read files:write"],
      ["tools/call", { name: "wipe" }, "alice~mcp", "mcp admin"],
      ["resources/read", { uri: "test://secret" }, "alice~mcp+files_write", "mcp files:read files:write"],
      ["prompts/get", { name: "summary", arguments: { topic: "x" } }, "alice~mcp", "mcp files:read"],
      [
        "completion/complete",
        { ref: { type: "ref/prompt", name: "summary" }, argument: { name: "topic", value: "f" } },
        "alice~mcp",
        "mcp files:read"
      ]
    ]

    it.effect("refuses a call without its scopes with 403, and one challenge names all scopes of the operation", () =>
      Effect.gen(function* () {
        for (const protocol of ["2025-03-26", "2025-11-25", "2026-07-28"]) {
          for (const [method, params, token, scopes] of calls) {
            ran.length = 0
            const refused =
              protocol === "2026-07-28"
                ? yield* modern(token, method, params)
                : yield* send(token, message(method, params), yield* begin(token, protocol))
            const where = `${protocol} ${method} ${JSON.stringify(params)}`
            assert.deepStrictEqual([refused.status, refused.challenge], [403, needs(scopes)], where)
            assert.strictEqual(refused.headers.get("cache-control"), "no-store")
            assert.deepStrictEqual(refused.messages[0].error, {
              code: -32003,
              message: `Not enough permissions. Required scopes: ${scopes}`,
              data: {
                challenge: needs(scopes),
                scope: scopes,
                resource_metadata: "https://api.example.com/.well-known/oauth-protected-resource/mcp"
              }
            })
            assert.deepStrictEqual(ran, [])
            // The client asks for these scopes, and its next token is accepted.
            const granted = `alice~${scopes.replaceAll(" ", "+").replaceAll(":", "_")}`
            const accepted =
              protocol === "2026-07-28"
                ? yield* modern(granted, method, params)
                : yield* send(granted, message(method, params), yield* begin(granted, protocol))
            assert.deepStrictEqual([accepted.status, accepted.challenge], [200, null], where)
            assert.strictEqual(accepted.messages[0].error, undefined, where)
          }
        }
      })
    )

    it.effect("names no scope if a check refuses a token with all scopes", () =>
      Effect.gen(function* () {
        const { challenge, messages, status } = yield* modern("alice~mcp", "tools/call", { name: "never" })
        assert.deepStrictEqual([status, challenge], [403, `Bearer realm="OAuth2", ${metadata}`])
        assert.deepStrictEqual([messages[0].error.code, messages[0].error.message], [-32003, "Access denied"])
      })
    )

    it.effect("lists a hidden tool only for tokens that may call the tool", () =>
      Effect.gen(function* () {
        const names = (token: string) =>
          Effect.map(modern(token, "tools/list"), ({ messages }) =>
            messages[0].result.tools.map(({ name }: { readonly name: string }) => name).toSorted()
          )
        assert.deepStrictEqual(yield* names("alice~mcp"), ["never", "read", "whoami", "write"])
        assert.deepStrictEqual(yield* names("alice~mcp+admin"), ["never", "read", "whoami", "wipe", "write"])
      })
    )

    it.effect("decides about the tool that runs, whatever Mcp-Name says", () =>
      Effect.gen(function* () {
        const lie = { "mcp-method": "tools/call", "mcp-name": "whoami" }
        for (const protocol of ["2025-03-26", "2025-11-25"]) {
          const session = yield* begin("alice~mcp", protocol)
          ran.length = 0
          const { challenge, status } = yield* send("alice~mcp", callOf("write"), { ...session, ...lie })
          assert.deepStrictEqual([status, challenge, ran], [403, needs("mcp files:read files:write"), []], protocol)
        }
        ran.length = 0
        const { status } = yield* modern("alice~mcp", "tools/call", { name: "write" }, { "mcp-name": "whoami" })
        assert.deepStrictEqual([status, ran], [400, []])
      })
    )

    it.effect("refuses a batch of several calls before any call runs", () =>
      Effect.gen(function* () {
        const session = yield* begin("alice~mcp+files_read", "2025-03-26")
        const token = "alice~mcp+files_read"
        const notification = { jsonrpc: "2.0", method: "tools/call", params: { name: "whoami", arguments: {} } }
        ran.length = 0
        for (const batch of [
          [callOf("whoami"), callOf("write")],
          [callOf("whoami"), callOf("whoami")],
          [callOf("read"), message("resources/read", { uri: "test://secret" })],
          [notification, callOf("read")]
        ]) {
          for (const body of [JSON.stringify(batch), ` \n\t${JSON.stringify(batch)}`]) {
            const refused = yield* send(token, body, session)
            assert.deepStrictEqual([refused.status, refused.messages[0].error.code, ran], [400, -32600, []])
          }
        }
        // One call in a batch has a status of its own.
        const denied = yield* send(token, [message("ping"), callOf("write")], session)
        assert.deepStrictEqual([denied.status, denied.challenge, ran], [403, needs("mcp files:read files:write"), []])
        const accepted = yield* send(token, [message("ping"), callOf("read")], session)
        assert.deepStrictEqual([accepted.status, ran], [200, ["read"]])
        // A refused notification has no JSON-RPC error, but the status.
        ran.length = 0
        const silent = yield* send(token, { ...notification, params: { name: "write", arguments: {} } }, session)
        assert.deepStrictEqual([silent.status, ran], [403, []])
      })
    )

    it.effect("runs nothing of a body that hides several calls", () =>
      Effect.gen(function* () {
        const token = "alice~mcp+files_read"
        const session = yield* begin(token, "2025-03-26")
        const [first, second] = [JSON.stringify(callOf("whoami")), JSON.stringify(callOf("write"))]
        ran.length = 0
        for (const body of [
          `[[${first},${second}]]`,
          `[[${first}],[${second}]]`,
          `${first}\n${second}`,
          `${first}${second}`,
          `[${first}]\n[${second}]`,
          `\uFEFF[${first},${second}]`,
          `[${first},${second}`,
          `{"jsonrpc":"2.0","id":1,"method":"ping","params":[${first},${second}]}`
        ]) {
          yield* send(token, body, session)
          assert.deepStrictEqual(ran, [], body)
        }
        // If a message has two members with one name, both parsers read the last member.
        const twice = second.replace('"method"', '"method":"ping","method"')
        const refused = yield* send(token, `[${first},${twice}]`, session)
        assert.deepStrictEqual([refused.status, ran], [400, []])
      })
    )

    it.effect("keeps sessions from every other user", () =>
      Effect.gen(function* () {
        for (const protocol of ["2025-03-26", "2025-11-25"]) {
          const session = yield* begin("alice~mcp", protocol)
          ran.length = 0
          // The same subject of another issuer is another user.
          for (const other of ["bob~mcp", "alice~mcp~b", "bob~mcp+admin"]) {
            assert.strictEqual((yield* send(other, callOf("whoami"), session)).status, 404, other)
            assert.strictEqual((yield* send(other, undefined, session, "DELETE")).status, 404, other)
            const cancel = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } }
            assert.strictEqual((yield* send(other, cancel, session)).status, 404, other)
          }
          assert.deepStrictEqual(ran, [])
          // Another token of the same user continues the session.
          assert.strictEqual((yield* send("alice~mcp+files_read", callOf("read"), session)).status, 200)
          assert.strictEqual((yield* send("alice~mcp", undefined, session, "DELETE")).status, 204)
          assert.strictEqual((yield* send("alice~mcp", callOf("whoami"), session)).status, 404)
        }
        // A user cannot be made to use a session that somebody else began.
        const session = yield* begin("mallory~mcp", "2025-03-26")
        const initialize = message("initialize", { protocolVersion: "2025-03-26", capabilities: {}, clientInfo: info })
        assert.strictEqual((yield* send("alice~mcp", initialize, session)).status, 404)
        const unknown = { "mcp-session-id": "00000000-0000-4000-8000-000000000000" }
        assert.strictEqual((yield* send("alice~mcp", callOf("whoami"), unknown)).status, 404)
      })
    )

    it.effect("refuses other origins without a challenge, and lets pages of allowed origins read the challenge", () =>
      Effect.gen(function* () {
        ran.length = 0
        for (const evil of [
          "https://evil.example.com",
          "null",
          `${origin}.evil.example.com`,
          "http://inspector.example.com"
        ]) {
          for (const token of [undefined, "alice~mcp"]) {
            const refused = yield* send(token, callOf("whoami"), { origin: evil })
            assert.deepStrictEqual([refused.status, refused.challenge], [403, null])
            assert.isFalse(refused.headers.has("access-control-allow-origin"))
          }
        }
        assert.deepStrictEqual(ran, [])
        const preflight = yield* send(
          undefined,
          undefined,
          {
            origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,mcp-protocol-version"
          },
          "OPTIONS"
        )
        assert.strictEqual(preflight.status, 204)
        assert.strictEqual(preflight.headers.get("access-control-allow-origin"), origin)
        assert.strictEqual(preflight.headers.get("access-control-allow-headers"), "authorization,mcp-protocol-version")
        const refused = yield* send(undefined, callOf("whoami"), { origin })
        assert.strictEqual(refused.status, 401)
        assert.strictEqual(refused.headers.get("access-control-allow-origin"), origin)
        assert.include(refused.headers.get("access-control-expose-headers") ?? "", "WWW-Authenticate")
        assert.include(refused.headers.get("access-control-expose-headers") ?? "", "DPoP-Nonce")
        const denied = yield* modern("alice~mcp", "tools/call", { name: "read" }, { origin })
        assert.deepStrictEqual([denied.status, denied.headers.get("access-control-allow-origin")], [403, origin])
      })
    )
  })
}

layer(served(serverOf("rfc6750").Server))("Mcp at start-up", (it) => {
  it("refuses invalid options", () => {
    const { auth } = serverOf("rfc6750")
    const authorizationServers = ["https://idp.example.com"]
    const protect = (options: object) => () =>
      Mcp.protect(auth, options as { readonly authorizationServers: ReadonlyArray<string> })
    assert.throws(
      protect({ authorizationServers, resource: "https://a.example.com/#" }),
      TypeError,
      "Mcp.protect: resource must be"
    )
    assert.throws(protect({ authorizationServers, initialScopes: ["a b"] }), TypeError, "Mcp.protect: initialScopes")
    assert.throws(
      protect({ authorizationServers, allowedOrigins: ["https://a.example.com/"] }),
      TypeError,
      "which is not an origin"
    )
    assert.throws(() => Mcp.require({} as never), TypeError, "Mcp.require: the argument is not a requirement")
  })
})
