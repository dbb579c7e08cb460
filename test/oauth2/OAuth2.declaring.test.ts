import { assert, describe, it } from "@effect/vitest"
import { OAuth2 } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { auth } from "../support/schemeWithFourScopes.ts"

describe("declaring a scheme", () => {
  const declare = (scope: string) =>
    OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { [scope]: "" } })

  it("refuses a scope that is not a scope token, and names the scope", () => {
    for (const scope of ["", " ", "a b", `a"b`, "a\\b", "a\tb", "a\u00a0b", "ä", "a\n"]) {
      assert.throws(() => declare(scope), TypeError, JSON.stringify(scope))
    }
    for (const scope of ["a", "!", "items:read", "https://example.com/.default", "[]^_`{|}~", "#"]) declare(scope)
  })

  it("refuses a flow without a required URL, and a URL with white space", () => {
    const scopes = {}
    const bad: Readonly<Record<string, () => unknown>> = {
      tokenUrl: () => OAuth2.clientCredentials("S", { tokenUrl: undefined as never, scopes }),
      "tokenUrl ": () => OAuth2.authorizationCode("S", { authorizationUrl: "/authorize", scopes } as never),
      authorizationUrl: () => OAuth2.authorizationCode("S", { ...authorizationServer, authorizationUrl: "", scopes }),
      refreshUrl: () => OAuth2.clientCredentials("S", { tokenUrl: "/token", refreshUrl: " /token", scopes }),
      deviceAuthorizationUrl: () =>
        OAuth2.make("S", { flows: { deviceAuthorization: { tokenUrl: "/token" } as never }, scopes }),
      openIdConnectUrl: () => OAuth2.openIdConnect("S", { openIdConnectUrl: "", scopes }),
      "openIdConnectUrl ": () => OAuth2.openIdConnect("S", { openIdConnectUrl: undefined as never, scopes }),
      oauth2MetadataUrl: () =>
        OAuth2.clientCredentials("S", { tokenUrl: "/token", oauth2MetadataUrl: "no url", scopes })
    }
    for (const [name, declare] of Object.entries(bad)) {
      assert.throws(declare, TypeError, `${name.trim()} must be a URL`)
    }
    OAuth2.clientCredentials("S", { tokenUrl: "token", scopes })
  })

  it("refuses invalid options if types are cast away", () => {
    const flow = { tokenUrl: "/token" }
    const bad: Readonly<Record<string, () => unknown>> = {
      "flows is empty. Name at least one flow.": () => OAuth2.make("S", { scopes: {} } as never),
      'flows names the unknown flow "clientCredential"': () =>
        OAuth2.make("S", { flows: { clientCredential: flow } as never, scopes: {} }),
      'the scopes of the flow password must be an array of declared scopes, but name "b"': () =>
        OAuth2.make("S", { flows: { password: { ...flow, scopes: ["a", "b" as "a"] } }, scopes: { a: "", c: "" } }),
      "the scopes of the flow password must be an array of declared scopes": () =>
        OAuth2.make("S", { flows: { password: { ...flow, scopes: "a" as never } }, scopes: { a: "" } }),
      "scopes must be an object": () => OAuth2.clientCredentials("S", flow as never),
      "scopes must be an object ": () => OAuth2.clientCredentials("S", { ...flow, scopes: ["a"] as never }),
      "responses must be": () =>
        OAuth2.clientCredentials("S", { ...flow, scopes: {}, responses: "FastAPI" as "fastapi" })
    }
    for (const [message, declare] of Object.entries(bad)) assert.throws(declare, TypeError, message.trim())
  })

  it("refuses a name that OpenAPI does not allow, and a realm with control characters", () => {
    assert.throws(() => OAuth2.authorizationCode("a b", { ...authorizationServer, scopes: {} }), TypeError, "a b")
    assert.throws(
      () => OAuth2.authorizationCode("A", { ...authorizationServer, scopes: {}, realm: "a\r\nx: y" }),
      TypeError,
      "realm"
    )
  })

  it("refuses a requirement with an undeclared scope, and lists the declared scopes", () => {
    const undeclared = "items:delete" as "a"
    assert.throws(() => auth.require(undeclared), TypeError, `Declared scopes are "a", "b", "c", "d"`)
    assert.throws(() => auth.optional("toString" as "a"), TypeError, "toString")
  })

  it("keeps absolute and relative URLs unchanged", () => {
    const scheme = OAuth2.authorizationCode("OAuth2", {
      authorizationUrl: "authorize",
      tokenUrl: "/token",
      refreshUrl: "refresh",
      scopes: {}
    })
    assert.deepStrictEqual(scheme.flows.authorizationCode, {
      authorizationUrl: "authorize",
      tokenUrl: "/token",
      refreshUrl: "refresh"
    })
  })
})
