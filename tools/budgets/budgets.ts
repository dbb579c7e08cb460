// The limits that `npm run check:budgets` enforces. Each figure is deterministic, so a slow machine does not change it.

import type { Loads, TypeCost } from "./compare.ts"

/** For scale: importing `effect` itself loads 247 modules with 5.3 MB. */
const everyEntryPoint: Loads = {
  // The entry point, and one module that all entry points share.
  "effect-oauth2": { modules: 2, bytes: 240_000 },
  effect: { modules: 219, bytes: 4_500_000 },
  jose: { modules: 9, bytes: 30_000 }
}

/** What importing an entry point may load, by package. It may load nothing from a package that is not listed. */
export const loadBudgets = (entryPoint: string): Loads =>
  entryPoint === "effect-oauth2/testing"
    ? // The test issuer signs tokens.
      { ...everyEntryPoint, "effect-oauth2": { modules: 2, bytes: 265_000 }, jose: { modules: 46, bytes: 130_000 } }
    : everyEntryPoint

/**
 * What the requirements of an API of 200 endpoints and 21 scopes may add to the work of the compiler, compared with one
 * plain middleware (see `bench/types`).
 */
export const typeBudget: TypeCost = { Instantiations: 73_000, Types: 6_500 }
