// A tstyche reporter that writes the test counts of a run to the file that TYPE_TEST_REPORT names.
import { writeFileSync } from "node:fs"

interface Counts {
  readonly passed: number
  readonly failed: number
}

interface RunEnd {
  readonly result: { readonly testCounts: Counts; readonly fileCounts: Counts }
}

export default class TypeTestReport {
  on([event, payload]: readonly [event: string, payload: RunEnd]): void {
    const file = process.env["TYPE_TEST_REPORT"]
    if (event !== "run:end" || file === undefined) return
    const { fileCounts, testCounts } = payload.result
    const failed = testCounts.failed === 0 ? fileCounts.failed : testCounts.failed
    writeFileSync(file, JSON.stringify({ passed: testCounts.passed, failed }))
  }
}
