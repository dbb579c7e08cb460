// Requires a program on every page of the documentation, and a link to the reference on every guide.
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { readSnippets } from "./snippets.ts"

const root = join(import.meta.dirname, "..", "..")
const programs = readSnippets()

const guides = [
  "caching",
  "compile-time-checks",
  "current-user",
  "errors",
  "http-api",
  "introspection",
  "observability",
  "openapi",
  "outside-http",
  "providers",
  "requirements",
  "testing",
  "typed-claims"
].map((name) => `docs/guides/${name}.md`)

const pages = [
  "docs/architecture.md",
  "docs/comparison.md",
  "docs/getting-started.md",
  "docs/mcp.md",
  "docs/migrating-from-express.md",
  "docs/migrating-from-fastapi.md",
  "docs/migrating-from-spring.md",
  "docs/performance.md",
  "docs/rpc.md",
  "docs/runtimes.md",
  "docs/security.md",
  "docs/start-and-stop.md",
  "docs/style.md",
  "docs/troubleshooting.md",
  ...guides
]

describe("each page of the documentation", () => {
  for (const page of pages) {
    it(`has a program: ${page}`, () => assert.isTrue(programs.some(({ source }) => source === page)))
  }

  for (const guide of guides) {
    it(`links to the reference: ${guide}`, () => {
      assert.match(readFileSync(join(root, guide), "utf8"), /\]\(\.\.\/reference\/\w+\.md\)/)
    })
  }
})

describe("docs/guides/observability.md", () => {
  it("names every metric, span and attribute of a span", () => {
    const page = readFileSync(join(root, "docs/guides/observability.md"), "utf8")
    const sources = globSync("src/**/*.ts", { cwd: root }).map((file) => readFileSync(join(root, file), "utf8"))
    const names = sources.flatMap((text) =>
      Array.from(text.matchAll(/^(?! *\*).*"(oauth2[_.]\w+|\w+\.(?:verify|refresh))"/gm), ([, name = ""]) => name)
    )
    assert.includeMembers(names, ["oauth2_decisions_total", "oauth2.scheme", "KeySet.refresh", "JwtVerifier.verify"])
    assert.deepStrictEqual(
      names.filter((name) => !page.includes(`\`${name}\``)),
      []
    )
  })
})
