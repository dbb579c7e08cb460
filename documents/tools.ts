/**
 * Runs the tools of this folder on OpenAPI documents. `npm ci --prefix documents` installs them, and so does `.ci/run`.
 *
 * The tools are loaded late and without their types, so that `npm run check:types` succeeds without them.
 */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"

const folder = import.meta.dirname
const load = createRequire(join(folder, "package.json"))
const run = promisify(execFile)

const names = [
  "@hey-api/openapi-ts",
  "@redocly/openapi-core",
  "@stoplight/spectral-core",
  "@stoplight/spectral-parsers",
  "@stoplight/spectral-rulesets",
  "openapi-typescript",
  "typescript"
]

/** Tools that are not installed. Outside of CI, the tests leave them out and say so. */
export const missing = (): ReadonlyArray<string> => {
  const absent = names.filter((name) => !existsSync(join(folder, "node_modules", name, "package.json")))
  if (absent.length === 0 || process.env["CI"] !== "true") return absent
  throw new Error(`${absent.join(", ")} are missing. Run npm ci --prefix documents.`)
}

/** Returns the problems that Redocly's recommended rules find: errors and warnings. */
export const lintWithRedocly = async (document: unknown): Promise<ReadonlyArray<string>> => {
  const { createConfig, lintFromString } = load("@redocly/openapi-core") as {
    readonly createConfig: (options: object) => Promise<unknown>
    readonly lintFromString: (options: object) => Promise<
      ReadonlyArray<{
        readonly severity: string
        readonly ruleId: string
        readonly message: string
        readonly location: ReadonlyArray<{ readonly pointer?: string }>
      }>
    >
  }
  const config = await createConfig({ extends: ["recommended"] })
  const problems = await lintFromString({ source: JSON.stringify(document), absoluteRef: "/openapi.json", config })
  return problems.map(
    ({ location, message, ruleId, severity }) => `${severity} ${ruleId} ${location[0]?.pointer ?? ""}: ${message}`
  )
}

/** Returns the problems that Spectral's rules for OpenAPI find: errors, warnings and hints. */
export const lintWithSpectral = async (document: unknown): Promise<ReadonlyArray<string>> => {
  const { Document, Spectral } = load("@stoplight/spectral-core") as {
    readonly Document: new (source: string, parser: unknown, path: string) => unknown
    readonly Spectral: new () => {
      readonly setRuleset: (rules: unknown) => void
      readonly run: (document: unknown) => Promise<
        ReadonlyArray<{
          readonly code: string
          readonly message: string
          readonly path: ReadonlyArray<string | number>
        }>
      >
    }
  }
  const { Json } = load("@stoplight/spectral-parsers") as { readonly Json: unknown }
  const { oas } = load("@stoplight/spectral-rulesets") as { readonly oas: unknown }
  const spectral = new Spectral()
  spectral.setRuleset(oas)
  const problems = await spectral.run(new Document(JSON.stringify(document), Json, "/openapi.json"))
  return problems.map(({ code, message, path }) => `${code} ${path.join("/")}: ${message}`)
}

/** Writes the types that openapi-typescript generates into a file. */
export const generateTypes = async (document: unknown, file: string): Promise<void> => {
  const { astToString, default: generate } = (await importTool("openapi-typescript", "dist/index.mjs")) as {
    readonly default: (source: string) => Promise<unknown>
    readonly astToString: (nodes: unknown) => string
  }
  await writeFile(file, astToString(await generate(JSON.stringify(document))))
}

/** Writes the client that hey-api generates, with its client for `fetch`, into a folder. */
export const generateClient = async (document: unknown, to: string): Promise<void> => {
  const { createClient } = (await importTool("@hey-api/openapi-ts", "dist/index.mjs")) as {
    readonly createClient: (options: object) => Promise<unknown>
  }
  await createClient({
    input: document,
    output: { path: to, module: { extension: ".js" } },
    plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
    logs: { level: "silent", file: false }
  })
}

const importTool = (name: string, file: string): Promise<unknown> =>
  import(pathToFileURL(join(folder, "node_modules", name, file)).href)

/** Compiles a folder of TypeScript to JavaScript in its folder `dist`. Returns the messages of the compiler. */
export const compile = async (source: string): Promise<string> => {
  const compilerOptions = {
    strict: true,
    target: "es2023",
    lib: ["es2023", "dom", "dom.iterable"],
    module: "nodenext",
    types: [],
    rootDir: ".",
    outDir: "dist"
  }
  await mkdir(source, { recursive: true })
  await writeFile(join(source, "package.json"), JSON.stringify({ type: "module" }))
  await writeFile(join(source, "tsconfig.json"), JSON.stringify({ compilerOptions, exclude: ["dist"] }))
  const compiler = join(folder, "node_modules", "typescript", "bin", "tsc")
  return run(process.execPath, [compiler, "-p", source]).then(
    ({ stdout }) => stdout,
    (error: Error & { readonly stdout?: string }) => error.stdout || error.message
  )
}
