/** Finds the programs of this folder. `npm ci --prefix runtimes` installs them, and so does `.ci/run`. */
import { existsSync } from "node:fs"
import { join } from "node:path"

const arch = process.arch
const folder = join(import.meta.dirname, "node_modules")

// The packages install their program with a script, which `npm ci` may refuse to run. These are the files themselves.
const paths = {
  bun: `@oven/bun-${process.platform}-${arch === "arm64" ? "aarch64" : arch}/bin/bun`,
  deno: `@deno/${process.platform}-${arch}${process.platform === "linux" ? "-glibc" : ""}/deno`,
  esbuild: `@esbuild/${process.platform}-${arch}/bin/esbuild`,
  node22: `node-22-${process.platform}-${arch}/bin/node`,
  node26: `node-26-${process.platform}-${arch}/bin/node`,
  workerd: `@cloudflare/workerd-${process.platform}-${arch === "x64" ? "64" : arch}/bin/workerd`
} as const

export type Runtime = keyof typeof paths

/** Returns the path of a program, or `undefined` if it is not installed. */
export const find = (runtime: Runtime): string | undefined => {
  const path = join(folder, paths[runtime])
  if (existsSync(path)) return path
  if (process.env["CI"] !== "true") return undefined
  throw new Error(`${runtime} is missing. Run npm ci --prefix runtimes.`)
}

/** Programs that are not installed. Outside of CI, the tests leave them out and say so. */
export const missing = (): ReadonlyArray<Runtime> =>
  (Object.keys(paths) as ReadonlyArray<Runtime>).filter((runtime) => find(runtime) === undefined)
