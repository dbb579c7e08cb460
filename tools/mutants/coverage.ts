// Finds the test files that run each function of the mutated files.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { instrument } from "./mutate.ts"
import { type Hits, hitName } from "./task.ts"
import { absolute, runVitest } from "./vitest.ts"

export interface CoveringTest {
  readonly project: string
  /** The absolute path of the test file. */
  readonly test: string
  readonly milliseconds: number
}

/** The tests that run a function of a file, each in the first project that runs it. */
export type Coverage = (file: string, unit: number) => ReadonlyArray<CoveringTest>

/** What a run has recorded. The record holds for the same sources and tests. */
interface Recorded {
  readonly version: string
  readonly files: ReadonlyArray<string>
  readonly hits: ReadonlyArray<Hits>
  readonly milliseconds: ReadonlyArray<readonly [test: string, milliseconds: number]>
}

const limit = 60 * 60_000

/** Runs the tests that import one of the files, without a mutant. */
const record = async (
  sources: ReadonlyMap<string, string>,
  version: string,
  folder: string,
  workers: number
): Promise<Recorded> => {
  const hitsFolder = join(folder, "hits")
  rmSync(hitsFolder, { recursive: true, force: true })
  mkdirSync(hitsFolder, { recursive: true })
  const instrumented = Object.fromEntries(
    [...sources].map(([file, source]) => {
      const hit = (unit: number) => `(globalThis.mutantHits ??= new Set()).add(${JSON.stringify(hitName(file, unit))})`
      return [absolute(file), instrument(source, hit)]
    })
  )
  const outcome = await runVitest(
    folder,
    { sources: instrumented, tests: [], hits: hitsFolder, workers, cache: join(folder, "cache") },
    ["related", ...Object.keys(instrumented)],
    limit
  )
  if (outcome.status === "timeout") throw new Error("The tests did not end within an hour.")
  if (outcome.status === "failed") {
    throw new Error(`A test fails without a mutant. Make it pass first: ${outcome.test} "${outcome.name}"`)
  }
  return {
    version,
    files: [...sources.keys()],
    hits: readdirSync(hitsFolder).map((name) => JSON.parse(readFileSync(join(hitsFolder, name), "utf8")) as Hits),
    milliseconds: [...outcome.milliseconds]
  }
}

/** Finds the tests of each function, with the record of an earlier run if the record still holds. */
export const measureCoverage = async (
  sources: ReadonlyMap<string, string>,
  version: string,
  folder: string,
  workers: number
): Promise<Coverage> => {
  const file = join(folder, "coverage.json")
  const earlier = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Recorded) : undefined
  const holds = earlier?.version === version && [...sources.keys()].every((source) => earlier.files.includes(source))
  const recorded = holds ? earlier : await record(sources, version, folder, workers)
  writeFileSync(file, JSON.stringify(recorded))
  const { hits, milliseconds } = recorded
  const durations = new Map(milliseconds)
  const covering = new Map<string, Map<string, CoveringTest>>()
  for (const { project, test, units } of mainProjectFirst(hits)) {
    for (const unit of units) {
      const tests = covering.get(unit) ?? new Map<string, CoveringTest>()
      covering.set(unit, tests)
      if (!tests.has(test)) tests.set(test, { project, test, milliseconds: durations.get(test) ?? 0 })
    }
  }
  return (source, unit) => [...(covering.get(hitName(source, unit))?.values() ?? [])]
}

/** The project with the most test files comes first. A second project repeats some of its tests. */
const mainProjectFirst = (hits: ReadonlyArray<Hits>): ReadonlyArray<Hits> =>
  [...Map.groupBy(hits, ({ project }) => project).values()].toSorted((a, b) => b.length - a.length).flat()
