/** Writes the API reference: `npm run reference`. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder, makeReference, missing } from "./typedoc.ts"

const absent = missing()
if (absent.length > 0) throw new Error(`${absent.join(", ")} are missing. Run npm ci --prefix reference.`)

mkdirSync(folder, { recursive: true })
for (const [name, text] of await makeReference()) writeFileSync(join(folder, name), text)
