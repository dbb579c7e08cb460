// Measures what requirements cost the compiler, for an api of 200 endpoints and 21 scopes.
// Compares requirements, a plain middleware, and an open api. Compiles each `ROUNDS` times (default 5).
import { type Figures, figures, type Measure, withPrograms } from "./programs.ts"
import { type Variant, variants } from "./generate.ts"

const rounds = Number(process.env["ROUNDS"] ?? 5)
const compilers = { "TypeScript 7": "typescript", "TypeScript 5.9": "typescript-5.9" }

const median = (numbers: ReadonlyArray<number>): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const bench = (measure: Measure, label: string, name: string): void => {
  const runs: Record<Variant, Array<Figures>> = { open: [], middleware: [], requirements: [] }
  for (let round = 0; round < rounds; round++) {
    for (const variant of variants) runs[variant].push(measure(name, variant))
  }
  const of = (variant: Variant, figure: keyof Figures) => median(runs[variant].map((run) => run[figure]))
  for (const figure of figures) {
    const unit = figure === "Check time" ? "s" : ""
    console.log(
      `${label}, ${figure}: ${variants.map((variant) => `${variant} ${of(variant, figure)}${unit}`).join(", ")}`
    )
  }
  for (const figure of figures) {
    const ratio = (variant: Variant, base: Variant) => (of(variant, figure) / of(base, figure)).toFixed(3)
    const name = `${label} ${figure}`.toLowerCase().replaceAll(" ", "-")
    console.log(`RATIO ${name}-requirements/middleware ${ratio("requirements", "middleware")}`)
    console.log(`RATIO ${name}-middleware/open ${ratio("middleware", "open")}`)
  }
}

withPrograms((measure) => {
  for (const [label, name] of Object.entries(compilers)) bench(measure, label, name)
})
