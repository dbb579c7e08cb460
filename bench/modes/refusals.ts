/**
 * Measures the price of an attack: tokens whose signature must be checked before they are refused.
 *
 * Each server has a process of its own for each scenario, so that the memory at the end belongs to one scenario.
 */
import { serveIssuer } from "../harness/issuer.ts"
import { Load } from "../harness/Load.ts"
import { check, measure, ratio, type Row, type Sample, typical } from "../harness/measure.ts"
import { isRefusal, Requests, type Scenario, scenarioNames, scenarios } from "../harness/scenarios.ts"
import { type Name, Server, titles } from "../harness/servers.ts"
import type { Settings } from "../options.ts"
import { markdown, section } from "../report/document.ts"
import { align } from "../report/table.ts"
import { megabytes } from "./growth/memory.ts"

interface Contender {
  readonly title: string
  readonly server: Name
  readonly usesJose?: boolean
  /** Sends the same tokens to the open route. */
  readonly isOpen?: boolean
}

const contenders = {
  raw: { title: titles["raw-jose"], server: "raw-jose" },
  effect: { title: titles["effect-jose"], server: "effect-jose" },
  ours: { title: titles["ours-router"], server: "ours-router" },
  withJose: { title: `${titles["ours-router"]}, with jose`, server: "ours-router", usesJose: true },
  open: { title: `${titles["ours-router"]}, the open route`, server: "ours-router", isOpen: true }
} as const satisfies Record<string, Contender>

type Key = keyof typeof contenders

const keys = Object.keys(contenders) as ReadonlyArray<Key>

interface Measured {
  readonly samples: ReadonlyArray<Sample>
  /** Resident memory after the scenario, in bytes. */
  readonly rss: number
}

export const refusals = async (settings: Settings): Promise<void> => {
  const { connections, rounds = 21, seconds = 0.5 } = settings
  const options = { rounds, seconds, connections }
  const chosen = scenarioNames.filter((scenario) => isRefusal(scenario) && settings.rows.includes(scenario))
  const measured = new Map<Scenario, Readonly<Record<Key, Measured>>>()
  const issuer = await serveIssuer("RS256")
  const requests = new Requests(issuer.minter)
  for (const scenario of chosen) {
    const load = await Load.start()
    const servers = await Promise.all(
      keys.map((key) => {
        const contender: Contender = contenders[key]
        return Server.start(contender.server, issuer.minter, {
          label: `${key}, ${scenario}`,
          settings: { usesJose: contender.usesJose ?? false }
        })
      })
    )
    const rows = keys.map((key, i): Row => {
      const contender: Contender = contenders[key]
      return contender.isOpen === true ? requests.openRow(servers[i]!, scenario) : requests.row(servers[i]!, scenario)
    })
    for (const row of rows) await check(load, row, options)
    const samples = await measure(load, rows, options)
    const usages = await Promise.all(servers.map((server) => server.usage()))
    measured.set(
      scenario,
      // Safe cast: `keys` has every key.
      Object.fromEntries(
        keys.map((key, i) => [key, { samples: samples[i]!, rss: usages[i]!.rss }])
      ) as unknown as Readonly<Record<Key, Measured>>
    )
    await Promise.all([load, ...servers].map((child) => child.stop()))
  }
  issuer.close()
  print(measured)
  if (chosen.length === refusalNames.length) await section("refusals", document(measured))
}

const refusalNames = scenarioNames.filter(isRefusal)

const figures = ({ rss, samples }: Measured): ReadonlyArray<string> => [
  typical(samples).cpu.toFixed(0),
  megabytes(rss).toFixed(0)
]

const print = (measured: ReadonlyMap<Scenario, Readonly<Record<Key, Measured>>>): void => {
  for (const [scenario, results] of measured) {
    const lines = keys.map((key) => [contenders[key].title, ...figures(results[key])])
    console.log(`${align([[scenarios[scenario], "CPU µs", "MiB"], ...lines])}\n`)
    const { effect, open, ours, raw, withJose } = results
    const above = (one: Measured) => megabytes(one.rss - open.rss).toFixed(0)
    const cpu = (one: Measured, other: Measured) => ratio("cpu", one.samples, other.samples).toFixed(3)
    console.log("RATIO", `${scenario}-cpu-vs-effect-jose`, cpu(ours, effect))
    console.log("RATIO", `${scenario}-cpu-with-jose-vs-effect-jose`, cpu(withJose, effect))
    console.log("RATIO", `${scenario}-cpu-vs-raw-jose`, cpu(ours, raw))
    console.log("MEMORY", `${scenario}-mb-above-open`, above(ours))
    console.log("MEMORY", `${scenario}-with-jose-mb-above-open`, above(withJose))
    console.log("MEMORY", `${scenario}-effect-jose-mb-above-open`, above(effect), "\n")
  }
}

const document = (measured: ReadonlyMap<Scenario, Readonly<Record<Key, Measured>>>): string =>
  markdown(
    ["", ...Array.from(measured.keys(), (scenario) => [`${scenarios[scenario]}, CPU µs`, "MiB"]).flat()],
    keys.map((key) => [
      contenders[key].title,
      ...Array.from(measured.values(), (results) => figures(results[key])).flat()
    ])
  )
