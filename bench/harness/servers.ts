/** The servers, and the differences between their responses. */
import { join } from "node:path"
import type { Settings, Usage } from "../servers/child.ts"
import { Child } from "./Child.ts"
import { audience, type Minter } from "./issuer.ts"

export interface Definition {
  readonly file: string
  readonly cache: boolean
  readonly usesJose?: boolean
  /** Status for a valid token without the scope. This library responds with 401 if `responses` is `"fastapi"`. */
  readonly withoutScope: 401 | 403
  /** `true` if a 401 response has the required `WWW-Authenticate` header (RFC 9110 §11.6.1). */
  readonly challenges: boolean
}

const ours = { withoutScope: 401, challenges: true } as const
const peer = { cache: false, withoutScope: 403, challenges: true } as const

export const definitions = {
  "raw-map": { ...peer, file: "raw-map.ts", cache: true },
  "raw-jose": { ...peer, file: "raw-jose.ts" },
  "ours-router": { ...ours, file: "ours-router.ts", cache: true },
  "ours-router-uncached": { ...ours, file: "ours-router.ts", cache: false },
  "ours-router-jose": { ...ours, file: "ours-router.ts", cache: false, usesJose: true },
  "ours-api": { ...ours, file: "ours-api.ts", cache: true },
  "ours-api-uncached": { ...ours, file: "ours-api.ts", cache: false },
  "effect-map": { ...peer, file: "effect-map.ts", cache: true },
  "effect-jose": { ...peer, file: "effect-jose.ts" },
  "fastify-cached": { ...peer, file: "fastify.js", cache: true, challenges: false },
  fastify: { ...peer, file: "fastify.js", challenges: false },
  hono: { ...peer, file: "hono.js" },
  express: { ...peer, file: "express.js" }
} satisfies Record<string, Definition>

/** Serves procedures of `effect/rpc` and tools of MCP. The scenarios of the other servers do not fit. */
export const callServer: Definition = { ...ours, file: "ours-calls.ts", cache: true }

export type Name = keyof typeof definitions

export const names = Object.keys(definitions) as ReadonlyArray<Name>

export const isOurs = (name: Name): boolean => name.startsWith("ours")

export const titles: Readonly<Record<Name, string>> = {
  "raw-map": "node:http, a map of verified tokens",
  "raw-jose": "node:http, jose",
  "ours-router": "this library, HttpRouter",
  "ours-router-uncached": "this library, HttpRouter, no cache",
  "ours-router-jose": "this library, HttpRouter, no cache, with jose",
  "ours-api": "this library, HttpApi",
  "ours-api-uncached": "this library, HttpApi, no cache",
  "effect-map": "Effect HttpRouter, a map of verified tokens",
  "effect-jose": "Effect HttpRouter, jose",
  "fastify-cached": "fastify, @fastify/jwt with cache",
  fastify: "fastify, @fastify/jwt",
  hono: "hono, jwk",
  express: "express, express-oauth2-jwt-bearer"
}

/**
 * These flags remove random differences between processes. V8 shrinks the young generation of a waiting process, and
 * servers wait here while others are measured. In one of twenty processes, V8 allocates requests in the old generation.
 * A full collection at a bad moment of the start makes `process.nextTick` slow for the rest of the process: a request of
 * any server then takes 3 µs more. A large initial heap avoids collections at the start.
 */
const flags = ["--no-memory-reducer", "--no-allocation-site-pretenuring", "--initial-heap-size=1024"]

interface More {
  readonly label?: string
  readonly settings?: Partial<Settings>
  readonly execArgv?: ReadonlyArray<string>
}

export class Server {
  /** Unique name. */
  readonly label: string
  readonly definition: Definition
  readonly port: number
  readonly #child: Child

  private constructor(label: string, definition: Definition, port: number, child: Child) {
    this.label = label
    this.definition = definition
    this.port = port
    this.#child = child
  }

  static start(name: Name, minter: Minter, more: More = {}): Promise<Server> {
    return Server.run(definitions[name], minter, { label: name, ...more })
  }

  static async run(
    definition: Definition,
    { algorithm, issuer }: Minter,
    more: More & { readonly label: string }
  ): Promise<Server> {
    const { label } = more
    const settings: Settings = {
      issuer,
      audience,
      algorithm,
      cache: definition.cache,
      usesJose: definition.usesJose ?? false,
      routes: 1,
      scopes: ["items:read"],
      ...more.settings
    }
    const child = new Child({
      name: label,
      file: join(import.meta.dirname, "../servers", definition.file),
      env: { BENCH_SERVER: JSON.stringify(settings) },
      execArgv: [...flags, ...(more.execArgv ?? [])]
    })
    return new Server(label, definition, (await child.ready) as number, child)
  }

  get output(): string {
    return this.#child.output
  }

  /** Returns the resource usage. `collect` runs the garbage collector first, and requires `--expose-gc`. */
  usage(collect = false): Promise<Usage> {
    return this.#child.ask({ collect }) as Promise<Usage>
  }

  /** Stops the process without ending it, so that it needs no CPU time. */
  pause(): void {
    this.#child.signal("SIGSTOP")
  }

  resume(): void {
    this.#child.signal("SIGCONT")
  }

  stop(): Promise<void> {
    return this.#child.stop()
  }
}
