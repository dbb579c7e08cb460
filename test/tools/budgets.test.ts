import { assert, describe, it } from "@effect/vitest"
import { importProblems, typeProblems } from "../../tools/budgets/compare.ts"

describe("the budget of imports", () => {
  const budgets = () => ({ ours: { modules: 2, bytes: 100 } })
  it("accepts figures up to the limit", () => {
    assert.deepStrictEqual(importProblems(new Map([["a", { ours: { modules: 2, bytes: 100 } }]]), budgets), [])
  })

  it("names the entry point that exceeds the limit most, and counts the others", () => {
    const loads = new Map([
      ["a", { ours: { modules: 2, bytes: 101 } }],
      ["b", { ours: { modules: 2, bytes: 103 } }],
      ["c", { ours: { modules: 2, bytes: 100 } }]
    ])
    assert.deepStrictEqual(importProblems(loads, budgets), [
      "Importing b loads 103 bytes of ours, but the budget is 100. Entry points that exceed it: 2. " +
        "Import less, or load what is rarely needed with import()."
    ])
  })

  it("allows nothing of a package without a budget", () => {
    const [modules, bytes] = importProblems(new Map([["a", { other: { modules: 1, bytes: 5 } }]]), budgets).toSorted()
    assert.match(bytes!, /^Importing a loads 5 bytes of other, but the budget is 0\./)
    assert.match(modules!, /^Importing a loads 1 modules of other, but the budget is 0\./)
  })
})

describe("the budget of types", () => {
  it("accepts figures up to the limit, and names each figure above", () => {
    assert.deepStrictEqual(typeProblems({ Instantiations: 10, Types: 5 }, { Instantiations: 10, Types: 5 }), [])
    assert.deepStrictEqual(typeProblems({ Instantiations: 11, Types: 5 }, { Instantiations: 10, Types: 5 }), [
      "The requirements of 200 endpoints add 11 Instantiations to the compiler's work, but the budget is 10. " +
        'Find the commit with "npm run bench:types" and make its types simpler.'
    ])
  })
})
