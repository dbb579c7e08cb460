/**
 * Follows a page as its reader does: writes the files, runs the commands, and compares the output.
 *
 * - A code block below a heading such as "`app.ts`: …", or after "Save this program as `server.ts`", is a file.
 * - A `sh` block is run in the folder in which the previous block ended. A block that contains only `node FILE` has its
 *   own terminal, and runs until the page says "stop `FILE`", or starts it again.
 * - A `text` block is the output of the last command. `…` stands for any text. A response may leave out headers.
 * - A table whose first heading is "request" has the responses of the last commands, one for each row.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { assert } from "@effect/vitest"
import * as PackageRegistry from "./packageRegistry.ts"
import { freePort } from "./program.ts"

const root = join(import.meta.dirname, "..", "..")

type Step =
  | { readonly kind: "file"; readonly line: number; readonly name: string; readonly text: string }
  | { readonly kind: "commands" | "output"; readonly line: number; readonly text: string }
  | { readonly kind: "responses"; readonly line: number; readonly rows: ReadonlyArray<ReadonlyArray<string>> }
  | { readonly kind: "stop"; readonly line: number; readonly names: ReadonlyArray<string> }

const codeSpans = (text: string) => Array.from(text.matchAll(/`([^`]+)`/g), ([, code = ""]) => code)
/** Cells of a row of a table. Code is unquoted. */
export const cellsOf = (row: string) =>
  row
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim().replace(/^`|`$/g, ""))

/** Reads what a page tells its reader to do, in order. Prose and other code blocks are left out. */
export const stepsOf = (page: string): ReadonlyArray<Step> => {
  const steps: Array<Step> = []
  const lines = page.split("\n")
  let file: string | undefined
  for (let index = 0; index < lines.length; index++) {
    const text = lines[index]!
    const line = index + 1
    const untilEnd = (ends: (line: string) => boolean) => {
      const start = index + 1
      while (index + 1 < lines.length && !ends(lines[index + 1]!)) index++
      return lines.slice(start, index + 1)
    }
    if (text.startsWith("#")) file = /^#+ `([\w.]+)`: /.exec(text)?.[1]
    file = /\bSave this program as `([\w.]+)`/.exec(text)?.[1] ?? file
    if (text.startsWith("```")) {
      const code = untilEnd((line) => line === "```").join("\n") + "\n"
      index++
      const language = text.slice(3)
      if (language === "sh") steps.push({ kind: "commands", line, text: code })
      if (language === "text") steps.push({ kind: "output", line, text: code })
      if (/^(?:ts|json)$/.test(language) && file !== undefined) {
        steps.push({ kind: "file", line, name: file, text: code })
        file = undefined
      }
    } else if (text.startsWith("| request ")) {
      const [, ...rows] = untilEnd((line) => !line.startsWith("|"))
      steps.push({ kind: "responses", line, rows: rows.map(cellsOf) })
    } else if (!text.startsWith("|")) {
      const sentences = text.match(/\bstop `[^`]+`(?: and `[^`]+`)?/gi) ?? []
      for (const sentence of sentences) steps.push({ kind: "stop", line, names: codeSpans(sentence) })
    }
  }
  return steps
}

interface Terminal {
  readonly process: ChildProcess
  readonly output: { text: string }
}

export interface Response {
  readonly status: string
  readonly challenge: string
  readonly body: string
}

/** Parses what `curl -i` printed. */
export const responsesOf = (printed: string): ReadonlyArray<Response> =>
  printed
    .split(/(?=HTTP\/1\.1 \d)/)
    .filter((response) => response.startsWith("HTTP/1.1 "))
    .map((response) => {
      const [head = "", body = ""] = response.replaceAll("\r", "").split("\n\n")
      return {
        status: /^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? "",
        challenge: /^www-authenticate: (.*)$/im.exec(head)?.[1] ?? "",
        body: body.trim()
      }
    })

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
const patternOf = (expected: string) => new RegExp(`^${expected.trim().split("…").map(escaped).join(".*")}$`)

/** Returns the first expected line that the output does not have, in order. */
export const missingLine = (printed: string, expected: string): string | undefined => {
  const lines = printed.split("\n").map((line) => line.trim())
  let at = 0
  return expected
    .split("\n")
    .filter((line) => line.trim() !== "")
    .find((line) => {
      const pattern = patternOf(line)
      const found = lines.findIndex((other, index) => index >= at && pattern.test(other))
      at = found + 1
      return found < 0
    })
}

const copied = [
  ".npmrc",
  ".nvmrc",
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "SECURITY.md",
  "package.json",
  "rolldown.config.js",
  "src",
  "tools/node-version.cjs",
  "tsconfig.build.json",
  "tsconfig.json"
]

export class Tutorial {
  readonly #folder = realpathSync(mkdtempSync(join(tmpdir(), "effect-oauth2-tutorial-")))
  readonly #ports: Readonly<Record<string, number>>
  readonly #env: NodeJS.ProcessEnv
  readonly #terminals = new Map<string, Terminal>()
  /** Output that a page shows for a program with its own terminal, by command. It says when the program is ready. */
  readonly #ready = new Map<string, string>()
  /** Lines `NAME=value` that the programs printed, by name. */
  readonly #pasted = new Map<string, string>()
  /** Folder in which the last commands ended. */
  cwd: string
  #printed = ""

  private constructor(registry: string, ports: Readonly<Record<string, number>>) {
    this.#ports = ports
    const checkout = join(this.#folder, "effect-oauth2")
    for (const name of copied) cpSync(join(root, name), join(checkout, name), { recursive: true })
    symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"), "junction")
    this.cwd = checkout
    // The variables of npm and of vitest describe this repository and this test run.
    const own = Object.entries(process.env).filter(([name]) => !/^(?:npm_|vitest|node_|init_cwd$)/i.test(name))
    const { PATH = "", ...env } = Object.fromEntries(own)
    this.#env = {
      ...env,
      PATH: [dirname(process.execPath), PATH].join(delimiter),
      NO_COLOR: "1",
      npm_config_registry: registry,
      npm_config_cache: join(this.#folder, "cache"),
      npm_config_userconfig: join(this.#folder, "npmrc"),
      npm_config_update_notifier: "false"
    }
  }

  /** Copies the checkout into a new folder. Free ports replace the ports of the page, because others may use them. */
  static readonly start = (...ports: ReadonlyArray<number>): Effect.Effect<Tutorial, never, Scope.Scope> =>
    Effect.gen(function* () {
      const registry = yield* PackageRegistry.serve
      const free = yield* Effect.forEach(ports, (port) => Effect.map(freePort, (free) => [port, free] as const))
      return yield* Effect.acquireRelease(
        Effect.sync(() => new Tutorial(registry, Object.fromEntries(free))),
        (tutorial) => Effect.promise(() => tutorial.#close())
      )
    })

  async #close(): Promise<void> {
    for (const name of this.#terminals.keys()) await this.stop(name)
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  /** Returns the port that replaces a port of the page. */
  portOf(port: number): number {
    return this.#ports[port] ?? port
  }

  #withPorts(text: string): string {
    return Object.entries(this.#ports).reduce((text, [port, free]) => text.replaceAll(port, String(free)), text)
  }

  /** Follows the steps of a page. Returns how many steps of each kind it had. */
  async follow(page: string): Promise<Readonly<Record<Step["kind"], number>>> {
    const steps = stepsOf(this.#withPorts(page))
    const counts = { file: 0, commands: 0, output: 0, responses: 0, stop: 0 }
    for (const [index, step] of steps.entries()) {
      counts[step.kind]++
      if (step.kind === "file") {
        mkdirSync(this.cwd, { recursive: true })
        writeFileSync(join(this.cwd, step.name), step.text)
      } else if (step.kind === "stop") {
        for (const name of step.names) await this.stop(`node ${name}`)
      } else if (step.kind === "output") {
        assert.isUndefined(missingLine(this.#printed, step.text), `line ${step.line}:\n${this.#printed}`)
      } else if (step.kind === "responses") {
        const found = responsesOf(this.#printed).map(({ body, challenge, status }) => [status, challenge, body])
        const expected = step.rows.map(([, ...cells]) => cells)
        assert.deepStrictEqual(found, expected, `line ${step.line}`)
      } else if (/^node \S+\n$/.test(step.text)) {
        const next = steps[index + 1]
        await this.#startTerminal(step.text.trim(), next?.kind === "output" ? next.text : undefined)
      } else {
        this.#printed = await this.run(step.text)
      }
    }
    return counts
  }

  /** Runs commands in a shell, after the lines `NAME=value` that the programs printed. Fails if a command fails. */
  run(commands: string): Promise<string> {
    const end = join(this.#folder, "cwd")
    for (const { output } of this.#terminals.values()) {
      for (const [line, name = ""] of output.text.matchAll(/^([A-Z_]+)=\S+$/gm)) this.#pasted.set(name, line)
    }
    // The checkout shares the packages of this repository.
    const script = `${commands.replace("npm ci && ", "")}\nnode -p "process.cwd()" > "$END"\n`
    return new Promise((resolve, reject) => {
      execFile(
        "sh",
        ["-euc", `${Array.from(this.#pasted.values()).join("\n")}\n${script}`],
        { cwd: this.cwd, env: { ...this.#env, END: end } },
        (error, stdout, stderr) => {
          if (error !== null) return reject(new Error(`${commands}\n${stdout}\n${stderr}`, { cause: error }))
          this.cwd = readFileSync(end, "utf8").trim()
          resolve(stdout)
        }
      )
    })
  }

  async #startTerminal(command: string, shown: string | undefined): Promise<void> {
    await this.stop(command)
    if (shown !== undefined) this.#ready.set(command, shown)
    const [, file = ""] = command.split(" ")
    const child = spawn(process.execPath, [file], { cwd: this.cwd, env: this.#env, stdio: ["ignore", "pipe", "pipe"] })
    const terminal: Terminal = { process: child, output: { text: "" } }
    this.#terminals.set(command, terminal)
    const ready = this.#ready.get(command) ?? ""
    await new Promise<void>((resolve, reject) => {
      const late = () => reject(new Error(`${command} did not print ${ready}: ${terminal.output.text}`))
      const timer = setTimeout(late, 30_000)
      const received = (text: string) => {
        terminal.output.text += text
        if (missingLine(terminal.output.text, ready) !== undefined) return
        clearTimeout(timer)
        resolve()
      }
      child.stdout.setEncoding("utf8").on("data", received)
      child.stderr.setEncoding("utf8").on("data", received)
      child.on("close", () => clearTimeout(timer))
      child.on("close", () => reject(new Error(`${command} ended: ${terminal.output.text}`)))
    })
    this.#printed = terminal.output.text
  }

  /** Ends a program that has its own terminal. */
  async stop(command: string): Promise<void> {
    const terminal = this.#terminals.get(command)
    if (terminal === undefined) return
    this.#terminals.delete(command)
    // A program that has ended by itself does not close again.
    if (terminal.process.exitCode !== null || terminal.process.signalCode !== null) return
    const closed = once(terminal.process, "close")
    terminal.process.kill()
    await closed
  }

  /** Returns what another compiler of this repository prints about the files, such as `typescript-5.9`. */
  compile(compiler: string, ...args: ReadonlyArray<string>): Promise<string> {
    return new Promise((resolve) =>
      execFile(
        process.execPath,
        [join(root, "node_modules", compiler, "bin", "tsc"), ...args],
        { cwd: this.cwd, env: this.#env },
        (_, stdout) => resolve(stdout)
      )
    )
  }
}
