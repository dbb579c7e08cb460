/** The example server, called by the client of the official TypeScript SDK, with a real authorization server. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { missing } from "../../clients/mcp.ts"
import { freePort, start } from "../support/program.ts"

const file = "scratchpad/mcp-server/main.ts"

const run = Effect.fnUntraced(function* (env: Readonly<Record<string, string>>) {
  const [port, issuerPort] = [yield* freePort, yield* freePort]
  const program = yield* start(file, {
    PORT: String(port),
    AUTHORIZATION_SERVER_PORT: String(issuerPort),
    ...env
  })
  return {
    program,
    url: `http://127.0.0.1:${port}/mcp`,
    metadata: `http://127.0.0.1:${port}/.well-known/oauth-protected-resource/mcp`
  }
})

describe.runIf(missing().length === 0)("the client of the official SDK", { timeout: 60_000 }, () => {
  it.live("finds the authorization server, logs in, meets a 403, requests the scope, and succeeds", () =>
    Effect.gen(function* () {
      const { metadata, program } = yield* run({})
      assert.strictEqual(yield* program.ended, 0, program.output.stderr)
      const lines = program.output.stdout.split("\n").map((line) => line.trim())
      const inOrder = [
        "401 POST /mcp",
        `Bearer realm="OAuth2", scope="mcp files:read", resource_metadata="${metadata}"`,
        "200 GET /.well-known/oauth-protected-resource/mcp",
        "200 POST /token",
        "The user grants mcp files:read. The client lists the tools:",
        "list_files, write_file",
        "list_files: []",
        "403 POST /mcp",
        `Bearer error="insufficient_scope", scope="mcp files:write", resource_metadata="${metadata}"`,
        "200 POST /token",
        "The user grants mcp files:write.",
        "write_file: a.txt of demo has 5 characters",
        'list_files: ["a.txt"]'
      ]
      let from = 0
      for (const line of inOrder) {
        const found = lines.indexOf(line, from)
        assert.isAtLeast(found, from, `${line} is missing in:\n${program.output.stdout}`)
        from = found + 1
      }
    }).pipe(Effect.scoped)
  )
})

describe("the example server", { timeout: 60_000 }, () => {
  it.live("serves without the SDK", () =>
    Effect.gen(function* () {
      const { metadata, program, url } = yield* run({ SERVE: "true" })
      yield* program.waitFor("Ctrl-C ends the program.")
      const response = yield* Effect.promise(() => fetch(url, { method: "POST" }))
      assert.strictEqual(response.status, 401)
      assert.include(response.headers.get("www-authenticate") ?? "", metadata)
      const document = yield* Effect.promise(async () => (await fetch(metadata)).json())
      assert.deepInclude(document, { resource: url, scopes_supported: ["mcp", "files:read", "files:write"] })
    }).pipe(Effect.scoped)
  )
})
