// The test of an app in the README is run, and not only compiled: its tests are those of this file.
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { readSnippets } from "./snippets.ts"

const snippet = readSnippets().find(({ title }) => title === "Tests without a network")
if (snippet === undefined) throw new Error("The README has no test of an app.")

// Not where the other snippets are: that folder is emptied.
const folder = join(import.meta.dirname, ".app")
mkdirSync(folder, { recursive: true })
const file = join(folder, "README.ts")
writeFileSync(file, snippet.code)
await import(file)
