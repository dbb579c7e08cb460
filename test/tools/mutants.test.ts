import { assert, describe, it } from "@effect/vitest"
import ts from "@typescript/typescript6"
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { chooseFiles, readChangedLines } from "../../tools/mutants/files.ts"
import { apply, findMutants, instrument } from "../../tools/mutants/mutate.ts"
import { writeReport } from "../../tools/mutants/report.ts"
import { Results } from "../../tools/mutants/results.ts"

const root = join(import.meta.dirname, "..", "..")

/** The texts that a source becomes. */
const mutate = (source: string): ReadonlyArray<string> =>
  findMutants(source)
    .map((mutant) => apply(source, mutant))
    .toSorted()

describe("mutants", () => {
  it.each([
    ["if (a) b", ["if (a) ;", "if (false) b", "if (true) b"]],
    ["while (a) {}", ["while (false) {}", "while (true) {}"]],
    ["let x = a ? b : c", ["let x = false ? b : c", "let x = true ? b : c"]],
    ["let x = a && b", ["let x = (a)", "let x = (b)", "let x = a || b"]],
    ["let x = a || b", ["let x = (a)", "let x = (b)", "let x = a && b"]],
    ["let x = a ?? b", ["let x = (a)", "let x = (b)"]],
    ["let x = a === b", ["let x = a !== b"]],
    ["let x = a !== b", ["let x = a === b"]],
    ["let x = a < b", ["let x = a <= b"]],
    ["let x = a >= b", ["let x = a > b"]],
    ["let x = a - b", ["let x = a + b"]],
    ["let x = !a", ["let x = (a)"]],
    ["let x = true", ["let x = false"]],
    ["let x = false", ["let x = true"]],
    [`let x = "a"`, [`let x = ""`]],
    [`let x = ""`, [`let x = "mutant"`]],
    ["let x = `a${b}`", [`let x = ""`]],
    ["let x = [a]", ["let x = []"]],
    ["let x = /^a$/i", ["let x = /^a/i", "let x = /a$/i"]],
    ["verify(a)", [";"]],
    ["throw a", [";"]],
    ["function f() { return a }", ["function f() { return undefined }"]],
    ["let f = () => a", ["let f = () => undefined"]]
  ])("%s becomes %j", (source, expected) => {
    assert.deepStrictEqual(mutate(source), expected)
  })

  it.each([
    `import a from "b"`,
    `export { a } from "b"`,
    `type A = "a" | true`,
    `interface A { readonly a: "a" }`,
    `let x: "a" | undefined`,
    `let x = a as "b"`,
    "declare const a: true",
    "let x = []",
    "let f = () => undefined",
    "let x = f`a`",
    `let x = { "a-b": 1 }`,
    `let x = new TypeError("a" + b)`,
    `let x = "effect-oauth2/AccessToken"`,
    "class A extends B { constructor() { super(a) } }",
    "let x = /a/"
  ])("%s stays", (source) => assert.deepStrictEqual(mutate(source), []))

  it("know the line that they change", () => {
    assert.deepStrictEqual(
      findMutants("let a = 1\n\nlet b = true").map(({ line }) => line),
      [3]
    )
  })
})

describe("the instrumentation for coverage", () => {
  const hits = (source: string): ReadonlyArray<number> => {
    const units: Array<number> = []
    // A call in brackets would continue a line that has no semicolon.
    const code = instrument(source, (unit) => `(hit(${unit}))`)
    // The code is JavaScript of this test.
    // oxlint-disable-next-line typescript/no-implied-eval
    new Function("hit", code)((unit: number) => units.push(unit))
    return units
  }

  it("records the functions that run, and the module", () => {
    assert.deepStrictEqual(hits("const f = () => 1\nconst g = () => { return f() }\nconst h = () => 3\ng()"), [2, 1, 0])
  })

  it("keeps the meaning of a file without semicolons", () => {
    assert.deepStrictEqual(
      hits("const f = (a) => (b) => a + b\nif (f(1)(2) !== 3) throw new Error()\nconst g = f"),
      [1, 2, 0]
    )
  })

  it("gives each mutant the number of its function", () => {
    const source = "const f = () => { return a }\nclass A { b = true\n c() { d() } }"
    assert.deepStrictEqual(
      findMutants(source).map(({ original, unit }) => [original, unit]),
      [
        ["a", 1],
        ["true", 2],
        ["d()", 3]
      ]
    )
  })
})

describe("the files to mutate", () => {
  it("are all files of src but those that describe and those for tests", () => {
    const files = chooseFiles([])
    assert.isAbove(files.length, 50)
    assert.isFalse(files.some((file) => /openApi\/|swaggerUi\/|testing\/|SwaggerUi/.test(file)))
  })

  it("are those whose path contains a text", () => {
    assert.deepStrictEqual(
      chooseFiles(["TokenVerifier.ts"]).map((file) => file.split("/").at(-1)),
      ["TokenVerifier.ts"]
    )
  })

  it("are mutated in changed lines only", () => {
    const diff = [
      "--- a/src/A.ts",
      "+++ b/src/A.ts",
      "@@ -3 +3,2 @@ const a",
      "@@ -9,2 +10,0 @@",
      "@@ -12 +12 @@",
      "+++ b/src/B.ts",
      "@@ -0,0 +1 @@"
    ].join("\n")
    assert.deepStrictEqual(
      [...readChangedLines(diff)].map(([file, lines]) => [file, [...lines]]),
      [
        ["src/A.ts", [3, 4, 12]],
        ["src/B.ts", [1]]
      ]
    )
  })

  it("stay valid with a mutant, and when instrumented", { timeout: 60_000 }, () => {
    // The property is not in the types of the compiler. Compiling the files instead takes 10 times as long.
    const isValid = (source: string) => {
      const file = ts.createSourceFile("source.ts", source, ts.ScriptTarget.Latest)
      return (file as unknown as { readonly parseDiagnostics: ReadonlyArray<unknown> }).parseDiagnostics.length === 0
    }
    assert.isFalse(isValid("const a ="))
    for (const file of chooseFiles([])) {
      const source = readFileSync(join(root, file), "utf8")
      assert.isTrue(isValid(instrument(source, (unit) => `(hit(${unit}))`)), file)
      for (const [index, mutant] of findMutants(source).entries()) {
        if (index % 50 === 0) assert.isTrue(isValid(apply(source, mutant)), `${file}:${mutant.line} ${mutant.operator}`)
      }
    }
  })
})

describe("the results of earlier runs", () => {
  const folder = mkdtempSync(join(tmpdir(), "effect-oauth2-mutants-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it("keep killed mutants, and survivors until sources or tests change", () => {
    const file = join(folder, "results.jsonl")
    const first = new Results(file)
    first.add({ key: "a", version: "1", status: "killed", killer: "a test" })
    first.add({ key: "b", version: "1", status: "survived" })
    first.add({ key: "c", version: "1", status: "not covered" })
    // The process ended while it wrote a line.
    appendFileSync(file, '{"key":"d"')
    new Results(file).add({ key: "e", version: "1", status: "timeout" })
    const second = new Results(file)
    assert.deepStrictEqual(
      ["a", "b", "c", "d", "e"].map((key) => second.get(key, "1")?.status),
      ["killed", "survived", "not covered", undefined, "timeout"]
    )
    assert.deepStrictEqual(
      ["a", "b", "c"].map((key) => second.get(key, "2")?.status),
      ["killed", undefined, undefined]
    )
  })
})

describe("the report about mutants", () => {
  const [mutant] = findMutants("const a = true")
  const judged = (status: "killed" | "timeout" | "survived" | "not covered") => ({
    file: "src/A.ts",
    mutant: mutant!,
    result: { key: "", version: "", status }
  })

  it("has the score of each file, and the mutants that no test notices", () => {
    const report = writeReport([
      judged("killed"),
      judged("timeout"),
      judged("survived"),
      { file: "src/A.ts", mutant: mutant!, result: undefined }
    ])
    assert.include(report, "| src/A.ts | 4 | 3 | 1 | 1 | 1 | 0 | 66.7 % |")
    assert.include(report, "- src/A.ts:1 survived, other boolean: `true` → `false`")
  })

  it("counts a mutant that no test runs as not noticed", () => {
    assert.include(writeReport([judged("not covered")]), "| src/A.ts | 1 | 1 | 0 | 0 | 0 | 1 | 0.0 % |")
  })
})
