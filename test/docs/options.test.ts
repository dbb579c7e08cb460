// Requires a default in the docstring of every option of every public function, and lists them in a page.
import { assert, describe, it } from "@effect/vitest"
import ts from "@typescript/typescript6"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { defaultOf, optionsOf, publicOptions } from "./publicOptions.ts"

const root = join(import.meta.dirname, "..", "..")
const page = join(root, "docs/reference/options.md")

const cell = (text: string): string => text.replaceAll("|", "\\|")

const pageText = (): string => {
  const groups = Map.groupBy(publicOptions(), ({ module, owner }) => JSON.stringify([module, owner]))
  const sections = [...groups].flatMap(([key, options]) => {
    const [module, owner] = JSON.parse(key) as readonly [string, string]
    return [
      `## ${owner}`,
      "",
      `Types and examples: [\`${module}\`](${module === "login" ? "login-entry" : module}.md)`,
      "",
      "| option | default | meaning |",
      "| --- | --- | --- |",
      ...options.map((one) => `| \`${one.path}\` | ${cell(one.default ?? "")} | ${cell(one.meaning)} |`),
      ""
    ]
  })
  return [
    "# Options and defaults",
    "",
    "This page lists the optional options of all public functions. Each option is listed once, under the first function that has it. Functions of one module share their options: `JwtVerifier.layerKeySet` has those of `JwtVerifier.layer`.",
    "",
    "`UPDATE_DOCS=1 npm run test:unit -- test/docs/options.test.ts` writes this page from the docstrings.",
    "",
    ...sections
  ]
    .join("\n")
    .replace(/\n+$/, "\n")
}

describe("every option of a public function", () => {
  const options = publicOptions()

  it("has a default in its docstring", () => {
    assert.isAbove(options.length, 150)
    const without = options.filter((option) => option.default === undefined)
    assert.deepStrictEqual(
      without.map(({ owner, path, place }) => `${owner}: ${path} (src/${place})`),
      [],
      'Add a sentence such as "Default: none." or @default.'
    )
  })

  it("has a meaning", () => {
    const without = options.filter(({ meaning }) => meaning === "")
    assert.deepStrictEqual(
      without.map(({ place }) => place),
      []
    )
  })

  it("is in docs/reference/options.md", () => {
    const text = pageText()
    mkdirSync(join(root, "docs/reference"), { recursive: true })
    if (process.env["UPDATE_DOCS"] !== undefined) writeFileSync(page, text)
    assert.strictEqual(readFileSync(page, "utf8"), text)
  })
})

describe("the test of options", () => {
  /** Lists the options of a module that exists only in memory. */
  const optionsIn = (source: string) => {
    const file = join(root, "src", "Example.ts").replaceAll("\\", "/")
    const host = ts.createCompilerHost({})
    const isExample = (name: string) => name.replaceAll("\\", "/") === file
    const withExample: ts.CompilerHost = {
      ...host,
      fileExists: (name) => isExample(name) || host.fileExists(name),
      readFile: (name) => (isExample(name) ? source : host.readFile(name)),
      getSourceFile: (name, ...rest) =>
        isExample(name)
          ? ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true)
          : host.getSourceFile(name, ...rest)
    }
    return optionsOf([{ name: "Example", file }], join(root, "src").replaceAll("\\", "/"), withExample)
  }

  it("finds an option without a default, also a nested one", () => {
    const found = optionsIn(`
      interface Cache {
        /** Size. @default 10 */
        readonly size?: number
        /** Time. */
        readonly time?: number
      }
      export const make = (options: {
        readonly name: string
        /** Cache. Default: none. */
        readonly cache?: Cache
      }) => options
    `)
    assert.deepStrictEqual(
      found.map((one) => [one.owner, one.path, one.default]),
      [
        ["Example.make", "cache", "none"],
        ["Example.make", "cache.size", "`10`"],
        ["Example.make", "cache.time", undefined]
      ]
    )
  })

  it("reads defaults from sentences and from tags", () => {
    assert.strictEqual(defaultOf("/** A. Default: `1.5`, or none. B. */"), "`1.5`, or none")
    assert.strictEqual(defaultOf('/** A. @default "a" */'), '`"a"`')
    assert.strictEqual(defaultOf("/**\n * A.\n *\n * @default no limit\n */"), "no limit")
    assert.isUndefined(defaultOf("/** The default is good. */"))
  })
})
