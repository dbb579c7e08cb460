// Runs the same program on each runtime. `docs/runtimes.md` contains the results.
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll } from "vitest"
import { find, type Runtime } from "../../runtimes/install.ts"
import { type Bundle, bundleProgram } from "../support/bundleProgram.ts"
import { leftOut } from "../support/runtimes.ts"

const run = promisify(execFile)

const commands: Readonly<Partial<Record<Runtime, ReadonlyArray<string>>>> = {
  node22: [],
  node26: [],
  bun: ["run", "--no-install"],
  // Deno gives a program no access to files, to the environment or to other programs.
  deno: ["run", "--no-remote", "--no-npm", "--no-prompt", "--allow-net"]
}

describe("every runtime", () => {
  let bundle: Bundle
  beforeAll(async () => {
    bundle = await bundleProgram("conformance")
  })
  afterAll(() => bundle.remove())

  const capabilities = [
    "web handler",
    "JWTs",
    "key sets",
    "introspection",
    "keys off their curve are refused",
    "`node:crypto`: web handler",
    "`node:crypto`: JWTs",
    "`node:crypto`: keys off their curve are refused"
  ]

  const works = (name: string, program: string, options: ReadonlyArray<string>) =>
    it(`runs the web handler, and verifies tokens as Node does: ${name}`, { timeout: 60_000 }, async () => {
      const { stdout } = await run(program, [...options, bundle.path])
      assert.deepStrictEqual(
        JSON.parse(stdout),
        Object.fromEntries(capabilities.map((capability) => [capability, "ok"]))
      )
    })

  works("this Node", process.execPath, [])
  for (const [runtime, options] of Object.entries(commands)) {
    const program = find(runtime as Runtime)
    if (program !== undefined) works(runtime, program, options)
  }
})

describe("another Node", () => {
  // The whole suite takes minutes. These tests start programs and read the disk.
  const subset = ["test/promises/itemsApi.test.ts", "test/swaggerUi"]

  for (const runtime of ["node22", "node26"] as const) {
    const program = find(runtime)
    if (program === undefined) continue
    it(`passes the tests that depend on Node: ${runtime}`, { timeout: 120_000 }, async () => {
      const vitest = join(import.meta.dirname, "..", "..", "node_modules", "vitest", "vitest.mjs")
      await run(program, [vitest, "run", "--project", "node:crypto", "--reporter=dot", ...subset])
    })
  }
})

describe("a runtime that is not installed", () => {
  it("is named in one line", () => {
    assert.strictEqual(
      leftOut(["bun", "deno"], "runtimes"),
      "The tests leave out bun, deno. To run them, install these programs with: npm ci --prefix runtimes\n"
    )
  })
})
