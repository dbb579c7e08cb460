/** Measures the memory of a server, after garbage collection, while the server receives many tokens, each once. */
import { serveIssuer } from "../../harness/issuer.ts"
import { Load } from "../../harness/Load.ts"
import { Server } from "../../harness/servers.ts"
import type { Settings } from "../../options.ts"
import { report } from "./report.ts"

const limit = 64
const first = 1000
const before = 30_000

export const megabytes = (bytes: number): number => bytes / 2 ** 20

export const memory = async ({ connections, tokens }: Settings): Promise<void> => {
  const issuer = await serveIssuer("EdDSA")
  const load = await Load.start()
  const server = await Server.start("ours-router", issuer.minter, { execArgv: ["--expose-gc"] })
  let seen = 0
  const after = async (count: number) => {
    await load.mint(issuer.minter, seen, count - seen)
    seen = count
    const usage = await server.usage(true)
    console.log(`after ${count} tokens: ${figure(usage.rss)} resident, ${figure(usage.heap)} JavaScript heap`)
    return usage
  }
  const [start, end] = await load.connected(server.port, connections, async () => {
    // Warms up with tokens that are verified and refused, but not cached. The process then has its working memory, such
    // as V8's young generation.
    await load.mint(issuer.minter, 0, before, false)
    const start = await after(first)
    // Prints an intermediate figure: memory that stops growing after this point is not a leak.
    await after(Math.max(first, Math.round(tokens / 10)))
    return [start, await after(tokens)] as const
  })
  report("MEMORY", "rss-growth-mb", megabytes(end.rss - start.rss), limit)
  report("MEMORY", "heap-growth-mb", megabytes(end.heap - start.heap), limit)
  await Promise.all([load.stop(), server.stop()])
  issuer.close()
}

const figure = (bytes: number): string => `${megabytes(bytes).toFixed(1)} MiB`
