/**
 * Runs an example: `npm run example -- http-router`. With `--serve`, the example does not end after its walk-through, so
 * that you can send your own requests.
 */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"

const fileOf = (name: string) => join(import.meta.dirname, name, "main.ts")
const names = readdirSync(import.meta.dirname).filter((name) => existsSync(fileOf(name)))
const [name, ...options] = process.argv.slice(2)

if (name === undefined || !names.includes(name) || options.some((option) => option !== "--serve")) {
  console.error(
    `Run an example with "npm run example -- <name>", or with --serve after the name. The names are: ${names.join(", ")}.`
  )
  process.exitCode = 1
} else {
  if (options.length > 0) process.env["SERVE"] = "true"
  await import(`./${name}/main.ts`)
}
