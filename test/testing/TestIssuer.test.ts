import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Option, Redacted, type Scope } from "effect"
import {
  FetchHttpClient,
  HttpClient,
  HttpClientError,
  HttpClientRequest,
  HttpEffect,
  HttpRouter,
  HttpServerResponse
} from "effect/http"
import { JwtVerifier, KeySet, OAuth2, TokenVerifier, type SecurityError } from "effect-oauth2"
import { TestIssuer, type Answer, type MintOptions, type TestIssuerOptions } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as jose from "jose"
import { createServer } from "node:http"

const issuer = "https://issuer.test"
const audience = "https://api.test"

// Generating RSA keys is slow: most tests share one.
const rsa = Effect.runPromise(TestIssuer.makeKey("rsa"))

const layerOf = (options: TestIssuerOptions = {}) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => rsa),
      (key) => TestIssuer.layer({ keys: [key], ...options })
    )
  )

type Env = TestIssuer | HttpClient.HttpClient

const test = (
  name: string,
  body: () => Effect.Effect<void, unknown, Env | Scope.Scope>,
  options: TestIssuerOptions = {}
) => it.effect(name, () => Effect.provide(body(), layerOf(options)))

const decode = (token: string) => ({ header: jose.decodeProtectedHeader(token), claims: jose.decodeJwt(token) })

const get = (url: string) => Effect.flatMap(HttpClient.HttpClient, (client) => client.get(url))

const getJson = (url: string): Effect.Effect<unknown, HttpClientError.HttpClientError, HttpClient.HttpClient> =>
  Effect.flatMap(get(url), (response) => response.json)

const discovery = `${issuer}/.well-known/openid-configuration`
const jwks = `${issuer}/jwks`

const published = Effect.map(
  getJson(jwks),
  (set) => (set as { readonly keys: ReadonlyArray<{ readonly kid?: string } | null> }).keys
)

const kids = Effect.map(published, (keys) => keys.map((key) => key?.kid))

const asked = Effect.flatMap(TestIssuer, ({ requests }) =>
  Effect.map(requests, (requests) => requests.map(({ endpoint }) => endpoint))
)

/** How our verifier finds a token. */
const verifyWith = (options: Partial<JwtVerifier.Options> = {}) =>
  Effect.gen(function* () {
    const issuer = yield* TestIssuer
    const { verify } = yield* Effect.provide(
      Effect.map(TokenVerifier, (verifier) => verifier),
      yield* Layer.build(JwtVerifier.layer({ issuer: issuer.issuer, audience, ...options }))
    )
    return (token: string) =>
      verify(Redacted.make(token)).pipe(
        Effect.map((verified) => verified.subject),
        Effect.catch((error: SecurityError.SecurityError) =>
          Effect.succeed("reason" in error ? `${error._tag} ${error.reason}` : error._tag)
        )
      )
  })

const dies = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(effect), (exit) => {
    assert(Exit.isFailure(exit))
    return String(Cause.squash(exit.cause))
  })

const transportError = (exit: Exit.Exit<unknown, unknown>) => {
  assert(Exit.isFailure(exit))
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  assert.instanceOf(error, HttpClientError.HttpClientError)
  assert.strictEqual(error.reason._tag, "TransportError")
  return error.message
}

describe("TestIssuer.mint", () => {
  test("mints an access token of RFC 9068, good for ten minutes on the test's clock", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_700_000_000_999)
      const token = yield* TestIssuer.use((issuer) => issuer.mint({ scopes: ["items:read", "me"] }))
      assert.deepStrictEqual(decode(token), {
        header: { alg: "RS256", kid: "rsa", typ: "at+jwt" },
        claims: {
          iss: issuer,
          sub: "demo",
          aud: audience,
          client_id: "test-client",
          jti: "token-1",
          iat: 1_700_000_000,
          exp: 1_700_000_600,
          scope: "items:read me"
        }
      })
    }))

  const cases: ReadonlyArray<
    readonly [name: string, options: MintOptions, expected: Record<string, unknown>, absent?: ReadonlyArray<string>]
  > = [
    ["without scopes by itself", {}, {}, ["scope"]],
    ["an empty scope", { scopes: [] }, { scope: "" }],
    ["a subject", { subject: "alice" }, { sub: "alice" }],
    ["audiences", { audience: ["a", "b"] }, { aud: ["a", "b"] }],
    ["a lifetime", { lifetime: "1 hour" }, { iat: 0, exp: 3600 }],
    ["any claims", { claims: { iss: 1, tenant: { id: null } } }, { iss: 1, tenant: { id: null } }],
    ["claims left out", { without: ["exp", "aud"] }, {}, ["exp", "aud"]],
    ["claims that are left out though they are given", { claims: { x: 1 }, without: ["x"] }, {}, ["x"]],
    ["an ID token", { profile: "id-token" }, { aud: "test-client", auth_time: 0 }, ["client_id", "jti", "scope"]],
    ["an ID token for the API", { profile: "id-token", audience }, { aud: audience }],
    ["an access token that is not marked", { profile: "jwt" }, { aud: audience, client_id: "test-client" }]
  ]
  for (const [name, options, expected, absent = []] of cases) {
    test(`takes ${name}`, () =>
      Effect.gen(function* () {
        const { claims } = decode(yield* TestIssuer.use((issuer) => issuer.mint(options)))
        for (const [claim, value] of Object.entries(expected)) assert.deepStrictEqual(claims[claim], value)
        for (const claim of absent) assert.notProperty(claims, claim)
      }))
  }

  test("takes a claim by the name of __proto__ as a claim", () =>
    Effect.gen(function* () {
      const token = yield* TestIssuer.use((issuer) =>
        issuer.mint({ claims: JSON.parse('{"__proto__":{"sub":"admin"}}') })
      )
      assert.include(Buffer.from(token.split(".")[1]!, "base64url").toString(), '"__proto__":{"sub":"admin"}')
    }))

  test("marks access tokens only", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const typ = (options: MintOptions) => Effect.map(mint(options), (token) => decode(token).header.typ)
      assert.strictEqual(yield* typ({}), "at+jwt")
      assert.strictEqual(yield* typ({ profile: "at+jwt" }), "at+jwt")
      assert.strictEqual(yield* typ({ profile: "jwt" }), "JWT")
      assert.strictEqual(yield* typ({ profile: "id-token" }), "JWT")
    }))

  test("lets a header lie, and signs truly", () =>
    Effect.gen(function* () {
      const { currentKey, mint } = yield* TestIssuer
      const { jwk } = yield* currentKey
      const token = yield* mint({ header: { alg: "RS512", kid: undefined, crit: ["x"], x: 1, jwk } })
      const { header } = decode(token)
      assert.deepStrictEqual(header, { alg: "RS512", typ: "at+jwt", crit: ["x"], x: 1, jwk })
      yield* assertSigned(token, { ...jwk, alg: "RS256" })
    }))

  test("counts its tokens", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const ids = yield* Effect.all([mint(), mint(), mint()])
      assert.deepStrictEqual(
        ids.map((token) => decode(token).claims.jti),
        ["token-1", "token-2", "token-3"]
      )
    }))

  test("is the same in each run, but for what is random in a signature", () =>
    Effect.gen(function* () {
      const { mint, reset } = yield* TestIssuer
      const first = yield* mint()
      yield* reset
      assert.strictEqual(yield* mint(), first)
    }))
})

/** Checks the signature alone, with WebCrypto by way of jose. */
const assertSigned = (token: string, jwk: jose.JWK) =>
  Effect.promise(async () => {
    const [header = "", payload = "", signature = ""] = token.split(".")
    const key = await crypto.subtle.importKey(
      "jwk",
      jwk as JsonWebKey,
      { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
      false,
      ["verify"]
    )
    const bytes = new Uint8Array(Buffer.from(signature, "base64url"))
    const input = new TextEncoder().encode(`${header}.${payload}`)
    assert.isTrue(await crypto.subtle.verify("RSASSA-PKCS1-v1_5", key, bytes, input))
  })

describe("TestIssuer.mintRaw", () => {
  const parts: ReadonlyArray<readonly [name: string, header: string | Uint8Array, payload: string | Uint8Array]> = [
    ["no JSON", "not json", "not json either"],
    ["members twice", '{"alg":"RS256","alg":"none"}', '{"sub":"a","sub":"b"}'],
    ["invalid UTF-8", new Uint8Array([0xff, 0xfe]), new Uint8Array([0x7b, 0xff, 0x7d])],
    ["nothing", "", ""],
    ["numbers beyond JSON", '{"alg":"RS256"}', '{"exp":1e999}']
  ]
  for (const [name, header, payload] of parts) {
    test(`signs ${name} as it is`, () =>
      Effect.gen(function* () {
        const { currentKey, mintRaw } = yield* TestIssuer
        const token = yield* mintRaw({ header, payload })
        const sent = token.split(".").map((segment) => Buffer.from(segment, "base64url"))
        assert.isTrue(Buffer.from(header).equals(sent[0]!))
        assert.isTrue(Buffer.from(payload).equals(sent[1]!))
        yield* assertSigned(token, (yield* currentKey).jwk)
      }))
  }

  test("signs segments that are encoded already, in whatever way", () =>
    Effect.gen(function* () {
      const { currentKey, mintRaw } = yield* TestIssuer
      const token = yield* mintRaw({ header: { encoded: "eyJ9==" }, payload: { encoded: "e 30" } })
      assert.isTrue(token.startsWith("eyJ9==.e 30."))
      yield* assertSigned(token, (yield* currentKey).jwk)
    }))

  test("writes any signature, or none", () =>
    Effect.gen(function* () {
      const { mintRaw } = yield* TestIssuer
      const header = '{"alg":"none"}'
      assert.strictEqual(yield* mintRaw({ header, payload: "{}", signature: "" }), "eyJhbGciOiJub25lIn0.e30.")
      assert.strictEqual(yield* mintRaw({ header, payload: "{}", signature: "AA.A" }), "eyJhbGciOiJub25lIn0.e30.AA.A")
    }))

  test("signs with another key", () =>
    Effect.gen(function* () {
      const { mintRaw } = yield* TestIssuer
      const key = yield* TestIssuer.makeSecretKey("s", "secret")
      const token = yield* mintRaw({ header: '{"alg":"HS256"}', payload: "{}", key })
      yield* Effect.promise(() => jose.jwtVerify(token, new TextEncoder().encode("secret")))
    }))
})

describe("the keys of a TestIssuer", () => {
  for (const algorithm of [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519"
  ] as const) {
    test(
      `are made for ${algorithm}`,
      () =>
        Effect.gen(function* () {
          const token = yield* TestIssuer.use((issuer) => issuer.mint())
          assert.deepInclude(decode(token).header, { alg: algorithm, kid: `${algorithm}-1` })
          const verify = yield* verifyWith({ algorithms: [algorithm] })
          assert.strictEqual(yield* verify(token), "demo")
        }),
      { keys: [algorithm] }
    )
  }

  for (const algorithm of ["HS256", "HS384", "HS512"] as const) {
    test(`sign with ${algorithm}, which we refuse though the secret is published`, () =>
      Effect.gen(function* () {
        const { mint, publish } = yield* TestIssuer
        const key = yield* TestIssuer.makeSecretKey("secret", new Uint8Array(64).fill(7), algorithm)
        yield* publish(key.jwk)
        const token = yield* mint({ key })
        yield* Effect.promise(() => jose.jwtVerify(token, new Uint8Array(64).fill(7), { currentDate: new Date(0) }))
        assert.strictEqual(yield* (yield* verifyWith())(token), "InvalidToken Algorithm")
      }))
  }

  it.effect("are one for RS256 where nothing is said", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* kids, ["RS256-1"])
    }).pipe(Effect.provide(TestIssuer.layer()))
  )

  test(
    "are several, named by algorithm and number, and sign by name",
    () =>
      Effect.gen(function* () {
        const { keys, mint } = yield* TestIssuer
        assert.deepStrictEqual(yield* kids, ["ES256-1", "Ed25519-1", "ES256-2"])
        assert.deepStrictEqual(
          (yield* keys).map(({ kid }) => kid),
          ["ES256-1", "Ed25519-1", "ES256-2"]
        )
        assert.strictEqual(decode(yield* mint()).header.kid, "ES256-1")
        const verify = yield* verifyWith()
        for (const key of ["ES256-1", "Ed25519-1", "ES256-2"]) {
          const token = yield* mint({ key })
          assert.strictEqual(decode(token).header.kid, key)
          assert.strictEqual(yield* verify(token), "demo")
        }
      }),
    { keys: ["ES256", "Ed25519", "ES256"] }
  )

  test("are published without what is private", () =>
    Effect.gen(function* () {
      const [key] = yield* published
      assert.hasAllKeys(key, ["kty", "n", "e", "kid", "alg", "use"])
    }))

  test("rotate: the new key signs, the old one stays published", () =>
    Effect.gen(function* () {
      const { currentKey, mint, rotate } = yield* TestIssuer
      const verify = yield* verifyWith()
      const old = yield* mint()
      assert.strictEqual(yield* verify(old), "demo")
      const key = yield* rotate("ES256")
      assert.strictEqual(yield* currentKey, key)
      const next = yield* mint()
      assert.strictEqual(decode(next).header.kid, "ES256-1")
      assert.strictEqual(yield* verify(next), "demo")
      assert.strictEqual(yield* verify(old), "demo")
      assert.strictEqual((yield* rotate()).kid, "ES256-2")
      assert.strictEqual((yield* rotate(yield* TestIssuer.makeKey("mine", "ES384"))).kid, "mine")
      assert.deepStrictEqual(yield* kids, ["rsa", "ES256-1", "ES256-2", "mine"])
    }))

  test("retire: a key is unpublished, and still signs", () =>
    Effect.gen(function* () {
      const { mint, retire, rotate } = yield* TestIssuer
      yield* rotate("ES256")
      yield* retire("rsa")
      assert.deepStrictEqual(yield* kids, ["ES256-1"])
      const verify = yield* verifyWith()
      assert.strictEqual(yield* verify(yield* mint({ key: "rsa" })), "InvalidToken UnknownKey")
      assert.strictEqual(yield* verify(yield* mint()), "demo")
      yield* retire("ES256-1")
      assert.deepStrictEqual(yield* kids, [])
    }))

  test("publish: anything is put into the set", () =>
    Effect.gen(function* () {
      const { mint, publish } = yield* TestIssuer
      const other = yield* TestIssuer.makeKey("other", "ES256")
      for (const jwk of [null, 1, "key", {}, { kty: "XYZ", kid: "x" }, { ...other.jwk, use: "enc" }, other.jwk]) {
        yield* publish(jwk)
      }
      assert.lengthOf(yield* published, 8)
      assert.strictEqual((yield* kids)[5], "x")
      assert.strictEqual(decode(yield* mint({ key: other })).header.kid, "other")
      assert.strictEqual(decode(yield* mint()).header.kid, "rsa")
    }))

  test("may be of somebody else under a name that is known", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const forged = yield* mint({ key: yield* TestIssuer.makeKey("rsa") })
      assert.strictEqual(yield* (yield* verifyWith())(forged), "InvalidToken Signature")
    }))

  test("may be given to a KeySet without any request", () =>
    Effect.gen(function* () {
      const { keys, mint, requests } = yield* TestIssuer
      const token = yield* mint()
      const given = KeySet.layerStatic({ keys: (yield* keys).map(({ jwk }) => jwk) })
      const verified = yield* TokenVerifier.use(({ verify }) => verify(Redacted.make(token))).pipe(
        Effect.provide(JwtVerifier.layerKeySet({ issuer, audience }).pipe(Layer.provide(given)))
      )
      assert.strictEqual(verified.subject, "demo")
      assert.deepStrictEqual(yield* requests, [])
    }))
})

describe("the endpoints of a TestIssuer", () => {
  test(
    "answer at both discovery addresses, and the key set",
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
        assert.deepStrictEqual(yield* asked, ["openid-configuration", "oauth-authorization-server", "jwks"])
        assert.strictEqual(yield* (yield* verifyWith())(yield* TestIssuer.use(({ mint }) => mint())), "demo")
      }),
    { issuer: "https://login.test/a", metadata: { introspection_endpoint: "https://login.test/introspect" } }
  )

  test("are found by RFC 8414 alone where there is no OpenID Connect document", () =>
    Effect.gen(function* () {
      const { mint, respond } = yield* TestIssuer
      yield* respond("openid-configuration", { status: 404, body: "" })
      assert.strictEqual(yield* (yield* verifyWith())(yield* mint()), "demo")
      assert.deepStrictEqual(yield* asked, ["openid-configuration", "oauth-authorization-server", "jwks"])
    }))

  test("remember what they were asked, and when", () =>
    Effect.gen(function* () {
      yield* get(`${jwks}?a=1`)
      yield* TestClock.adjust("90 seconds")
      const client = yield* HttpClient.HttpClient
      const missing = yield* client.post(`${issuer}/token`)
      const head = yield* client.head(jwks)
      assert.strictEqual(missing.status, 404)
      assert.strictEqual((yield* client.post(jwks)).status, 404)
      assert.strictEqual(head.status, 200)
      assert.deepStrictEqual(yield* TestIssuer.use(({ requests }) => requests), [
        { endpoint: "jwks", method: "GET", url: `${jwks}?a=1`, time: 0 },
        { endpoint: "other", method: "POST", url: `${issuer}/token`, time: 90_000 },
        { endpoint: "jwks", method: "HEAD", url: jwks, time: 90_000 },
        { endpoint: "jwks", method: "POST", url: jwks, time: 90_000 }
      ])
    }))

  test("are the only ones there are: another origin is unreachable, and remembered", () =>
    Effect.gen(function* () {
      for (const url of ["https://evil.test/jwks", "http://issuer.test/jwks", "https://issuer.test:8443/jwks"]) {
        assert.include(transportError(yield* Effect.exit(get(url))), "TestIssuer answers at https://issuer.test only")
      }
      assert.deepStrictEqual(yield* asked, ["other", "other", "other"])
    }))

  describe("told how to answer", () => {
    test("are unreachable, and come back", () =>
      Effect.gen(function* () {
        const { respond } = yield* TestIssuer
        yield* respond("jwks", "unreachable")
        transportError(yield* Effect.exit(get(jwks)))
        assert.strictEqual((yield* get(discovery)).status, 200)
        yield* respond("jwks", "normal")
        assert.strictEqual((yield* get(jwks)).status, 200)
      }))

    test("are broken at both discovery addresses at once", () =>
      Effect.gen(function* () {
        yield* TestIssuer.use(({ respond }) => respond("discovery", { status: 500 }))
        assert.strictEqual((yield* get(discovery)).status, 500)
        assert.strictEqual((yield* get(`${issuer}/.well-known/oauth-authorization-server`)).status, 500)
        assert.strictEqual((yield* get(jwks)).status, 200)
      }))

    test("say what a test wants: status, headers, text, bytes", () =>
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
        assert.deepStrictEqual(yield* asked, ["jwks", "jwks", "jwks"])
      }))

    test("are slow on the test's clock", () =>
      Effect.gen(function* () {
        yield* TestIssuer.use(({ respond }) => respond("jwks", { delay: "3 seconds" }))
        const fiber = yield* Effect.forkChild(kids)
        yield* TestClock.adjust("2999 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* Fiber.join(fiber), ["rsa"])
      }))

    test("never answer", () =>
      Effect.gen(function* () {
        yield* TestIssuer.use(({ respond }) => respond("jwks", "never"))
        const fiber = yield* Effect.forkChild(get(jwks))
        yield* TestClock.adjust("1000 days")
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* asked, ["jwks"])
      }))

    test("are back at the start after a reset", () =>
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

    const outages: ReadonlyArray<readonly [name: string, answer: Answer, outcome: string]> = [
      ["unreachable", "unreachable", "AuthorizationServerUnavailable Unreachable"],
      ["an error", { status: 500 }, "AuthorizationServerUnavailable BadResponse"],
      ["HTML", { body: "<html>" }, "AuthorizationServerUnavailable BadResponse"]
    ]
    for (const [name, answer, outcome] of outages) {
      for (const endpoint of ["discovery", "jwks"] as const) {
        test(`are an outage to our verifier: ${name} at ${endpoint}`, () =>
          Effect.gen(function* () {
            const { mint, respond } = yield* TestIssuer
            yield* respond(endpoint, answer)
            assert.strictEqual(yield* (yield* verifyWith())(yield* mint()), outcome)
          }))
      }
    }

    test("are a time-out to our verifier that does not take real time", () =>
      Effect.gen(function* () {
        const { mint, respond } = yield* TestIssuer
        yield* respond("discovery", "never")
        const verify = yield* verifyWith()
        const fiber = yield* Effect.forkChild(verify(yield* mint()))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Fiber.join(fiber), "AuthorizationServerUnavailable Timeout")
      }))

    test("are an outage to our verifier where the metadata is another issuer's", () =>
      Effect.gen(function* () {
        const { metadata, mint, respond } = yield* TestIssuer
        yield* respond("discovery", { body: JSON.stringify({ ...(yield* metadata), issuer: "https://evil.test" }) })
        const verify = yield* verifyWith()
        assert.strictEqual(yield* verify(yield* mint()), "AuthorizationServerUnavailable IssuerMismatch")
      }))
  })
})

describe("a mistake of a test", () => {
  const cases: ReadonlyArray<
    readonly [name: string, mistake: Effect.Effect<unknown, unknown, TestIssuer>, message: string]
  > = [
    [
      "minting with a key that is not there",
      TestIssuer.use(({ mint }) => mint({ key: "rsa-2" })),
      'Error: TestIssuer: there is no key "rsa-2"; its keys are: rsa'
    ],
    [
      "signing bytes with a key that is not there",
      TestIssuer.use(({ mintRaw }) => mintRaw({ header: "", payload: "", key: "x" })),
      'Error: TestIssuer: there is no key "x"; its keys are: rsa'
    ],
    [
      "retiring a key that is not published",
      TestIssuer.use(({ publish, retire }) => Effect.andThen(publish(null), retire("x"))),
      'Error: TestIssuer: no key "x" is published; these are: rsa'
    ],
    [
      "rotating after a secret without saying to what",
      Effect.gen(function* () {
        const { rotate } = yield* TestIssuer
        yield* rotate(yield* TestIssuer.makeSecretKey("s", "secret"))
        yield* rotate()
      }),
      "Error: TestIssuer: rotate makes no secrets: give it the key"
    ],
    [
      "a lifetime that is no duration",
      TestIssuer.use(({ mint }) => mint({ lifetime: "5 minuts" as "5 minutes" })),
      'Error: TestIssuer: the lifetime of a token must be a finite duration, such as "5 seconds"'
    ],
    [
      "a lifetime without an end",
      TestIssuer.use(({ mint }) => mint({ lifetime: Infinity })),
      'Error: TestIssuer: the lifetime of a token must be a finite duration, such as "5 seconds"'
    ],
    [
      "a delay that is no duration",
      TestIssuer.use(({ respond }) => respond("jwks", { delay: "x" as "1 second" })),
      'Error: TestIssuer: the delay of an answer must be a finite duration that is not negative, such as "5 seconds"'
    ],
    [
      "a delay back in time",
      TestIssuer.use(({ respond }) => respond("jwks", { delay: "-1 seconds" })),
      'Error: TestIssuer: the delay of an answer must be a finite duration that is not negative, such as "5 seconds"'
    ]
  ]
  for (const [name, mistake, message] of cases) {
    test(`dies and says what there is: ${name}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* dies(mistake), message)
      }))
  }

  it.effect("dies when the layer is built: no keys, no issuer", () =>
    Effect.gen(function* () {
      assert.include(yield* dies(Layer.build(TestIssuer.layer({ keys: [] }))), "keys must have at least one")
      assert.include(
        yield* dies(Layer.build(TestIssuer.layer({ issuer: "http://issuer.test" }))),
        "issuer must be an https URL"
      )
    })
  )
})

describe("an app of a user", () => {
  const auth = OAuth2.authorizationCode("OAuth2", {
    authorizationUrl: `${issuer}/authorize`,
    tokenUrl: `${issuer}/token`,
    scopes: { "items:read": "Read your items", "items:write": "Modify your items" }
  })
  const App = HttpRouter.add("GET", "/items", HttpServerResponse.jsonUnsafe([])).pipe(
    Layer.provide(auth.require("items:read").route.layer),
    Layer.provide(auth.layer),
    Layer.provide(JwtVerifier.layer({ issuer, audience }))
  )

  test("is tested from a good token to an outage, on the test's clock", () =>
    Effect.gen(function* () {
      const { mint, respond, rotate } = yield* TestIssuer
      const context = yield* Effect.context<never>()
      const app = HttpEffect.toWebHandler(yield* HttpRouter.toHttpEffect(App))
      const status = (token: string) =>
        Effect.promise(async () => {
          const headers = { authorization: `Bearer ${token}` }
          return (await app(new Request("http://localhost/items", { headers }), context)).status
        })
      const token = yield* mint({ scopes: ["items:read"] })
      assert.strictEqual(yield* status(token), 200)
      assert.strictEqual(yield* status(yield* mint({ scopes: ["items:write"] })), 401)
      assert.strictEqual(yield* status(yield* mint({ scopes: ["items:read"], profile: "id-token", audience })), 401)
      yield* TestClock.adjust("11 minutes")
      assert.strictEqual(yield* status(token), 401)
      yield* rotate("ES256")
      assert.strictEqual(yield* status(yield* mint({ scopes: ["items:read"] })), 200)
      yield* respond("jwks", "unreachable")
      assert.strictEqual(yield* status(yield* mint({ scopes: ["items:read"] })), 200)
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* status(yield* mint({ scopes: ["items:read"] })), 503)
    }))
})

describe("TestIssuer.serve", () => {
  const server = NodeHttpServer.layer(createServer, { port: 0 })
  const live = (
    name: string,
    body: () => Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Scope.Scope>
  ) =>
    it.live(name, () =>
      Effect.gen(function* () {
        const key = yield* Effect.promise(() => rsa)
        yield* Effect.provide(
          body(),
          Layer.merge(TestIssuer.serve({ keys: [key] }).pipe(Layer.provide(server)), FetchHttpClient.layer)
        )
      })
    )

  live("is the issuer of the server's address, and our verifier finds its keys", () =>
    Effect.gen(function* () {
      const { issuer, jwksUri, mint, requests, rotate } = yield* TestIssuer
      assert.match(issuer, /^http:\/\/127\.0\.0\.1:\d+$/)
      assert.strictEqual(jwksUri, `${issuer}/jwks`)
      const verify = yield* verifyWith()
      assert.strictEqual(yield* verify(yield* mint()), "demo")
      assert.deepStrictEqual(
        (yield* requests).map(({ endpoint, method, url }) => [endpoint, method, url]),
        [
          ["openid-configuration", "GET", `${issuer}/.well-known/openid-configuration`],
          ["jwks", "GET", jwksUri]
        ]
      )
      yield* rotate("ES256")
      assert.strictEqual(yield* verify(yield* mint()), "demo")
    })
  )

  live("answers what a test wants", () =>
    Effect.gen(function* () {
      const { issuer, jwksUri, requests, respond } = yield* TestIssuer
      assert.strictEqual((yield* get(`${issuer}//token?x`)).status, 404)
      assert.deepInclude((yield* requests)[0], { endpoint: "other", url: `${issuer}//token?x` })
      yield* respond("jwks", { status: 418, headers: { "x-a": "b" }, body: "sorry" })
      const answer = yield* get(jwksUri)
      assert.strictEqual(answer.status, 418)
      assert.strictEqual(answer.headers["x-a"], "b")
      assert.strictEqual(answer.headers["content-type"], "application/json")
      assert.strictEqual(yield* answer.text, "sorry")
      yield* respond("jwks", { delay: "50 millis" })
      const before = performance.now()
      yield* Effect.flatMap(get(jwksUri), (response) => response.text)
      assert.isAtLeast(performance.now() - before, 45)
    })
  )

  live("breaks the connection where it is to be unreachable, and serves the next", () =>
    Effect.gen(function* () {
      const { jwksUri, mint, respond } = yield* TestIssuer
      yield* respond("jwks", "unreachable")
      transportError(yield* Effect.exit(get(jwksUri)))
      assert.strictEqual(yield* (yield* verifyWith())(yield* mint()), "AuthorizationServerUnavailable Unreachable")
      yield* respond("jwks", "normal")
      assert.strictEqual((yield* get(jwksUri)).status, 200)
    })
  )

  live("never answers, and can be closed all the same", () =>
    Effect.gen(function* () {
      const { jwksUri, requests, respond } = yield* TestIssuer
      yield* respond("jwks", "never")
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(get(jwksUri), "100 millis")))
      assert.lengthOf(yield* requests, 1)
    })
  )

  it.effect("answers a request of any form", () =>
    Effect.gen(function* () {
      const { app, requests } = yield* TestIssuer
      const handle = HttpEffect.toWebHandler(app)
      const response = yield* Effect.promise(() => handle(new Request("http://anything/jwks")))
      assert.strictEqual(response.status, 200)
      assert.deepInclude((yield* requests)[0], { endpoint: "jwks", url: jwks })
      yield* TestIssuer.use(({ respond }) => respond("jwks", "unreachable"))
      const none = yield* Effect.promise(() => handle(new Request("http://anything/jwks")))
      assert.strictEqual(none.status, 503)
    }).pipe(Effect.provide(layerOf()))
  )
})

describe("TestIssuer.routes", () => {
  it.live("puts the endpoints beside others in a router", () =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const status = (path: string) =>
        Effect.map(client.execute(HttpClientRequest.get(path)), (response) => response.status)
      assert.strictEqual(yield* status("/health"), 204)
      assert.strictEqual(yield* status("/a:b/.well-known/openid-configuration"), 200)
      assert.strictEqual(yield* status("/.well-known/oauth-authorization-server/a:b"), 200)
      assert.strictEqual(yield* status("/a:b/jwks"), 200)
      assert.strictEqual(yield* status("/a:b"), 404)
      assert.strictEqual(yield* status("/axb/jwks"), 404)
    }).pipe(
      Effect.provide(
        HttpRouter.serve(Layer.merge(HttpRouter.add("GET", "/health", HttpServerResponse.empty()), TestIssuer.routes), {
          disableListenLog: true,
          disableLogger: true
        }).pipe(
          Layer.provide(layerOf({ issuer: "http://localhost:1/a:b" })),
          Layer.provideMerge(NodeHttpServer.layerTest)
        )
      )
    )
  )
})
