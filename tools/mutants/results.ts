// Keeps the results of earlier runs, so that an interrupted run continues where it ended.
import { createHash } from "node:crypto"
import { appendFileSync, existsSync, globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Mutant } from "./mutate.ts"
import { root } from "./vitest.ts"

export type Status = "killed" | "timeout" | "survived" | "not covered"

export interface Result {
  /** The mutant: its source file's text, and its change. */
  readonly key: string
  /** The sources and the tests that were run. */
  readonly version: string
  readonly status: Status
  /** The test that failed. */
  readonly killer?: string | undefined
}

const hash = (...parts: ReadonlyArray<string>): string => createHash("sha256").update(parts.join("\0")).digest("hex")

export const keyOf = (source: string, { end, replacement, start }: Mutant): string =>
  hash(source, String(start), String(end), replacement)

/** Changes if any source file or test file changes. */
export const currentVersion = (): string =>
  hash(
    ...globSync(["src/**/*.ts", "test/**/*.{ts,jsonl}"], { cwd: root, exclude: ["test/docs/.*/**"] })
      .toSorted()
      .flatMap((file) => [file, readFileSync(join(root, file), "utf8")])
  )

const parse = (line: string): Result | undefined => {
  try {
    return JSON.parse(line) as Result
  } catch {
    return
  }
}

export class Results {
  readonly #file: string
  readonly #results = new Map<string, Result>()

  constructor(file: string) {
    this.#file = file
    const text = existsSync(file) ? readFileSync(file, "utf8") : ""
    // The last line is incomplete if the process ended while it wrote the line.
    if (text !== "" && !text.endsWith("\n")) appendFileSync(file, "\n")
    for (const line of text.split("\n")) {
      const result = parse(line)
      if (result !== undefined) this.#results.set(result.key, result)
    }
  }

  /** A killed mutant stays killed while its file is the same. Any change of sources or tests may kill a survivor. */
  get(key: string, version: string): Result | undefined {
    const result = this.#results.get(key)
    if (result === undefined) return
    return result.status === "killed" || result.status === "timeout" || result.version === version ? result : undefined
  }

  add(result: Result): void {
    this.#results.set(result.key, result)
    appendFileSync(this.#file, `${JSON.stringify(result)}\n`)
  }
}
