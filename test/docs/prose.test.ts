// Counts the sentences of the pages, of the comments and messages in src, and of test names that break a rule of "How to
// write". The pages in docs/reference have the docstrings.
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join, sep } from "node:path"
import { libraryMessages } from "./libraryMessages.ts"

const root = join(import.meta.dirname, "..", "..")
const pages = globSync(["README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/**/*.md", "scratchpad/README.md"], {
  cwd: root
})
  .map((path) => path.split(sep).join("/"))
  .toSorted()

const maxWords = 25

const banned =
  /\b(?:simply|just|easy|easily|obviously|somebody|nobody|anybody|whom|whoever|one's own|of course|please|whatsoever)\b/i

/** Sentences of a page, without code blocks, the targets of links, and the text of inline code. */
const sentencesOf = (text: string): ReadonlyArray<string> =>
  text
    .replace(/^(`{3,}).*\n[^]*?^\1\s*$/gm, "")
    .replace(/<!--[^]*?-->/g, "")
    .replace(/(`+)[^\n]*?\1(?!`)/g, "CODE")
    .replace(/\]\([^)\s]*\)/g, "]")
    .split("\n")
    .flatMap((line) => (line.startsWith("|") ? line.split("|") : [line]))
    .flatMap((line) => line.split(/(?<=[.?!:;])\s+/))
    .map((sentence) => sentence.replace(/^[\s>#*-]+|\s+$/g, ""))
    .filter((sentence) => sentence !== "")

const wordsOf = (sentence: string): number => sentence.match(/[\p{L}\p{N}][\p{L}\p{N}'’_/.-]*/gu)?.length ?? 0

const problemsOf = (text: string): ReadonlyArray<string> =>
  sentencesOf(text).flatMap((sentence) => {
    const words = wordsOf(sentence)
    const word = banned.exec(sentence)?.[0]
    return [
      ...(words > maxWords ? [`${words} words: ${sentence}`] : []),
      ...(word === undefined ? [] : [`"${word}": ${sentence}`])
    ]
  })

/** Numbers of problems that pages may have. Lower a number if you correct a page. Never raise a number. */
const baseline: Readonly<Record<string, number>> = {}

describe("the prose", () => {
  for (const page of pages) {
    it(`has no more problems than before: ${page}`, () => {
      const problems = problemsOf(readFileSync(join(root, page), "utf8"))
      const allowed = baseline[page] ?? 0
      assert.strictEqual(
        problems.length,
        allowed,
        problems.length < allowed ? `Lower the number of ${page} in the baseline.` : problems.join("\n")
      )
    })
  }

  it("has a baseline only for pages that exist", () => assert.includeMembers(pages, Object.keys(baseline)))
})

/** The comments of a file. Lines of `//` that follow each other are one comment. */
const commentsOf = (text: string): ReadonlyArray<string> => [
  ...Array.from(text.matchAll(/(?:^[ \t]*\/\/.*\n)+/gm), ([lines]) =>
    lines.replace(/^[ \t]*\/\/ ?/gm, "").replaceAll("\n", " ")
  ),
  ...Array.from(text.matchAll(/^[ \t]*\/\*\*([^]*?)\*\//gm), ([, block = ""]) =>
    block
      .replace(/^\s*\* ?/gm, "")
      .replace(/```[^]*?```/g, "")
      .split(/\n\s*\n|\n(?=[-|@])/)
      .filter((paragraph) => !/^\s*Source:/.test(paragraph))
      .map((paragraph) => paragraph.replaceAll("\n", " "))
      .join("\n")
  )
]

/** Names of tests: the first argument of `it`, `test` and `describe`. */
const testNamesOf = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/\b(?:it|test|describe)(?:\.\w+)*\(\s*"((?:[^"\\]|\\.)*)"/g), ([, name = ""]) => name)

const problemsIn = (pattern: string, textsOf: (text: string) => ReadonlyArray<string>): ReadonlyArray<string> =>
  globSync(pattern, { cwd: root }).flatMap((file) =>
    textsOf(readFileSync(join(root, file), "utf8")).flatMap((text) =>
      problemsOf(text).map((problem) => `${file}: ${problem}`)
    )
  )

describe("the prose of the sources", () => {
  /** Numbers of problems. They may only fall. */
  const allowed = { comments: 0, messages: 0, testNames: 0 }

  it("has no more problems than before in comments", () => {
    const problems = problemsIn("src/**/*.ts", commentsOf)
    assert.strictEqual(problems.length, allowed.comments, problems.join("\n"))
  })

  it("has no more problems than before in messages", () => {
    const problems = libraryMessages().flatMap(({ file, text }) =>
      problemsOf(text).map((problem) => `src/${file}: ${problem}`)
    )
    assert.strictEqual(problems.length, allowed.messages, problems.join("\n"))
  })

  it("has no more problems than before in names of tests", () => {
    const problems = problemsIn("test/**/*.test.ts", testNamesOf)
    assert.strictEqual(problems.length, allowed.testNames, problems.join("\n"))
  })
})

describe("the test of the prose", () => {
  it("reads comments and names of tests", () => {
    const text =
      '// One.\n// Two.\nconst a = 1 // no comment\n/** Three.\n *\n * Four. */\nit("five", f)\ntest.only("six", f)\n'
    assert.deepStrictEqual(commentsOf(text), ["One. Two. ", " Three.\nFour. "])
    assert.deepStrictEqual(testNamesOf(text), ["five", "six"])
  })

  it("finds a long sentence, and ignores code and the targets of links", () => {
    const long = `${"word ".repeat(maxWords)}word.`
    assert.lengthOf(problemsOf(long), 1)
    assert.lengthOf(problemsOf(`| ${long} | a |`), 1)
    assert.deepStrictEqual(problemsOf(`\`${long}\``), [])
    assert.deepStrictEqual(problemsOf(`\`\`\`text\n${long}\n\`\`\``), [])
    assert.deepStrictEqual(problemsOf(`${"word ".repeat(maxWords)}. ${"word ".repeat(maxWords)}.`), [])
  })

  it("finds a banned word", () => {
    assert.lengthOf(problemsOf("You simply call it."), 1)
    assert.deepStrictEqual(problemsOf("You call `simply`. Adjust it."), [])
  })
})
