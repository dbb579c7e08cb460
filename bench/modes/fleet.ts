/**
 * Measures what it costs to share state: the time of a request, and the questions to Redis and to the authorization
 * server that 10,000 requests to three processes cause.
 */
import { serveIssuer } from "../harness/issuer.ts"
import { Load } from "../harness/Load.ts"
import { check, measure, ratios, type Row, type Sample, typical } from "../harness/measure.ts"
import { startRedis } from "../harness/redis.ts"
import { Server } from "../harness/servers.ts"
import { median, quantile } from "../harness/statistics.ts"
import { minting } from "../harness/tokens.ts"
import { fleetKinds, type Settings } from "../options.ts"
import { markdown, section } from "../report/document.ts"
import { align } from "../report/table.ts"
import type { Fleet } from "../servers/child.ts"

type Kind = Fleet["kind"]

const processes = 3
const requests = 10_000
const tokens = 100

/** The row to which each row is compared. */
const baselines: Readonly<Record<Kind, Kind>> = {
  jwt: "jwt",
  "jwt-copy": "jwt",
  "jwt-lookup": "jwt",
  "introspection-local": "introspection-local",
  "introspection-shared": "introspection-local",
  "introspection-uncached": "introspection-local"
}

const isBaseline = (kind: Kind): boolean => baselines[kind] === kind

interface Measured {
  readonly samples: ReadonlyArray<Sample>
  /** Of each round and process. Empty for a baseline. */
  readonly cpuRatios: ReadonlyArray<number>
}

export const fleet = async ({ connections, rounds = 16, seconds = 0.2, kinds }: Settings): Promise<void> => {
  const options = { rounds, seconds, connections, isAlone: true }
  const issuer = await serveIssuer("RS256")
  const redis = await startRedis()
  const load = await Load.start()
  const mint = minting(issuer.minter)
  const listOf = (name: string, count: number) => ({
    list: name,
    requests: Array.from({ length: count }, (_, i) => {
      const { compact, subject } = mint(i)
      return { path: "/items", token: compact, status: 200, body: JSON.stringify({ subject }) }
    })
  })
  const one = listOf("one token", 1)
  const several = listOf(`${tokens} tokens`, tokens)
  const start = (kind: Kind, i: number) =>
    Server.start("ours-router", issuer.minter, {
      label: `${kind} ${i}`,
      settings: { fleet: { kind, redisPort: redis.port } }
    })
  const stop = (servers: ReadonlyArray<Server>) => Promise.all(servers.map((server) => server.stop()))

  // No other process uses Redis while the questions of a row are counted.
  const countQuestions = async (kind: Kind) => {
    const servers = await Promise.all(Array.from({ length: processes }, (_, i) => start(kind, i)))
    const before = { redis: await redis.commands(), issuer: issuer.introspections() }
    for (const server of servers) {
      await check(load, { server, ...several }, options, Math.ceil(requests / processes))
    }
    const asked = {
      redis: (await redis.commands()) - before.redis,
      issuer: issuer.introspections() - before.issuer
    }
    await stop(servers)
    return asked
  }

  // Two processes of one program differ by some percent, so each row has several processes. A row and its baseline
  // alternate, and the processes of all others are stopped.
  const compare = async (kind: Kind): Promise<readonly [of: Measured, baseline: Measured]> => {
    const names = isBaseline(kind) ? [kind] : [baselines[kind], kind]
    const rows: Array<Row> = []
    for (let i = 0; i < processes; i++) {
      for (const name of names) rows.push({ server: await start(name, i), ...one })
    }
    for (const row of rows) await check(load, row, options, 8000)
    const samples = await measure(load, rows, options)
    await stop(rows.map(({ server }) => server))
    const of = (name: Kind) => samples.filter((_, i) => names[i % names.length] === name)
    const [own, against] = [of(kind), of(baselines[kind])]
    const cpuRatios = isBaseline(kind) ? [] : own.flatMap((samples, i) => ratios("cpu", samples, against[i]!))
    return [
      { samples: own.flat(), cpuRatios },
      { samples: against.flat(), cpuRatios: [] }
    ]
  }

  const questions = new Map<Kind, Awaited<ReturnType<typeof countQuestions>>>()
  for (const kind of kinds) questions.set(kind, await countQuestions(kind))
  const measured = new Map<Kind, Measured>()
  for (const kind of kinds.filter((kind) => !isBaseline(kind))) {
    const [of, baseline] = await compare(kind)
    measured.set(kind, of)
    if (!measured.has(baselines[kind])) measured.set(baselines[kind], baseline)
  }
  for (const kind of kinds) if (!measured.has(kind)) measured.set(kind, (await compare(kind))[0])
  await load.stop()
  await redis.stop()
  issuer.close()

  const heading = [
    "",
    "requests per second",
    "CPU µs",
    "CPU, as a ratio",
    "middle half of the ratios",
    "Redis commands",
    "introspection requests"
  ]
  const lines = kinds.map((kind) => {
    const { cpuRatios, samples } = measured.get(kind)!
    const { cpu, rate } = typical(samples)
    const asked = questions.get(kind)!
    const figures =
      cpuRatios.length === 0
        ? ["1", ""]
        : [
            median(cpuRatios).toFixed(2),
            `${quantile(cpuRatios, 0.25).toFixed(2)} to ${quantile(cpuRatios, 0.75).toFixed(2)}`
          ]
    return [fleetKinds[kind], rate.toFixed(0), cpu.toFixed(0), ...figures, String(asked.redis), String(asked.issuer)]
  })
  console.log(align([heading, ...lines]))
  for (const kind of kinds) {
    const { cpuRatios } = measured.get(kind)!
    if (cpuRatios.length === 0) continue
    const figures = [0.25, 0.5, 0.75].map((part) => quantile(cpuRatios, part).toFixed(3))
    console.log("RATIO", `${kind}-cpu-vs-${baselines[kind]}`, figures[1], `(quartiles ${figures[0]} ${figures[2]})`)
  }
  if (kinds.length === Object.keys(fleetKinds).length) await section("fleet", markdown(heading, lines))
}
