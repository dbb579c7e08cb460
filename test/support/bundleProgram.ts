/** Bundles a program of `test/runtimes/programs` into one file, which each runtime can run. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { rolldown } from "rolldown"

const root = join(import.meta.dirname, "..", "..")

export interface Bundle {
  readonly path: string
  readonly remove: () => void
}

/** `parent` is the folder of the bundle. A program that loads installed packages must be in the repository. */
export const bundleProgram = async (
  name: string,
  platform: "node" | "browser" = "node",
  parent: string = tmpdir(),
  source = `test/runtimes/programs/${name}.ts`
): Promise<Bundle> => {
  const folder = mkdtempSync(join(parent, ".bundles-"))
  const bundle = await rolldown({
    cwd: root,
    input: join(root, source),
    platform,
    external: /^(?:node:|cloudflare:|swagger-ui-data\/)/,
    resolve: { conditionNames: ["@effect-oauth2/source", "import"] },
    logLevel: "silent"
  })
  const path = join(folder, `${name}.mjs`)
  await bundle.write({ file: path, codeSplitting: false })
  await bundle.close()
  return { path, remove: () => rmSync(folder, { recursive: true }) }
}
