/** Changes the sources in small ways and tells which changes no test notices: `npm run mutants`. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { type CoveringTest, measureCoverage } from "./coverage.ts"
import { changedLines, chooseFiles } from "./files.ts"
import { apply, findMutants, type Mutant } from "./mutate.ts"
import { type Judged, writeReport } from "./report.ts"
import { currentVersion, keyOf, type Result, Results } from "./results.ts"
import { absolute, type Outcome, root, runVitest, stop } from "./vitest.ts"

const usage = `npm run mutants                       every security-relevant file: this takes hours
npm run mutants -- --file scope.ts    files whose path contains the text; repeat the option for more
npm run mutants -- --since main       the lines that have changed since a commit
npm run mutants -- --limit 20         at most 20 mutants, spread over the files

A run continues where an earlier run ended. The results are in coverage/mutants: delete the folder to begin again.`

interface Job {
  readonly file: string
  readonly source: string
  readonly mutant: Mutant
  readonly key: string
}

const folder = join(root, "coverage/mutants")

const readOptions = () => {
  const { values } = parseArgs({
    options: {
      file: { type: "string", multiple: true, default: [] },
      since: { type: "string" },
      limit: { type: "string" },
      help: { type: "boolean", default: false }
    }
  })
  const limit = Number(values.limit ?? Number.POSITIVE_INFINITY)
  if (!(limit > 0)) throw new Error(`--limit must be a number above 0, but is ${JSON.stringify(values.limit)}.`)
  return { ...values, limit }
}

const readJobs = (parts: ReadonlyArray<string>, since: string | undefined): ReadonlyArray<Job> => {
  const changed = since === undefined ? undefined : changedLines(since)
  return chooseFiles(parts).flatMap((file) => {
    const source = readFileSync(join(root, file), "utf8")
    return findMutants(source)
      .filter(({ line }) => changed === undefined || changed.get(file)?.has(line) === true)
      .map((mutant) => ({ file, source, mutant, key: keyOf(source, mutant) }))
  })
}

/** At most `limit` of the elements, at equal distances. */
const spread = <T>(all: ReadonlyArray<T>, limit: number): ReadonlyArray<T> =>
  all.length <= limit
    ? all
    : Array.from({ length: Math.floor(limit) }, (_, index) => all[Math.floor((index * all.length) / limit)]!)

/** How often each test file was the first to fail for mutants of a file. */
const kills = new Map<string, number>()

const likelyFirst = (file: string, tests: ReadonlyArray<CoveringTest>): ReadonlyArray<CoveringTest> => {
  const killsOf = ({ test }: CoveringTest) => kills.get(`${file} ${test}`) ?? 0
  return tests.toSorted((a, b) => killsOf(b) - killsOf(a) || a.milliseconds - b.milliseconds)
}

const run = async ({ file, mutant, source }: Job, covering: ReadonlyArray<CoveringTest>, worker: string) => {
  const tests = likelyFirst(file, covering)
  const limit = 60_000 + 3 * tests.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
  const outcome = await runVitest(
    worker,
    {
      sources: { [absolute(file)]: apply(source, mutant) },
      tests: tests.map(({ test }) => test),
      workers: 1,
      cache: join(worker, "cache")
    },
    [...tests.map(({ test }) => test), "--bail=1", ...new Set(tests.map(({ project }) => `--project=${project}`))],
    limit
  )
  if (outcome.status === "failed") kills.set(`${file} ${outcome.test}`, (kills.get(`${file} ${outcome.test}`) ?? 0) + 1)
  return outcome
}

const statuses = { passed: "survived", failed: "killed", timeout: "timeout" } as const

const resultOf = ({ key }: Job, version: string, outcome: Outcome): Result => ({
  key,
  version,
  status: statuses[outcome.status],
  killer: outcome.status === "failed" ? outcome.name : undefined
})

const main = async (): Promise<void> => {
  const options = readOptions()
  if (options.help) return console.log(usage)
  const jobs = readJobs(options.file, options.since)
  if (jobs.length === 0) return console.log("There is nothing to mutate. Check --file and --since.")
  mkdirSync(folder, { recursive: true })
  const results = new Results(join(folder, "results.jsonl"))
  const version = currentVersion()
  const pending = spread(
    jobs.filter(({ key }) => results.get(key, version) === undefined),
    options.limit
  )
  const workers = availableParallelism()
  console.log(`${jobs.length} mutants, ${pending.length} to run with ${workers} workers.`)
  if (pending.length > 0) {
    const sources = new Map(pending.map(({ file, source }) => [file, source] as const))
    console.log(`Running the tests of ${sources.size} files without a mutant.`)
    const coverage = await measureCoverage(sources, version, folder, workers)
    const queue = pending.values()
    let done = 0
    const work = async (worker: string): Promise<void> => {
      mkdirSync(worker, { recursive: true })
      for (const job of queue) {
        const covering = coverage(job.file, job.mutant.unit)
        const result: Result =
          covering.length === 0
            ? { key: job.key, version, status: "not covered" }
            : resultOf(job, version, await run(job, covering, worker))
        results.add(result)
        done++
        console.log(
          `${done}/${pending.length} ${job.file}:${job.mutant.line} ${result.status}, ${job.mutant.operator}` +
            (result.killer === undefined ? "" : ` by "${result.killer}"`)
        )
      }
    }
    await Promise.all(Array.from({ length: workers }, (_, index) => work(join(folder, `worker-${index}`))))
  }
  const report = writeReport(
    jobs.map(({ file, key, mutant }): Judged => ({ file, mutant, result: results.get(key, version) }))
  )
  writeFileSync(join(folder, "report.md"), report)
  console.log(`\n${report}\nThis report is in coverage/mutants/report.md.`)
}

process.on("SIGINT", () => {
  stop()
  console.error("Stopped. The next run continues here.")
  process.exit(130)
})

try {
  await main()
} catch (error) {
  stop()
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
