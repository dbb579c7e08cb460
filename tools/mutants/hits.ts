// A setup file of vitest. Writes which functions of the instrumented files a test file runs.
import { createHash } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, expect } from "vitest"
import { type Hits, readTask } from "./task.ts"

const project = process.env["EFFECT_OAUTH2_PROJECT"] ?? ""
const { hits: folder = "" } = readTask()

afterAll(() => {
  const test = expect.getState().testPath ?? ""
  const units = [...((globalThis as { readonly mutantHits?: Set<string> }).mutantHits ?? [])]
  const name = createHash("sha256").update(`${project} ${test}`).digest("hex")
  writeFileSync(join(folder, `${name}.json`), JSON.stringify({ project, test, units } satisfies Hits))
})
