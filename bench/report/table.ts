/** Formats results for the terminal. */
import type { Results } from "../harness/compare.ts"
import { typical } from "../harness/measure.ts"

/** Returns a table with the medians of each row. */
export const table = (title: string, results: Results): string => {
  const head = [title, "requests/s", "CPU µs", "busy", "load µs"]
  const lines = Array.from(results.samples, ([name, samples]) => {
    const { busy, cpu, load, rate } = typical(samples)
    return [name, rate.toFixed(0), cpu.toFixed(1), busy.toFixed(2), load.toFixed(1)]
  })
  return align([head, ...lines])
}

/** Aligns the first column to the left, and the figures to the right. */
export const align = (lines: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widthOf = (column: number) => Math.max(...lines.map((line) => line[column]!.length))
  return lines
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widthOf(i)) : cell.padStart(widthOf(i)))).join("  "))
    .join("\n")
}
