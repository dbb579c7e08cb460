// Runs the tutorial of docs/migrating-from-fastapi.md, and compares the page with FastAPI and with the recorded cases.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { cases } from "../conformance/Case.ts"
import { freePort, start } from "../support/program.ts"
import { readSnippets } from "./snippets.ts"

const root = join(import.meta.dirname, "..", "..")
const source = "docs/migrating-from-fastapi.md"
const page = readFileSync(join(root, source), "utf8")

/** The classes that `fastapi.security` of FastAPI 0.141.1 exports. */
const classes = [
  "APIKeyCookie",
  "APIKeyHeader",
  "APIKeyQuery",
  "HTTPAuthorizationCredentials",
  "HTTPBasic",
  "HTTPBasicCredentials",
  "HTTPBearer",
  "HTTPDigest",
  "OAuth2",
  "OAuth2AuthorizationCodeBearer",
  "OAuth2PasswordBearer",
  "OAuth2PasswordRequestForm",
  "OAuth2PasswordRequestFormStrict",
  "OpenIdConnect",
  "SecurityScopes"
]

// docs.test.ts empties the folder of the other snippets, so this program needs its own.
const folder = "test/docs/.gettingStarted"
mkdirSync(join(root, folder), { recursive: true })

const rows = page
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map((cells) => cells.slice(1, -1))

/** The documented response of a request: status, body and challenge. */
const documented = (request: string): ReadonlyArray<string> => {
  const row = rows.find(([first]) => first === request)
  if (row === undefined) throw new Error(`${source} has no row "${request}".`)
  return row.slice(1).map((cell) => cell.replace(/^`|`$/g, ""))
}

describe(source, () => {
  it("translates every class of fastapi.security", () => {
    const cells = rows.map(([first = ""]) => first)
    const absent = classes.filter((name) => !cells.some((cell) => new RegExp(`\`${name}[\`(]`).test(cell)))
    assert.deepStrictEqual(absent, [])
  })

  it("states how many recorded responses are equal", () => {
    const count = (plan: string) => cases.filter((one) => one.plan === plan).length
    assert.include(page, `FastAPI's own tests make ${cases.length} requests`)
    assert.include(page, `This library gives ${count("run")} of the responses byte for byte.`)
    assert.include(page, `${count("document")} responses are documents`)
    assert.include(page, `${count("left out")} cases are left out`)
  })

  it.live(
    "has a whole tutorial that responds as the page says",
    () =>
      Effect.gen(function* () {
        const code = readSnippets().find((one) => one.source === source && one.title === "The whole tutorial")?.code
        const port = yield* freePort
        const file = `${folder}/tutorial.ts`
        writeFileSync(join(root, file), (code ?? "").replaceAll("8000", String(port)))
        const server = yield* start(file, { SECRET_KEY: "a-secret-of-the-test-with-32-bytes" })
        yield* server.waitFor("Listening")
        const send = (path: string, init: RequestInit) =>
          Effect.promise(async () => {
            const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
            return {
              body: await response.text(),
              row: [String(response.status), response.headers.get("www-authenticate") ?? ""]
            }
          })
        const logIn = (username: string, password: string, scope: string) =>
          send("/token", { method: "POST", body: new URLSearchParams({ username, password, scope }) })
        const tokenOf = ({ body }: { readonly body: string }) =>
          (JSON.parse(body) as Record<string, string>)["access_token"]
        const get = (path: string, token?: string) =>
          send(path, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })
        const me = tokenOf(yield* logIn("johndoe", "secret", "me"))
        const both = tokenOf(yield* logIn("johndoe", "secret", "me items"))
        const alice = tokenOf(yield* logIn("alice", "secretalice", "me"))
        const responses = {
          "`GET /users/me/` without a token": yield* get("/users/me/"),
          "`POST /token` with a wrong password": yield* logIn("johndoe", "wrong", "me"),
          "`GET /users/me/` with the scope `me`": yield* get("/users/me/", me),
          "`GET /users/me/items/` with the scope `me`": yield* get("/users/me/items/", me),
          "`GET /users/me/items/` with both scopes": yield* get("/users/me/items/", both),
          "`GET /users/me/` as `alice`, who is disabled": yield* get("/users/me/", alice),
          "`GET /status/` with any token": yield* get("/status/", me)
        }
        for (const [request, { body, row }] of Object.entries(responses)) {
          assert.deepStrictEqual([row[0], body, row[1]], [...documented(request)], request)
        }
      }),
    30_000
  )
})
