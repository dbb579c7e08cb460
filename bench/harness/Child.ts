/** A child process that answers one message at a time. If the child fails, the error contains its last output. */
import { type ChildProcess, fork } from "node:child_process"
import type { Answer } from "../answers.ts"

interface ChildOptions {
  readonly name: string
  /** Absolute path. */
  readonly file: string
  readonly env?: Readonly<Record<string, string>>
  readonly execArgv?: ReadonlyArray<string>
}

const running = new Set<ChildProcess>()

process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")))

export class Child {
  readonly ready: Promise<unknown>
  readonly #name: string
  readonly #process: ChildProcess
  #output = ""
  #ended: string | undefined
  #waiting: PromiseWithResolvers<unknown> | undefined

  constructor(options: ChildOptions) {
    this.#name = options.name
    this.#process = fork(options.file, {
      env: { ...process.env, ...options.env, NODE_ENV: "production" },
      execArgv: [...process.execArgv, ...(options.execArgv ?? [])],
      serialization: "advanced",
      stdio: ["ignore", "pipe", "pipe", "ipc"]
    })
    running.add(this.#process)
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-4000)
    }
    this.#process.stdout?.on("data", keep)
    this.#process.stderr?.on("data", keep)
    this.#process.on("message", (answer: Answer) => this.#settle(answer))
    this.#process.on("close", (code, signal) => {
      running.delete(this.#process)
      this.#ended = `The process ended (${signal ?? code}).`
      this.#settle({ error: this.#ended })
    })
    this.ready = this.#answer()
  }

  /** The last 4000 characters of the output. */
  get output(): string {
    return this.#output.trim()
  }

  /** Sends a message and returns the answer. Throws if an answer is pending. */
  ask(message: object): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#failure(this.#ended))
    const answer = this.#answer()
    this.#process.send(message)
    return answer
  }

  /** Sends a signal, such as `SIGSTOP`. */
  signal(name: NodeJS.Signals): void {
    this.#process.kill(name)
  }

  stop(): Promise<void> {
    if (this.#ended !== undefined) return Promise.resolve()
    return new Promise((resolve) => {
      this.#process.on("close", () => resolve())
      this.#process.kill("SIGKILL")
    })
  }

  #answer(): Promise<unknown> {
    if (this.#waiting !== undefined) throw new Error(`${this.#name} has not answered the previous message.`)
    this.#waiting = Promise.withResolvers()
    return this.#waiting.promise
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    if ("error" in answer) waiting?.reject(this.#failure(answer.error))
    else waiting?.resolve(answer.value)
  }

  #failure(reason: string): Error {
    return new Error([`${this.#name}: ${reason}`, this.output].filter(Boolean).join("\n"))
  }
}
