// Resolves the relative links of every Markdown page, and limits the length of README.md.
import { assert, describe, it } from "@effect/vitest"
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, relative, sep } from "node:path"
import { readSnippets } from "./snippets.ts"

const root = join(import.meta.dirname, "..", "..")
const posix = (path: string) => path.split(sep).join("/")
const read = (file: string) => readFileSync(join(root, file), "utf8")
const pages = globSync(["*.md", "docs/**/*.md", "scratchpad/README.md"], { cwd: root }).map(posix).toSorted()

// Code blocks and inline code contain neither headings nor links.
const withoutBlocks = (text: string) => text.replace(/^(`{3,}).*\n[^]*?^\1\s*$/gm, "")
const withoutCode = (text: string) => withoutBlocks(text).replace(/(`+)[^\n]*?\1(?!`)/g, "")

/** Targets of links and images that are not URLs. */
const linksOf = (text: string): ReadonlyArray<string> =>
  Array.from(withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g), ([, target = ""]) => target).filter(
    (target) => !/^[a-z][a-z+.-]*:/i.test(target)
  )

/**
 * Anchors that GitHub makes from headings: lower case, hyphens for spaces, and a number after a repeated anchor.
 * Pages that are generated have other anchors, too: `<a id="…"></a>`.
 */
const anchorsOf = (text: string): ReadonlySet<string> => {
  const seen = new Map<string, number>()
  return new Set([
    ...Array.from(text.matchAll(/<a id="([^"]+)"><\/a>/g), ([, anchor = ""]) => anchor),
    ...Array.from(withoutBlocks(text).matchAll(/^#{1,6} (.*)$/gm), ([, heading = ""]) => {
      const anchor = heading
        .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
        .trim()
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\p{M}_\- ]/gu, "")
        .replaceAll(" ", "-")
      const count = seen.get(anchor) ?? 0
      seen.set(anchor, count + 1)
      return count === 0 ? anchor : `${anchor}-${count}`
    })
  ])
}

/** The reasons why a link of a page does not resolve. */
const problemOf = (page: string, target: string): string | undefined => {
  const [path = "", anchor] = target.split("#")
  const file = path === "" ? page : posix(relative(root, join(root, dirname(page), decodeURI(path))))
  if (!existsSync(join(root, file))) return `${target}: ${file} does not exist`
  if (anchor !== undefined && !anchorsOf(read(file)).has(anchor)) return `${target}: ${file} has no such heading`
  return undefined
}

describe("links", () => {
  for (const page of pages) {
    it(`resolve in ${page}`, () => {
      const problems = linksOf(read(page)).flatMap((target) => problemOf(page, target) ?? [])
      assert.deepStrictEqual(problems, [])
    })
  }

  it("lead from docs/README.md to every page of docs", () => {
    const linked = new Set(linksOf(read("docs/README.md")).map((target) => target.split("#")[0]))
    const missing = pages
      .filter((page) => page.startsWith("docs/") && page !== "docs/README.md")
      .filter((page) => !linked.has(page.slice("docs/".length)))
    assert.deepStrictEqual(missing, [])
  })

  it("lead from README.md to the index, and from the index to every guide", () => {
    assert.include(linksOf(read("README.md")), "docs/README.md")
    assert.isAtLeast(pages.filter((page) => page.startsWith("docs/guides/")).length, 13)
  })
})

describe("the test of links", () => {
  it("finds a missing file and a missing heading", () => {
    assert.include(problemOf("README.md", "docs/absent.md"), "does not exist")
    assert.include(problemOf("README.md", "docs/README.md#absent"), "has no such heading")
    assert.isUndefined(problemOf("README.md", "#quick-start"))
  })

  it("ignores code, URLs, and headings in code blocks", () => {
    const text = "[a](x.md) `[b](y.md)` [c](https://example.com)\n\n```sh\n# comment\n[d](z.md)\n```\n"
    assert.deepStrictEqual(linksOf(text), ["x.md"])
    assert.deepStrictEqual([...anchorsOf(text)], [])
  })

  it("makes the anchors of GitHub", () => {
    const text = "# A `b.ts`: c\n## I want to …\n## Same\n## Same\n"
    assert.deepStrictEqual([...anchorsOf(text)], ["a-bts-c", "i-want-to-", "same", "same-1"])
  })
})

describe("README.md", () => {
  const lines = read("README.md").trimEnd().split("\n")
  const programs = readSnippets().filter(({ source }) => source === "README.md")

  it("has at most 200 lines", () => assert.isAtMost(lines.length, 200))

  it("has at most 6 programs, and the first begins within 40 lines", () => {
    assert.isAtMost(programs.length, 6)
    assert.isAtMost(programs[0]?.line ?? Infinity, 40)
  })
})
