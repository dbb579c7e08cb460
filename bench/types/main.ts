// Measures what requirements cost the compiler, for an api of 200 endpoints and 21 scopes.
// Compares requirements, a plain middleware, and an open api. Compiles each `ROUNDS` times (default 5).
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { generate, type Variant, variants } from "./generate.ts"

const root = join(import.meta.dirname, "..", "..")
const rounds = Number(process.env["ROUNDS"] ?? 5)
const compilers = { "TypeScript 7": "typescript", "TypeScript 5.9": "typescript-5.9" }
const figures = ["Instantiations", "Types", "Check time"] as const

type Figures = Record<(typeof figures)[number], number>

const folder = realpathSync(mkdtempSync(join(tmpdir(), "effect-oauth2-bench-types-")))

const tsc = (name: string, ...args: ReadonlyArray<string>): string =>
  execFileSync(process.execPath, [join(root, "node_modules", name, "bin/tsc"), ...args], {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"]
  })

const prepare = (): void => {
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "dir")
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }))
  tsc("typescript", "-p", join(root, "tsconfig.build.json"), "--outDir", join(folder, "effect-oauth2"))
  for (const variant of variants) {
    mkdirSync(join(folder, variant))
    writeFileSync(join(folder, variant, "main.ts"), generate(variant))
    const settings = {
      extends: join(root, "tsconfig.json"),
      compilerOptions: { paths: { "effect-oauth2": [join(folder, "effect-oauth2/index.d.ts")] } },
      include: ["."]
    }
    writeFileSync(join(folder, variant, "tsconfig.json"), JSON.stringify(settings))
  }
}

const measure = (name: string, variant: Variant): Figures => {
  const output = tsc(name, "-p", variant, "--extendedDiagnostics")
  const read = (figure: string) => Number(new RegExp(`^${figure}:\\s+([\\d.]+)`, "m").exec(output)?.[1] ?? Number.NaN)
  return { Instantiations: read("Instantiations"), Types: read("Types"), "Check time": read("Check time") }
}

const median = (numbers: ReadonlyArray<number>): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const bench = (label: string, name: string): void => {
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

try {
  prepare()
  for (const [label, name] of Object.entries(compilers)) bench(label, name)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
