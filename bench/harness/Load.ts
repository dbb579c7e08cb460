/** Starts the load generator, and sends commands to it. */
import { join } from "node:path"
import type { Command, Result } from "../generator/main.ts"
import type { Request } from "../generator/request.ts"
import { Child } from "./Child.ts"
import type { Minter } from "./issuer.ts"

export type { Result } from "../generator/main.ts"

export class Load {
  readonly #child: Child
  readonly #defined = new Set<string>()

  private constructor(child: Child) {
    this.#child = child
  }

  static async start(): Promise<Load> {
    const child = new Child({
      name: "the load generator",
      file: join(import.meta.dirname, "../generator/main.ts")
    })
    await child.ready
    return new Load(child)
  }

  async define(name: string, requests: ReadonlyArray<Request>): Promise<void> {
    if (this.#defined.has(name)) return
    this.#defined.add(name)
    await this.#tell({ type: "define", name, requests })
  }

  /** Opens connections to `port`, and closes them after `use`. */
  async connected<A>(port: number, connections: number, use: () => Promise<A>): Promise<A> {
    await this.#tell({ type: "connect", port, connections })
    const result = await use()
    await this.#tell({ type: "disconnect" })
    return result
  }

  check(name: string, cursor: string, count: number): Promise<Result> {
    return this.#tell({ type: "check", name, cursor, count }) as Promise<Result>
  }

  run(name: string, cursor: string, milliseconds: number): Promise<Result> {
    return this.#tell({ type: "run", name, cursor, milliseconds }) as Promise<Result>
  }

  mint(minter: Minter, first: number, count: number, good = true): Promise<Result> {
    return this.#tell({ type: "mint", minter, first, count, good }) as Promise<Result>
  }

  stop(): Promise<void> {
    return this.#child.stop()
  }

  #tell(command: Command): Promise<unknown> {
    return this.#child.ask(command)
  }
}
