// The endpoints of a TestIssuer, and the responses that `respond` sets.
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { HttpClient } from "effect/http"
import { TestIssuer, type IssuerResponse } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { decode, get, getJson, issuer, jwks, kids, test, transportError, verifyWith } from "../support/testIssuers.ts"

const discovery = `${issuer}/.well-known/openid-configuration`

const requestedEndpoints = Effect.flatMap(TestIssuer, ({ requests }) =>
  Effect.map(requests, (requests) => requests.map(({ endpoint }) => endpoint))
)

describe("the endpoints of a TestIssuer", () => {
  test(
    "serve the metadata at both discovery URLs, and the key set",
    () =>
      Effect.gen(function* () {
        const { issuer, jwksUri, metadata } = yield* TestIssuer
        assert.strictEqual(issuer, "https://login.test/a")
        const expected = yield* metadata
        assert.deepInclude(expected, {
          issuer,
          jwks_uri: jwksUri,
          authorization_endpoint: "https://login.test/a/authorize",
          token_endpoint: "https://login.test/a/token",
          introspection_endpoint: "https://login.test/introspect"
        })
        assert.deepStrictEqual(yield* getJson("https://login.test/a/.well-known/openid-configuration"), expected)
        assert.deepStrictEqual(yield* getJson("https://login.test/.well-known/oauth-authorization-server/a"), expected)
        const answer = yield* get(jwksUri)
        assert.strictEqual(answer.headers["content-type"], "application/json")
        assert.deepStrictEqual(yield* requestedEndpoints, [
          "openid-configuration",
          "oauth-authorization-server",
          "jwks"
        ])
        assert.strictEqual(yield* (yield* verifyWith())(yield* TestIssuer.use(({ mint }) => mint())), "demo")
      }),
    { issuer: "https://login.test/a", metadata: { introspection_endpoint: "https://login.test/introspect" } }
  )

  test("are found through RFC 8414 metadata if there is no OpenID Connect metadata", () =>
    Effect.gen(function* () {
      const { mint, respond } = yield* TestIssuer
      yield* respond("openid-configuration", { status: 404, body: "" })
      assert.strictEqual(yield* (yield* verifyWith())(yield* mint()), "demo")
      assert.deepStrictEqual(yield* requestedEndpoints, ["openid-configuration", "oauth-authorization-server", "jwks"])
    }))

  test("record method, URL and time of each request", () =>
    Effect.gen(function* () {
      yield* get(`${jwks}?a=1`)
      yield* TestClock.adjust("90 seconds")
      const client = yield* HttpClient.HttpClient
      const missing = yield* client.post(`${issuer}/login`)
      const head = yield* client.head(jwks)
      assert.strictEqual(missing.status, 404)
      assert.strictEqual((yield* client.post(jwks)).status, 404)
      assert.strictEqual(head.status, 200)
      assert.deepStrictEqual(yield* TestIssuer.use(({ requests }) => requests), [
        { endpoint: "jwks", method: "GET", url: `${jwks}?a=1`, time: 0 },
        { endpoint: "other", method: "POST", url: `${issuer}/login`, time: 90_000 },
        { endpoint: "jwks", method: "HEAD", url: jwks, time: 90_000 },
        { endpoint: "jwks", method: "POST", url: jwks, time: 90_000 }
      ])
    }))

  test("record requests to other origins, which are unreachable", () =>
    Effect.gen(function* () {
      for (const url of ["https://evil.test/jwks", "http://issuer.test/jwks", "https://issuer.test:8443/jwks"]) {
        assert.include(transportError(yield* Effect.exit(get(url))), "TestIssuer responds only at https://issuer.test.")
      }
      assert.deepStrictEqual(yield* requestedEndpoints, ["other", "other", "other"])
    }))

  describe("after respond", () => {
    test("become unreachable, and reachable again", () =>
      Effect.gen(function* () {
        const { respond } = yield* TestIssuer
        yield* respond("jwks", "unreachable")
        transportError(yield* Effect.exit(get(jwks)))
        assert.strictEqual((yield* get(discovery)).status, 200)
        yield* respond("jwks", "normal")
        assert.strictEqual((yield* get(jwks)).status, 200)
      }))

    test("break together at both discovery URLs", () =>
      Effect.gen(function* () {
        yield* TestIssuer.use(({ respond }) => respond("discovery", { status: 500 }))
        assert.strictEqual((yield* get(discovery)).status, 500)
        assert.strictEqual((yield* get(`${issuer}/.well-known/oauth-authorization-server`)).status, 500)
        assert.strictEqual((yield* get(jwks)).status, 200)
      }))

    test("send the given status, headers, text and bytes", () =>
      Effect.gen(function* () {
        const { respond } = yield* TestIssuer
        yield* respond("jwks", { status: 302, headers: { Location: "https://evil.test/jwks" }, body: "" })
        const redirect = yield* get(jwks)
        assert.strictEqual(redirect.status, 302)
        assert.strictEqual(redirect.headers["location"], "https://evil.test/jwks")
        yield* respond("jwks", { headers: { "Content-Type": "text/html" }, body: "<html>" })
        const html = yield* get(jwks)
        assert.strictEqual(html.headers["content-type"], "text/html")
        assert.strictEqual(yield* html.text, "<html>")
        yield* respond("jwks", { body: new Uint8Array([0xff, 0x00]) })
        const bytes = yield* Effect.flatMap(get(jwks), (response) => response.arrayBuffer)
        assert.deepStrictEqual(Array.from(new Uint8Array(bytes)), [0xff, 0x00])
        assert.deepStrictEqual(yield* requestedEndpoints, ["jwks", "jwks", "jwks"])
      }))

    test("wait for the given delay on TestClock", () =>
      Effect.gen(function* () {
        yield* TestIssuer.use(({ respond }) => respond("jwks", { delay: "3 seconds" }))
        const fiber = yield* Effect.forkChild(kids)
        yield* TestClock.adjust("2999 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Fiber.join(fiber), ["rsa"])
      }))

    test("never respond", () =>
      Effect.gen(function* () {
        yield* TestIssuer.use(({ respond }) => respond("jwks", "never"))
        const fiber = yield* Effect.forkChild(get(jwks))
        yield* TestClock.adjust("1000 days")
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* requestedEndpoints, ["jwks"])
      }))

    test("return to the initial state after reset", () =>
      Effect.gen(function* () {
        const { mint, publish, requests, reset, respond, retire, rotate } = yield* TestIssuer
        yield* mint()
        yield* rotate("ES256")
        yield* publish({})
        yield* retire("rsa")
        yield* respond("jwks", "unreachable")
        yield* reset
        assert.deepStrictEqual(yield* requests, [])
        assert.deepStrictEqual(yield* kids, ["rsa"])
        assert.deepInclude(decode(yield* mint()), { header: { alg: "RS256", kid: "rsa", typ: "at+jwt" } })
      }))

    const outages: ReadonlyArray<readonly [name: string, answer: IssuerResponse, outcome: string]> = [
      ["unreachable", "unreachable", "AuthorizationServerUnavailable Unreachable"],
      ["an error", { status: 500 }, "AuthorizationServerUnavailable BadResponse"],
      ["HTML", { body: "<html>" }, "AuthorizationServerUnavailable BadResponse"]
    ]
    for (const [name, answer, outcome] of outages) {
      for (const endpoint of ["discovery", "jwks"] as const) {
        test(`make JwtVerifier report an outage: ${name} at ${endpoint}`, () =>
          Effect.gen(function* () {
            const { mint, respond } = yield* TestIssuer
            yield* respond(endpoint, answer)
            assert.strictEqual(yield* (yield* verifyWith())(yield* mint()), outcome)
          }))
      }
    }

    test("make JwtVerifier time out on TestClock", () =>
      Effect.gen(function* () {
        const { mint, respond } = yield* TestIssuer
        yield* respond("discovery", "never")
        const verify = yield* verifyWith()
        const fiber = yield* Effect.forkChild(verify(yield* mint()))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Fiber.join(fiber), "AuthorizationServerUnavailable Timeout")
      }))

    test("make JwtVerifier report an outage if the metadata names another issuer", () =>
      Effect.gen(function* () {
        const { metadata, mint, respond } = yield* TestIssuer
        yield* respond("discovery", { body: JSON.stringify({ ...(yield* metadata), issuer: "https://evil.test" }) })
        const verify = yield* verifyWith()
        assert.strictEqual(yield* verify(yield* mint()), "AuthorizationServerUnavailable IssuerMismatch")
      }))
  })
})

describe("a TestIssuer that is another kind of server", () => {
  test("responds with 406 to a request that does not accept its media type", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* respond("jwks", { mediaType: "application/jwk-set+json" })
      const client = yield* HttpClient.HttpClient
      for (const [accept, status] of [
        ["application/json", 406],
        ["application/jwk-set+json", 200],
        ["application/json, application/jwk-set+json;q=0.9", 200],
        ["application/*", 200],
        ["*/*", 200]
      ] as const) {
        const answer = yield* client.get(jwks, { headers: { accept } })
        assert.strictEqual(answer.status, status, accept)
        if (status === 200) assert.strictEqual(answer.headers["content-type"], "application/jwk-set+json")
      }
      assert.strictEqual((yield* client.get(jwks)).status, 200)
    }))

  test("redirects every other path", () =>
    Effect.gen(function* () {
      const { issuer, requests, respond } = yield* TestIssuer
      yield* respond("other", { status: 302, headers: { location: "/login" } })
      const answer = yield* get(`${issuer}/anything`)
      assert.strictEqual(answer.status, 302)
      assert.strictEqual(answer.headers["location"], "/login")
      assert.strictEqual((yield* get(jwks)).status, 200)
      yield* respond("other", { body: "<html>", status: 200 })
      assert.strictEqual((yield* get(`${issuer}/anything`)).status, 200)
      yield* respond("other", "normal")
      assert.strictEqual((yield* get(`${issuer}/anything`)).status, 404)
      assert.lengthOf(yield* requests, 4)
    }))

  test("records Cache-Control", () =>
    Effect.gen(function* () {
      const { requests } = yield* TestIssuer
      const client = yield* HttpClient.HttpClient
      yield* client.get(jwks, { headers: { "cache-control": "no-cache" } })
      assert.strictEqual((yield* requests)[0]?.cacheControl, "no-cache")
    }))

  test(
    "serves the metadata only at the places of metadataAt",
    () =>
      Effect.gen(function* () {
        const statuses = yield* Effect.forEach(
          [
            "/a/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server/a",
            "/.well-known/openid-configuration/a",
            "/a/.well-known/oauth-authorization-server"
          ],
          (path) => Effect.map(get(`https://login.test${path}`), ({ status }) => status)
        )
        assert.deepStrictEqual(statuses, [404, 404, 200, 200])
      }),
    { issuer: "https://login.test/a", metadataAt: ["openid-inserted", "oauth-appended"] }
  )
})
