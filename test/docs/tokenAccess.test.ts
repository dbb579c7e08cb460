// Examples read the token in one way: `auth.token` or `auth.optionalToken`, which have typed claims and are proof.
import { assert, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join, sep } from "node:path"
import { readSnippets } from "./snippets.ts"

const root = join(import.meta.dirname, "..", "..")

/** Examples of what only the service does. */
const exceptions: Readonly<Record<string, string>> = {
  "src/core/AccessToken.ts": "the services themselves",
  "src/oauth2/oauth2Scheme.ts Authorizing in a handler": "layerRequest provides the service, and proves nothing"
}

const programs = globSync("scratchpad/**/*.ts", { cwd: root })
  .map((path) => path.split(sep).join("/"))
  .map((path) => ({ name: path, code: readFileSync(join(root, path), "utf8") }))

const examples = readSnippets()
  .filter(({ source, title }) => !(source in exceptions) && !(`${source} ${title}` in exceptions))
  .map(({ code, line, source, title }) => ({ name: `${source}:${line} ${title}`, code }))

/** Whether code reads the token from a service, instead of using the class as a namespace or as a type. */
const readsService = (code: string) =>
  /\byield\* (?:Optional)?AccessToken\b(?!\.)|\((?:Optional)?AccessToken,/.test(code)

it("examples read the token with auth.token or auth.optionalToken", () => {
  const reading = [...programs, ...examples].filter(({ code }) => readsService(code)).map(({ name }) => name)
  assert.deepStrictEqual(reading, [])
})

it("the test of examples finds both services", () => {
  assert.isTrue(readsService("Effect.map(AccessToken, (token) => token)"))
  assert.isTrue(readsService("const token = yield* OptionalAccessToken"))
  assert.isFalse(readsService("AccessToken.make({ subject })"))
  assert.isFalse(readsService("const token = yield* auth.token"))
})
