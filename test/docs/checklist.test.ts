// The checklist of RFC 10017 in the guide to signing in names tests that exist.
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"

const page = join(import.meta.dirname, "..", "..", "docs/guides/signing-in.md")
const [, checklist = ""] = readFileSync(page, "utf8").split("## Checklist of RFC 10017 §6.1")

const lines = checklist
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .slice(2)
  .map((line) => line.slice(1, -1).split("|"))

/** Sections of RFC 10017 with a rule for an app that signs users in. */
const sections = ["6.1.2.1", "6.1.2.2", "6.1.2.3", "6.1.2.5", "6.1.3.1", "6.1.3.2", "6.1.3.3", "6.1.3.5", "6.1.3.6"]

/** Escapes a text for a regular expression. */
const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")

describe("the checklist of RFC 10017 §6.1", () => {
  it("has a line for each section with a rule", () => {
    const named = lines.map(([section = ""]) => section.trim())
    for (const section of sections) assert.include(named, section)
  })

  for (const [section = "", rule = "", , tests = ""] of lines) {
    it(`names tests that exist: ${section.trim()}, ${rule.trim()}`, () => {
      const links = Array.from(tests.matchAll(/\[`([^`]+)`\]\(([^)]+\.test\.ts)\)/g))
      assert.isAbove(links.length, 0)
      for (const [, name = "", file = ""] of links) {
        const source = readFileSync(join(dirname(page), file), "utf8")
        assert.match(source, new RegExp(`(?:\\btest|\\bit(?:\\.\\w+)*|\\bdescribe)\\(\\s*"${literal(name)}"`), name)
      }
    })
  }
})
