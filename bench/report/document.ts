/** Writes the tables of docs/performance.md, docs/performance.svg, and their figures as docs/performance.json. */
import { readFileSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { format, resolveConfig } from "prettier"
import type { Cell, Results } from "../harness/compare.ts"
import type { Algorithm } from "../harness/issuer.ts"
import { type Options, type Sample, typical } from "../harness/measure.ts"
import { baselineOf, isBaseline, isRefusal, type Scenario, scenarioNames, scenarios } from "../harness/scenarios.ts"
import { isOurs, type Name, names, titles } from "../harness/servers.ts"
import { picture } from "./picture.ts"

type Measured = ReadonlyMap<Algorithm, Results>

const limit: Name = "raw-map"

const docs = join(import.meta.dirname, "../../docs")

export const write = async (measured: Measured, options: Options): Promise<void> => {
  const path = join(docs, "performance.md")
  const document = Object.entries(sections(measured, options)).reduce(
    (text, [name, section]) => between(text, name, section),
    readFileSync(path, "utf8")
  )
  await put("performance.md", document)
  await put("performance.json", JSON.stringify(figures(measured, options)))
  writeFileSync(join(docs, "performance.svg"), picture(panels(measured)))
}

/** Writes one section of docs/performance.md. */
export const section = async (name: string, text: string): Promise<void> =>
  put("performance.md", between(readFileSync(join(docs, "performance.md"), "utf8"), name, text))

const put = async (file: string, text: string): Promise<void> => {
  const filepath = join(docs, file)
  writeFileSync(filepath, await format(text, { ...(await resolveConfig(filepath)), filepath }))
}

const between = (text: string, name: string, section: string): string => {
  const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from === -1 || to < from) throw new Error(`docs/performance.md lacks the markers ${begin} and ${end}. Add both.`)
  return `${text.slice(0, from + begin.length)}\n\n${section}\n\n${text.slice(to)}`
}

// ---------------------------------------------------------------------------------------------------------------------
// The sections of docs/performance.md.
// ---------------------------------------------------------------------------------------------------------------------

const sections = (measured: Measured, options: Options): Readonly<Record<string, string>> => {
  const rsa = measured.get("RS256")!
  const signatures = [...measured].flatMap(([algorithm, results]) =>
    (["warm", "misses"] as const).map((scenario) => ({ algorithm, results, scenario }))
  )
  return {
    setting:
      `Node ${process.versions.node}, ${availableParallelism()} cores, ${options.connections} keep-alive connections, ` +
      `${options.rounds} rounds of ${options.seconds} s.`,
    ratios: markdown(
      ["", ...shown.map((scenario) => scenarios[scenario])],
      names.map((name) => [
        titles[name],
        ...shown.map((scenario) => times(rsa.ratio([name, scenario], [limit, scenario])))
      ])
    ),
    "open route": markdown(
      ["", ...closed.map((scenario) => scenarios[scenario])],
      names
        .filter(isOurs)
        .map((name) => [
          titles[name],
          ...closed.map((scenario) => times(rsa.ratio([name, scenario], [name, baselineOf(scenario)])))
        ])
    ),
    cpu: markdown(
      ["", ...shown.map((scenario) => scenarios[scenario])],
      names.map((name) => [titles[name], ...shown.map((scenario) => microseconds(rsa, [name, scenario]))])
    ),
    signatures: markdown(
      ["", ...signatures.map(({ algorithm, scenario }) => `${algorithm}, ${scenarios[scenario]}`)],
      names.map((name) => [
        titles[name],
        ...signatures.map(({ results, scenario }) => times(results.ratio([name, scenario], [limit, scenario])))
      ])
    )
  }
}

const shown = scenarioNames.filter((scenario) => !isBaseline(scenario) && !isRefusal(scenario))

const closed = shown.filter((scenario) => scenario !== "open")

const times = (ratio: number | undefined): string => (ratio === undefined ? "" : ratio.toFixed(2))

const microseconds = (results: Results, cell: Cell): string => typical(results.of(cell)!).cpu.toFixed(0)

export const markdown = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map((_, i) => (i === 0 ? "---" : "--:")), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")

const panels = (measured: Measured) =>
  (["warm", "misses", "garbage"] as const).map((scenario: Scenario) => ({
    title: scenarios[scenario],
    bars: names.map((name) => ({
      label: titles[name],
      value: measured.get("RS256")!.ratio([name, scenario], [limit, scenario])!,
      ours: isOurs(name)
    }))
  }))

const figures = (measured: Measured, options: Options) => ({
  command: "npm run bench",
  node: process.versions.node,
  cores: availableParallelism(),
  ...options,
  results: Object.fromEntries(
    Array.from(measured, ([algorithm, results]) => [
      algorithm,
      Object.fromEntries(Array.from(results.samples, ([name, samples]) => [name, samples.map(rounded)]))
    ])
  )
})

const rounded = ({ busy, cpu, load, rate }: Sample) => ({
  rate: Math.round(rate),
  cpu: Number(cpu.toFixed(1)),
  busy: Number(busy.toFixed(2)),
  load: Number(load.toFixed(1))
})
