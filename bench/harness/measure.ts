/** Rounds of short runs: each row once in a round, so that whatever else the machine does meets all of them. */
import { setTimeout } from "node:timers/promises"
import type { Request } from "../generator/request.ts"
import type { Load } from "./Load.ts"
import type { Server } from "./servers.ts"
import { median } from "./statistics.ts"

/** One server under one kind of load. */
export interface Row {
  readonly server: Server
  /** The name of `requests`: one list for all rows that have it. */
  readonly list: string
  readonly requests: ReadonlyArray<Request>
  readonly connections?: number
}

export interface Sample {
  /** Requests per second. */
  readonly rate: number
  /** Microseconds of the server's process for a request. */
  readonly cpu: number
  /** How much of the time the server's threads computed: under 1 it has waited. */
  readonly busy: number
  /** Microseconds of the load generator for a request. */
  readonly load: number
}

export interface Options {
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
}

/** Every answer to every request of a row, once. It warms up as well, so there are at least `least` of them. */
export const check = async (load: Load, row: Row, options: Options, least = 8000): Promise<void> => {
  await load.define(row.list, row.requests)
  await connected(load, row, options, () => load.check(row.list, cursor(row), Math.max(row.requests.length, least)))
}

/**
 * A sample of each row, a round at a time: there and back again, so that no row always comes after the same other one. Before that there are rounds that do
 * not count: a server gets faster for some ten thousand requests.
 */
export const measure = async (
  load: Load,
  rows: ReadonlyArray<Row>,
  options: Options
): Promise<ReadonlyArray<ReadonlyArray<Sample>>> => {
  const samples = rows.map((): Array<Sample> => [])
  for (let round = -warmUpRounds; round < options.rounds; round++) {
    const order = Array.from(rows.entries())
    for (const [i, row] of round % 2 === 0 ? order : order.toReversed()) {
      const taken = await sample(load, row, options)
      if (round >= 0) samples[i]!.push(taken)
    }
  }
  return samples
}

const warmUpRounds = 2

const sample = (load: Load, row: Row, options: Options): Promise<Sample> =>
  connected(load, row, options, async () => {
    // What the other rows left behind: cold code, and tokens that were pushed out of a cache. And each connection's first requests cost more.
    const connections = row.connections ?? options.connections
    await load.check(row.list, cursor(row), Math.max(Math.min(row.requests.length, 1000), 4 * connections, 200))
    const before = await row.server.usage()
    const { cpu, milliseconds, responses } = await load.run(row.list, cursor(row), options.seconds * 1000)
    const after = await row.server.usage()
    return {
      rate: (responses / milliseconds) * 1000,
      cpu: (after.cpu - before.cpu) / responses,
      busy: (after.cpu - before.cpu) / 1000 / milliseconds,
      load: cpu / responses
    }
  })

const connected = async <A>(load: Load, row: Row, options: Options, use: () => Promise<A>): Promise<A> => {
  const { server } = row
  try {
    return await load.connected(server.port, row.connections ?? options.connections, use)
  } catch (error) {
    // Where the server has crashed, its last words are still on their way.
    await setTimeout(100)
    const message = error instanceof Error ? error.message : String(error)
    throw new Error([`${server.label}, ${row.list}: ${message}`, server.output].join("\n").trim(), { cause: error })
  }
}

const cursor = ({ list, server }: Row): string => `${server.label}, ${list}`

/** The median of the rounds. */
export const typical = (samples: ReadonlyArray<Sample>): Sample => ({
  rate: median(samples.map(({ rate }) => rate)),
  cpu: median(samples.map(({ cpu }) => cpu)),
  busy: median(samples.map(({ busy }) => busy)),
  load: median(samples.map(({ load }) => load))
})

/** The median of the rounds' own ratios: what changes from round to round is in both. */
export const ratio = (figure: "rate" | "cpu", samples: ReadonlyArray<Sample>, against: ReadonlyArray<Sample>): number =>
  median(samples.map((sample, round) => sample[figure] / against[round]![figure]))
