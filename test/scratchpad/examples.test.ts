/** Runs the examples of scratchpad by the commands in its README, and compares what they print. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Semaphore } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as clients from "../../clients/mcp.ts"
import { find } from "../../runtimes/install.ts"
import { Tokens } from "../../scratchpad/fastapi-tutorial/Tokens.ts"
import { App as Tutorial } from "../../scratchpad/fastapi-tutorial/Tutorial.ts"
import { cases } from "../conformance/Case.ts"
import { freePort } from "../support/program.ts"
import * as redisServer from "../support/redisServer.ts"

const root = join(import.meta.dirname, "..", "..")
const scratchpad = join(root, "scratchpad")
const main = join(scratchpad, "main.ts")

/** The command of each folder, in the table of the README. */
const commands: Readonly<Record<string, string>> = Object.fromEntries(
  Array.from(
    readFileSync(join(scratchpad, "README.md"), "utf8").matchAll(/^\| `([\w-]+)` +\| `([^`]+)`/gm),
    ([, folder = "", command = ""]) => [folder, command]
  )
)

interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const ports = ["PORT", "AUTHORIZATION_SERVER_PORT", "PARTNERS_PORT", "COLLECTOR_PORT"]

const freePorts = Effect.map(
  Effect.forEach(ports, (name) => Effect.map(freePort, (port) => [name, String(port)] as const)),
  (entries): Readonly<Record<string, string>> => Object.fromEntries(entries)
)

/** Runs a program on free ports until it ends. */
const run = async (
  program: string,
  args: ReadonlyArray<string>,
  more: Readonly<Record<string, string>> = {}
): Promise<Run> => {
  const env = await Effect.runPromise(freePorts)
  // npm needs these variables. The variables of Vitest would reach the example that runs Vitest.
  const { HOME, LOCALAPPDATA, PATH, REDIS_SERVER, SystemRoot } = process.env
  const child = spawn(program, args, {
    cwd: root,
    // npm is a script on Windows.
    shell: process.platform === "win32",
    env: { HOME, LOCALAPPDATA, PATH, REDIS_SERVER, SystemRoot, NO_COLOR: "1", ...env, ...more },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const output = { stdout: "", stderr: "" }
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text))
  return new Promise((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, ...output }))
  })
}

/** Returns a request, its status and its challenges for each command of curl: `GET /items 401 Bearer`. */
const exchangesIn = (stdout: string): ReadonlyArray<string> =>
  stdout
    .split(/^curl -i /m)
    .slice(1)
    .map((text) => {
      const [command = "", ...rest] = text.split("\n")
      const [, given] = /^-X (\w+)/.exec(command) ?? []
      const [, path = ""] = /https?:\/\/[^/]+(\S*)/.exec(command) ?? []
      const [, status = ""] = /^ {2}HTTP\/1\.1 (\d+)/m.exec(rest.join("\n")) ?? []
      const challenges = rest.flatMap((line) => /^ {2}www-authenticate: (.*)/.exec(line)?.[1] ?? [])
      return [given ?? (command.includes(" -d ") ? "POST" : "GET"), path, status, ...challenges].join(" ")
    })

const realm = 'Bearer realm="OAuth2",'
const invalid = 'Bearer error="invalid_token"'
const insufficient = 'Bearer error="insufficient_scope",'

/** The exchanges that each walk-through prints. */
const exchanges: Readonly<Record<string, ReadonlyArray<string>>> = {
  "http-router": [
    "GET /health 200",
    `GET /items 401 ${realm} scope="items:read"`,
    "GET /items 200",
    `POST /items 403 ${insufficient} scope="items:read items:write"`,
    "POST /items 201",
    `GET /items 401 ${invalid}, scope="items:read"`
  ],
  "http-api": [
    "GET /health 200",
    `GET /items 401 ${realm} scope="items:read"`,
    "POST /token 200",
    "POST /items 201",
    "POST /token 200",
    "GET /items 200",
    `POST /items 403 ${insufficient} scope="items:read items:write"`
  ],
  "current-user": [
    `GET /users/me 401 ${realm} scope="me"`,
    "GET /users/me 200",
    `DELETE /items/7 403 ${insufficient} scope="me items:write"`,
    "DELETE /items/7 200",
    `GET /users/me 401 ${invalid}, scope="me"`,
    "GET /users/me 403"
  ],
  optional: [
    "GET /greeting 200",
    "GET /articles 200",
    "GET /greeting 200",
    "GET /articles 200",
    `GET /articles 403 ${insufficient} scope="drafts"`,
    `GET /greeting 401 ${invalid}`
  ],
  "several-issuers": [
    'GET /items 401 Bearer realm="Users", scope="items:read" Bearer realm="Partners", scope="catalogue"',
    "GET /items 200",
    "POST /items 201",
    "GET /items 200",
    `POST /items 401 ${invalid}, scope="items:write"`
  ],
  introspection: [
    "POST /token 200",
    "GET /items 200",
    `POST /items 403 ${insufficient} scope="items:write"`,
    "POST /token/revocation 200",
    `GET /items 401 ${invalid}, scope="items:read"`,
    `GET /items 401 ${invalid}, scope="items:read"`
  ],
  fleet: [
    "POST /token 200",
    "GET /items 200",
    "GET /items 200",
    "GET /items 200",
    "POST /logout 204",
    `GET /items 401 ${invalid}, scope="items:read"`,
    `GET /items 401 ${invalid}, scope="items:read"`,
    `GET /items 401 ${invalid}, scope="items:read"`
  ],
  "web-handler": [
    "GET /health 200",
    `GET /users/me 401 ${realm} scope="me"`,
    "GET /users/me 200",
    `GET /users/me 403 ${insufficient} scope="me"`
  ],
  "fastapi-tutorial": [
    "GET /users/me/ 401 Bearer",
    "POST /token 400",
    "POST /token 200",
    "GET /users/me/ 200",
    'GET /users/me/items/ 401 Bearer scope="items me"',
    "POST /token 200",
    "GET /users/me/items/ 200",
    "POST /token 200",
    "GET /status/ 200",
    "POST /token 200",
    "GET /users/me/ 400",
    'GET /users/me/ 401 Bearer scope="me"'
  ],
  observability: [
    `GET /users/me 401 ${realm} scope="me"`,
    "GET /users/me 200",
    "GET /users/me 200",
    `GET /users/me 403 ${insufficient} scope="me"`
  ],
  // These examples print something else, which `lines` has.
  rpc: [],
  "mcp-server": [],
  "mcp-client": [],
  websocket: [],
  testing: [],
  "domain-grants": [],
  cli: [],
  dpop: [],
  "step-up": []
}

const of = (outcome: string, reason: string, client = "oauth2.client_id=test-client ") =>
  `  GET ${client}oauth2.outcome=${outcome} oauth2.reason=${reason} oauth2.scheme=OAuth2 url.path=/users/me`

/** Further lines that each example prints, in this order. */
const lines: Readonly<Record<string, ReadonlyArray<string>>> = {
  "http-api": ['list: [{"name":"A pencil","owner":"items-cli"}]', "create: InsufficientScope, items:read items:write"],
  "current-user": ['  {"id":"u1","name":"Alice"}', '  {"detail":"Mallory is blocked"}'],
  optional: [
    '  {"hello":"anonymous"}',
    '  ["Published"]',
    '  {"hello":"alice"}',
    '  ["Published","Draft"]',
    '  {"detail":"Could not validate credentials"}'
  ],
  "several-issuers": ['  {"items":["A pencil"],"for":"a user"}', '  {"items":["A pencil"],"for":"a partner"}'],
  "web-handler": ["The handler runs on Node.", '  {"subject":"alice"}'],
  "fastapi-tutorial": ['  {"detail":"Incorrect username or password"}', '  {"detail":"Inactive user"}'],
  observability: [
    of("Refused", "NotAuthenticated", ""),
    "  KeySet.refresh",
    "  JwtVerifier.verify",
    of("Granted", "Token"),
    of("Granted", "Token"),
    "  JwtVerifier.verify",
    of("Refused", "InsufficientScope"),
    "  oauth2_decisions_total outcome=Granted reason=Token scheme=OAuth2 = 2",
    "  oauth2_decisions_total outcome=Refused reason=InsufficientScope scheme=OAuth2 = 1",
    "  oauth2_decisions_total outcome=Refused reason=NotAuthenticated scheme=OAuth2 = 1",
    "  oauth2_token_cache_lookups_total outcome=hit = 1",
    "  oauth2_token_cache_lookups_total outcome=miss = 2",
    "  oauth2_token_verifications_total outcome=Accepted = 2",
    "Tokens in the received text: 0"
  ],
  fleet: ["# Figures", "  introspection requests of the fleet for 300 requests: 1"],
  rpc: [
    "a visitor adds: InsufficientScope",
    "with a new token on the same socket: demo added a pen",
    "the stream ends with its token: InvalidToken"
  ],
  "mcp-server": ["The user grants mcp files:write.", 'list_files: ["a.txt"]'],
  "mcp-client": [
    "The user grants mcp files:read.",
    "The server has the tools list_files, write_file.",
    "list_files: []",
    "The user grants mcp files:write files:read.",
    'write_file: "a.txt of demo has 5 characters"',
    'list_files: ["a.txt"]'
  ],
  websocket: ["closed: 4401 get a new token", "closed: 4408 send the token first"],
  testing: ["  Tests  7 passed (7)"],
  "domain-grants": ["payroll deposits 1000", "the balance is 1000"],
  cli: [
    "$ items whoami",
    "You are not signed in. Run: items login",
    "$ items login",
    "You are signed in.",
    `The mode of the file is ${process.platform === "win32" ? "666" : "600"}.`,
    "You are demo.",
    "You are signed out.",
    "You are not signed in. Run: items login",
    "$ items login --device",
    "You are signed in.",
    "You are demo.",
    "You are signed out.",
    "$ items login --keychain",
    "You are signed in, with the keychain.",
    "The file contains a readable token: false",
    "You are demo.",
    "You are signed out."
  ],
  dpop: [
    "The authorization server issues a token of the type dpop.",
    "POST /payments with a proof: 200",
    "GET /items with the stolen token as Bearer: 401",
    "GET /items with the stolen token and another key: 401",
    "POST /payments with a bearer token: 401"
  ],
  "step-up": [
    "with a password, list: no payments",
    "with a refreshed token, pay: InsufficientUserAuthentication",
    "after the step-up, pay: alice paid, signed in with mfa"
  ]
}

const needsSdk = (folder: string) => folder === "mcp-server" && clients.missing().length > 0
const needsRedis = (folder: string) => folder === "fleet" && redisServer.missing
const runnable = Object.keys(exchanges).filter((folder) => !needsSdk(folder) && !needsRedis(folder))

const assertLines = (stdout: string, expected: ReadonlyArray<string>) => {
  const printed = stdout.split("\n").map((line) => line.trim())
  let from = 0
  for (const line of expected) {
    const at = printed.indexOf(line.trim(), from)
    assert.isAtLeast(at, from, `${line} is missing in:\n${stdout}`)
    from = at + 1
  }
}

describe("the README of scratchpad", () => {
  it("lists exactly the folders with a program", () => {
    const folders = readdirSync(scratchpad).filter((name) => existsSync(join(scratchpad, name, "main.ts")))
    assert.deepStrictEqual(new Set(Object.keys(commands)), new Set(folders))
  })

  it("has one form of command for all folders, except for npm start", () => {
    for (const [folder, command] of Object.entries(commands)) {
      assert.strictEqual(command, folder === "items-api" ? "npm start" : `npm run example -- ${folder}`)
    }
  })

  it("lists only folders that this test or a test of their own runs", () => {
    const own = ["items-api", "web-app"]
    assert.deepStrictEqual(new Set(Object.keys(commands)), new Set([...Object.keys(exchanges), ...own]))
  })
})

// Most of the time of a program is its start, so two of them run at once.
const processors = Semaphore.makeUnsafe(2)

const runExample = (folder: string) => {
  const [program = "", ...args] = (commands[folder] ?? "").split(" ")
  return Effect.runPromise(processors.withPermit(Effect.promise(() => run(program, args))))
}

// The time of a test includes the time for which it waits for a permit.
describe("the command of an example", { concurrent: true, timeout: 300_000 }, () => {
  for (const folder of runnable) {
    it(`prints the promised responses, no whole token, and ends with code 0: ${folder}`, async () => {
      const { code, stderr, stdout } = await runExample(folder)
      assert.strictEqual(code, 0, stdout + stderr)
      assert.deepStrictEqual(exchangesIn(stdout), exchanges[folder])
      assertLines(stdout, lines[folder] ?? [])
      assert.notMatch(stdout, /eyJ[\w-]{20}/)
      if (folder !== "fleet") return
      // A subscription delivers within milliseconds. Without it, the local copies are 2.5 seconds old.
      const times = Array.from(stdout.matchAll(/process refused the token: (\d+) ms$/gm), ([, time]) => Number(time))
      assert.lengthOf(times, 2, stdout)
      for (const time of times) assert.isBelow(time, 10_000)
    })
  }

  for (const folder of ["fleet", "web-app"]) {
    it(`says what is missing without redis-server: ${folder}`, async () => {
      const { code, stderr, stdout } = await run(
        process.execPath,
        ["--conditions=@effect-oauth2/source", main, folder],
        { REDIS_SERVER: join(scratchpad, "absent") }
      )
      assert.strictEqual(code, 1)
      assert.match(stderr, /^The example needs redis-server\. Install Redis/)
      assert.strictEqual(stdout, "")
    })
  }

  it("prints whole tokens with --serve, and serves until it is stopped", async () => {
    const env = await Effect.runPromise(freePorts)
    const child = spawn(
      process.execPath,
      ["--conditions=@effect-oauth2/source", join(scratchpad, "main.ts"), "http-router", "--serve"],
      { env: { PATH: process.env["PATH"], ...env }, stdio: ["ignore", "pipe", "inherit"] }
    )
    const ended = new Promise((resolve) => child.on("close", resolve))
    try {
      let stdout = ""
      for await (const text of child.stdout.setEncoding("utf8")) {
        stdout += text
        if (stdout.includes("Ctrl-C ends the program.")) break
      }
      const [, token] = /^READER=(\S+)$/m.exec(stdout) ?? []
      const response = await fetch(`http://127.0.0.1:${env["PORT"]}/items`, {
        headers: { authorization: `Bearer ${token}` }
      })
      assert.strictEqual(response.status, 200, stdout)
    } finally {
      child.kill("SIGKILL")
      await ended
    }
  })

  it("says which examples there are if the name is wrong", async () => {
    const { code, stderr } = await run(process.execPath, [join(scratchpad, "main.ts"), "absent"])
    assert.strictEqual(code, 1)
    assert.match(stderr, /^Run an example with "npm run example -- <name>", .*http-router/)
  })
})

describe("the fetch handler", () => {
  const folder = join(scratchpad, "web-handler")
  const condition = "--conditions=@effect-oauth2/source"
  const ofDeno = ["--no-remote", "--no-prompt", "--allow-env", condition]
  const runtimes = {
    bun: { name: "Bun", options: ["run", "--no-install", condition], serve: () => ["run", "--no-install", condition] },
    deno: {
      name: "Deno",
      options: ["run", "--allow-net", ...ofDeno],
      serve: (port: number) => ["serve", "--host", "127.0.0.1", "--port", `${port}`, ...ofDeno]
    }
  } as const

  /** Sends requests until the port is open. */
  const health = async (port: number): Promise<number> => {
    for (;;) {
      const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined)
      if (response !== undefined) return response.status
    }
  }

  for (const runtime of ["bun", "deno"] as const) {
    const program = find(runtime)
    const { name, options, serve } = runtimes[runtime]
    it.runIf(program !== undefined)(
      `responds on ${name} as on Node`,
      async () => {
        const { code, stderr, stdout } = await run(program ?? "", [...options, join(folder, "main.ts")])
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(exchangesIn(stdout), exchanges["web-handler"])
        assertLines(stdout, [`The handler runs on ${name}.`, '  {"subject":"alice"}'])
      },
      60_000
    )

    it.runIf(program !== undefined)(
      `is the default export that ${name} serves`,
      async () => {
        const port = await Effect.runPromise(freePort)
        const child = spawn(program ?? "", [...serve(port), join(folder, "handler.ts")], {
          env: { PATH: process.env["PATH"], PORT: `${port}` },
          stdio: "ignore"
        })
        const ended = new Promise((resolve) => child.on("close", resolve))
        try {
          assert.strictEqual(await health(port), 200)
        } finally {
          child.kill("SIGKILL")
          await ended
        }
      },
      60_000
    )
  }
})

describe("FastAPI's tutorial", () => {
  const Server = HttpRouter.serve(Tutorial, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(Tokens.layer),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
  const send = Effect.fnUntraced(function* (path: string, init?: RequestInit) {
    const { address } = yield* HttpServer.HttpServer
    return yield* Effect.promise(() => fetch(new URL(path, HttpServer.formatAddress(address)), init))
  })

  it.live("documents the schemes and requirements that FastAPI's document has", () =>
    Effect.gen(function* () {
      const response = yield* send("/openapi.json")
      const document = yield* Effect.promise(() => response.json())
      const recorded: any = cases.find(({ app, plan }) => app === "tutorial005" && plan === "document")?.response.body
      const securityOf = ({ paths }: { readonly paths: Readonly<Record<string, Readonly<Record<string, any>>>> }) =>
        Object.fromEntries(
          Object.entries(paths).flatMap(([path, item]) =>
            Object.entries(item).map(([method, operation]) => [`${method} ${path}`, operation.security ?? []])
          )
        )
      assert.deepStrictEqual(document.components.securitySchemes, recorded.components.securitySchemes)
      assert.deepStrictEqual(securityOf(document), securityOf(recorded))
    }).pipe(Effect.provide(Server))
  )

  it.live("accepts the fields of OAuth2PasswordRequestForm, and refuses other forms with FastAPI's status", () =>
    Effect.gen(function* () {
      const login = (form: Readonly<Record<string, string>>) =>
        Effect.map(send("/token", { method: "POST", body: new URLSearchParams(form) }), ({ status }) => status)
      const user = { username: "johndoe", password: "secret" }
      const all = { ...user, grant_type: "password", scope: " me  items ", client_id: "a", client_secret: "b" }
      assert.strictEqual(yield* login(all), 200)
      assert.strictEqual(yield* login({ username: "johndoe" }), 422)
      assert.strictEqual(yield* login({ password: "secret" }), 422)
      assert.strictEqual(yield* login({ ...user, grant_type: "refresh_token" }), 422)
      assert.strictEqual(yield* login({ ...user, password: "secret " }), 400)
    }).pipe(Effect.provide(Server))
  )
})
