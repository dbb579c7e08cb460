// The generated programs on disk, and what a compiler says about each of them.
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { generate, type Variant, variants } from "./generate.ts"

export const figures = ["Instantiations", "Types", "Check time"] as const
export type Figures = Record<(typeof figures)[number], number>

/** Compiles a program with the compiler of a package. */
export type Measure = (compiler: string, variant: Variant) => Figures

const root = join(import.meta.dirname, "..", "..")

/** Writes the programs and the declarations that users install to a temporary folder. */
export const withPrograms = (use: (measure: Measure) => void): void => {
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

  const measure: Measure = (name, variant) => {
    const output = tsc(name, "-p", variant, "--extendedDiagnostics")
    const read = (figure: string) => Number(new RegExp(`^${figure}:\\s+([\\d.]+)`, "m").exec(output)?.[1] ?? Number.NaN)
    return { Instantiations: read("Instantiations"), Types: read("Types"), "Check time": read("Check time") }
  }

  try {
    prepare()
    use(measure)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
