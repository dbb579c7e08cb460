// Runs the programs of README.md and of docs/getting-started.md, and compares the responses with those pages.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort, start } from "../support/program.ts"
import { readSnippets } from "./snippets.ts"

const root = join(import.meta.dirname, "..", "..")
const read = (file: string) => readFileSync(join(root, file), "utf8")

const page = "docs/getting-started.md"

const codeOf = (source: string, title: string): string => {
  const snippet = readSnippets().find((one) => one.source === source && one.title.startsWith(title))
  if (snippet === undefined) throw new Error(`${source} has no program under "${title}".`)
  return snippet.code
}

// docs.test.ts empties the folder of the other snippets, so these programs need their own.
const folder = "test/docs/.gettingStarted"
mkdirSync(join(root, folder), { recursive: true })

/** Writes a program. Free ports replace the ports of the page, because others may use them. */
const write = (name: string, code: string, ports: Readonly<Record<string, number>> = {}): string => {
  const file = `${folder}/${name}`
  const text = Object.entries(ports).reduce((text, [port, free]) => text.replaceAll(port, String(free)), code)
  writeFileSync(join(root, file), text)
  return file
}

const get = (port: number, authorization?: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/users/me`, {
      headers: authorization === undefined ? {} : { authorization }
    })
    return {
      status: response.status,
      challenge: response.headers.get("www-authenticate"),
      retryAfter: response.headers.get("retry-after"),
      body: await response.text()
    }
  })

/** Cells of the tables of a page whose first cell is one of the names. Code in a cell is unquoted. */
const rowsOf = (file: string, names: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> =>
  read(file)
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").map((cell) => cell.trim().replace(/^`|`$/g, "")))
    .map((cells) => cells.slice(1, -1))
    .filter(([first = ""]) => names.includes(first))

describe("README.md", () => {
  it.live(
    "shows the response of its program",
    () =>
      Effect.gen(function* () {
        const port = yield* freePort
        const server = yield* start(write("quickStart.ts", codeOf("README.md", "Quick start"), { 3000: port }), {})
        yield* server.waitFor("Listening")
        const { body, challenge, status } = yield* get(port)
        const text = `HTTP/1.1 ${status} Unauthorized\nwww-authenticate: ${challenge}\ncontent-type: application/json\n\n${body}\n`
        assert.include(read("README.md"), text)
        const invalid = yield* get(port, "Bearer not-a-token")
        assert.deepStrictEqual(
          [
            ["no token", String(status), `WWW-Authenticate: ${challenge}`],
            ["invalid or expired token", String(invalid.status), `WWW-Authenticate: ${invalid.challenge}`]
          ],
          rowsOf("README.md", ["no token", "invalid or expired token"])
        )
      }),
    30_000
  )
})

describe("docs/getting-started.md", () => {
  it.live(
    "shows the responses of its programs",
    () =>
      Effect.gen(function* () {
        const ports = { 3000: yield* freePort, 9000: yield* freePort }
        const [issuerFile = "", , serverFile = ""] = ["issuer.ts", "app.ts", "server.ts"].map((name) =>
          write(name, codeOf(page, `\`${name}\`:`), ports)
        )
        const issuer = yield* start(issuerFile, {})
        const server = yield* start(serverFile, {})
        yield* issuer.waitFor("WITHOUT_SCOPE=")
        yield* server.waitFor("Listening")
        const tokens = new Map(
          Array.from(issuer.output.stdout.matchAll(/^(\w+)=(\S+)$/gm), ([, a = "", b = ""]) => [a, b])
        )
        const requests: ReadonlyArray<readonly [name: string, authorization?: string]> = [
          ["no token"],
          ["not-a-token", "Bearer not-a-token"],
          ["token without the scope", `Bearer ${tokens.get("WITHOUT_SCOPE")}`],
          ["token with the scope", `Bearer ${tokens.get("TOKEN")}`]
        ]
        const rows = yield* Effect.forEach(requests, ([name, authorization]) =>
          Effect.map(get(ports[3000], authorization), ({ body, challenge, status }) => [
            name,
            String(status),
            challenge ?? "",
            body
          ])
        )
        assert.deepStrictEqual(
          rows,
          rowsOf(
            page,
            requests.map(([name]) => name)
          )
        )
        // README.md promises these responses of its own program, too.
        const [, , [, status = "", challenge = ""] = []] = rows
        const promised = rowsOf("README.md", ["valid token without the scope", "valid token with the scope"])
        assert.deepStrictEqual(promised, [
          ["valid token without the scope", status, `WWW-Authenticate: ${challenge}`],
          ["valid token with the scope", "200", ""]
        ])

        issuer.process.kill()
        server.process.kill()
        yield* issuer.ended
        yield* server.ended
        const restarted = yield* start(serverFile, {})
        yield* restarted.waitFor("Listening")
        const outage = yield* get(ports[3000], `Bearer ${tokens.get("TOKEN")}`)
        assert.strictEqual(outage.status, 503)
        assert.isNotNull(outage.retryAfter)
        assert.include(read(page), "The response is 503 with `Retry-After`")
      }),
    30_000
  )
})

// Registers the test of the page, which the page runs against the first `app.ts`.
write("app.ts", codeOf(page, "`app.ts`:"))
await import(join(root, write("appTest.ts", codeOf(page, "`app.test.ts`:"))))
