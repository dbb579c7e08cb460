// Compares the figures and versions that pages repeat with the tables of docs/performance.md and the lock of bench.
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..", "..")
const read = (file: string) => readFileSync(join(root, file), "utf8")

type Table = ReadonlyMap<string, ReadonlyMap<string, string>>

/** The first table of a text: cells by the name of their row and of their column. */
const tableOf = (text: string): Table => {
  const lines = text.slice(text.search(/^\|/m)).split(/\n(?!\|)/)[0] ?? ""
  const [header = [], , ...rows] = lines.split("\n").map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim())
  )
  return new Map(rows.map((row) => [row[0] ?? "", new Map(row.map((cell, column) => [header[column] ?? "", cell]))]))
}

const performance = read("docs/performance.md")
const measured = (name: string): Table => tableOf(performance.split(`<!-- begin ${name} -->`)[1] ?? "")
const cellOf = (table: Table, row: string, column: string): string => {
  const cell = table.get(row)?.get(column)
  if (cell === undefined) throw new Error(`There is no cell "${row}", "${column}".`)
  return cell
}

const ratios = measured("ratios")
const cpu = measured("cpu")
const ours = "this library, HttpRouter"
const [limit, cached] = ["node:http, a map of verified tokens", "fastify, @fastify/jwt with cache"]

/** The largest ratio of a server of another library. */
const bestOther = (column: string): string =>
  [...ratios]
    .filter(([row]) => !row.startsWith("this library") && row !== limit)
    .map(([, cells]) => cells.get(column) ?? "")
    .toSorted()
    .at(-1) ?? ""

describe("docs/performance.md", () => {
  it("begins with results that its tables have", () => {
    const rows = [...tableOf(performance).values()].map((row) => [...row.values()].slice(1))
    assert.deepStrictEqual(rows, [
      [cellOf(ratios, ours, "one token"), bestOther("one token")],
      [cellOf(ratios, ours, "malformed tokens"), bestOther("malformed tokens")],
      [cellOf(cpu, ours, "one token"), cellOf(cpu, cached, "one token")]
    ])
    const open = Number(cellOf(cpu, ours, "the open route"))
    const cost = Number(cellOf(cpu, ours, "one token")) - open
    assert.include(
      performance,
      `The open route of the same server needs ${open} µs, so authentication costs ${cost} µs of CPU time.`
    )
  })
})

describe("docs/comparison.md", () => {
  const page = read("docs/comparison.md")

  it("has figures that docs/performance.md has", () => {
    const speed = tableOf(page.split("## Speed")[1] ?? "")
    assert.isAtLeast(speed.size, 6)
    for (const [row, cells] of speed) {
      for (const [column, cell] of [...cells].slice(1)) {
        assert.strictEqual(cell, cellOf(ratios, row, column), `${row}, ${column}`)
      }
    }
  })

  it("names the versions that bench measures", () => {
    const lock = JSON.parse(read("bench/package-lock.json")) as {
      readonly packages: Readonly<Record<string, { readonly version: string }>>
    }
    const version = (name: string) => lock.packages[`node_modules/${name}`]?.version
    const versions = tableOf(page)
    assert.strictEqual(cellOf(versions, "Express", "version"), version("express-oauth2-jwt-bearer"))
    assert.strictEqual(cellOf(versions, "Hono", "version"), version("hono"))
    assert.strictEqual(cellOf(versions, "Fastify", "version"), version("@fastify/jwt"))
    const { version: own } = JSON.parse(read("package.json")) as { readonly version: string }
    assert.strictEqual(cellOf(versions, "this library", "version"), own)
  })
})
