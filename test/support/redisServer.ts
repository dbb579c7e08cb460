/** Starts real Redis servers that a test can kill, freeze, restart and demote. */
import { NodeRedis } from "@effect/platform-node"
import { Effect, Layer, Redacted, type Scope } from "effect"
import * as Redis from "effect/persistence/Redis"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer, type Socket, connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually } from "./eventually.ts"

/** Path of the server. `REDIS_SERVER` overrides it. */
export const path: string | undefined = [
  process.env["REDIS_SERVER"],
  "/usr/bin/redis-server",
  "/usr/local/bin/redis-server",
  "/opt/homebrew/bin/redis-server",
  "/usr/bin/valkey-server"
].find((candidate) => candidate !== undefined && existsSync(candidate))

/** Decides what the tests with Redis do: in CI, they fail if there is no server. Elsewhere, they are skipped. */
export const decide = (
  path: string | undefined,
  ci: string | undefined
): { readonly isSkipped: boolean; readonly message: string | undefined } => {
  if (path !== undefined) return { isSkipped: false, message: undefined }
  const hint = "Install Redis (apt-get install redis-server), or set REDIS_SERVER."
  return ci === "true"
    ? { isSkipped: false, message: `No Redis server was found, and CI requires one. ${hint}` }
    : { isSkipped: true, message: `No Redis server was found, so the tests with Redis are skipped. ${hint}` }
}

/** What the tests of this run do. */
export const decision = decide(path, process.env["CI"])

/** `true` if the tests with Redis must be skipped. */
export const missing: boolean = decision.isSkipped

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

const started = (server: ChildProcess, line = "Ready to accept"): Promise<void> =>
  new Promise((resolve, reject) => {
    let output = ""
    server.stdout?.on("data", (chunk) => {
      output += String(chunk)
      if (output.includes(line)) resolve()
    })
    server.once("exit", () => reject(new Error(`Redis did not start: ${output}`)))
  })

export class RedisServer {
  readonly port: number
  readonly #folder = mkdtempSync(join(tmpdir(), "redis-"))
  readonly #options: ReadonlyArray<string>
  #process: ChildProcess | undefined

  private constructor(port: number, options: ReadonlyArray<string>) {
    this.port = port
    this.#options = options
  }

  /** Starts a server on a free port. Another process may take the port in the meantime, so this tries again. */
  static #make(optionsOf: () => Promise<ReadonlyArray<string>>): Effect.Effect<RedisServer, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.promise(async () => {
        for (let attempt = 1; ; attempt++) {
          const server = new RedisServer(await freePort(), await optionsOf())
          try {
            await server.#start()
            return server
          } catch (cause) {
            if (attempt === 5) throw cause
          }
        }
      }),
      (server) => Effect.promise(() => server.#end())
    )
  }

  /** A server that loses its data when it ends. */
  static readonly make: Effect.Effect<RedisServer, never, Scope.Scope> = RedisServer.#make(() =>
    Promise.resolve(["--appendonly", "no"])
  )
  /**
   * A server that has each acknowledged write after `kill` and `start`. It writes to its file before it responds. The
   * writes outlive the process without `fsync`, which would be needed for a crash of the machine only.
   */
  static readonly durable: Effect.Effect<RedisServer, never, Scope.Scope> = RedisServer.#make(() =>
    Promise.resolve(["--appendonly", "yes", "--appendfsync", "no"])
  )
  /** A cluster of one server. It refuses commands and scripts with keys of several slots. */
  static readonly cluster: Effect.Effect<RedisServer, never, Scope.Scope> = Effect.tap(
    RedisServer.#make(async () => {
      const port = await freePort()
      return ["--appendonly", "no", "--cluster-enabled", "yes", "--cluster-port", String(port)]
    }),
    (server) =>
      Effect.andThen(
        server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383"),
        eventually(server.command("CLUSTER", "INFO"), (info) => String(info).includes("cluster_state:ok"))
      )
  )

  async #start(): Promise<void> {
    if (path === undefined) throw new Error(decision.message)
    const options = ["--bind", "127.0.0.1", "--save", "", "--dir", this.#folder, ...this.#options]
    this.#process = spawn(path, ["--port", String(this.port), ...options], { stdio: ["ignore", "pipe", "ignore"] })
    await started(this.#process)
  }

  #ended(): Promise<void> {
    const server = this.#process
    this.#process = undefined
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return Promise.resolve()
    return new Promise((resolve) => {
      server.once("exit", () => resolve())
      server.kill("SIGKILL")
    })
  }

  async #end(): Promise<void> {
    await this.#ended()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  readonly kill = Effect.promise(() => this.#ended())
  /** Starts the server again after `kill`. Only a durable server has its data. */
  readonly start = Effect.promise(() => this.#start())
  readonly freeze = Effect.sync(() => this.#process?.kill("SIGSTOP"))
  readonly thaw = Effect.sync(() => this.#process?.kill("SIGCONT"))

  /** Sends a command over a connection of its own. */
  readonly command = (...args: ReadonlyArray<string>): Effect.Effect<unknown> =>
    Effect.orDie(
      Effect.provide(
        Effect.flatMap(Redis.Redis, (redis) => redis.send(args[0] ?? "", ...args.slice(1))),
        NodeRedis.layer({ socket: { host: "127.0.0.1", port: this.port } })
      )
    )

  /** A client as the guide recommends it. It connects again within 100 milliseconds. */
  readonly client = (port = this.port) => layerClient(port)
}

/** Starts a Sentinel that watches a primary under the name `items`, and promotes a replica if the primary dies. */
export const sentinel = (primary: number): Effect.Effect<{ readonly port: number }, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        if (path === undefined) throw new Error(decision.message)
        const port = await freePort()
        const folder = mkdtempSync(join(tmpdir(), "sentinel-"))
        const file = join(folder, "sentinel.conf")
        const lines = [
          `port ${port}`,
          "bind 127.0.0.1",
          `dir ${folder}`,
          `sentinel monitor items 127.0.0.1 ${primary} 1`,
          "sentinel down-after-milliseconds items 300",
          "sentinel failover-timeout items 3000"
        ]
        writeFileSync(file, lines.join("\n"))
        const child = spawn(path, [file, "--sentinel"], { stdio: ["ignore", "pipe", "ignore"] })
        await started(child, "+slave slave")
        return { port, child, folder }
      }),
      ({ child, folder }) =>
        Effect.promise(
          () =>
            new Promise<void>((resolve) => {
              child.once("exit", () => resolve())
              child.kill("SIGKILL")
            })
        ).pipe(Effect.andThen(Effect.sync(() => rmSync(folder, { recursive: true, force: true }))))
    ),
    ({ port }) => ({ port })
  )

/** Records every command that a server receives, until the returned effect runs. */
export const monitor = (server: RedisServer): Effect.Effect<Effect.Effect<string>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const recorded = { text: "" }
    yield* Effect.acquireRelease(
      Effect.promise(
        () =>
          new Promise<Socket>((resolve) => {
            const socket = connect(server.port, "127.0.0.1", () => socket.write("MONITOR\r\n"))
            socket.setEncoding("utf8").on("data", (chunk) => {
              recorded.text += chunk.toString()
              resolve(socket)
            })
          })
      ),
      (socket) => Effect.sync(() => socket.destroy())
    )
    return Effect.gen(function* () {
      const end = crypto.randomUUID()
      yield* server.command("ECHO", end)
      return yield* eventually(
        Effect.sync(() => recorded.text),
        (text) => text.includes(end)
      )
    })
  })

/** Returns every key of a server, with its value as text. */
export const contents = ({ command }: RedisServer): Effect.Effect<ReadonlyMap<string, string>> =>
  Effect.gen(function* () {
    const keys = (yield* command("KEYS", "*")) as ReadonlyArray<string>
    const reads: Readonly<Record<string, (key: string) => ReadonlyArray<string>>> = {
      string: (key) => ["GET", key],
      hash: (key) => ["HGETALL", key],
      zset: (key) => ["ZRANGE", key, "0", "-1", "WITHSCORES"],
      set: (key) => ["SMEMBERS", key],
      list: (key) => ["LRANGE", key, "0", "-1"]
    }
    const values = new Map<string, string>()
    for (const key of keys) {
      const type = String(yield* command("TYPE", key))
      // The entry has expired in the meantime.
      if (type === "none") {
        values.set(key, "")
        continue
      }
      const read = reads[type]
      if (read === undefined) return yield* Effect.die(new Error(`No test reads keys such as ${key}.`))
      values.set(key, JSON.stringify(yield* command(...read(key))))
    }
    return values
  })

export const layerClient = (port: number): Layer.Layer<Redis.Redis> =>
  Layer.orDie(
    NodeRedis.layer({
      disableOfflineQueue: true,
      socket: { host: "127.0.0.1", port, connectTimeout: 1000, reconnectStrategy: () => 50 }
    })
  )

/** An address that leads to one of several servers, like the name of a primary server. */
export class Address {
  readonly port: number
  #target: number
  readonly #sockets: Set<Socket>

  private constructor(port: number, target: { port: number }, sockets: Set<Socket>) {
    this.port = port
    this.#target = target.port
    this.#sockets = sockets
    this.#move = (to) => {
      target.port = to
      this.#target = to
    }
  }

  readonly #move: (to: number) => void

  static readonly make = (first: number): Effect.Effect<Address, never, Scope.Scope> =>
    Effect.map(
      Effect.acquireRelease(
        Effect.promise(
          () =>
            new Promise<{ readonly address: Address; readonly close: () => Promise<void> }>((resolve) => {
              const target = { port: first }
              const sockets = new Set<Socket>()
              const server = createServer((client) => {
                const upstream = connect(target.port, "127.0.0.1")
                for (const [from, to] of [
                  [client, upstream],
                  [upstream, client]
                ] as const) {
                  sockets.add(from)
                  from.pipe(to)
                  from.on("error", () => to.destroy())
                  from.on("close", () => {
                    sockets.delete(from)
                    to.destroy()
                  })
                }
              })
              server.listen(0, "127.0.0.1", () => {
                const bound = server.address()
                const port = typeof bound === "object" && bound !== null ? bound.port : 0
                const close = () =>
                  new Promise<void>((resolve) => {
                    for (const socket of sockets) socket.destroy()
                    server.close(() => resolve())
                  })
                resolve({ address: new Address(port, target, sockets), close })
              })
            })
        ),
        ({ close }) => Effect.promise(close)
      ),
      ({ address }) => address
    )

  /** Leads new connections to another server. Open connections stay. */
  readonly moveTo = (port: number): Effect.Effect<void> => Effect.sync(() => this.#move(port))

  /** Cuts the open connections. */
  readonly cut: Effect.Effect<void> = Effect.sync(() => {
    for (const socket of this.#sockets) socket.destroy()
  })

  get target(): number {
    return this.#target
  }
}

/** A text that no store, log or error may contain. */
export const secret = Redacted.make("sample-of-a-secret-4711", { label: "sample" })
