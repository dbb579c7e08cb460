// Runs the same checks on each runtime, and compares the results with `docs/runtimes.md`. If UPDATE_DOCS is set, it
// writes the table of this page.
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { TestIssuer } from "effect-oauth2/testing"
import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll } from "vitest"
import { find, type Runtime } from "../../runtimes/install.ts"
import * as Chromium from "../browser/Chromium.ts"
import { type Bundle, bundleProgram } from "../support/bundleProgram.ts"
import { leftOut } from "../support/runtimes.ts"
import { startWorkerd } from "../support/workerd.ts"
import { type Column, columnOf, headings, page, path, withTable } from "./capabilities.ts"
import type { Results } from "./programs/checks.ts"
import { audience, handlerFor } from "./programs/handler.ts"
import { serve, type WebHandler } from "./programs/serve.ts"

const run = promisify(execFile)
const isUpdate = process.env["UPDATE_DOCS"] !== undefined

const html = (body: string) => new Response(`<!doctype html>${body}`, { headers: { "content-type": "text/html" } })
const javaScript = (script: Buffer) =>
  new Response(new Uint8Array(script), { headers: { "content-type": "text/javascript" } })

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

  const found: Partial<Record<Column, Results>> = {}

  /** Runs all checks on a runtime. Compares the results with the column of the page. */
  const runs = (column: Column, results: () => Promise<Results>) =>
    it(`has the capabilities that docs/runtimes.md shows: ${headings[column]}`, { timeout: 60_000 }, async () => {
      found[column] = await results()
      for (const [name, result] of Object.entries(found[column])) assert.match(result, /^(?:yes|no)$/, name)
      if (!isUpdate) assert.deepStrictEqual(found[column], columnOf(page(), column))
    })

  const runsProgram = (column: Column, program: string, options: ReadonlyArray<string>) =>
    runs(column, async () => {
      const { stdout } = await run(program, [...options, bundle.path])
      const { results, version } = JSON.parse(stdout) as { readonly results: Results; readonly version: string }
      assert.isTrue(`${version}.`.startsWith(`${headings[column].split(" ")[1]}.`), version)
      return results
    })

  // CI runs all tests on several versions of Node.
  const current = Object.entries(headings).find(([, heading]) =>
    `${process.version}.`.startsWith(`v${heading.slice(5)}.`)
  )
  if (current !== undefined) runsProgram(current[0] as Column, process.execPath, [])
  for (const [runtime, options] of Object.entries(commands)) {
    const program = find(runtime as Runtime)
    if (program !== undefined) runsProgram(runtime as Column, program, options)
  }

  const workerd = find("workerd")
  if (workerd !== undefined) {
    runs("workerd", async () => {
      const worker = await bundleProgram("conformanceWorker", "browser")
      try {
        const { origin, stop } = await startWorkerd(workerd, { worker: worker.path })
        try {
          return (await (await fetch(origin)).json()) as Results
        } finally {
          await stop()
        }
      } finally {
        worker.remove()
      }
    })
  }

  if (!Chromium.missing) {
    runs("chromium", async () => {
      const program = await bundleProgram("conformanceBrowser", "browser")
      const script = readFileSync(program.path)
      program.remove()
      let answer: WebHandler = async () => new Response(null, { status: 503 })
      const issuer = await serve((request) => answer(request))
      const handler = handlerFor(issuer)
      const origin = await serve((request) => {
        const { pathname } = new URL(request.url)
        if (pathname === "/") return Promise.resolve(html(`<script type="module" src="/program.mjs"></script>`))
        if (pathname === "/program.mjs") return Promise.resolve(javaScript(script))
        return handler(request)
      })
      return Effect.runPromise(
        Effect.gen(function* () {
          const context = yield* Layer.build(TestIssuer.layer({ issuer, audience }))
          answer = HttpRouter.toWebHandler(TestIssuer.routes.pipe(Layer.provide(Layer.succeedContext(context))), {
            disableLogger: true
          }).handler
          const token = yield* Context.get(context, TestIssuer).mint({ scopes: ["me"] })
          const browser = Context.get(yield* Layer.build(Chromium.Chromium.layer), Chromium.Chromium)
          return yield* Effect.promise(async () => {
            const tab = await browser.newPage()
            await tab.goto(`${origin}/?token=${token}`)
            await tab.waitForFunction("globalThis.results !== undefined")
            return tab.evaluate<Results>("results")
          })
        }).pipe(Effect.scoped)
      )
    })
  }

  it.runIf(isUpdate)("writes docs/runtimes.md", async () => {
    const missing = Object.keys(headings).filter((column) => found[column as Column] === undefined)
    assert.deepStrictEqual(missing, [])
    writeFileSync(path, await withTable(page(), found as Readonly<Record<Column, Results>>))
  })
})

describe("the documentation page with the files of the installed swagger-ui-dist", () => {
  let bundle: Bundle
  beforeAll(async () => {
    bundle = await bundleProgram("docsPage", "node", import.meta.dirname)
  })
  afterAll(() => bundle.remove())

  const shown = async (program: string, options: ReadonlyArray<string>): Promise<string> =>
    (await run(program, [...options, bundle.path])).stdout.trim()

  const bun = find("bun")
  it.runIf(bun !== undefined)("is served by Bun", { timeout: 60_000 }, async () => {
    assert.strictEqual(await shown(bun ?? "", commands.bun ?? []), "200")
  })

  const deno = find("deno")
  it.runIf(deno !== undefined)("is served by Deno, which needs --allow-read for it", { timeout: 60_000 }, async () => {
    // Without --no-npm, which hides the installed package.
    const options = ["run", "--no-remote", "--no-prompt", "--allow-net"]
    assert.strictEqual(await shown(deno ?? "", [...options, "--allow-read"]), "200")
    const output = await shown(deno ?? "", options)
    assert.include(output, "could not read swagger-ui-dist")
    assert.match(output, /503$/)
  })
})

describe("another Node", () => {
  // The whole suite takes minutes. These tests start programs and read the disk.
  const subset = [
    "test/scratchpad/webPage.test.ts",
    "test/swaggerUi",
    "test/client/TokenStore.node.test.ts",
    "test/client/connections.node.test.ts",
    "test/core/BearerToken.node.test.ts",
    "test/verifier/JwtVerifier.test.ts",
    "test/verifier/KeySet.test.ts",
    "test/verifier/Signatures.test.ts",
    "test/verifier/TokenIntrospection.server.test.ts"
  ]

  for (const runtime of ["node22", "node26"] as const) {
    const program = find(runtime)
    if (program === undefined) continue
    it(`passes the tests that depend on Node: ${runtime}`, { timeout: 300_000 }, async () => {
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
