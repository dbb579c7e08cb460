/** The scenarios, and the requests of each. */
import type { Request } from "../generator/request.ts"
import { open } from "../servers/child.ts"
import type { Minter } from "./issuer.ts"
import type { Row } from "./measure.ts"
import type { Definition, Server } from "./servers.ts"
import { minting, type Token } from "./tokens.ts"

export const scenarios = {
  open: "the open route",
  openToken: "the open route, with a token",
  openGarbage: "the open route, with malformed tokens",
  warm: "one token",
  thousand: "1,000 tokens in turn",
  misses: "20,000 tokens in turn",
  garbage: "malformed tokens",
  garbageInTurn: "20,000 malformed tokens in turn",
  none: "no token",
  scope: "a token without the scope",
  badSignature: "one token with a bad signature",
  badSignatures: "1,000 bad signatures in turn",
  expired: "1,000 expired tokens in turn"
} as const

export type Scenario = keyof typeof scenarios

/** Returns the scenario that sends the same requests to the open route. The difference is the cost of protection. */
export const baselineOf = (scenario: Scenario): Scenario =>
  scenario === "none" ? "open" : scenario.startsWith("garbage") ? "openGarbage" : "openToken"

/** Returns `true` for scenarios that only serve as a baseline of other scenarios. */
export const isBaseline = (scenario: Scenario): boolean => scenario === "openToken" || scenario === "openGarbage"

/** Returns `true` for scenarios of tokens that are refused after their signature is checked. */
export const isRefusal = (scenario: Scenario): boolean =>
  scenario === "badSignature" || scenario === "badSignatures" || scenario === "expired"

export const scenarioNames = Object.keys(scenarios) as ReadonlyArray<Scenario>

const garbage = ["garbage.garbage.garbage", "garbage", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."]

// No two of these tokens are equal, so no cache of refused tokens helps.
const garbageInTurn = Array.from({ length: 20_000 }, (_, i) => `garbage${i}${i % 2 === 0 ? "" : ".garbage.garbage"}`)

/** Makes the requests of each scenario once. */
export class Requests {
  readonly #mint: (index: number) => Token
  readonly #mintExpired: (index: number) => Token
  readonly #withoutScope: Token
  readonly #tokens: Array<Token> = []
  readonly #invalidTokens: ReadonlyArray<string>
  readonly #lists = new Map<string, ReadonlyArray<Request>>()

  constructor(minter: Minter) {
    this.#mint = minting(minter)
    this.#mintExpired = minting(minter, undefined, expired())
    this.#withoutScope = minting(minter, ["items:write"])(0)
    this.#invalidTokens = invalidTokens(minter)
  }

  /** Returns the row of a server and a scenario. Servers with the same responses share a list. */
  row(server: Server, scenario: Scenario): Row {
    const { challenges, withoutScope } = server.definition
    const list =
      scenario === "scope" ? `${scenario} ${withoutScope}` : challenges ? scenario : `${scenario} unchallenged`
    const requests = this.#lists.get(list) ?? this.#make(scenario, server.definition)
    this.#lists.set(list, requests)
    return { server, list, requests }
  }

  /** Returns tokens that every server must refuse, because all servers must do the same work. They are not timed. */
  invalidTokensRow(server: Server): Row {
    const { challenges: challenge } = server.definition
    const requests = this.#invalidTokens.map((token) => ({ path: "/items", token, status: 401, challenge }))
    return { server, list: challenge ? "invalid tokens" : "invalid tokens unchallenged", requests }
  }

  /** Returns the row that sends the tokens of a refused scenario to the open route. */
  openRow(server: Server, scenario: Scenario): Row {
    const tokens = this.row(server, scenario).requests.map(({ token }) => token)
    return { server, list: `open, ${scenario}`, requests: this.#open(tokens) }
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
      case "badSignature":
        return this.#refused([this.#forged(0)], challenge)
      case "badSignatures":
        return this.#refused(
          Array.from({ length: 1000 }, (_, index) => this.#forged(index)),
          challenge
        )
      case "expired":
        return this.#refused(
          Array.from({ length: 1000 }, (_, index) => this.#mintExpired(index).compact),
          challenge
        )
    }
  }

  /** Returns a token with the signature of another token. */
  #forged(index: number): string {
    return forged(this.#token(index), this.#token(index + 1))
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

/** Returns a forged token, an expired token, and tokens with another issuer and another audience. */
const invalidTokens = (minter: Minter): ReadonlyArray<string> => {
  const mint = minting(minter)
  const changed = (claims: Readonly<Record<string, unknown>>) => minting(minter, undefined, claims)(0).compact
  return [
    forged(mint(0), mint(1)),
    changed(expired()),
    changed({ iss: "https://issuer.example.com" }),
    changed({ aud: "https://another.example.com" })
  ]
}

const expired = () => ({ exp: Math.floor(Date.now() / 1000) - 3600 })

const forged = (token: Token, other: Token): string => {
  const [header, payload] = token.compact.split(".")
  const [, , signature] = other.compact.split(".")
  return `${header}.${payload}.${signature}`
}
