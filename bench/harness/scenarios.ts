/** What is asked of the servers. */
import type { Request } from "../generator/request.ts"
import { open } from "../servers/child.ts"
import type { Minter } from "./issuer.ts"
import type { Row } from "./measure.ts"
import type { Definition, Server } from "./servers.ts"
import { minting, type Token } from "./tokens.ts"

export const scenarios = {
  open: "the open route",
  openToken: "the open route, sent a token",
  openGarbage: "the open route, sent garbage",
  warm: "one token",
  thousand: "1,000 tokens in turn",
  misses: "20,000 tokens in turn",
  garbage: "garbage",
  garbageInTurn: "20,000 kinds of garbage in turn",
  none: "no token",
  scope: "a token without the scope"
} as const

export type Scenario = keyof typeof scenarios

/** The same requests, to the open route: what is left between the two is what the route's protection takes. */
export const openOf = (scenario: Scenario): Scenario =>
  scenario === "none" ? "open" : scenario.startsWith("garbage") ? "openGarbage" : "openToken"

/** Those of the open route that only stand beside others. */
export const isBeside = (scenario: Scenario): boolean => scenario === "openToken" || scenario === "openGarbage"

export const scenarioNames = Object.keys(scenarios) as ReadonlyArray<Scenario>

const garbage = ["garbage.garbage.garbage", "garbage", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."]

/** Nobody who has seen one of them has seen the next. */
const garbageInTurn = Array.from({ length: 20_000 }, (_, i) => `garbage${i}${i % 2 === 0 ? "" : ".garbage.garbage"}`)

/** The requests of each scenario, made once. */
export class Requests {
  readonly #mint: (index: number) => Token
  readonly #withoutScope: Token
  readonly #tokens: Array<Token> = []
  readonly #bad: ReadonlyArray<string>
  readonly #lists = new Map<string, ReadonlyArray<Request>>()

  constructor(minter: Minter) {
    this.#mint = minting(minter)
    this.#withoutScope = minting(minter, ["items:write"])(0)
    this.#bad = bad(minter)
  }

  /** Servers that answer in the same way share a list. */
  row(server: Server, scenario: Scenario): Row {
    const { challenges, withoutScope } = server.definition
    const list =
      scenario === "scope" ? `${scenario} ${withoutScope}` : challenges ? scenario : `${scenario} unchallenged`
    const requests = this.#lists.get(list) ?? this.#make(scenario, server.definition)
    this.#lists.set(list, requests)
    return { server, list, requests }
  }

  /** What every server must refuse, since all are to do the same work. It is checked, never timed. */
  badRow(server: Server): Row {
    const { challenges: challenge } = server.definition
    const requests = this.#bad.map((token) => ({ path: "/items", token, status: 401, challenge }))
    return { server, list: challenge ? "bad tokens" : "bad tokens unchallenged", requests }
  }

  #make(scenario: Scenario, { challenges: challenge, withoutScope }: Definition): ReadonlyArray<Request> {
    switch (scenario) {
      case "open":
        return this.#open([undefined])
      case "openToken":
        return this.#open([this.#token(0).compact])
      case "openGarbage":
        return this.#open(garbage)
      case "warm":
        return this.#good(1)
      case "thousand":
        return this.#good(1000)
      case "misses":
        return this.#good(20_000)
      case "garbage":
        return this.#refused(garbage, challenge)
      case "garbageInTurn":
        return this.#refused(garbageInTurn, challenge)
      case "none":
        return [{ path: "/items", status: 401, challenge }]
      case "scope":
        return [
          {
            path: "/items",
            token: this.#withoutScope.compact,
            status: withoutScope,
            challenge: challenge && withoutScope === 401
          }
        ]
    }
  }

  #open(tokens: ReadonlyArray<string | undefined>): ReadonlyArray<Request> {
    return tokens.map((token) => ({
      path: "/open",
      ...(token === undefined ? {} : { token }),
      status: 200,
      body: JSON.stringify(open)
    }))
  }

  #refused(tokens: ReadonlyArray<string>, challenge: boolean): ReadonlyArray<Request> {
    return tokens.map((token) => ({ path: "/items", token, status: 401, challenge }))
  }

  #good(count: number): ReadonlyArray<Request> {
    return Array.from({ length: count }, (_, index) => {
      const { compact, subject } = this.#token(index)
      return { path: "/items", token: compact, status: 200, body: JSON.stringify({ subject }) }
    })
  }

  #token(index: number): Token {
    return (this.#tokens[index] ??= this.#mint(index))
  }
}

/** Forged, expired, of another issuer, and for another audience. */
const bad = (minter: Minter): ReadonlyArray<string> => {
  const mint = minting(minter)
  const changed = (claims: Readonly<Record<string, unknown>>) => minting(minter, undefined, claims)(0).compact
  const [header, payload] = mint(0).compact.split(".")
  const [, , signature] = mint(1).compact.split(".")
  return [
    `${header}.${payload}.${signature}`,
    changed({ exp: Math.floor(Date.now() / 1000) - 3600 }),
    changed({ iss: "https://issuer.example.com" }),
    changed({ aud: "https://another.example.com" })
  ]
}
