/** What a server keeps of the tokens that it has seen, each once: after garbage collection, so that it is what it holds. */
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
    console.log(`after ${count} tokens: ${figure(usage.rss)} resident, ${figure(usage.heap)} of it JavaScript's`)
    return usage
  }
  const [start, end] = await load.connected(server.port, connections, async () => {
    // Tokens that are verified, refused and not kept: what the process itself takes to work at this speed (V8's young generation, the allocator's
    // arenas) is there before anything is counted.
    await load.mint(issuer.minter, 0, before, false)
    const start = await after(first)
    // Where memory only settles, it has settled here; where it leaks, it has not.
    await after(Math.max(first, Math.round(tokens / 10)))
    return [start, await after(tokens)] as const
  })
  report("MEMORY", "rss-growth-mb", megabytes(end.rss - start.rss), limit)
  report("MEMORY", "heap-growth-mb", megabytes(end.heap - start.heap), limit)
  await Promise.all([load.stop(), server.stop()])
  issuer.close()
}

const figure = (bytes: number): string => `${megabytes(bytes).toFixed(1)} MB`
