/** The main rows, in less than a minute. */
import { serveIssuer } from "../harness/issuer.ts"
import { Load } from "../harness/Load.ts"
import { check, measure, ratio, typical } from "../harness/measure.ts"
import { Requests, type Scenario } from "../harness/scenarios.ts"
import { type Name, Server } from "../harness/servers.ts"
import type { Settings } from "../options.ts"
import { table } from "../report/table.ts"

type Key = readonly [Name, Scenario]

const ratios: Readonly<Record<string, readonly [Key, Key]>> = {
  "warm-router-vs-open": [
    ["ours-router", "warm"],
    ["ours-router", "open"]
  ],
  "warm-router-vs-fastify-cache": [
    ["ours-router", "warm"],
    ["fastify-cached", "warm"]
  ],
  "warm-api-vs-open": [
    ["ours-api", "warm"],
    ["ours-api", "open"]
  ],
  "warm-api-vs-fastify-cache": [
    ["ours-api", "warm"],
    ["fastify-cached", "warm"]
  ],
  "cold-router-vs-raw-jose": [
    ["ours-router-uncached", "warm"],
    ["raw-jose", "warm"]
  ],
  "garbage-router-vs-open": [
    ["ours-router", "garbage"],
    ["ours-router", "open"]
  ],
  "router-vs-express": [
    ["ours-router", "warm"],
    ["express", "warm"]
  ],
  "router-vs-hono": [
    ["ours-router", "warm"],
    ["hono", "warm"]
  ]
}

const nameOf = ([server, scenario]: Key): string => `${server} ${scenario}`

export const quick = async ({ connections, rounds = 5, rows, seconds = 0.7, servers }: Settings): Promise<void> => {
  const options = { rounds, seconds, connections }
  const { close, minter } = await serveIssuer("RS256")
  const load = await Load.start()
  const keys = new Map(
    [["raw-map", "warm"] as const, ...Object.values(ratios).flat()]
      .filter(([server, scenario]) => servers.includes(server) && rows.includes(scenario))
      .map((key) => [nameOf(key), key])
  )
  const started = new Map(
    await Promise.all(
      Array.from(new Set(Array.from(keys.values(), ([name]) => name)), async (name) => {
        return [name, await Server.start(name, minter)] as const
      })
    )
  )
  const requests = new Requests(minter)
  const measured = Array.from(keys.values(), ([name, scenario]) => requests.row(started.get(name)!, scenario))
  for (const row of measured) await check(load, row, options)
  const samples = await measure(load, measured, options)

  const byName = new Map(Array.from(keys.keys(), (name, i) => [name, samples[i]!]))
  console.log(
    table(
      ["", "requests/s", "CPU µs", "busy", "load µs"],
      Array.from(byName, ([name, samples]) => {
        const { busy, cpu, load, rate } = typical(samples)
        return [name, rate.toFixed(0), cpu.toFixed(1), busy.toFixed(2), load.toFixed(1)]
      })
    )
  )
  for (const [name, [of, against]] of Object.entries(ratios)) {
    const [ours, theirs] = [byName.get(nameOf(of)), byName.get(nameOf(against))]
    if (ours !== undefined && theirs !== undefined) console.log("RATIO", name, ratio("rate", ours, theirs).toFixed(3))
  }
  await Promise.all([load.stop(), ...Array.from(started.values(), (server) => server.stop())])
  close()
}
