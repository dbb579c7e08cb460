/** Reads the granted scopes from claims, in each format that the `scopesFormat` option names. */
import * as scope from "../../core/scope.ts"
import { own } from "../../core/lib/ownProperties.ts"
import type { Policy as Options } from "./options.ts"
import type { Claims } from "./strictJson.ts"

export type Format = NonNullable<Options["scopesFormat"]>

/** Functions that read the scopes for one verifier. */
export interface Scopes {
  readonly granted: (claims: Claims) => ReadonlySet<string>
  /** Returns `true` if a claim at `scopesPath` exists. */
  readonly isPresent: (claims: Claims) => boolean
  /** Returns the format that fits the claim better than the configured one. */
  readonly betterFormat: (claims: Claims) => Format | undefined
}

const listOf: Readonly<Record<Format, (claim: unknown) => unknown>> = {
  spaces: (claim) => claim,
  commas: (claim) => (typeof claim === "string" ? claim.split(",").map((name) => name.trim()) : claim),
  names: (claim) =>
    isObject(claim)
      ? Object.entries(claim).flatMap(([name, value]) => (value === false || value === null ? [] : [name]))
      : claim
}

export const formats: ReadonlyArray<string> = Object.keys(listOf)

const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** An empty list of paths reads `scope`, or `scp` if `scope` is absent. */
export const make = (paths: ReadonlyArray<ReadonlyArray<string>>, format: Format): Scopes => {
  const read = listOf[format]
  const values: (claims: Claims) => ReadonlyArray<unknown> =
    paths.length === 0
      ? (claims) => [Object.hasOwn(claims, "scope") ? claims["scope"] : claims["scp"]]
      : (claims) => paths.map((path) => path.reduce<unknown>(own, claims))
  return {
    granted: (claims) => {
      const [first, ...others] = values(claims).map((claim) => scope.fromClaim(read(claim)))
      return others.length === 0 && first !== undefined
        ? first
        : scope.setOf([first ?? [], ...others].flatMap((names) => [...names]))
    },
    isPresent: (claims) => paths.length > 0 && values(claims).some((claim) => claim !== undefined && claim !== null),
    betterFormat: (claims) => {
      if (format !== "spaces") return
      const found = values(claims)
      if (found.some(isObject)) return "names"
      return found.some((claim) => typeof claim === "string" && claim.includes(",")) ? "commas" : undefined
    }
  }
}

/** Reads the scopes with a function of the application. */
export const fromFunction = (read: NonNullable<Options["readScopes"]>): Scopes => ({
  granted: (claims) => {
    const granted: unknown = read(claims)
    return scope.fromClaim(Array.isArray(granted) ? granted : undefined)
  },
  isPresent: () => false,
  betterFormat: () => undefined
})
