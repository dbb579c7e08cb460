/**
 * Measures what it costs to share state: the time of a request, and the questions to Redis and to the authorization
 * server that 10,000 requests to three processes cause.
 */
import { serveIssuer } from "../harness/issuer.ts"
import { Load } from "../harness/Load.ts"
import { check, measure, ratio, type Row, typical } from "../harness/measure.ts"
import { startRedis } from "../harness/redis.ts"
import { Server } from "../harness/servers.ts"
import { minting } from "../harness/tokens.ts"
import { fleetKinds, type Settings } from "../options.ts"
import { markdown, section } from "../report/document.ts"
import { align } from "../report/table.ts"
import type { Fleet } from "../servers/child.ts"

const processes = 3
const requests = 10_000
const tokens = 100

export const fleet = async ({ connections, rounds = 15, seconds = 0.3, kinds }: Settings): Promise<void> => {
  const options = { rounds, seconds, connections }
  const issuer = await serveIssuer("RS256")
  const redis = await startRedis()
  const load = await Load.start()
  const mint = minting(issuer.minter)
  const listOf = (name: string, count: number) => ({
    list: name,
    requests: Array.from({ length: count }, (_, i) => {
      const { compact, subject } = mint(i)
      return {
        path: "/items",
        token: compact,
        status: 200,
        body: JSON.stringify({ subject })
      }
    })
  })
  const one = listOf("one token", 1)
  const several = listOf(`${tokens} tokens`, tokens)
  const servers = new Map<Fleet["kind"], ReadonlyArray<Server>>()
  const questions = new Map<Fleet["kind"], { readonly redis: number; readonly issuer: number }>()
  for (const kind of kinds) {
    const started = await Promise.all(
      Array.from({ length: processes }, (_, i) =>
        Server.start("ours-router", issuer.minter, {
          label: `${kind} ${i}`,
          settings: { fleet: { kind, redisPort: redis.port } }
        })
      )
    )
    servers.set(kind, started)
    const before = { redis: await redis.commands(), issuer: issuer.introspections() }
    for (const server of started) {
      await check(load, { server, ...several }, options, Math.ceil(requests / processes))
    }
    questions.set(kind, {
      redis: (await redis.commands()) - before.redis,
      issuer: issuer.introspections() - before.issuer
    })
  }
  const rows = kinds.map((kind): Row => ({ server: servers.get(kind)![0]!, ...one }))
  for (const row of rows) await check(load, row, options, 2000)
  const samples = await measure(load, rows, options)
  await Promise.all([load, ...Array.from(servers.values()).flat()].map((child) => child.stop()))
  await redis.stop()
  issuer.close()

  const heading = ["", "requests per second", "CPU µs", "Redis commands", "introspection requests"]
  const lines = kinds.map((kind, i) => {
    const { cpu, rate } = typical(samples[i]!)
    const asked = questions.get(kind)!
    return [fleetKinds[kind], rate.toFixed(0), cpu.toFixed(0), String(asked.redis), String(asked.issuer)]
  })
  console.log(align([heading, ...lines]))
  kinds.forEach((kind, i) => {
    if (i === 0) return
    console.log("RATIO", `${kind}-vs-${kinds[0]}`, ratio("rate", samples[i]!, samples[0]!).toFixed(3))
    console.log("RATIO", `${kind}-cpu-vs-${kinds[0]}`, ratio("cpu", samples[i]!, samples[0]!).toFixed(3))
  })
  if (kinds.length === Object.keys(fleetKinds).length) await section("fleet", markdown(heading, lines))
}
