// Bundles small programs with rolldown and with esbuild, and measures what this library adds to Effect.
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { rolldown } from "rolldown"
import { find } from "../../runtimes/install.ts"

const programs = join(import.meta.dirname, "programs")

export type Program = "client" | "handler"

/** Bytes after gzip, of the minified bundle. */
export interface Size {
  readonly program: Program
  readonly bundler: "rolldown" | "esbuild"
  /** The whole bundle. */
  readonly total: number
  /** The bundle of the same program without security. */
  readonly effectAlone: number
  /** The bundle without Effect: this library and jose. Not measured with esbuild. */
  readonly ownAndJose: number | undefined
  /** The code, to see what is in the bundle. */
  readonly code: string
}

const withRolldown = async (program: string, external?: RegExp): Promise<string> => {
  // Every bundler removes unused code and minifies for production. Nothing else is set.
  const bundle = await rolldown({
    input: join(programs, `${program}.ts`),
    platform: "browser",
    logLevel: "silent",
    ...(external === undefined ? {} : { external })
  })
  const { output } = await bundle.generate({ minify: true, codeSplitting: false })
  await bundle.close()
  return output[0].code
}

const withEsbuild = (esbuild: string, program: string, folder: string): string => {
  const file = join(folder, `${program}.js`)
  const args = ["--bundle", "--minify", "--format=esm", "--log-level=error", `--outfile=${file}`]
  execFileSync(esbuild, [join(programs, `${program}.ts`), ...args], { stdio: ["ignore", "ignore", "inherit"] })
  return readFileSync(file, "utf8")
}

const gzipped = (code: string): number => gzipSync(code).length

/** Measures the built package. */
export const measureSizes = async (): Promise<ReadonlyArray<Size>> => {
  const sizes: Array<Size> = []
  const esbuild = find("esbuild")
  const folder = mkdtempSync(join(import.meta.dirname, ".bundles-"))
  try {
    for (const program of ["client", "handler"] as const) {
      const code = await withRolldown(program)
      sizes.push({
        program,
        bundler: "rolldown",
        total: gzipped(code),
        effectAlone: gzipped(await withRolldown(`${program}Alone`)),
        ownAndJose: gzipped(await withRolldown(program, /^effect(\/|$)/)),
        code
      })
      if (esbuild === undefined) continue
      const other = withEsbuild(esbuild, program, folder)
      const effectAlone = gzipped(withEsbuild(esbuild, `${program}Alone`, folder))
      sizes.push({
        program,
        bundler: "esbuild",
        total: gzipped(other),
        effectAlone,
        ownAndJose: undefined,
        code: other
      })
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
  return sizes
}

/** Texts of the modules that a browser client must not load. Minifiers keep them. */
const serverOnly: Readonly<Record<string, string>> = {
  jose: "ERR_JWS_SIGNATURE_VERIFICATION_FAILED",
  JwtVerifier: "JwtVerifier.verify",
  TokenIntrospection: "TokenIntrospection.verify",
  KeySet: "effect-oauth2/KeySet",
  SwaggerUi: "swagger-ui-dist"
}

/** Names the server's modules in a bundle. */
export const serverModulesIn = (code: string): ReadonlyArray<string> =>
  Object.entries(serverOnly).flatMap(([name, text]) => (code.includes(text) ? [name] : []))

const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`

export const describeSize = ({ bundler, effectAlone, ownAndJose, program, total }: Size): string =>
  `${program} (${bundler}): ${kilobytes(total)} gzip, ${kilobytes(total - effectAlone)} more than Effect alone` +
  (ownAndJose === undefined ? "" : `, ${kilobytes(ownAndJose)} of it this library and jose`)
