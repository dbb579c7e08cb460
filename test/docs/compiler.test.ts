// Compares the compiler messages in README.md and docs with the messages that the type tests expect.
import { assert, describe, it } from "@effect/vitest"
import ts from "@typescript/typescript6"
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

/** Sentences in the types of a file, with `…` for names. They have at least four words. */
const sentencesOf = (file: string, text: string): ReadonlyArray<string> => {
  const sentences: Array<string> = []
  const visit = (node: ts.Node): void => {
    if (ts.isLiteralTypeNode(node) && ts.isStringLiteral(node.literal)) sentences.push(node.literal.text)
    if (ts.isTemplateLiteralTypeNode(node)) {
      sentences.push(node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join(""))
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest))
  return sentences.filter((sentence) => sentence.replaceAll("…", "").trim().split(/\s+/).length >= 4)
}

describe("the documentation", () => {
  it("quotes compiler messages in README.md and in the guide to compile-time checks", () => {
    const files = quoted.map(({ file }) => file)
    assert.include(files, "README.md")
    assert.isAtLeast(files.filter((file) => file.endsWith("compile-time-checks.md")).length, 3)
  })

  it("lists every sentence in the types of src with what is missing", () => {
    const page = read("docs/guides/compile-time-checks.md")
    const rows = page
      .split("\n")
      .filter((line) => line.startsWith("|"))
      .map((line) => withoutNames(line.split("|")[1] ?? "").trim())
    const sentences = globSync("src/**/*.ts", { cwd: root })
      .flatMap((file) => sentencesOf(file, read(file)))
      // A part of a sentence: "the scope" or "one of the scopes".
      .filter((sentence) => sentence !== "one of the scopes")
    // The first name of this sentence is a number of scopes.
    const absent = sentences.filter((sentence) => {
      const pattern = new RegExp(
        `^${withoutNames(sentence)
          .split(/(?<=needs )…(?= \x60…)/)
          .map(escaped)
          .join(".*")}$`
      )
      return !rows.some((row) => pattern.test(row))
    })
    assert.isAtLeast(sentences.length, 14)
    assert.deepStrictEqual(absent, [])
  })

  it("finds a sentence in a type", () => {
    const source = 'type A<N extends string> = `The gate \\`${N}\\` is not closed.` | "a"'
    assert.deepStrictEqual(sentencesOf("a.ts", source), ["The gate `…` is not closed."])
  })

  for (const { file, text } of quoted) {
    it(`quotes a message that a type test expects: ${file}: ${text.slice(0, 100)}`, () =>
      assert.isTrue(expected.some((pattern) => pattern.test(withoutNames(text)))))
  }
})
