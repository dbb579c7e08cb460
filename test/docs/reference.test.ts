// Compares docs/reference with the docstrings. Without `npm ci --prefix reference`, the comparison is skipped.
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { folder, missing, nameOf } from "../../reference/typedoc.ts"
import { generatedPages } from "./publicOptions.ts"

const root = join(import.meta.dirname, "..", "..")
const committed = globSync("*.md", { cwd: folder }).toSorted()
const modules = Array.from(
  readFileSync(join(root, "package.json"), "utf8").matchAll(/"@effect-oauth2\/source": "\.\/(src\/.*)"/g),
  ([, file = ""]) => nameOf(file)
).filter((name) => name !== "src")

describe("docs/reference", () => {
  it("has a page for each entry point", () => {
    assert.isAtLeast(modules.length, 19)
    assert.includeMembers(
      committed,
      modules.map((name) => `${name}.md`)
    )
  })

  it.skipIf(missing().length > 0)(
    "equals what `npm run reference` writes from the docstrings",
    async () => {
      const out = mkdtempSync(join(tmpdir(), "reference-"))
      try {
        await promisify(execFile)(process.execPath, [join(root, "reference/main.ts"), out], { cwd: root })
        const pages = globSync("*.md", { cwd: out }).toSorted()
        assert.deepStrictEqual(
          committed.filter((name) => !generatedPages.includes(name)),
          pages
        )
        for (const name of pages) {
          const page = readFileSync(join(folder, name), "utf8")
          const text = readFileSync(join(out, name), "utf8")
          assert.strictEqual(page, text, `docs/reference/${name} is out of date. Run npm run reference.`)
        }
      } finally {
        rmSync(out, { recursive: true, force: true })
      }
    },
    120_000
  )
})
