/** A polluted `Object.prototype` opens nothing. Each program is polluted in a process of its own. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { Report } from "../pollution/main.ts"

const main = fileURLToPath(new URL("../pollution/main.ts", import.meta.url))

const run = async (what: "guards" | "verifiers" | "others"): Promise<Report> => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=@effect-oauth2/source", main, what], {
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" },
    maxBuffer: 2 ** 26
  })
  return JSON.parse(stdout) as Report
}

const seconds = 1000

describe("Object.prototype", () => {
  const reports = { guards: run("guards"), verifiers: run("verifiers"), others: run("others") }
  beforeAll(() => Promise.all(Object.values(reports)), 300 * seconds)

  for (const [what, report] of Object.entries(reports)) {
    it(`is not read for an option, a flag or a member: ${what}`, async () => {
      const { inherited, names, unexpected } = await report
      assert.deepStrictEqual(unexpected, [])
      assert.deepStrictEqual(inherited, [])
      assert.isAbove(names, 3000)
    })
  }

  for (const what of ["guards", "verifiers"] as const) {
    it(`opens nothing, whatever value any name has that Effect, jose or Node reads there: ${what}`, async () => {
      const { asked, opened, tried } = await reports[what]
      // A flag that a check of the test itself does not set: the test finds what it looks for.
      const found = opened.filter((one) => one.startsWith("isOpenToAll = true"))
      assert.lengthOf(found, what === "guards" ? 4 : 0)
      assert.deepStrictEqual(
        opened.filter((one) => !found.includes(one)),
        []
      )
      assert.isAbove(tried, 30)
      assert.isAbove(asked, 10_000)
    })
  }
})
