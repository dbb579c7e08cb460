/** Measures in rounds of short runs. Each round has one run per row, so other load on the machine affects all rows. */
import { setTimeout } from "node:timers/promises"
import type { Request } from "../generator/request.ts"
import type { Load } from "./Load.ts"
import type { Server } from "./servers.ts"
import { median } from "./statistics.ts"

/** One server with one list of requests. */
export interface Row {
  readonly server: Server
  /** Name of `requests`. Rows with the same name share the requests. */
  readonly list: string
  readonly requests: ReadonlyArray<Request>
  readonly connections?: number
}

export interface Sample {
  /** Requests per second. */
  readonly rate: number
  /** CPU time of the server's process per request, in microseconds. */
  readonly cpu: number
  /** CPU time of the server's threads divided by elapsed time. Below 1, the server waited. */
  readonly busy: number
  /** CPU time of the load generator per request, in microseconds. */
  readonly load: number
}

export interface Options {
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  /** Stops the servers of the other rows while a row is measured, because they have work without requests, too. */
  readonly isAlone?: boolean
}

/** Sends every request of a row, and checks each response in full. Sends at least `minimum` requests to warm up. */
export const check = async (load: Load, row: Row, options: Options, minimum = 8000): Promise<void> => {
  await load.define(row.list, row.requests)
  await connected(load, row, options, () => load.check(row.list, cursor(row), Math.max(row.requests.length, minimum)))
}

/**
 * Returns one sample per row and round. The order alternates, so that no row always follows the same row. The first
 * rounds do not count, because a server gets faster for about ten thousand requests.
 */
export const measure = async (
  load: Load,
  rows: ReadonlyArray<Row>,
  options: Options
): Promise<ReadonlyArray<ReadonlyArray<Sample>>> => {
  const samples = rows.map((): Array<Sample> => [])
  if (options.isAlone === true) for (const { server } of rows) server.pause()
  for (let round = -warmUpRounds; round < options.rounds; round++) {
    const order = Array.from(rows.entries())
    for (const [i, row] of round % 2 === 0 ? order : order.toReversed()) {
      const taken = await (options.isAlone === true ? alone(load, row, options) : sample(load, row, options))
      if (round >= 0) samples[i]!.push(taken)
    }
  }
  return samples
}

const warmUpRounds = 2

/** Time in which a server does what it has missed while it was stopped, in milliseconds. */
const settling = 250

const alone = async (load: Load, row: Row, options: Options): Promise<Sample> => {
  row.server.resume()
  await setTimeout(settling)
  const taken = await sample(load, row, options)
  row.server.pause()
  return taken
}

const sample = (load: Load, row: Row, options: Options): Promise<Sample> =>
  connected(load, row, options, async () => {
    // Repeats the warm-up: other rows may have evicted tokens and code from caches, and new connections start slowly.
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
    // If the server crashed, its last output has not arrived yet.
    await setTimeout(100)
    const message = error instanceof Error ? error.message : String(error)
    throw new Error([`${server.label}, ${row.list}: ${message}`, server.output].join("\n").trim(), { cause: error })
  }
}

const cursor = ({ list, server }: Row): string => `${server.label}, ${list}`

/** Returns the median of all rounds. */
export const typical = (samples: ReadonlyArray<Sample>): Sample => ({
  rate: median(samples.map(({ rate }) => rate)),
  cpu: median(samples.map(({ cpu }) => cpu)),
  busy: median(samples.map(({ busy }) => busy)),
  load: median(samples.map(({ load }) => load))
})

/** Returns the ratio of each round. Changes between rounds affect both sides of a ratio. */
export const ratios = (
  figure: "rate" | "cpu",
  samples: ReadonlyArray<Sample>,
  against: ReadonlyArray<Sample>
): ReadonlyArray<number> => samples.map((sample, round) => sample[figure] / against[round]![figure])

/** Returns the median of the ratios of all rounds. */
export const ratio = (figure: "rate" | "cpu", samples: ReadonlyArray<Sample>, against: ReadonlyArray<Sample>): number =>
  median(ratios(figure, samples, against))
