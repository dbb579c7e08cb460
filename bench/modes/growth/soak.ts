/** Sends valid and invalid requests for minutes, and prints the trend of memory and speed without the first fifth. */
import type { Request } from "../../generator/request.ts"
import { serveIssuer } from "../../harness/issuer.ts"
import { Load } from "../../harness/Load.ts"
import { Requests, type Scenario } from "../../harness/scenarios.ts"
import { Server } from "../../harness/servers.ts"
import { slope } from "../../harness/statistics.ts"
import type { Settings } from "../../options.ts"
import { megabytes } from "./memory.ts"

const refusedScenarios: ReadonlyArray<Scenario> = ["garbage", "none", "scope"]

const samples = 60

export const soak = async ({ connections, soakSeconds }: Settings): Promise<void> => {
  const issuer = await serveIssuer("RS256")
  const load = await Load.start()
  const server = await Server.start("ours-router", issuer.minter, { execArgv: ["--expose-gc"] })
  await load.define("soak", mixed(server, new Requests(issuer.minter)))

  const points = await load.connected(server.port, connections, async () => {
    await load.check("soak", "soak", 10_000)
    const points: Array<Point> = []
    for (let i = 0; i < samples; i++) {
      const { milliseconds, responses } = await load.run("soak", "soak", (soakSeconds / samples) * 1000)
      const { heap, rss } = await server.usage(true)
      const minute = ((i + 1) * soakSeconds) / samples / 60
      points.push({ minute, rss: megabytes(rss), heap: megabytes(heap), rate: (responses / milliseconds) * 1000 })
    }
    return points
  })

  const settled = points.slice(samples / 5)
  const over = (figure: "rss" | "heap" | "rate") => slope(settled.map((point) => [point.minute, point[figure]]))
  console.log("SOAK rss-mb-per-minute", over("rss").toFixed(3))
  console.log("SOAK heap-mb-per-minute", over("heap").toFixed(3))
  console.log("SOAK requests-per-second-per-minute", over("rate").toFixed(1))
  await Promise.all([load.stop(), server.stop()])
  issuer.close()
}

interface Point {
  readonly minute: number
  /** In MiB, after garbage collection. */
  readonly rss: number
  readonly heap: number
  readonly rate: number
}

/** Returns a list in which seven of ten requests are valid. */
const mixed = (server: Server, requests: Requests): ReadonlyArray<Request> => {
  const refused = refusedScenarios.flatMap((scenario) => requests.row(server, scenario).requests)
  return requests
    .row(server, "thousand")
    .requests.flatMap((good, i) => (i % 7 < 3 ? [good, refused[i % refused.length]!] : [good]))
}
