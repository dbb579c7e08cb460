/** Serves documentation pages in process, and reads what they contain. */
import { NodeServices } from "@effect/platform-node"
import { Layer } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { OAuth2, SwaggerUi } from "effect-oauth2"
import { readFileSync } from "node:fs"
import { serve } from "./web.ts"

export const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://login.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  refreshUrl: "https://refresh.example.com/token",
  scopes: { "items:read": "Read your items", "items:write": "Modify your items" }
})

export const Api = HttpApi.make("api")
  .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items")).middleware(auth.require("items:read")))
  .annotateMerge(OpenApi.annotations({ title: "Items" }))
  .pipe(OAuth2.secured, OAuth2.openApi)

export const document = { openapi: "3.1.0", info: { title: "Items", version: "1" }, paths: {} }

export const servePage = (options?: SwaggerUi.Options, source: SwaggerUi.Document = document) =>
  serve(SwaggerUi.layer(source, options).pipe(Layer.provide(NodeServices.layer)))

export const manifest = new URL("../../node_modules/swagger-ui-dist/package.json", import.meta.url)
export const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string }

/** Returns the configuration that the page's script reads. */
export const configurationOf = (page: string): unknown => {
  const [, json = ""] =
    /<script id="swagger-ui-configuration" type="application\/json">([^<]*)<\/script>/.exec(page) ?? []
  return JSON.parse(json)
}

export const referencesOf = (page: string): ReadonlyArray<string> =>
  Array.from(page.matchAll(/(?:href|src)="([^"]*)"/g), ([, reference = ""]) => reference)
