// Compares figures with their budgets. Each sentence says which budget is exceeded, by what, and what to do.

import { serverModulesIn, type Size } from "../sizes/measure.ts"

/** What importing an entry point may load from one package, or does load. */
export interface Load {
  readonly modules: number
  readonly bytes: number
}

/** The load of an entry point, by package. */
export type Loads = Readonly<Record<string, Load>>

export interface TypeCost {
  readonly Instantiations: number
  readonly Types: number
}

export const raise = "If the cost is worth it, raise the budget in tools/budgets/budgets.ts and say why in the commit."

/**
 * The figures of one package that exceed a budget are one problem, which names the entry point that exceeds it most.
 */
export const importProblems = (
  loads: ReadonlyMap<string, Loads>,
  budgetsOf: (entryPoint: string) => Loads
): ReadonlyArray<string> => {
  const excesses = [...loads].flatMap(([entryPoint, ofEntryPoint]) =>
    Object.entries(ofEntryPoint).flatMap(([name, load]) =>
      (["modules", "bytes"] as const).map((unit) => {
        const limit = budgetsOf(entryPoint)[name]?.[unit] ?? 0
        return { entryPoint, name, unit, figure: load[unit], limit }
      })
    )
  )
  const exceeded = excesses
    .filter(({ figure, limit }) => figure > limit)
    .toSorted((a, b) => b.figure - b.limit - (a.figure - a.limit))
  return [...Map.groupBy(exceeded, ({ name, unit }) => `${name} ${unit}`).values()].map((group) => {
    const { entryPoint, figure, limit, name, unit } = group[0]!
    const others = group.length === 1 ? "" : ` Entry points that exceed it: ${group.length}.`
    return (
      `Importing ${entryPoint} loads ${figure} ${unit} of ${name}, but the budget is ${limit}.${others} ` +
      "Import less, or load what is rarely needed with import()."
    )
  })
}

export const typeProblems = (added: TypeCost, budget: TypeCost): ReadonlyArray<string> =>
  (["Instantiations", "Types"] as const)
    .filter((figure) => added[figure] > budget[figure])
    .map(
      (figure) =>
        `The requirements of 200 endpoints add ${added[figure]} ${figure} to the compiler's work, but the budget is ` +
        `${budget[figure]}. Find the commit with "npm run bench:types" and make its types simpler.`
    )

export const sizeProblems = (
  sizes: ReadonlyArray<Size>,
  budgets: Readonly<Record<Size["program"], { readonly added: number; readonly ownAndJose: number }>>
): ReadonlyArray<string> =>
  sizes.flatMap(({ bundler, code, effectAlone, ownAndJose = 0, program, total }) => {
    const budget = budgets[program]
    const figures = { added: total - effectAlone, ownAndJose }
    const foreign = program === "client" ? serverModulesIn(code) : []
    return [
      ...(["added", "ownAndJose"] as const)
        .filter((figure) => figures[figure] > budget[figure])
        .map(
          (figure) =>
            `The ${program} that ${bundler} bundles has ${figures[figure]} bytes of gzip (${figure}), but the budget is ` +
            `${budget[figure]}. Compare with "npm run sizes".`
        ),
      ...foreign.map((name) => `The client that ${bundler} bundles contains ${name}, which only a server needs.`)
    ]
  })
