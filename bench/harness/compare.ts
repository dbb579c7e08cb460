/** Starts all servers against one issuer, checks every response, then measures all scenarios in rounds. */
import { type Algorithm, serveIssuer } from "./issuer.ts"
import { Load } from "./Load.ts"
import { check, measure, type Options, ratio, type Sample } from "./measure.ts"
import { Requests, type Scenario } from "./scenarios.ts"
import { type Name, Server } from "./servers.ts"

/** A server and a scenario. */
export type Cell = readonly [Name, Scenario]

export class Results {
  readonly samples: ReadonlyMap<string, ReadonlyArray<Sample>>

  constructor(cells: ReadonlyArray<Cell>, samples: ReadonlyArray<ReadonlyArray<Sample>>) {
    this.samples = new Map(cells.map((cell, i) => [nameOf(cell), samples[i]!]))
  }

  of(cell: Cell): ReadonlyArray<Sample> | undefined {
    return this.samples.get(nameOf(cell))
  }

  /** Returns the ratio of requests per second, or `undefined` if a cell was not measured. */
  ratio(cell: Cell, against: Cell): number | undefined {
    const [ours, theirs] = [this.of(cell), this.of(against)]
    return ours === undefined || theirs === undefined ? undefined : ratio("rate", ours, theirs)
  }
}

const nameOf = ([server, scenario]: Cell): string => `${server} ${scenario}`

export const compare = async (algorithm: Algorithm, cells: ReadonlyArray<Cell>, options: Options): Promise<Results> => {
  const issuer = await serveIssuer(algorithm)
  const load = await Load.start()
  const servers = new Map<Name, Server>()
  for (const [name] of cells) if (!servers.has(name)) servers.set(name, await Server.start(name, issuer.minter))
  const requests = new Requests(issuer.minter)
  const rows = cells.map(([name, scenario]) => requests.row(servers.get(name)!, scenario))

  for (const server of servers.values()) await check(load, requests.invalidTokensRow(server), options, 0)
  for (const row of rows) await check(load, row, options)
  const results = new Results(cells, await measure(load, rows, options))

  await Promise.all([load, ...servers.values()].map((child) => child.stop()))
  issuer.close()
  return results
}
