/** Writes the table of `docs/runtimes.md` from the results of the runtimes. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { format, resolveConfig } from "prettier"
import type { Results } from "./programs/checks.ts"

/** Headings of the columns, in order. The tests compare each version with the running program. */
export const headings = {
  node22: "Node 22.19",
  node: "Node 24",
  node26: "Node 26",
  bun: "Bun 1.4",
  deno: "Deno 2.9",
  workerd: "Cloudflare Workers",
  chromium: "Chromium"
} as const

export type Column = keyof typeof headings

export const path = join(import.meta.dirname, "..", "..", "docs", "runtimes.md")
export const page = (): string => readFileSync(path, "utf8")

const table = /^\|[^]*?\n(?!\|)/m

/** Returns the column of a runtime in the page. */
export const columnOf = (text: string, column: Column): Results => {
  const [heads = [], , ...rows] = (table.exec(text)?.[0] ?? "")
    .trim()
    .split("\n")
    .map((row) => row.split("|").map((cell) => cell.trim()))
  const index = heads.indexOf(headings[column])
  return Object.fromEntries(rows.map((cells) => [cells[1] ?? "", cells[index] ?? ""]))
}

/** Returns the page with a table of the results. */
export const withTable = async (text: string, results: Readonly<Record<Column, Results>>): Promise<string> => {
  const columns = Object.keys(headings) as ReadonlyArray<Column>
  const row = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |\n`
  const rows = Object.keys(results.node).map((name) =>
    row([name, ...columns.map((column) => results[column][name] ?? "")])
  )
  const head = row(["capability", ...columns.map((column) => headings[column])])
  const replaced = text.replace(table, () => head + row(["---", ...columns.map(() => "---")]) + rows.join(""))
  return format(replaced, { ...(await resolveConfig(path)), parser: "markdown" })
}
