/** Reads the options of the command line. */
import { parseArgs } from "node:util"
import { type Algorithm, algorithms } from "./harness/issuer.ts"
import { type Scenario, scenarioNames } from "./harness/scenarios.ts"
import { type Name, names } from "./harness/servers.ts"
import type { Fleet } from "./servers/child.ts"

export const fleetKinds: Readonly<Record<Fleet["kind"], string>> = {
  jwt: "JWT, no revocations",
  "jwt-copy": "JWT, local copy of the revocations",
  "jwt-lookup": "JWT, a lookup of the revocations per request",
  "introspection-local": "introspection, cached in each process",
  "introspection-shared": "introspection, cached in each process and in Redis",
  "introspection-uncached": "introspection, no cache"
}

const kindNames = Object.keys(fleetKinds) as ReadonlyArray<Fleet["kind"]>

export const parts = [
  "routes-router",
  "routes-api",
  "scopes",
  "keys",
  "connections",
  "memory",
  "soak",
  "start-up"
] as const

/** Part of `--growth`. */
export type Part = (typeof parts)[number]

export interface Settings {
  readonly mode: "full" | "quick" | "growth" | "refusals" | "fleet"
  readonly connections: number
  readonly rounds: number | undefined
  /** Duration of each run. */
  readonly seconds: number | undefined
  readonly rows: ReadonlyArray<Scenario>
  readonly servers: ReadonlyArray<Name>
  readonly algorithms: ReadonlyArray<Algorithm>
  /** `true` if the run has all rows, servers and algorithms. */
  readonly complete: boolean
  readonly parts: ReadonlyArray<Part>
  readonly soakSeconds: number
  readonly tokens: number
  /** Servers of `--fleet`. */
  readonly kinds: ReadonlyArray<Fleet["kind"]>
}

const usage = `npm run bench                  measure everything, and update docs/performance.md
npm run bench -- --quick       measure the main rows in less than a minute
npm run bench -- --refusals    measure tokens that are refused after their signature is checked
npm run bench -- --fleet       measure three processes that share revocations and introspection over Redis
npm run bench -- --growth      measure the growth with routes, scopes, keys, connections, tokens and time

  --rows=${scenarioNames.join(",")}
  --servers=${names.join(",")}
  --algorithms=${algorithms.join(",")}
  --rounds=N --seconds=S --connections=N
  --kinds=${kindNames.join(",")}  (only with --fleet)
  --parts=${parts.join(",")} --tokens=N --soak-seconds=S  (only with --growth)`

const chosen = <A extends string>(
  option: string,
  value: string | undefined,
  all: ReadonlyArray<A>
): ReadonlyArray<A> =>
  value === undefined
    ? all
    : value.split(",").map((name) => {
        const found = all.find((supported) => supported === name)
        if (found === undefined) {
          throw new Error(`--${option} does not accept ${JSON.stringify(name)}. Use one or more of ${all.join(",")}.`)
        }
        return found
      })

const number = (option: string, value: string | undefined): number | undefined => {
  if (value === undefined) return undefined
  if (!(Number(value) > 0)) throw new Error(`--${option} must be a number greater than 0.`)
  return Number(value)
}

/** Returns the settings. Throws an error with the usage if an option is invalid. */
export const read = (args: ReadonlyArray<string>): Settings => {
  try {
    return parse(args)
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`, { cause: error })
  }
}

const modes = ["quick", "growth", "refusals", "fleet"] as const

const parse = (args: ReadonlyArray<string>): Settings => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean" },
      growth: { type: "boolean" },
      refusals: { type: "boolean" },
      fleet: { type: "boolean" },
      rows: { type: "string" },
      servers: { type: "string" },
      algorithms: { type: "string" },
      rounds: { type: "string" },
      seconds: { type: "string" },
      connections: { type: "string" },
      parts: { type: "string" },
      tokens: { type: "string" },
      "soak-seconds": { type: "string" },
      kinds: { type: "string" }
    }
  })
  return {
    mode: modes.find((mode) => values[mode] === true) ?? "full",
    connections: number("connections", values.connections) ?? 64,
    rounds: number("rounds", values.rounds),
    seconds: number("seconds", values.seconds),
    rows: chosen("rows", values.rows, scenarioNames),
    servers: chosen("servers", values.servers, names),
    algorithms: chosen("algorithms", values.algorithms, algorithms),
    complete: values.rows === undefined && values.servers === undefined && values.algorithms === undefined,
    parts: chosen("parts", values.parts, parts),
    soakSeconds: number("soak-seconds", values["soak-seconds"]) ?? 300,
    tokens: number("tokens", values.tokens) ?? 1_000_000,
    kinds: chosen("kinds", values.kinds, kindNames)
  }
}
