/** Starts real Redis servers that a test can kill, freeze, restart and demote. */
import { NodeRedis } from "@effect/platform-node"
import { Effect, Layer, Redacted, type Scope } from "effect"
import * as Redis from "effect/persistence/Redis"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { createServer, type Socket, connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

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

const started = (server: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    let output = ""
    server.stdout?.on("data", (chunk) => {
      output += String(chunk)
      if (output.includes("Ready to accept")) resolve()
    })
    server.once("exit", () => reject(new Error(`Redis did not start: ${output}`)))
  })

export class RedisServer {
  readonly port: number
  readonly #folder = mkdtempSync(join(tmpdir(), "redis-"))
  readonly #isDurable: boolean
  #process: ChildProcess | undefined

  private constructor(port: number, isDurable: boolean) {
    this.port = port
    this.#isDurable = isDurable
  }

  /** Starts a server on a free port. Another process may take the port in the meantime, so this tries again. */
  static #make(isDurable: boolean): Effect.Effect<RedisServer, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.promise(async () => {
        for (let attempt = 1; ; attempt++) {
          const server = new RedisServer(await freePort(), isDurable)
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
  static readonly make: Effect.Effect<RedisServer, never, Scope.Scope> = RedisServer.#make(false)
  /**
   * A server that has each acknowledged write after `kill` and `start`. It writes to its file before it responds. The
   * writes outlive the process without `fsync`, which would be needed for a crash of the machine only.
   */
  static readonly durable: Effect.Effect<RedisServer, never, Scope.Scope> = RedisServer.#make(true)

  async #start(): Promise<void> {
    if (path === undefined) throw new Error(decision.message)
    const persistence = this.#isDurable ? ["yes", "--appendfsync", "no"] : ["no"]
    const options = ["--bind", "127.0.0.1", "--save", "", "--dir", this.#folder, "--appendonly", ...persistence]
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
