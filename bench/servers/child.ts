/** The parts that all servers share: settings, the body of the open route, and the messages to the bench. */
import { answerMessages } from "../answers.ts"

export interface Settings {
  readonly issuer: string
  readonly audience: string
  readonly algorithm: "RS256" | "ES256" | "EdDSA"
  /** Caches verified tokens, if the server supports it. */
  readonly cache: boolean
  /** Verifies signatures with jose, if the server has another default. */
  readonly usesJose: boolean
  /** What the server shares with other processes. */
  readonly fleet?: Fleet
  /** Number of protected routes. */
  readonly routes: number
  /** Scopes that `/items` requires. */
  readonly scopes: ReadonlyArray<string>
}

/** A server of a fleet. */
export interface Fleet {
  readonly kind:
    "jwt" | "jwt-copy" | "jwt-lookup" | "introspection-local" | "introspection-shared" | "introspection-uncached"
  readonly redisPort: number
}

export interface Usage {
  /** CPU time of all threads, in microseconds. */
  readonly cpu: number
  /** In bytes, like `heap`. */
  readonly rss: number
  readonly heap: number
}

export const settings = JSON.parse(process.env["BENCH_SERVER"] ?? "{}") as Settings

/** Body of `/open`. The body of `/items` has the same length, but contains the token's subject. */
export const open = { subject: "nobody-00000" }

export const fetchKeys = async (): Promise<{ readonly keys: ReadonlyArray<JsonWebKey & { readonly kid: string }> }> => {
  const response = await fetch(`${settings.issuer}/jwks`)
  return (await response.json()) as never
}

const usage = (): Usage => {
  const { system, user } = process.cpuUsage()
  const { heapUsed, rss } = process.memoryUsage()
  return { cpu: user + system, rss, heap: heapUsed }
}

/** Reports to the bench that the server accepts requests on the port. */
export const listening = (port: number): void => {
  answerMessages(port, ({ collect }: { readonly collect: boolean }) => {
    if (collect) {
      if (globalThis.gc === undefined) throw new Error("The server cannot collect garbage. Start it with --expose-gc.")
      globalThis.gc()
    }
    return usage()
  })
}
