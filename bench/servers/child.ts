/** What each server knows of the bench, what it answers with, and what it tells of itself. */
import { answers } from "../answers.ts"

export interface Settings {
  readonly issuer: string
  readonly audience: string
  readonly algorithm: "RS256" | "ES256" | "EdDSA"
  /** Whether verified tokens are kept, where the server can. */
  readonly cache: boolean
  /** Whether signatures are checked with `node:crypto`, where the server can. */
  readonly nodeSignatures: boolean
  /** How many routes there are. */
  readonly routes: number
  /** The scopes that `/items` requires. */
  readonly scopes: ReadonlyArray<string>
}

export interface Usage {
  /** In microseconds, of all threads. */
  readonly cpu: number
  /** In bytes. */
  readonly rss: number
  readonly heap: number
}

export const settings = JSON.parse(process.env["BENCH_SERVER"] ?? "{}") as Settings

/** `/open` answers with it; `/items` with the token's subject, which has as many characters. */
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

/** Call it when the port takes requests. */
export const listening = (port: number): void => {
  answers(port, ({ collect }: { readonly collect: boolean }) => {
    if (collect) {
      if (globalThis.gc === undefined) throw new Error("the server runs without --expose-gc")
      globalThis.gc()
    }
    return usage()
  })
}
