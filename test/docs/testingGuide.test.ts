// Runs the tests in the snippet "Tests without a network", which docs.test.ts only compiles.
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { readSnippets } from "./snippets.ts"

const source = "docs/guides/testing.md"
const title = "Tests without a network"
const snippet = readSnippets().find((one) => one.source === source && one.title === title)
if (snippet === undefined) throw new Error(`${source} has no snippet "${title}".`)

// docs.test.ts empties the folder of the other snippets, so this snippet needs its own.
const folder = join(import.meta.dirname, ".testingGuide")
mkdirSync(folder, { recursive: true })
const file = join(folder, "testing.ts")
writeFileSync(file, snippet.code)
await import(pathToFileURL(file).href)
