// Runs the tests in the README snippet "Tests without a network", which docs.test.ts only compiles.
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { readSnippets } from "./snippets.ts"

const snippet = readSnippets().find(({ title }) => title === "Tests without a network")
if (snippet === undefined) throw new Error('README.md has no snippet "Tests without a network".')

// docs.test.ts empties the folder of the other snippets, so this snippet needs its own.
const folder = join(import.meta.dirname, ".readmeTests")
mkdirSync(folder, { recursive: true })
const file = join(folder, "README.ts")
writeFileSync(file, snippet.code)
await import(file)
