// Linters accept our documents as they are: no rule is configured, and no problem is ignored.
import { assert, describe, it } from "@effect/vitest"
import { lintWithRedocly, lintWithSpectral, missing } from "../../documents/tools.ts"
import { documentOf, names, type Operation } from "../support/linted.ts"

// Loading the linters takes seconds on a slow machine.
describe.runIf(missing().length === 0)("a linter", { timeout: 60_000 }, () => {
  // Spectral looks for each scope in the flows of its scheme, and these schemes have no flows. OpenAPI 3.1 allows
  // scopes for every type of scheme ("Security Requirement Object").
  const withoutFlows = [
    ["paths//films/get/security/0/Device/0", "watch"],
    ["paths//deploy/post/security/0/Tool/0", "deploy"],
    ["paths//people/{id}/put/security/0/Login/0", "openid"]
  ].map(([path, scope]) => `oas3-operation-security-defined ${path}: "${scope}" must be listed among scopes.`)

  for (const name of names) {
    it(`finds no error and no warning by Redocly's recommended rules: ${name}`, async () => {
      assert.deepStrictEqual(await lintWithRedocly(await documentOf(name)), [])
    })

    it(`finds no error and no warning by Spectral's rules, except for scopes without flows: ${name}`, async () => {
      assert.sameMembers(
        [...(await lintWithSpectral(await documentOf(name)))],
        name === "an app with every kind of requirement" ? withoutFlows : []
      )
    })
  }

  it("finds a mistake in a document", async () => {
    const document = await documentOf("routes without an HttpApi")
    const { get } = document.paths["/items/{id}"] as { readonly get: Operation }
    const wrong = { ...document, paths: { "/items/{id}": { get: { ...get, security: [{ Other: [] }] } } } }
    assert.include((await lintWithRedocly(wrong)).join("\n"), "security-defined")
    assert.include((await lintWithSpectral(wrong)).join("\n"), "security-defined")
  })
})
