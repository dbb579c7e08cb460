/** Metadata of a protected resource: its URL, its document, and its routes. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Layer, Schema } from "effect"
import { HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"
import { OpenApi } from "effect/http-api"
import { OAuth2, OpenApiSecurity, SecurityError } from "effect-oauth2"
import * as ResourceMetadata from "effect-oauth2/ResourceMetadata"
import { authorizationServer } from "../support/authorizationServer.ts"

const wellKnown = "/.well-known/oauth-protected-resource"
const authorizationServers = ["https://idp.example.com"]

/** Serves routes without a socket. */
const served = (routes: Layer.Layer<never, SecurityError.ConfigurationError, HttpRouter.HttpRouter>) =>
  Effect.gen(function* () {
    const handler = HttpEffect.toWebHandler(yield* HttpRouter.toHttpEffect(routes))
    return (url: string, init?: RequestInit) => Effect.promise(() => handler(new Request(url, init)))
  })

const refusal = (options: object) =>
  Effect.flip(
    Effect.scoped(
      Layer.build(ResourceMetadata.layer(options as ResourceMetadata.Options).pipe(Layer.provide(HttpRouter.layer)))
    )
  )

describe("ResourceMetadata.url", () => {
  it("inserts the well-known path between the host and the path", () => {
    const table: ReadonlyArray<readonly [resource: string, url: string]> = [
      ["https://api.example.com", `https://api.example.com${wellKnown}`],
      ["https://api.example.com/", `https://api.example.com${wellKnown}`],
      ["https://api.example.com/mcp", `https://api.example.com${wellKnown}/mcp`],
      ["https://api.example.com/mcp/", `https://api.example.com${wellKnown}/mcp/`],
      ["https://api.example.com/a/b?c=d", `https://api.example.com${wellKnown}/a/b?c=d`],
      ["https://api.example.com?c=d", `https://api.example.com${wellKnown}?c=d`],
      ["https://API.example.com:443/mcp", `https://API.example.com:443${wellKnown}/mcp`],
      ["http://127.0.0.1:3000/mcp", `http://127.0.0.1:3000${wellKnown}/mcp`],
      ["http://[::1]:3000/mcp", `http://[::1]:3000${wellKnown}/mcp`]
    ]
    for (const [resource, url] of table) assert.strictEqual(ResourceMetadata.url(resource), url)
  })

  it("refuses identifiers that clients cannot compare or request", () => {
    const table: Readonly<Record<string, ReadonlyArray<unknown>>> = {
      "must be an https URL": [
        "",
        undefined,
        1,
        "/mcp",
        "api.example.com/mcp",
        "ftp://api.example.com",
        "http://api.example.com/mcp",
        "http://localhost.example.com",
        "https://api.example.com/mcp#top",
        "https://api.example.com/mcp#",
        "https://user@api.example.com/mcp",
        "https://api.example.com/m cp",
        " https://api.example.com",
        "https://api.example.com\\mcp",
        "https://äpi.example.com/mcp"
      ],
      "must have a path": [
        "https://api.example.com/a/../b",
        "https://api.example.com/.",
        "https://api.example.com//",
        "https://api.example.com/a//b",
        "https://api.example.com/caf%C3%A9",
        "https://api.example.com/ä",
        "https://api.example.com/a;b",
        "https://api.example.com/*",
        'https://api.example.com/"'
      ],
      "must have a query": ['https://api.example.com/?a="b"', "https://api.example.com/?ä"],
      "must be the identifier of the API": [`https://api.example.com${wellKnown}/mcp`]
    }
    for (const [message, resources] of Object.entries(table)) {
      for (const resource of resources) {
        assert.throws(
          () => ResourceMetadata.url(resource as string),
          TypeError,
          `resource ${message}`,
          String(resource)
        )
        assert.throws(
          () => OAuth2.clientCredentials("A", { tokenUrl: "/token", scopes: {}, resource: (resource ?? "") as string }),
          TypeError,
          `OAuth2.clientCredentials("A"): resource ${message}`
        )
      }
    }
  })

  const options = { arbitrary: { runs: 300, size: 40, seed: 20261130 } }
  const among = (characters: string) =>
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: characters.length - 1 }))).pipe(
      Arbitrary.map((i) => characters.charAt(i))
    )
  const text = (characters: string, minLength: number) =>
    Arbitrary.array(among(characters), { minLength, maxLength: 8 }).pipe(Arbitrary.map((all) => all.join("")))
  const pathCharacters = "abzABZ059_~!$&'()+,=:@-"
  const identifier = {
    host: text("abz09", 1).pipe(Arbitrary.map((name) => `a${name}.example.com`)),
    segments: Arbitrary.array(text(pathCharacters, 1), { maxLength: 4 }),
    query: text("abz09&=/?%20", 0)
  }

  it.prop(
    "inserts exactly one text, from which the identifier can be restored",
    identifier,
    ({ host, query, segments }) => {
      const path = segments.map((segment) => `/${segment}`).join("")
      const resource = `https://${host}${path}${query === "" ? "" : `?${query}`}`
      const url = ResourceMetadata.url(resource)
      assert.strictEqual(url, `https://${host}${wellKnown}${resource.slice(`https://${host}`.length)}`)
      assert.strictEqual(url.replace(wellKnown, ""), resource)
      // A client requests the URL unchanged.
      assert.strictEqual(new URL(url).href, url)
    },
    options
  )

  it.effect.prop(
    "is where the layer serves the document, with the identifier byte for byte",
    identifier,
    ({ host, query, segments }) =>
      Effect.gen(function* () {
        const path = segments.map((segment) => `/${segment}`).join("")
        const resource = `https://${host}${path}${query === "" ? "" : `?${query}`}`
        const get = yield* served(ResourceMetadata.layer({ resource, authorizationServers }))
        const response = yield* get(ResourceMetadata.url(resource))
        assert.strictEqual(response.status, 200, resource)
        const document = (yield* Effect.promise(() => response.json())) as ResourceMetadata.Document
        assert.strictEqual(document.resource, resource)
        if (query !== "") {
          assert.strictEqual((yield* get(`https://${host}${wellKnown}${path}?${query}x`)).status, 404)
        }
      }).pipe(Effect.scoped),
    options
  )
})

describe("ResourceMetadata.make", () => {
  const scheme = OAuth2.authorizationCode("OAuth2", {
    ...authorizationServer,
    scopes: { "files:read": "", "files:write": "", offline_access: "" },
    resource: "https://api.example.com/mcp"
  })

  it("publishes the resource and the scopes of the scheme, without offline_access", () => {
    assert.deepStrictEqual(Effect.runSync(ResourceMetadata.make({ scheme, authorizationServers })), {
      resource: "https://api.example.com/mcp",
      authorization_servers: ["https://idp.example.com"],
      bearer_methods_supported: ["header"],
      scopes_supported: ["files:read", "files:write"]
    })
  })

  it("publishes the given members, and leaves out members without a value", () => {
    const document = ResourceMetadata.make({
      resource: "https://api.example.com",
      authorizationServers: ["https://a.example.com", "https://b.example.com/tenant"],
      scopes: [],
      name: "Files",
      documentation: "https://docs.example.com",
      policy: "https://example.com/policy",
      termsOfService: "https://example.com/terms",
      members: { "resource_name#it": "Documenti", authorization_details_types_supported: [], jwks_uri: undefined }
    })
    assert.deepStrictEqual(Effect.runSync(document), {
      resource: "https://api.example.com",
      authorization_servers: ["https://a.example.com", "https://b.example.com/tenant"],
      bearer_methods_supported: ["header"],
      resource_name: "Files",
      resource_documentation: "https://docs.example.com",
      resource_policy_uri: "https://example.com/policy",
      resource_tos_uri: "https://example.com/terms",
      "resource_name#it": "Documenti"
    })
  })

  it.effect("fails with an error that names the option", () =>
    Effect.gen(function* () {
      const resource = "https://api.example.com"
      const other = OAuth2.clientCredentials("Jobs", { tokenUrl: "/token", scopes: {} })
      const table: ReadonlyArray<readonly [setting: string, message: string, options: object]> = [
        ["resource", "resource must be an https URL", { authorizationServers }],
        ["resource", "resource must be an https URL", { authorizationServers, resource: "http://api.example.com" }],
        [
          "scheme",
          'scheme has no resource, so its challenges would not name this document. Pass resource to the constructor of the scheme "Jobs"',
          { authorizationServers, scheme: other }
        ],
        [
          "resource",
          'resource must be "https://api.example.com/mcp", the resource of the scheme "OAuth2"',
          { authorizationServers, scheme, resource }
        ],
        ["authorizationServers", "must be a list of at least one issuer", { resource }],
        ["authorizationServers", "must be a list of at least one issuer", { resource, authorizationServers: [] }],
        [
          "authorizationServers",
          "must be an https URL",
          { resource, authorizationServers: ["https://a.example.com?b"] }
        ],
        [
          "authorizationServers",
          "must be the identifier of the issuer",
          { resource, authorizationServers: ["https://a.example.com/.well-known/openid-configuration"] }
        ],
        ["scopes", "must be a list of scope tokens", { resource, authorizationServers, scopes: ["a b"] }],
        ["scopes", "must be a list of scope tokens", { resource, authorizationServers, scopes: "a" }],
        ["documentation", "must be an https URL", { resource, authorizationServers, documentation: "/docs" }],
        ["policy", "must be an https URL", { resource, authorizationServers, policy: "javascript:alert(1)" }],
        ["termsOfService", "must be an https URL", { resource, authorizationServers, termsOfService: "" }],
        ["name", "must be a text that is not empty", { resource, authorizationServers, name: " " }],
        [
          "members.resource",
          "cannot be set. Use the option resource.",
          { resource, authorizationServers, members: { resource } }
        ],
        [
          "members.signed_metadata",
          "cannot be set. The library does not sign metadata.",
          { resource, authorizationServers, members: { signed_metadata: "" } }
        ],
        [
          "maxAge",
          "must be a duration between 0 seconds and 1 year",
          { resource, authorizationServers, maxAge: "2000 days" }
        ],
        [
          "maxAge",
          "must be a duration between 0 seconds and 1 year",
          { resource, authorizationServers, maxAge: Number.NaN }
        ]
      ]
      for (const [setting, message, options] of table) {
        const error = yield* refusal(options)
        assert.instanceOf(error, SecurityError.ConfigurationError)
        assert.strictEqual(error.setting, setting)
        assert.include(error.message, message)
        assert.isTrue(error.message.startsWith(setting))
      }
    })
  )
})

describe("ResourceMetadata.layer", () => {
  const resource = "https://api.example.com/mcp"
  const url = ResourceMetadata.url(resource)

  it.effect("lets clients cache the document, and lets pages of every origin read it", () =>
    Effect.gen(function* () {
      const get = yield* served(ResourceMetadata.layer({ resource, authorizationServers, maxAge: "5 minutes" }))
      for (const method of ["GET", "HEAD"]) {
        const response = yield* get(url, { method, headers: { origin: "https://inspector.example.com" } })
        assert.strictEqual(response.status, 200)
        assert.strictEqual(response.headers.get("content-type"), "application/json")
        assert.strictEqual(response.headers.get("cache-control"), "public, max-age=300")
        assert.strictEqual(response.headers.get("access-control-allow-origin"), "*")
      }
      const preflight = yield* get(url, {
        method: "OPTIONS",
        headers: {
          origin: "https://inspector.example.com",
          "access-control-request-method": "GET",
          "access-control-request-headers": "mcp-protocol-version"
        }
      })
      assert.strictEqual(preflight.status, 204)
      assert.strictEqual(preflight.headers.get("access-control-allow-origin"), "*")
      assert.strictEqual(preflight.headers.get("access-control-allow-headers"), "*")
      assert.strictEqual(preflight.headers.get("access-control-allow-methods"), "GET, HEAD")
    }).pipe(Effect.scoped)
  )

  it.effect("names the configured identifier, whatever Host the request has", () =>
    Effect.gen(function* () {
      const get = yield* served(ResourceMetadata.layer({ resource, authorizationServers }))
      const response = yield* get(`https://evil.example.com${wellKnown}/mcp`, {
        headers: { "x-forwarded-host": "evil.example.com" }
      })
      assert.strictEqual(((yield* Effect.promise(() => response.json())) as { resource: string }).resource, resource)
    }).pipe(Effect.scoped)
  )

  it.effect("serves nothing at the root, unless atRoot is true", () =>
    Effect.gen(function* () {
      const root = `https://api.example.com${wellKnown}`
      const get = yield* served(ResourceMetadata.layer({ resource, authorizationServers }))
      assert.strictEqual((yield* get(root)).status, 404)
      const getAtRoot = yield* served(ResourceMetadata.layer({ resource, authorizationServers, atRoot: true }))
      const copy = yield* getAtRoot(root)
      assert.strictEqual(copy.status, 200)
      assert.strictEqual(
        yield* Effect.promise(() => copy.text()),
        yield* Effect.promise(async () => (await Effect.runPromise(getAtRoot(url))).text())
      )
      const origin = { resource: "https://api.example.com", authorizationServers, atRoot: true }
      assert.strictEqual((yield* (yield* served(ResourceMetadata.layer(origin)))(root)).status, 200)
    }).pipe(Effect.scoped)
  )

  it.effect("serves one document for each of several identifiers", () =>
    Effect.gen(function* () {
      const get = yield* served(
        Layer.merge(
          ResourceMetadata.layer({ resource, authorizationServers }),
          ResourceMetadata.layer({ resource: "https://api.example.com", authorizationServers })
        )
      )
      for (const resource of ["https://api.example.com/mcp", "https://api.example.com"]) {
        const response = yield* get(ResourceMetadata.url(resource))
        assert.strictEqual(((yield* Effect.promise(() => response.json())) as { resource: string }).resource, resource)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("does not start if the document would have the path of another route", () =>
    Effect.gen(function* () {
      const twice = Layer.merge(
        ResourceMetadata.layer({ resource, authorizationServers }),
        ResourceMetadata.layer({ resource, authorizationServers, name: "Files" })
      )
      const error = yield* Effect.flip(Effect.scoped(Layer.build(twice.pipe(Layer.provide(HttpRouter.layer)))))
      assert.instanceOf(error, SecurityError.ConfigurationError)
      assert.strictEqual(error.setting, "resource")
      assert.include(error.message, "gives the document the path of another route")
    })
  )

  it.effect("is a public route for OAuth2.secured, and is not in OpenAPI documents", () =>
    Effect.gen(function* () {
      let paths: ReadonlyArray<string> = []
      const Routes = Layer.merge(
        HttpRouter.add("GET", "/health", HttpServerResponse.empty()).pipe(OAuth2.Public("health check")),
        ResourceMetadata.layer({ resource, authorizationServers })
      ).pipe(
        OAuth2.secured,
        OpenApiSecurity.documented({ info: { title: "Files", version: "1" } }, (document: OpenApi.OpenAPISpec) => {
          paths = Object.keys(document.paths)
          return Layer.empty
        })
      )
      const get = yield* served(Routes)
      assert.strictEqual((yield* get(url)).status, 200)
      assert.deepStrictEqual(paths, ["/health"])
    }).pipe(Effect.scoped)
  )
})
