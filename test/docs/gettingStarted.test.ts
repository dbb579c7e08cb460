// Follows docs/getting-started.md and the quick start of README.md in empty folders, with the packed package: writes each
// file, runs each command, and compares each response. Two things differ from the pages. Ports are free ports. Instead of
// `npm ci`, the checkout shares the packages of this repository, and a registry on this machine has the same packages.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { cellsOf, missingLine, responsesOf, stepsOf, Tutorial } from "../support/tutorial.ts"

const root = join(import.meta.dirname, "..", "..")
const read = (file: string) => readFileSync(join(root, file), "utf8")

/** Cells of the rows of a table whose first cell is one of the names. */
const rowsOf = (page: string, names: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> =>
  page
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => cellsOf(line))
    .filter(([first = ""]) => names.includes(first))

/** Section of a page with its heading, up to the next heading of the same level. */
const sectionOf = (page: string, heading: string): string =>
  new RegExp(`^## ${heading}\\n[^]*?(?=^## )`, "m").exec(page)?.[0] ?? ""

describe("docs/getting-started.md", () => {
  it.live(
    "works word for word in an empty folder, with TypeScript 5.9 and 7, as a server and as a web handler",
    () =>
      Effect.gen(function* () {
        const tutorial = yield* Tutorial.start(3000, 9000)
        yield* Effect.promise(async () => {
          const page = read("docs/getting-started.md")
          assert.deepStrictEqual(await tutorial.follow(page), {
            file: 8,
            commands: 13,
            output: 6,
            responses: 2,
            stop: 2
          })
          // The page installs TypeScript 7.
          assert.match(await tutorial.run("npx tsc --version"), /^Version 7\./)
          assert.match(await tutorial.compile("typescript-5.9", "--version"), /^Version 5\.9\./)
          assert.strictEqual(await tutorial.compile("typescript-5.9"), "")
        })
      }),
    180_000
  )
})

describe("README.md", () => {
  const page = read("README.md")
  const quickStart = sectionOf(page, "Quick start")

  it.live(
    "installs and runs its program word for word in an empty folder",
    () =>
      Effect.gen(function* () {
        const tutorial = yield* Tutorial.start(3000)
        yield* Effect.promise(async () => {
          const steps = `${sectionOf(page, "Install")}${quickStart.split("| request")[0]}`
          assert.deepStrictEqual(await tutorial.follow(steps), {
            file: 1,
            commands: 3,
            output: 1,
            responses: 0,
            stop: 0
          })
          assert.strictEqual(JSON.parse(await tutorial.run("npm pkg get type")), "module")
          const url = `http://localhost:${tutorial.portOf(3000)}/users/me`
          const printed = await tutorial.run(
            `curl -i -w "\\n" ${url}\ncurl -i ${url} -H "Authorization: Bearer not-a-token"`
          )
          const names = ["no token", "invalid or expired token"]
          assert.deepStrictEqual(
            responsesOf(printed).map(({ challenge, status }) => [status, `WWW-Authenticate: ${challenge}`]),
            rowsOf(quickStart, names).map(([, ...cells]) => cells)
          )
        })
      }),
    180_000
  )

  it("promises the responses of docs/getting-started.md, which has an issuer", () => {
    const row = (name: string, file: string) => rowsOf(read(file), [name])[0] ?? []
    for (const name of ["token without the scope", "token with the scope"]) {
      const [, status, challenge] = row(name, "docs/getting-started.md")
      const header = challenge === "" ? "" : `WWW-Authenticate: ${challenge}`
      assert.deepStrictEqual(row(`valid ${name}`, "README.md"), [`valid ${name}`, status ?? "", header])
    }
  })

  it("shows the file, the choices, the command and the request within 40 lines", () => {
    const lines = quickStart.split("\n")
    const at = (text: string) => lines.findIndex((line) => line.includes(text)) + 1
    for (const text of ["`server.ts`", `"type": "module"`, "Provider.", `responses: "rfc6750"`, "node server.ts"]) {
      assert.isAbove(at(text), 0, text)
      assert.isAtMost(at(text), 40, text)
    }
    assert.isAtMost(at("curl -i"), 45)
  })
})

describe("the steps of a page", () => {
  it("are its files, commands, outputs and stops, in order", () => {
    const page =
      "## `a.ts`: one\n\n```ts\n1\n```\n\nRun it:\n\n```sh\nnode a.ts\n```\n\n```text\nx …\n```\n\nNow stop `a.ts` and `b.ts` here.\n"
    assert.deepStrictEqual(stepsOf(page), [
      { kind: "file", line: 3, name: "a.ts", text: "1\n" },
      { kind: "commands", line: 9, text: "node a.ts\n" },
      { kind: "output", line: 13, text: "x …\n" },
      { kind: "stop", line: 17, names: ["a.ts", "b.ts"] }
    ])
  })

  it("differ from the output if a line is missing, or comes too early", () => {
    assert.isUndefined(missingLine("a 1\nb\nc", "a …\nc"))
    assert.strictEqual(missingLine("b\na", "a\nb"), "b")
    assert.strictEqual(missingLine("a b", "a"), "a")
  })
})
