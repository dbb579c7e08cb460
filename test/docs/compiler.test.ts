// Compares the compiler messages in README.md and docs with the messages that the type tests expect.
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..", "..")
const read = (file: string) => readFileSync(join(root, file), "utf8")

const quoted = ["README.md", ...globSync("docs/**/*.md", { cwd: root }).toSorted()].flatMap((file) =>
  Array.from(read(file).matchAll(/<!-- compiler -->\s+```text\n([^]*?)```/g), ([, text = ""]) => ({
    file,
    text: text.trim()
  }))
)

/** Replaces names in backticks, because the type tests use other endpoint names than the documentation. */
const withoutNames = (message: string) => message.replace(/`[^`]*`/g, "`…`")

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** Messages of the type tests. They write `...` where the messages of two compilers differ. */
const expected = globSync("test/types/*.tst.ts", { cwd: root })
  .flatMap((file) => Array.from(read(file).matchAll(/@ts-expect-error (.*)/g)))
  .map(([, message = ""]) => new RegExp(withoutNames(message).split("...").map(escaped).join(".*")))

describe("the documentation", () => {
  it("quotes compiler messages in README.md and in the guide to compile-time checks", () => {
    const files = quoted.map(({ file }) => file)
    assert.include(files, "README.md")
    assert.isAtLeast(files.filter((file) => file.endsWith("compile-time-checks.md")).length, 3)
  })

  for (const { file, text } of quoted) {
    it(`quotes a message that a type test expects: ${file}: ${text.slice(0, 100)}`, () =>
      assert.isTrue(expected.some((pattern) => pattern.test(withoutNames(text)))))
  }
})
