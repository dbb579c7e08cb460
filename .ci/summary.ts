// Prints "N passed, N failed" for a vitest report and a type test report. Exits with 1 if a test or a step failed.
// The first argument is the folder of the reports, the others are exit codes of steps. A failed step counts as one
// failure, unless a failed test already explains the exit code.
import { existsSync, readFileSync } from "node:fs"

interface Counts {
  readonly passed: number
  readonly failed: number
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: ReadonlyArray<{
    readonly status: string
    readonly assertionResults: ReadonlyArray<{ readonly status: string }>
  }>
}

const read = (file: string): unknown => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined)

const unitTests = (file: string): Counts | undefined => {
  const report = read(file) as VitestReport | undefined
  if (report === undefined) return
  const brokenFiles = report.testResults.filter(
    ({ assertionResults, status }) =>
      status === "failed" && !assertionResults.some((assertion) => assertion.status === "failed")
  )
  return { passed: report.numPassedTests, failed: report.numFailedTests + brokenFiles.length }
}

const typeTests = (file: string): Counts | undefined => read(file) as Counts | undefined

const counted = (counts: Counts | undefined, exitCode: number): Counts => ({
  passed: counts?.passed ?? 0,
  failed: Math.max(counts?.failed ?? 1, exitCode === 0 ? 0 : 1)
})

const [folder = "", unitExit = "1", typesExit = "1", checkExit = "1"] = process.argv.slice(2)
const totals = [
  counted(unitTests(`${folder}/unit.json`), Number(unitExit)),
  counted(typeTests(`${folder}/types.json`), Number(typesExit)),
  counted({ passed: 0, failed: 0 }, Number(checkExit))
]
const passed = totals.reduce((sum, counts) => sum + counts.passed, 0)
const failed = totals.reduce((sum, counts) => sum + counts.failed, 0)

process.exitCode = failed === 0 ? 0 : 1
process.stdout.write(`${passed} passed, ${failed} failed\n`)
