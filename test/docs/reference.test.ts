// Compares docs/reference with the docstrings. Without `npm ci --prefix reference`, the comparison is skipped.
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"
import { folder, makeReference, missing } from "../../reference/typedoc.ts"
import { generatedPages } from "./publicOptions.ts"

const root = join(import.meta.dirname, "..", "..")
const committed = globSync("*.md", { cwd: folder }).toSorted()
const modules = Array.from(
  readFileSync(join(root, "package.json"), "utf8").matchAll(/"@effect-oauth2\/source": "\.\/(src\/.*)"/g),
  ([, file = ""]) => basename(file.replace(/\/index\.ts$/, ""), ".ts")
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
      const pages = await makeReference()
      assert.deepStrictEqual(
        committed.filter((name) => !generatedPages.includes(name)),
        [...pages.keys()].toSorted()
      )
      for (const [name, text] of pages) {
        const page = readFileSync(join(folder, name), "utf8")
        assert.strictEqual(page, text, `docs/reference/${name} is out of date. Run npm run reference.`)
      }
    },
    60_000
  )
})
