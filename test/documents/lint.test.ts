// Linters accept our documents with the rules that they recommend. No rule is configured.
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Layer } from "effect"
import type { HttpRouter } from "effect/http"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { lintWithRedocly, lintWithSpectral, missing } from "../../documents/tools.ts"
import { readSnippets } from "../docs/snippets.ts"
import { documentOf, names, type Operation, read } from "../support/lintedDocuments.ts"
import { serve } from "../support/web.ts"

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

  it("finds no error and no warning in the document of the example for linters", async () => {
    const snippet = readSnippets().find(({ title }) => title === "Writing a document that linters accept")
    assert.isDefined(snippet)
    const folder = join(import.meta.dirname, "..", "docs", ".app")
    mkdirSync(folder, { recursive: true })
    const file = join(folder, "linters.ts")
    writeFileSync(file, snippet.code)
    const { App } = (await import(file)) as { readonly App: Layer.Layer<never, never, HttpRouter.HttpRouter> }
    const document = await read(serve(Layer.provide(App, NodeHttpServer.layerHttpServices)))
    assert.deepStrictEqual(await lintWithRedocly(document), [])
    assert.deepStrictEqual(await lintWithSpectral(document), [])
  })

  it("finds a mistake in a document", async () => {
    const document = await documentOf("routes without an HttpApi")
    const { get } = document.paths["/items/{id}"] as { readonly get: Operation }
    const wrong = { ...document, paths: { "/items/{id}": { get: { ...get, security: [{ Other: [] }] } } } }
    assert.include((await lintWithRedocly(wrong)).join("\n"), "security-defined")
    assert.include((await lintWithSpectral(wrong)).join("\n"), "security-defined")
  })
})
