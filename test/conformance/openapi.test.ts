/** Compares the OpenAPI documents of FastAPI's own tests with the documents of the same routes. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { OAuth2 } from "effect-oauth2"
import { documentOfRoutes } from "../support/routesDocument.ts"
import { cases } from "./Case.ts"

const name = "OAuth2AuthorizationCodeBearer"
const readWrite = { read: "Read access", write: "Write access" }

const route = (method: "GET" | "POST", path: `/${string}`) => HttpRouter.add(method, path, HttpServerResponse.empty())

const documentOf = <A, E, R>(
  routes: Layer.Layer<A, E, R>,
  { layerTest }: { readonly layerTest: (as: "anonymous") => Layer.Layer<never> }
) => documentOfRoutes(routes.pipe(Layer.provide(layerTest("anonymous"))))

const bare = (description?: string) => {
  const auth = OAuth2.authorizationCode(name, {
    authorizationUrl: "authorize",
    tokenUrl: "token",
    scopes: {},
    ...(description === undefined ? undefined : { description })
  })
  return documentOf(route("GET", "/items/").pipe(auth.require()), auth)
}

const scopes = () => {
  const auth = OAuth2.authorizationCode(name, { authorizationUrl: "authorize", tokenUrl: "token", scopes: readWrite })
  const both = auth.require("read", "write")
  const items = Layer.mergeAll(route("GET", "/items/"), route("POST", "/items/").pipe(both))
  return documentOf(
    Layer.mergeAll(
      route("GET", "/"),
      route("GET", "/with-oauth2-scheme").pipe(both),
      route("GET", "/with-get-token").pipe(both),
      items.pipe(auth.require("read"))
    ).pipe(auth.require()),
    auth
  )
}

const simple = () => {
  const auth = OAuth2.authorizationCode(name, {
    authorizationUrl: "api/oauth/authorize",
    tokenUrl: "/api/oauth/token",
    scopes: readWrite
  })
  return documentOf(route("GET", "/admin").pipe(auth.require("read", "write"), auth.require()), auth)
}

const optional = () => {
  const auth = OAuth2.make("OAuth2", {
    flows: { password: { tokenUrl: "token" } },
    scopes: { "read:users": "Read the users", "write:users": "Create users" }
  })
  return documentOf(Layer.mergeAll(route("POST", "/login"), route("GET", "/users/me").pipe(auth.optional())), auth)
}

const openIdConnect = () => {
  const auth = OAuth2.openIdConnect("OpenIdConnect", { openIdConnectUrl: "/openid", scopes: {} })
  return documentOf(route("GET", "/users/me").pipe(auth.require()), auth)
}

const tutorial = () => {
  const auth = OAuth2.make("OAuth2PasswordBearer", {
    flows: { password: { tokenUrl: "token" } },
    scopes: { me: "Read information about the current user.", items: "Read items." }
  })
  const active = auth.require("me")
  return documentOf(
    Layer.mergeAll(
      route("POST", "/token"),
      route("GET", "/users/me/").pipe(active),
      route("GET", "/users/me/items/").pipe(active, auth.require("items")),
      route("GET", "/status/").pipe(auth.require())
    ),
    auth
  )
}

const documents = await Effect.runPromise(
  Effect.all({
    oauth2_authorization_code_bearer: bare(),
    oauth2_authorization_code_bearer_description: bare("OAuth2 Code Bearer"),
    oauth2_authorization_code_bearer_scopes_openapi: scopes(),
    oauth2_authorization_code_bearer_scopes_openapi_simple: simple(),
    oauth2_optional: optional(),
    openid_connect: openIdConnect(),
    tutorial005: tutorial()
  })
)

type Json = Record<string, unknown>

/** Returns the security of each operation. The documents have no security, so an absent list equals an empty list. */
const operations = (document: { readonly paths: object }) =>
  Object.entries(document.paths as Record<string, Record<string, Json>>).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => [`${method} ${path}`, operation["security"] ?? []] as const)
  )

describe("the documents of FastAPI's own tests", () => {
  const recorded = cases.filter(({ request }) => request.path === "/openapi.json")

  it("all have a counterpart in this file", () => {
    assert.deepStrictEqual(new Set(recorded.map(({ app }) => app)), new Set(Object.keys(documents)))
  })

  for (const { app, response } of recorded) {
    const expected = response.body as Json & { readonly paths: object; readonly components: Json }
    const document = documents[app as keyof typeof documents]

    it(`${app}: the schemes equal FastAPI's`, () => {
      assert.deepStrictEqual(document?.components.securitySchemes, expected.components["securitySchemes"])
    })

    it(`${app}: the requirements equal FastAPI's${app === "oauth2_optional" ? ", and show that one is optional" : ""}`, () => {
      const theirs = operations(expected).map(([operation, security]) =>
        // Deliberate difference: FastAPI's document does not show that authentication is optional.
        [operation, app === "oauth2_optional" && operation === "get /users/me" ? [{ OAuth2: [] }, {}] : security]
      )
      assert.deepStrictEqual(Object.fromEntries(operations(document ?? { paths: {} })), Object.fromEntries(theirs))
    })

    it(`${app}: the operations document their refusals, unlike FastAPI's`, () => {
      for (const [path, item] of Object.entries(document?.paths ?? {})) {
        for (const [method, { responses, security }] of Object.entries(item as Record<string, Json>)) {
          const refusals = Object.keys(responses as Json).filter((status) => status !== "200")
          const expected = (security as ReadonlyArray<unknown>).length === 0 ? ["4XX"] : ["401", "503"]
          assert.deepStrictEqual(refusals, expected, `${method} ${path}`)
        }
      }
    })
  }
})
