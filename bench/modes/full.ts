/** Measures every server in every scenario. A complete run updates docs/performance.md. */
import { type Cell, compare, type Results } from "../harness/compare.ts"
import type { Algorithm } from "../harness/issuer.ts"
import { isBaseline, isRefusal, type Scenario, scenarioNames } from "../harness/scenarios.ts"
import { isOurs } from "../harness/servers.ts"
import type { Settings } from "../options.ts"
import { write } from "../report/document.ts"
import { table } from "../report/table.ts"
import { calls } from "./calls.ts"
import { refusals } from "./refusals.ts"

// Scenarios that do not depend on the algorithm are measured only with RS256.
const scenariosOf: Readonly<Record<Algorithm, ReadonlyArray<Scenario>>> = {
  RS256: scenarioNames.filter((scenario) => !isRefusal(scenario)),
  ES256: ["warm", "misses"],
  EdDSA: ["warm", "misses"]
}

export const full = async (settings: Settings): Promise<void> => {
  const { complete, connections, rounds = 11, seconds = 0.3 } = settings
  const options = { rounds, seconds, connections }
  const results = new Map<Algorithm, Results>()
  for (const algorithm of settings.algorithms) {
    const rows = scenariosOf[algorithm].filter((scenario) => settings.rows.includes(scenario))
    const cells = rows.flatMap((scenario) =>
      settings.servers
        .filter((server) => isOurs(server) || !isBaseline(scenario))
        .map((server): Cell => [server, scenario])
    )
    const measured = await compare(algorithm, cells, options)
    results.set(algorithm, measured)
    console.log(`${table(algorithm, measured)}\n`)
  }
  if (complete) await write(results, options)
  if (complete) await calls(settings)
  if (settings.rows.some(isRefusal)) await refusals(settings)
}
