import { assert, describe, it } from "@effect/vitest"
import { importProblems, sizeProblems, typeProblems } from "../../tools/budgets/compare.ts"

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

describe("the budget of bundles", () => {
  const budget = { added: 10, ownAndJose: 5 }
  const size = { program: "client", bundler: "rolldown", total: 30, effectAlone: 20, ownAndJose: 5, code: "" } as const
  const problems = (part: object) => sizeProblems([{ ...size, ...part }], { client: budget, handler: budget })

  it("accepts figures up to the limit, and names each figure above", () => {
    assert.deepStrictEqual(problems({}), [])
    assert.deepStrictEqual(problems({ total: 31 }), [
      'The client that rolldown bundles has 11 bytes of gzip (added), but the budget is 10. Compare with "npm run sizes".'
    ])
    assert.deepStrictEqual(problems({ ownAndJose: 6 }).length, 1)
  })

  it("refuses the server's modules in a client, but not in a handler", () => {
    const code = 'span("JwtVerifier.verify")'
    assert.deepStrictEqual(problems({ code }), [
      "The client that rolldown bundles contains JwtVerifier, which only a server needs."
    ])
    assert.deepStrictEqual(problems({ code, program: "handler" }), [])
  })
})
