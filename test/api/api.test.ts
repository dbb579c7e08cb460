// The Markdown files in this folder report the public API. A commit that changes an exported type changes a report too.
import { assert, describe, it } from "@effect/vitest"
import { existsSync, globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { beforeAll } from "vitest"
import { folder, makeReports, reportNames } from "../../tools/api/report.ts"

const advice = "Run `npm run api`, then review the difference: each line changes what users can write."

describe("the report of the public API", () => {
  let reports: ReadonlyMap<string, string> = new Map()

  beforeAll(async () => {
    reports = await makeReports()
  })

  it.each(reportNames())("%s says what the entry point exports", (name) => {
    const file = join(folder, name)
    const committed = existsSync(file) ? readFileSync(file, "utf8") : ""
    assert.strictEqual(reports.get(name), committed, `test/api/${name} is not up to date. ${advice}`)
  })

  it("has no file for an entry point that is gone", () => {
    const files = globSync("*.md", { cwd: folder })
    assert.sameMembers(files, [...reportNames()], `test/api has other files than package.json has exports. ${advice}`)
  })

  it("names no file, so that moving a module leaves the report as it is", () => {
    assert.isAbove(reports.size, 1)
    for (const [name, text] of reports) assert.notMatch(text, /\.ts\b|internal|node_modules|import\(/, name)
  })
})
