/** Measures the main rows in less than a minute. */
import { calls } from "./calls.ts"
import { type Cell, compare } from "../harness/compare.ts"
import type { Settings } from "../options.ts"
import { table } from "../report/table.ts"

const ratios: Readonly<Record<string, readonly [Cell, Cell]>> = {
  "warm-router-vs-open": [
    ["ours-router", "warm"],
    ["ours-router", "openToken"]
  ],
  "least-guard-vs-open": [
    ["effect-map", "warm"],
    ["effect-map", "openToken"]
  ],
  "warm-router-vs-fastify-cache": [
    ["ours-router", "warm"],
    ["fastify-cached", "warm"]
  ],
  "warm-api-vs-open": [
    ["ours-api", "warm"],
    ["ours-api", "openToken"]
  ],
  "warm-api-vs-fastify-cache": [
    ["ours-api", "warm"],
    ["fastify-cached", "warm"]
  ],
  "cold-router-vs-raw-jose": [
    ["ours-router-uncached", "warm"],
    ["raw-jose", "warm"]
  ],
  "cold-api-vs-raw-jose": [
    ["ours-api-uncached", "warm"],
    ["raw-jose", "warm"]
  ],
  "cold-router-with-jose-vs-raw-jose": [
    ["ours-router-jose", "warm"],
    ["raw-jose", "warm"]
  ],
  "garbage-router-vs-open": [
    ["ours-router", "garbage"],
    ["ours-router", "openGarbage"]
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

const limit: Cell = ["raw-map", "warm"]

export const quick = async (settings: Settings): Promise<void> => {
  const { complete, connections, rounds = 17, rows, seconds = 0.12, servers } = settings
  const cells = new Map(
    [limit, ...Object.values(ratios).flat()]
      .filter(([server, scenario]) => servers.includes(server) && rows.includes(scenario))
      .map((cell) => [cell.join(" "), cell])
  )
  const results = await compare("RS256", Array.from(cells.values()), { rounds, seconds, connections })

  console.log(table("RS256", results))
  for (const [name, [cell, against]] of Object.entries(ratios)) {
    const ratio = results.ratio(cell, against)
    if (ratio !== undefined) console.log("RATIO", name, ratio.toFixed(3))
  }
  if (complete) await calls({ connections, rounds, seconds }, false)
}
