/** Finds the programs of this folder. `npm ci --prefix runtimes` installs them, and so does `.ci/run`. */
import { existsSync } from "node:fs"
import { join } from "node:path"

const { arch, platform } = process
const exe = platform === "win32" ? ".exe" : ""
const folder = join(import.meta.dirname, "node_modules")

// The packages install their program with a script, which `npm ci` may refuse to run. These are the files themselves.
const paths = {
  bun: `@oven/bun-${platform === "win32" ? "windows" : platform}-${arch === "arm64" ? "aarch64" : arch}/bin/bun${exe}`,
  deno: `@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}/deno${exe}`,
  esbuild: `@esbuild/${platform}-${arch}/${platform === "win32" ? "" : "bin/"}esbuild${exe}`,
  node22: `node-22-${platform}-${arch}/bin/node`,
  node26: `node-26-${platform}-${arch}/bin/node`,
  workerd: `@cloudflare/workerd-${platform === "win32" ? "windows" : platform}-${arch === "x64" ? "64" : arch}/bin/workerd${exe}`
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
