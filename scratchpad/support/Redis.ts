/** Starts a Redis server for an example. In production, give the URL of your server to `NodeRedis.layer`. */
import { Effect, Schema } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { end } from "./Processes.ts"

export class RedisMissing extends Schema.TaggedError<RedisMissing>()("RedisMissing", {}) {
  override get message() {
    return "The example needs redis-server. Install Redis (on Debian: apt-get install redis-server), or set REDIS_SERVER to the path of the program."
  }
}

const candidates = ["/usr/bin/redis-server", "/usr/local/bin/redis-server", "/opt/homebrew/bin/redis-server"]

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** Starts a server on a free port, and returns its URL. */
export const start = Effect.gen(function* () {
  const given = process.env["REDIS_SERVER"]
  const program = (given === undefined ? candidates : [given]).find((path) => existsSync(path))
  if (program === undefined) return yield* Effect.fail(new RedisMissing())
  const port = yield* freePort
  const folder = mkdtempSync(join(tmpdir(), "redis-"))
  // Redis must not evict revocations or sessions.
  const options = ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", folder]
  yield* Effect.acquireRelease(
    Effect.callback<ChildProcess>((resume) => {
      const redis = spawn(program, ["--port", String(port), "--bind", "127.0.0.1", ...options], {
        stdio: ["ignore", "pipe", "inherit"]
      })
      redis.stdout.on("data", (text) => {
        if (String(text).includes("Ready to accept")) resume(Effect.succeed(redis))
      })
      redis.on("error", (error) => resume(Effect.die(error)))
      redis.on("exit", (code) => resume(Effect.die(new Error(`Redis ended with code ${code}.`))))
    }),
    (redis) =>
      Effect.andThen(
        end(redis, "SIGKILL"),
        Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
  )
  return `redis://127.0.0.1:${port}`
})
