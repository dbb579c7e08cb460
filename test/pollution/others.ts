/**
 * Uses all other modules with options: providers, OpenAPI documents, the documentation page, metadata of resources, an
 * MCP server, and the test issuer.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { McpProtocol, McpServer } from "effect/ai"
import { HttpRouter } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { OAuth2, OpenApiSecurity, Provider, SwaggerUi } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"
import * as ResourceMetadata from "effect-oauth2/ResourceMetadata"
import { TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import { authorizationServer } from "../support/authorizationServer.ts"

const audience = "https://api.test"

const providers = () => [
  Provider.auth0({ domain: "example.eu.auth0.com", audience }),
  Provider.okta({ domain: "example.okta.com", audience }),
  Provider.keycloak({ url: "https://sso.example.com", realm: "main", audience }),
  Provider.entra({ tenant: "11111111-2222-3333-4444-555555555555", audience }),
  Provider.cognito({ region: "eu-central-1", userPoolId: "eu-central-1_Ab1Cd2Ef3", clientId: audience }),
  Provider.google({ audience }),
  Provider.oidc({ issuer: "https://idp.example.com", audience })
]

const page = async (): Promise<string> => {
  const auth = OAuth2.make("Docs", { flows: { authorizationCode: authorizationServer }, scopes: { read: "Read" } })
  const api = HttpApi.make("api")
    .add(HttpApiGroup.make("group").add(HttpApiEndpoint.get("get", "/")).middleware(auth.require("read")))
    .pipe(OAuth2.openApi, SwaggerUi.forScalar({ clientId: "docs" }))
  const routes = HttpRouter.add("GET", "/", Effect.never).pipe(
    Layer.provide([auth.require("read").route.layer, OpenApiSecurity.operation({ summary: "Read" })]),
    Layer.provide(auth.layerTest({})),
    OpenApiSecurity.documented({ info: { title: "Routes", version: "1" } }, (document) =>
      SwaggerUi.layer(document, { path: "/routes", openapiPath: "/routes.json" })
    )
  )
  const { dispose, handler } = HttpRouter.toWebHandler(
    Layer.merge(SwaggerUi.layer(api, { initOAuth: { clientId: "docs" } }), routes).pipe(
      Layer.provide(NodeServices.layer)
    ) as Layer.Layer<never, never, HttpRouter.HttpRouter>,
    { disableLogger: true }
  )
  const bodies: Array<string> = [JSON.stringify(OpenApi.fromApi(api))]
  for (const path of ["/docs", "/openapi.json", "/routes", "/routes.json"]) {
    const response = await handler(new Request(`http://localhost${path}`))
    bodies.push(`${response.status} ${response.headers.get("content-security-policy")} ${await response.text()}`)
  }
  await dispose()
  return bodies.join("\n")
}

/** The metadata of two resources, and the refusal of an MCP server. */
const resources = async (): Promise<string> => {
  const resource = "https://api.example.com/mcp"
  const authorizationServers = ["https://idp.example.com"]
  const auth = OAuth2.bearer("Mcp", { scopes: { mcp: "Use the server", read: "Read" }, resource })
  const reading = Mcp.require(auth.require("read"))
  const server = McpServer.layerHttp({
    name: "files",
    version: "1",
    path: "/mcp",
    protocols: [McpProtocol.v2026_07_28],
    registrations: McpServer.resource({ uri: "test://a", name: "a", content: Effect.succeed("a") }).pipe(
      Layer.provide(reading.layer)
    )
  }).pipe(Mcp.protect(auth, { authorizationServers, require: ["mcp"] }), Layer.provide(auth.layerTest("anonymous")))
  const { dispose, handler } = HttpRouter.toWebHandler(
    Layer.merge(
      server,
      ResourceMetadata.layer({ resource: "https://api.example.com", authorizationServers, name: "Files" })
    ) as unknown as Layer.Layer<never, never, HttpRouter.HttpRouter>,
    { disableLogger: true }
  )
  const bodies: Array<string> = []
  for (const [path, init] of [
    ["/.well-known/oauth-protected-resource", {}],
    ["/.well-known/oauth-protected-resource/mcp", {}],
    // Effect's own server refuses the metadata of a message if the prototype is polluted.
    ["/mcp", { method: "POST" }]
  ] as const) {
    const response = await handler(new Request(`http://localhost${path}`, init))
    bodies.push(`${response.status} ${response.headers.get("www-authenticate")} ${await response.text()}`)
  }
  await dispose()
  return bodies.join("\n")
}

const tokens = Effect.gen(function* () {
  const issuer = yield* TestIssuer
  const jwt = jose.decodeJwt(yield* issuer.mint())
  const raw = yield* issuer.mintRaw({ header: "{}", payload: "{}", signature: "" })
  const opaque = yield* issuer.mintOpaque()
  yield* issuer.respond("jwks", {})
  return [Object.keys(jwt), jwt.aud, jwt.sub, raw, opaque, yield* issuer.metadata]
}).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })))

/** Returns all results as text. */
export const others = async (): Promise<string> =>
  JSON.stringify([providers(), await page(), await resources(), await Effect.runPromise(tokens)])
