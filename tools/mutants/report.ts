// Says how many mutants the tests notice, and which they do not.
import type { Mutant } from "./mutate.ts"
import type { Result, Status } from "./results.ts"

export interface Judged {
  readonly file: string
  readonly mutant: Mutant
  /** `undefined` if the mutant was not run. */
  readonly result: Result | undefined
}

const oneLine = (text: string): string => {
  const line = text.replaceAll(/\s+/g, " ")
  return line.length <= 100 ? line : `${line.slice(0, 97)}...`
}

const count = (mutants: ReadonlyArray<Judged>, status: Status): number =>
  mutants.filter(({ result }) => result?.status === status).length

const row = (name: string, mutants: ReadonlyArray<Judged>): string => {
  const run = mutants.filter(({ result }) => result !== undefined)
  const killed = count(run, "killed") + count(run, "timeout")
  const score = run.length === 0 ? "" : `${((100 * killed) / run.length).toFixed(1)} %`
  const figures = [
    mutants.length,
    run.length,
    count(run, "killed"),
    count(run, "timeout"),
    count(run, "survived"),
    count(run, "not covered")
  ]
  return `| ${[name, ...figures, score].join(" | ")} |`
}

export const writeReport = (judged: ReadonlyArray<Judged>): string => {
  const files = [...Map.groupBy(judged, ({ file }) => file)]
  const table = [
    "| file | mutants | run | killed | timeout | survived | not covered | score |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...files.map(([file, mutants]) => row(file, mutants)),
    ...(files.length > 1 ? [row("all", judged)] : [])
  ]
  const lists = files.flatMap(([file, mutants]) => {
    const lasting = mutants.filter(({ result }) => result?.status === "survived" || result?.status === "not covered")
    if (lasting.length === 0) return []
    return [
      "",
      `## ${file}`,
      "",
      ...lasting.map(
        ({ mutant, result }) =>
          `- ${file}:${mutant.line} ${result!.status}, ${mutant.operator}: ` +
          `\`${oneLine(mutant.original)}\` → \`${oneLine(mutant.replacement)}\``
      )
    ]
  })
  return [...table, ...lists, ""].join("\n")
}
