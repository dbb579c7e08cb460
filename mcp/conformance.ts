/**
 * Runs the conformance suite of the Model Context Protocol. It starts a server and an authorization server for each
 * scenario, runs a client with the URL of the server, and judges the messages. `npm ci --prefix mcp` installs the
 * suite, and so does `.ci/run`.
 */
import { execFile } from "node:child_process"
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = join(import.meta.dirname, "node_modules", "@modelcontextprotocol", "conformance")
const program = join(folder, "dist", "index.js")

/** What is not installed. Outside of CI, the tests leave it out and say so. */
export const missing = (): ReadonlyArray<string> => {
  if (existsSync(program)) return []
  if (process.env["CI"] !== "true") return ["@modelcontextprotocol/conformance"]
  throw new Error("@modelcontextprotocol/conformance is missing. Run npm ci --prefix mcp.")
}

const execute = async (args: ReadonlyArray<string>): Promise<{ readonly code: number; readonly stdout: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : 1, stdout: stdout + stderr })
    })
  })

/** Names of the scenarios for the authorization of clients. */
export const scenarios = async (): Promise<ReadonlyArray<string>> => {
  const { stdout } = await execute(["list"])
  return Array.from(stdout.matchAll(/^ +- (auth\/[\w-]+) /gm), ([, name = ""]) => name)
}

interface Check {
  readonly id: string
  readonly status: string
  readonly description: string
}

export interface Result {
  /** The verdict of the suite. */
  readonly passed: boolean
  /** Checks that succeeded, by their identifiers. */
  readonly succeeded: ReadonlyArray<string>
  /** Checks with a failure or a warning, with their descriptions. */
  readonly complaints: ReadonlyArray<string>
  /** What the suite printed. */
  readonly output: string
}

/** Runs one scenario with a command for the client. The command has no spaces in its words. */
export const run = async (scenario: string, command: ReadonlyArray<string>): Promise<Result> => {
  const results = mkdtempSync(join(tmpdir(), "mcp-conformance-"))
  try {
    const { code, stdout: output } = await execute([
      "client",
      "--scenario",
      scenario,
      "--command",
      command.join(" "),
      "--timeout",
      "60000",
      "--output-dir",
      results
    ])
    const [file] = globSync("**/checks.json", { cwd: results })
    const checks =
      file === undefined ? [] : (JSON.parse(readFileSync(join(results, file), "utf8")) as ReadonlyArray<Check>)
    const is = (...statuses: ReadonlyArray<string>) => checks.filter(({ status }) => statuses.includes(status))
    return {
      passed: code === 0,
      succeeded: is("SUCCESS").map(({ id }) => id),
      complaints: is("FAILURE", "WARNING").map(({ description, id }) => `${id}: ${description}`),
      output
    }
  } finally {
    rmSync(results, { recursive: true, force: true })
  }
}
