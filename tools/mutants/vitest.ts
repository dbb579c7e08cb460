// Runs vitest in a process of its own.
import { spawn } from "node:child_process"
import { existsSync, readFileSync, rmSync } from "node:fs"
import { join, sep } from "node:path"
import { type Task, writeTask } from "./task.ts"

export const root = join(import.meta.dirname, "..", "..")

/** The path of a file as Vite writes it. */
export const absolute = (file: string): string => join(root, file).split(sep).join("/")

interface VitestReport {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly startTime: number
    readonly endTime: number
    readonly message: string
    readonly assertionResults: ReadonlyArray<{
      readonly status: string
      readonly fullName: string
      readonly failureMessages: ReadonlyArray<string>
    }>
  }>
}

export type Outcome =
  | { readonly status: "passed"; readonly milliseconds: ReadonlyMap<string, number> }
  | { readonly status: "failed"; readonly test: string; readonly name: string }
  | { readonly status: "timeout" }

const running = new Set<AbortController>()

/** Ends the runs that are in progress. */
export const stop = (): void => {
  for (const controller of running) controller.abort()
}

/** Runs the test files of a task, or those that import one of its sources. Ends after `limit` milliseconds. */
export const runVitest = (folder: string, task: Task, args: ReadonlyArray<string>, limit: number): Promise<Outcome> => {
  const report = join(folder, "report.json")
  rmSync(report, { force: true })
  const controller = new AbortController()
  running.add(controller)
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [
        join(root, "node_modules/vitest/vitest.mjs"),
        ...args,
        "--run",
        "--config",
        join(import.meta.dirname, "vitest.config.ts"),
        "--reporter=json",
        `--outputFile=${report}`
      ],
      {
        cwd: root,
        env: { ...process.env, ...writeTask(join(folder, "task.json"), task) },
        stdio: ["ignore", "ignore", "pipe"],
        signal: controller.signal,
        killSignal: "SIGKILL"
      }
    )
    let isLate = false
    let errors = ""
    const timer = setTimeout(() => {
      isLate = true
      child.kill("SIGKILL")
    }, limit)
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text))
    child.on("error", reject)
    child.on("close", (code) => {
      clearTimeout(timer)
      running.delete(controller)
      if (isLate) return resolve({ status: "timeout" })
      if (!existsSync(report)) {
        const reason = errors.split("\n").find((line) => line.trim() !== "") ?? "no message"
        return resolve({ status: "failed", test: "", name: `vitest ended with code ${code}: ${reason}` })
      }
      resolve(outcome(JSON.parse(readFileSync(report, "utf8")) as VitestReport, code))
    })
  })
}

const outcome = ({ testResults }: VitestReport, code: number | null): Outcome => {
  for (const { assertionResults, message, name, status } of testResults) {
    const failed = assertionResults.find((assertion) => assertion.status === "failed")
    if (failed !== undefined) return { status: "failed", test: name, name: failed.fullName }
    if (status === "failed") return { status: "failed", test: name, name: message.split("\n")[0]! }
  }
  // An error outside of the tests, such as an unhandled rejection, has no test.
  if (code !== 0) return { status: "failed", test: "", name: "an error outside of the tests" }
  return {
    status: "passed",
    milliseconds: new Map(testResults.map(({ endTime, name, startTime }) => [name, endTime - startTime]))
  }
}
