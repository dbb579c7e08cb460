import { assert, describe, it } from "@effect/vitest"
import type { OpenApi } from "effect/http-api"
import { OAuth2, OpenApiSecurity } from "effect-oauth2"
import { cases } from "./Case.ts"

const info = { title: "FastAPI", version: "0.1.0" }

const name = "OAuth2AuthorizationCodeBearer"
const readWrite = { read: "Read access", write: "Write access" }

const bare = (description?: string) => {
  const auth = OAuth2.authorizationCode(name, {
    authorizationUrl: "authorize",
    tokenUrl: "token",
    scopes: {},
    ...(description === undefined ? undefined : { description })
  })
  return OpenApiSecurity.fromRoutes({
    info,
    routes: [{ method: "GET", path: "/items/", requirements: [auth.require()] }]
  })
}

const scopes = () => {
  const auth = OAuth2.authorizationCode(name, { authorizationUrl: "authorize", tokenUrl: "token", scopes: readWrite })
  const [app, read, both] = [auth.require(), auth.require("read"), auth.require("read", "write")]
  return OpenApiSecurity.fromRoutes({
    info,
    routes: [
      { method: "GET", path: "/", requirements: [app] },
      { method: "GET", path: "/with-oauth2-scheme", requirements: [app, both] },
      { method: "GET", path: "/with-get-token", requirements: [app, both] },
      { method: "GET", path: "/items/", requirements: [app, read] },
      { method: "POST", path: "/items/", requirements: [app, read, both] }
    ]
  })
}

const simple = () => {
  const auth = OAuth2.authorizationCode(name, {
    authorizationUrl: "api/oauth/authorize",
    tokenUrl: "/api/oauth/token",
    scopes: readWrite
  })
  return OpenApiSecurity.fromRoutes({
    info,
    routes: [{ method: "GET", path: "/admin", requirements: [auth.require(), auth.require("read", "write")] }]
  })
}

const optional = () => {
  const auth = OAuth2.make("OAuth2", {
    flows: { password: { tokenUrl: "token" } },
    scopes: { "read:users": "Read the users", "write:users": "Create users" }
  })
  return OpenApiSecurity.fromRoutes({
    info,
    routes: [
      { method: "POST", path: "/login" },
      { method: "GET", path: "/users/me", requirements: [auth.optional()] }
    ]
  })
}

const openIdConnect = () => {
  const auth = OAuth2.openIdConnect("OpenIdConnect", { openIdConnectUrl: "/openid", scopes: {} })
  return OpenApiSecurity.fromRoutes({
    info,
    routes: [{ method: "GET", path: "/users/me", requirements: [auth.require()] }]
  })
}

const tutorial = () => {
  const auth = OAuth2.make("OAuth2PasswordBearer", {
    flows: { password: { tokenUrl: "token" } },
    scopes: { me: "Read information about the current user.", items: "Read items." }
  })
  const active = auth.require("me")
  return OpenApiSecurity.fromRoutes({
    info,
    routes: [
      { method: "POST", path: "/token" },
      { method: "GET", path: "/users/me/", requirements: [active] },
      { method: "GET", path: "/users/me/items/", requirements: [auth.require("items"), active] },
      { method: "GET", path: "/status/", requirements: [auth.require()] }
    ]
  })
}

const documents: Readonly<Record<string, OpenApi.OpenAPISpec>> = {
  oauth2_authorization_code_bearer: bare(),
  oauth2_authorization_code_bearer_description: bare("OAuth2 Code Bearer"),
  oauth2_authorization_code_bearer_scopes_openapi: scopes(),
  oauth2_authorization_code_bearer_scopes_openapi_simple: simple(),
  oauth2_optional: optional(),
  openid_connect: openIdConnect(),
  tutorial005: tutorial()
}

type Json = Record<string, unknown>

/** The security of each operation of a document; none and an empty list are the same where the document has no security of its own. */
const operations = (document: { readonly paths: object }) =>
  Object.entries(document.paths as Record<string, Record<string, Json>>).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => [`${method} ${path}`, operation["security"] ?? []] as const)
  )

describe("the documents of FastAPI's own tests", () => {
  const recorded = cases.filter(({ request }) => request.path === "/openapi.json")

  it("have all been written here", () => {
    assert.deepStrictEqual(new Set(recorded.map(({ app }) => app)), new Set(Object.keys(documents)))
  })

  for (const { app, response } of recorded) {
    const expected = response.body as Json & { readonly paths: object; readonly components: Json }
    const document = documents[app]

    it(`${app}: the schemes are FastAPI's`, () => {
      assert.deepStrictEqual(document?.components.securitySchemes, expected.components["securitySchemes"])
    })

    it(`${app}: the operations ask for what FastAPI's do${app === "oauth2_optional" ? ", and an optional one says so" : ""}`, () => {
      const theirs = operations(expected).map(([operation, security]) =>
        // FastAPI does not show that authentication is optional: a difference on purpose.
        [operation, app === "oauth2_optional" && operation === "get /users/me" ? [{ OAuth2: [] }, {}] : security]
      )
      assert.deepStrictEqual(Object.fromEntries(operations(document ?? { paths: {} })), Object.fromEntries(theirs))
    })

    it(`${app}: refusals are documented, which FastAPI's are not`, () => {
      for (const [path, item] of Object.entries(document?.paths ?? {})) {
        for (const [method, { responses, security }] of Object.entries(item as Record<string, Json>)) {
          const refusals = Object.keys(responses as Json).filter((status) => status !== "200")
          const expected = (security as ReadonlyArray<unknown>).length === 0 ? [] : ["401", "503"]
          assert.deepStrictEqual(refusals, expected, `${method} ${path}`)
        }
      }
    })
  }
})
