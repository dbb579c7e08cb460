// Compiles every code block of the documentation, runs the runnable blocks, and tests their extraction.
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { check, extract, readSnippets, withAssertions } from "./snippets.ts"

const snippets = readSnippets()

describe("documentation", () => {
  let result: Awaited<ReturnType<typeof check>>

  beforeAll(async () => {
    result = await check(snippets)
  }, 130_000)

  for (const snippet of snippets) {
    it(`${snippet.source}:${snippet.line} ${snippet.title}`, () => {
      const failure = result.failures.get(snippet)
      if (failure !== undefined) assert.fail(`${snippet.source}:${snippet.line} ${snippet.title}\n${failure}`)
    })
  }

  it("imports only sources that compile", () => {
    assert.strictEqual(result.otherDiagnostics, "")
  })

  it("has code blocks in README.md", () => {
    assert.isTrue(snippets.some(({ source }) => source === "README.md"))
  })
})

describe("the extraction of code blocks", () => {
  it("keeps line numbers, and uses the title above a block", () => {
    const text =
      "/**\n * **Example** (One)\n *\n * ```ts import.meta.vitest\n * 1 + 1 // => 2\n * ```\n */\nconst x = 1\n"
    assert.deepStrictEqual(extract("src/A.ts", text), [
      { source: "src/A.ts", line: 4, title: "One", runnable: true, code: "\n\n\n\n1 + 1 // => 2\n" }
    ])
  })

  it("ignores blocks in other languages", () => {
    assert.deepStrictEqual(extract("README.md", "```sh\nnpm install\n```\n"), [])
  })

  it("throws if a block has no end", () => {
    assert.throws(() => extract("README.md", "# T\n\n```ts\n1\n"), "README.md:3")
  })
})

describe("the assertion of a code block", () => {
  const assertions = (code: string): string =>
    withAssertions({ source: "README.md", line: 0, title: "", runnable: true, code })

  it("compares an expression, also over several lines", () => {
    assert.strictEqual(
      assertions("await f(\n  1\n) // => { a: 1 }"),
      "$equal(await f(\n  1\n), ({ a: 1 })) // => { a: 1 }"
    )
  })

  it("compares a constant", () => {
    assert.strictEqual(assertions("const a = f() // => 1"), "const a = f(); $equal(a, (1)) // => 1")
  })

  it("throws if its comment follows neither an expression nor a constant", () => {
    assert.throws(() => assertions('import a from "a" // => 1'), "README.md:1")
  })
})
