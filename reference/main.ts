/** Writes the API reference to docs/reference, or to the folder in the argument: `npm run reference`. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder, makeReference, missing } from "./typedoc.ts"

const absent = missing()
if (absent.length > 0) throw new Error(`${absent.join(", ")} are missing. Run npm ci --prefix reference.`)

const [out = folder] = process.argv.slice(2)
mkdirSync(out, { recursive: true })
for (const [name, text] of await makeReference()) writeFileSync(join(out, name), text)
