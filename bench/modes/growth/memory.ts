/** What a server keeps of the tokens that it has seen, each once: after garbage collection, so that it is what it holds. */
import { serveIssuer } from "../../harness/issuer.ts"
import { Load } from "../../harness/Load.ts"
import { Server } from "../../harness/servers.ts"
import type { Settings } from "../../options.ts"
import { report } from "./report.ts"

const limit = 64
const warmUp = 1000

export const megabytes = (bytes: number): number => bytes / 2 ** 20

export const memory = async ({ connections, tokens }: Settings): Promise<void> => {
  const issuer = await serveIssuer("EdDSA")
  const load = await Load.start()
  const server = await Server.start("ours-router", issuer.minter, { execArgv: ["--expose-gc"] })
  const { before, after } = await load.connected(server.port, connections, async () => {
    await load.mint(issuer.minter, 0, warmUp)
    const before = await server.usage(true)
    await load.mint(issuer.minter, warmUp, tokens - warmUp)
    return { before, after: await server.usage(true) }
  })
  console.log(`After ${warmUp} and after ${tokens} distinct tokens, garbage collected, in MB:`)
  report("MEMORY", "rss-growth", megabytes(after.rss - before.rss), limit)
  report("MEMORY", "heap-growth", megabytes(after.heap - before.heap), limit)
  await Promise.all([load.stop(), server.stop()])
  issuer.close()
}
