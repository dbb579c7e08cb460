/** Starts a Redis server, and counts the commands that it has answered. */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { createClient } from "redis"

const path = [process.env["REDIS_SERVER"], "/usr/bin/redis-server", "/usr/local/bin/redis-server"].find(
  (candidate) => candidate !== undefined && existsSync(candidate)
)

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

export interface RedisServer {
  readonly port: number
  /** Returns the number of commands so far, without the commands of this client. */
  readonly commands: () => Promise<number>
  readonly stop: () => Promise<void>
}

export const startRedis = async (): Promise<RedisServer> => {
  if (path === undefined) throw new Error("Install Redis (apt-get install redis-server), or set REDIS_SERVER.")
  const port = await freePort()
  const options = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
  const server: ChildProcess = spawn(path, [...options, "--dir", tmpdir()], { stdio: ["ignore", "pipe", "ignore"] })
  process.on("exit", () => server.kill("SIGKILL"))
  await new Promise<void>((resolve) => {
    server.stdout?.on("data", (chunk) => {
      if (String(chunk).includes("Ready to accept")) resolve()
    })
  })
  const client = createClient({ socket: { host: "127.0.0.1", port } })
  await client.connect()
  const ignored = /^cmdstat_(?:info|hello|client)/
  return {
    port,
    commands: async () => {
      const stats = await client.info("commandstats")
      return stats
        .split("\r\n")
        .filter((line) => line.startsWith("cmdstat_") && !ignored.test(line))
        .reduce((sum, line) => sum + Number(/calls=(\d+)/.exec(line)?.[1] ?? 0), 0)
    },
    stop: async () => {
      await client.close()
      server.kill("SIGKILL")
    }
  }
}
