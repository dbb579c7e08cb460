// What `tools/mutants` and its runs of vitest tell each other.
import { readFileSync, writeFileSync } from "node:fs"

/** Input of a run. An environment variable names the file that holds the task. */
export interface Task {
  /** The text to load instead of the text of a source file, by absolute path. */
  readonly sources: Readonly<Record<string, string>>
  /** The test files, in the order to run them. Empty: any order. */
  readonly tests: ReadonlyArray<string>
  /** The folder for `Hits`. If it is missing, the run does not record them. */
  readonly hits?: string | undefined
  readonly workers: number
  /** A folder for the files of vitest itself. Two runs at the same time must not share it. */
  readonly cache: string
}

/** The functions that a test file has run, as `hitName` names them. */
export interface Hits {
  readonly project: string
  readonly test: string
  readonly units: ReadonlyArray<string>
}

export const hitName = (path: string, unit: number): string => `${path}#${unit}`

const variable = "EFFECT_OAUTH2_MUTANTS"

export const writeTask = (file: string, task: Task): Readonly<Record<string, string>> => {
  writeFileSync(file, JSON.stringify(task))
  return { [variable]: file }
}

export const readTask = (): Task => JSON.parse(readFileSync(process.env[variable] ?? "", "utf8")) as Task
