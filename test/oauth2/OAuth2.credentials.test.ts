import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { AccessToken, OAuth2, SecurityError, TokenVerifier } from "effect-oauth2"
import { fromContext } from "../support/contextVerifier.ts"

/** Accepts the credentials in the record, each with its scopes. */
const accepting = (scopes: Readonly<Record<string, string>>) =>
  TokenVerifier.layer({
    verify: (credential) => {
      const text = Redacted.value(credential)
      return Object.hasOwn(scopes, text)
        ? Effect.succeed(
            AccessToken.make({
              subject: text.split(":")[0] ?? "",
              scopes: scopes[text] ?? "",
              issuer: "test",
              expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
            })
          )
        : Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
    }
  })

const bearer = OAuth2.bearer("Bearer", { scopes: { read: "Read", write: "Write" }, bearerFormat: "JWT" })
const header = OAuth2.apiKey("Header", { in: "header", name: "X-API-Key", scopes: { read: "Read" } })
const query = OAuth2.apiKey("Query", { in: "query", name: "key" })
const cookie = OAuth2.apiKey("Cookie", {
  in: "cookie",
  name: "session",
  trustedOrigins: ["https://app.example.com"],
  responses: "rfc6750"
})
const basic = OAuth2.basic("Basic", { realm: "Metrics" })

const requirements = {
  bearer: bearer.require("read"),
  header: header.require("read"),
  query: query.require(),
  cookie: cookie.require(),
  basic: basic.require(),
  either: OAuth2.either(bearer.require("write"), header.require("read"), cookie.require()),
  optional: OAuth2.either(bearer.require("write"), header.optional("read"))
}

type Name = keyof typeof requirements

const Schemes = Layer.mergeAll(
  bearer.layer(fromContext),
  header.layer(fromContext),
  query.layer(fromContext),
  cookie.layer(fromContext),
  basic.layer(fromContext)
).pipe(Layer.provide(accepting({ reader: "read", writer: "read write", none: "", "user:pa:ss": "", "häns:": "" })))

const reached = Effect.succeed(HttpServerResponse.text("reached"))

// The loops lose the types of each requirement. All requirements have the type of this one then.
const entries = Object.entries(requirements) as ReadonlyArray<readonly [Name, typeof requirements.bearer]>

const Routes = entries
  .map(([name, requirement]) => HttpRouter.add("*", `/${name}`, reached).pipe(requirement))
  .reduce((all, one) => Layer.merge(all, one))

const endpointOf = (name: Name, method: "GET" | "POST") =>
  HttpApiEndpoint.make(method)(`${name}${method}`, `/${name}`).middleware(
    requirements[name] as typeof requirements.bearer
  )

const names = entries.map(([name]) => name)
const Group = HttpApiGroup.make("all").add(
  ...(names.flatMap((name) => [endpointOf(name, "GET"), endpointOf(name, "POST")]) as [ReturnType<typeof endpointOf>])
)
const Api = HttpApi.make("api").add(Group)
const Handlers = HttpApiBuilder.group(Api, "all", (handlers) => {
  let all: { readonly handleRaw: (name: string, handler: () => unknown) => unknown } = handlers as never
  for (const name of names) {
    for (const method of ["GET", "POST"]) all = all.handleRaw(`${name}${method}`, () => reached) as typeof all
  }
  return all as never
})

const doors = {
  HttpRouter: Routes.pipe(Layer.provide(Schemes)),
  HttpApi: HttpApiBuilder.layer(Api).pipe(Layer.provide(Handlers as Layer.Layer<never>), Layer.provide(Schemes))
} as const

const basicOf = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`

type Case = readonly [
  what: string,
  name: string,
  headers: Readonly<Record<string, string>>,
  status: number,
  challenge?: string | undefined,
  method?: "GET" | "POST"
]

const site = { cookie: "session=none", host: "api.example.com" }

const cases: ReadonlyArray<Case> = [
  ["a bearer token", "bearer", { authorization: "Bearer reader" }, 200],
  ["no token", "bearer", {}, 401, "Bearer"],
  ["an API key in its header", "header", { "x-api-key": "reader" }, 200],
  ["an API key that lacks the scope", "header", { "x-api-key": "none" }, 401, "APIKey"],
  ["an unknown API key", "header", { "x-api-key": "unknown" }, 401, "APIKey"],
  ["an empty API key", "header", { "x-api-key": "" }, 401, "APIKey"],
  ["two API keys, joined by the server", "header", { "x-api-key": "reader, reader" }, 401, "APIKey"],
  ["an API key of more than 8192 characters", "header", { "x-api-key": "x".repeat(8193) }, 401, "APIKey"],
  ["an API key as a bearer token", "header", { authorization: "Bearer reader" }, 401, "APIKey"],
  ["an API key in another place", "header?key=reader", { cookie: "X-API-Key=reader" }, 401, "APIKey"],
  ["an API key in the query", "query?key=none", {}, 200],
  ["an API key twice in the query", "query?key=none&key=none", {}, 401, "APIKey"],
  ["an API key of another name in the query", "query?KEY=none", {}, 401, "APIKey"],
  ["a key in the query with a malformed escape", "query?key=%E0%A4%A", {}, 401, "APIKey"],
  ["a cookie", "cookie", { cookie: "a=b; session=none" }, 200],
  ["a quoted cookie", "cookie", { cookie: 'session="none"' }, 200],
  ["two cookies of the name", "cookie", { cookie: "session=none; session=reader" }, 400, 'APIKey realm="Cookie"'],
  ["another cookie", "cookie", { cookie: "mysession=none" }, 401, 'APIKey realm="Cookie"'],
  ["a cookie from this site", "cookie", { ...site, "sec-fetch-site": "same-origin" }, 200, undefined, "POST"],
  ["a cookie from another site", "cookie", { ...site, "sec-fetch-site": "cross-site" }, 400, undefined, "POST"],
  ["a cookie from a sibling domain", "cookie", { ...site, "sec-fetch-site": "same-site" }, 400, undefined, "POST"],
  ["a cookie from another site, to read", "cookie", { ...site, "sec-fetch-site": "cross-site" }, 200],
  [
    "a cookie for a socket from another site",
    "cookie",
    { ...site, upgrade: "websocket", origin: "https://evil.test" },
    400
  ],
  [
    "a cookie from a trusted origin",
    "cookie",
    { ...site, "sec-fetch-site": "same-site", origin: "https://app.example.com" },
    200,
    undefined,
    "POST"
  ],
  [
    "a cookie with the Origin of this server",
    "cookie",
    { ...site, origin: "https://api.example.com" },
    200,
    undefined,
    "POST"
  ],
  ["a cookie with the Origin null", "cookie", { ...site, origin: "null" }, 400, undefined, "POST"],
  ["a cookie with another Origin", "cookie", { ...site, origin: "https://evil.test" }, 400, undefined, "POST"],
  ["a cookie of a client that is no browser", "cookie", site, 200, undefined, "POST"],
  ["a user name and a password with a colon", "basic", { authorization: basicOf("user:pa:ss") }, 200],
  ["a user name in UTF-8, and an empty password", "basic", { authorization: basicOf("häns:") }, 200],
  ["the scheme basic in lower case", "basic", { authorization: basicOf("user:pa:ss").replace("Basic", "basic") }, 200],
  ["a wrong password", "basic", { authorization: basicOf("user:no") }, 401, 'Basic realm="Metrics"'],
  ["no colon", "basic", { authorization: basicOf("user") }, 401, 'Basic realm="Metrics"'],
  ["base64 without padding", "basic", { authorization: "Basic dXNlcjpwYTpzcw" }, 401, 'Basic realm="Metrics"'],
  ["bytes that are not UTF-8", "basic", { authorization: "Basic /zo6" }, 401, 'Basic realm="Metrics"'],
  ["a control character", "basic", { authorization: basicOf("user:\n") }, 401, 'Basic realm="Metrics"'],
  ["user:password as a bearer token", "basic", { authorization: "Bearer user:pa:ss" }, 401, 'Basic realm="Metrics"'],
  ["one of several credentials", "either", { "x-api-key": "reader" }, 200],
  ["a refused token beside a good key", "either", { authorization: "Bearer unknown", "x-api-key": "reader" }, 200],
  [
    "a token without the scope beside a key without it",
    "either",
    { authorization: "Bearer none", "x-api-key": "none" },
    401
  ],
  [
    "a cross-site cookie beside a refused key",
    "either",
    { ...site, "x-api-key": "none", "sec-fetch-site": "cross-site" },
    401,
    undefined,
    "POST"
  ],
  ["none of several credentials", "either", {}, 401, 'Bearer, APIKey, APIKey realm="Cookie"'],
  ["no credential where a key is optional", "optional", {}, 200],
  ["a refused key where a key is optional", "optional", { "x-api-key": "unknown" }, 401]
]

for (const [door, app] of Object.entries(doors)) {
  describe(`credentials of every kind, through ${door}`, () => {
    const { dispose, handler } = HttpRouter.toWebHandler(
      (app as Layer.Layer<never, never, HttpRouter.HttpRouter>).pipe(Layer.provideMerge(HttpServer.layerServices)),
      { disableLogger: true }
    )
    for (const [what, path, headers, status, challenge, method = "GET"] of cases) {
      it(`responds with ${status} to ${what}`, async () => {
        // A `Request` drops the headers that only a browser may set, so they are set on a plain `Headers`.
        const request = new Request(`http://api.example.com/${path}`, { method })
        for (const [name, value] of Object.entries(headers)) request.headers.append(name, value)
        const response = await handler(request)
        assert.strictEqual(response.status, status)
        if (status === 200) assert.strictEqual(await response.text(), "reached")
        else assert.include(response.headers.get("www-authenticate") ?? "", challenge ?? "")
        assert.isFalse(/unknown|none/.test(response.headers.get("www-authenticate") ?? ""))
      })
    }
    it("ends", () => dispose())
  })
}

describe("documents of credentials", () => {
  const document = OAuth2.openApi(Api)
  it("describe each scheme as OpenAPI does", () => {
    const schemes = (OpenApi.fromApi(document) as any).components.securitySchemes
    assert.deepStrictEqual(schemes.Header, { type: "apiKey", in: "header", name: "X-API-Key" })
    assert.deepStrictEqual(schemes.Query, { type: "apiKey", in: "query", name: "key" })
    assert.deepStrictEqual(schemes.Cookie, { type: "apiKey", in: "cookie", name: "session" })
    assert.deepStrictEqual(schemes.Basic, { type: "http", scheme: "basic" })
    assert.deepStrictEqual(schemes.Bearer, { type: "http", scheme: "bearer", bearerFormat: "JWT" })
  })
  it("list alternatives across kinds, and an anonymous request", () => {
    const { paths } = OpenApi.fromApi(document) as any
    assert.deepStrictEqual(paths["/either"].get.security, [{ Bearer: ["write"] }, { Header: ["read"] }, { Cookie: [] }])
    assert.deepStrictEqual(paths["/optional"].get.security, [{ Bearer: ["write"] }, { Header: ["read"] }, {}])
  })
})

describe("options of credentials", () => {
  const mistakes: ReadonlyArray<readonly [string, () => unknown]> = [
    ["name must be the name of a header", () => OAuth2.apiKey("A", { in: "header", name: "X API" })],
    ["Use OAuth2.bearer or OAuth2.basic", () => OAuth2.apiKey("A", { in: "header", name: "Authorization" })],
    ['in must be "header", "query" or "cookie"', () => OAuth2.apiKey("A", { in: "body" as "query", name: "a" })],
    ["which is not an origin", () => OAuth2.apiKey("A", { in: "cookie", name: "a", trustedOrigins: ["app.test"] })]
  ]
  for (const [message, make] of mistakes) {
    it(`throw: ${message}`, () => assert.throws(make, message))
  }
})
