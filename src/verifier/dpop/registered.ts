/** Tells the results of `Dpop.make` from other objects, without the code of DPoP in programs that do not use it. */
import type * as Effect from "effect/Effect"
import type { ProofChecker } from "./checker.ts"

/** A result of `Dpop.make` for internal modules. */
export interface DpopSupport {
  readonly algorithms: ReadonlyArray<string>
  readonly nonces: boolean
  /** Returns the checker with the services of the program. The same services give the same checker. */
  readonly checker: Effect.Effect<ProofChecker>
}

const supports = new WeakMap<object, DpopSupport>()

export const register = <A extends object>(value: A, support: DpopSupport): A => {
  supports.set(value, support)
  return value
}

export const supportOf = (value: unknown): DpopSupport | undefined =>
  typeof value === "object" && value !== null ? supports.get(value) : undefined
