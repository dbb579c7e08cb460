/** Measures the time that importing the built library adds to importing `effect/http`. Processes alternate. */
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { median } from "../../harness/statistics.ts"
import { report } from "./report.ts"

const root = join(import.meta.dirname, "../../..")
const processes = 21
const limit = 30

export const startUp = (): void => {
  execFileSync("npm", ["run", "build"], { cwd: root, stdio: ["ignore", "ignore", "inherit"] })
  const alone: Array<number> = []
  const together: Array<number> = []
  for (let i = 0; i < processes; i++) {
    alone.push(timeOf(["effect/http"]))
    together.push(timeOf(["effect/http", "effect-oauth2"]))
  }
  report("STARTUP", "ms", median(together) - median(alone), limit)
}

/** Returns the import time in milliseconds. Without the condition for sources, `effect-oauth2` resolves to `dist`. */
const timeOf = (modules: ReadonlyArray<string>): number => {
  const imports = modules.map((module) => `await import(${JSON.stringify(module)})`).join("\n")
  const program = `const start = performance.now()\n${imports}\nconsole.log(performance.now() - start)`
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: root,
    encoding: "utf8"
  })
  return Number(output)
}
