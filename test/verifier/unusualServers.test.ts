/** Key sets, metadata and introspection of authorization servers that differ from the standards or from each other. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Option, Redacted } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { JwtVerifier, KeySet, SecurityError, TokenIntrospection, TokenVerifier } from "effect-oauth2"
import { type IssuerResponse, TestIssuer, type TestIssuerOptions } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { createServer } from "node:net"
import { settle } from "../support/settle.ts"
import {
  assertUnavailable,
  assertUnknown,
  discovery,
  first,
  issuer,
  jwks,
  keyFetches,
  replaceKeys,
  requestedUrls,
  respondAll,
  rs256,
  second,
  withDiscovery,
  withKeySet,
  withLogs
} from "../support/keySets.ts"
import { times } from "../support/times.ts"

const tenant = `${issuer}/tenant`

const withTenant = <A, E>(
  body: Parameters<typeof withKeySet<A, E, SecurityError.ConfigurationError>>[1],
  options: TestIssuerOptions = {}
) => withKeySet(KeySet.layerDiscovery({ issuer: tenant }), body, { issuer: tenant, ...options })

const paths = Effect.map(requestedUrls, (urls) => urls.map((url) => url.replace(issuer, "")))

describe("a key set", () => {
  for (const mediaType of ["application/jwk-set+json", "application/json"]) {
    it.effect(`is read if the server sends only ${mediaType}`, () =>
      withDiscovery(({ respond }, keySet) =>
        Effect.gen(function* () {
          yield* respond("jwks", { mediaType })
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )
  }
})

describe("discovery goes on to RFC 8414", () => {
  const noMetadata: ReadonlyArray<readonly [name: string, answer: IssuerResponse]> = [
    ...[400, 401, 403, 404, 405, 406, 410, 418, 501].map((status) => [`${status}`, { status, body: "" }] as const),
    ["302 to a login page", { status: 302, headers: { location: "/login?state=secret" }, body: "" }],
    ["308", { status: 308, headers: { location: "/tenant/" }, body: "" }],
    ["204", { status: 204, body: "" }],
    ["200 with HTML", { body: "<!doctype html><title>App</title>", headers: { "content-type": "text/html" } }],
    ["200 with an array", { body: "[]" }],
    ["200 with null", { body: "null" }],
    ["200 with nothing", { body: "" }],
    ["200 with an error as JSON", { body: '{"error":"not found"}' }],
    ["200 with other text than UTF-8", { body: Uint8Array.of(0xff, 0xfe) }]
  ]
  for (const [name, answer] of noMetadata) {
    it.effect(`after ${name} at the OpenID Connect path`, () =>
      withTenant(({ respond }, keySet) =>
        Effect.gen(function* () {
          yield* respond("openid-configuration", answer)
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          assert.deepStrictEqual(yield* paths, [
            "/tenant/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server/tenant",
            "/tenant/jwks"
          ])
        })
      )
    )
  }

  for (const status of [429, 500, 502, 503, 504]) {
    it.effect(`but not after ${status}, which shows an outage`, () =>
      withTenant(({ respond }, keySet) =>
        Effect.gen(function* () {
          yield* respond("openid-configuration", { status, body: "" })
          assertUnavailable(yield* Effect.exit(keySet.refresh), "BadResponse")
          assert.lengthOf(yield* paths, 1)
        })
      )
    )
  }

  for (const metadataAt of ["openid", "oauth", "openid-inserted", "oauth-appended"] as const) {
    for (const [name, other] of [
      ["404", { status: 404, body: "" }],
      ["a redirect", { status: 302, headers: { location: "/login" }, body: "" }],
      ["a page of an app", { status: 200, body: "<html>" }]
    ] as const) {
      it.effect(`metadata only at the place ${metadataAt} is found if other paths get ${name}`, () =>
        withTenant(
          ({ respond }, keySet) =>
            Effect.gen(function* () {
              yield* respond("other", other)
              assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
            }),
          { metadataAt: [metadataAt] }
        )
      )
    }
  }

  it.effect("but metadata of another issuer is refused at each place", () =>
    Effect.forEach(["openid", "oauth", "openid-inserted", "oauth-appended"] as const, (place) =>
      withTenant(
        (_, keySet) => Effect.map(Effect.exit(keySet.refresh), (exit) => assertUnavailable(exit, "IssuerMismatch")),
        {
          metadataAt: [place],
          metadata: { issuer }
        }
      )
    )
  )

  it.effect("and the log has the response that says most", () =>
    withLogs((logs) =>
      withTenant(
        ({ respond }, keySet) =>
          Effect.gen(function* () {
            yield* respond("oauth-authorization-server", { status: 401, body: "" })
            yield* Effect.exit(keySet.refresh)
            assert.deepInclude(logs[0]?.annotations, {
              url: `${issuer}/.well-known/oauth-authorization-server/tenant`,
              status: 401
            })
          }),
        { metadataAt: ["oauth"] }
      )
    )
  )
})

describe("a byte order mark", () => {
  it.effect("before the metadata and the key set is ignored", () =>
    withDiscovery(({ metadata, respond }, keySet) =>
      Effect.gen(function* () {
        yield* respond("discovery", { body: `\ufeff${JSON.stringify(yield* metadata)}` })
        yield* respond("jwks", { body: `\ufeff${JSON.stringify({ keys: [first.jwk] })}` })
        assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        yield* respond("jwks", { body: `\ufeff\ufeff${JSON.stringify({ keys: [first.jwk] })}` })
        yield* keySet.invalidate
        assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "BadResponse")
      })
    )
  )
})

describe("odd keys", () => {
  const served: ReadonlyArray<readonly [name: string, members: Record<string, unknown>]> = [
    [
      "every absent member is null",
      { alg: null, use: null, key_ops: null, crv: null, x: null, y: null, d: null, p: null, oth: null, k: null }
    ],
    ["alg is null", { alg: null }],
    ["key_ops and x5c are empty", { key_ops: [], x5c: [] }],
    ["oth is empty", { oth: [] }]
  ]
  for (const [name, members] of served) {
    it.effect(`serve if ${name}`, () =>
      withLogs((logs) =>
        withDiscovery((_, keySet) =>
          Effect.gen(function* () {
            yield* replaceKeys([{ ...second.jwk, ...members }])
            assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
            assert.lengthOf(logs, 0)
          })
        )
      )
    )
  }

  const refused: ReadonlyArray<readonly [name: string, reason: string, members: Record<string, unknown>]> = [
    ["n is null", "Malformed", { n: null }],
    ["key_ops has duplicates", "Malformed", { key_ops: ["verify", "verify"] }],
    ["oth has a prime", "Private", { oth: [{ r: "AQAB" }] }],
    ["oth is no list", "Private", { oth: {} }],
    ["d is empty text", "Private", { d: "" }]
  ]
  for (const [name, reason, members] of refused) {
    it.effect(`are refused with a true reason if ${name}`, () =>
      withLogs((logs) =>
        withDiscovery((_, keySet) =>
          Effect.gen(function* () {
            yield* replaceKeys([
              { ...second.jwk, ...members },
              { ...first.jwk, kid: "good" }
            ])
            assertUnknown(yield* Effect.exit(keySet.find(rs256("k2"))))
            assert.lengthOf(yield* keySet.find(rs256("good")), 1)
            assert.deepStrictEqual(
              logs.map(({ annotations }) => annotations["reason"]),
              [reason]
            )
          })
        )
      )
    )
  }

  it.effect("on P-521 without a leading zero are refused for their length", () =>
    withLogs((logs) =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          const { jwk } = yield* TestIssuer.makeKey("k2", "ES512")
          const short = Buffer.from(jwk.x ?? "", "base64url")
            .subarray(1)
            .toString("base64url")
          yield* replaceKeys([{ ...jwk, x: short }])
          assertUnknown(yield* Effect.exit(keySet.find({ alg: "ES512", kid: "k2" })))
          assert.strictEqual(logs[0]?.annotations["reason"], "CoordinateLength")
        })
      )
    )
  )

  it.effect("with one kid: a refused twin leaves the good twin", () =>
    withDiscovery((_, keySet) =>
      Effect.gen(function* () {
        const ec = yield* TestIssuer.makeKey("k2", "ES256")
        const other = { ...first.jwk, kid: "k2" }
        const twins = [
          { ...other, n: null },
          { ...other, e: "AQ" },
          { ...other, use: "enc" },
          { ...other, d: "AQAB" },
          { ...other, key_ops: ["verify", "verify"] },
          { ...second.jwk, alg: "RSA-OAEP", use: "enc" },
          { ...ec.jwk, y: ec.jwk.x }
        ]
        for (const twin of twins) {
          for (const keys of [
            [twin, second.jwk],
            [second.jwk, twin]
          ]) {
            yield* TestIssuer.use(({ respond }) => respond("jwks", { body: JSON.stringify({ keys }) }))
            yield* keySet.invalidate
            yield* TestClock.adjust("5 seconds")
            assert.lengthOf(yield* keySet.find(rs256("k2")), 1, JSON.stringify(twin))
          }
        }
      })
    )
  )

  it.effect("without kid, while tokens name one: the log says so once", () =>
    withLogs((logs) =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          const { kid: _, ...noKid } = first.jwk
          yield* replaceKeys([noKid])
          for (const kid of ["k1", "k1", "other"]) {
            assertUnknown(yield* Effect.exit(keySet.find(rs256(kid))))
            yield* TestClock.adjust("30 seconds")
          }
          assert.deepStrictEqual(
            logs.map(({ level, message }) => [level, message]),
            [
              [
                "Warn",
                "A token with a kid was refused, because no key of the issuer has a kid. Publish each key with the kid that its tokens name."
              ]
            ]
          )
          assert.lengthOf(yield* keySet.find({ alg: "RS256" }), 1)
        })
      )
    )
  )
})

describe("a client with filterStatusOk", () => {
  const filtered = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (client) => HttpClient.filterStatusOk(client))
  )

  it.effect("reads a 404 as an answer in discovery", () =>
    withKeySet(
      KeySet.layerDiscovery({ issuer: tenant }).pipe(Layer.provide(filtered)),
      ({ respond }, keySet) =>
        Effect.gen(function* () {
          yield* respond("openid-configuration", { status: 404, body: "" })
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        }),
      { issuer: tenant }
    )
  )

  it.effect("reads a status of the key set as an answer", () =>
    withKeySet(KeySet.layerDiscovery({ issuer }).pipe(Layer.provide(filtered)), ({ respond }, keySet) =>
      Effect.gen(function* () {
        yield* respond("jwks", { status: 403, body: "" })
        assertUnavailable(yield* Effect.exit(keySet.refresh), "BadResponse")
      })
    )
  )

  it.effect("introspection goes on for other tokens while one unknown token gets 400", () => {
    const client = HttpClient.make((request, url) =>
      Effect.sync(() => {
        const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
        if (url.pathname.includes(".well-known")) {
          return HttpClientResponse.fromWeb(
            request,
            Response.json({ issuer, introspection_endpoint: `${issuer}/introspect` })
          )
        }
        return HttpClientResponse.fromWeb(
          request,
          body.includes("token=unknown")
            ? Response.json({ error: "invalid_token" }, { status: 400 })
            : Response.json({ active: true, sub: "u", aud: "api", token_type: "Bearer", exp: 3600 })
        )
      })
    )
    return Effect.gen(function* () {
      const { verify } = yield* TokenVerifier
      for (const n of times(50)) {
        assertUnavailable(yield* Effect.exit(verify(Redacted.make(`unknown-${n}`))), "BadResponse")
        assert.isTrue(Exit.isSuccess(yield* Effect.exit(verify(Redacted.make(`good-${n}`)))))
        yield* TestClock.adjust("1 second")
      }
    }).pipe(
      Effect.provide(
        TokenIntrospection.layer({ issuer, audience: "api", clientId: "api", clientSecret: Redacted.make("secret") })
      ),
      Effect.provideService(HttpClient.HttpClient, HttpClient.filterStatusOk(client)),
      (program) => withLogs(() => program)
    )
  })
})

describe("a lost connection", () => {
  const lost = (code: string) =>
    Object.assign(new TypeError("fetch failed"), { cause: Object.assign(new Error(), { code }) })
  const withErrors = (codes: ReadonlyArray<string>) => {
    const left = [...codes]
    let requestCount = 0
    const client = HttpClient.make((request) => {
      requestCount++
      const code = left.shift()
      return code === undefined
        ? Effect.succeed(HttpClientResponse.fromWeb(request, Response.json({ keys: [first.jwk] })))
        : Effect.fail(
            new HttpClientError.HttpClientError({
              reason: new HttpClientError.TransportError({ request, cause: lost(code) })
            })
          )
    })
    return KeySet.KeySet.use(({ refresh }) => Effect.exit(refresh)).pipe(
      Effect.provide(KeySet.layerRemote({ url: jwks })),
      Effect.provideService(HttpClient.HttpClient, client),
      Effect.map((exit) => ({ exit, requestCount }))
    )
  }
  for (const code of ["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]) {
    it.effect(`with ${code} causes one more request, at once`, () =>
      Effect.gen(function* () {
        const once = yield* withErrors([code])
        assert.isTrue(Exit.isSuccess(once.exit))
        assert.strictEqual(once.requestCount, 2)
        const twice = yield* withErrors([code, code])
        assertUnavailable(twice.exit, "Unreachable")
        assert.strictEqual(twice.requestCount, 2)
      })
    )
  }
  it.effect("causes no further request if the port is closed", () =>
    Effect.gen(function* () {
      const { requestCount, exit } = yield* withErrors(["ECONNREFUSED"])
      assertUnavailable(exit, "Unreachable")
      assert.strictEqual(requestCount, 1)
    })
  )
})

describe("fetchTimeout", () => {
  it.effect("bounds each request", () =>
    withKeySet(KeySet.layerDiscovery({ issuer, fetchTimeout: "8 seconds" }), ({ respond }, keySet) =>
      Effect.gen(function* () {
        yield* respond("discovery", { delay: "7 seconds" })
        yield* respond("jwks", { delay: "7 seconds" })
        const slow = yield* Effect.forkChild(keySet.refresh)
        yield* TestClock.adjust("7 seconds")
        yield* TestClock.adjust("7 seconds")
        yield* Fiber.join(slow)
        yield* keySet.invalidate
        yield* respond("discovery", { delay: "9 seconds" })
        const tooSlow = yield* Effect.forkChild(Effect.exit(keySet.refresh))
        yield* TestClock.adjust("8 seconds")
        assertUnavailable(yield* Fiber.join(tooSlow), "Timeout")
      })
    )
  )
})

describe("a new key", () => {
  const audience = "https://api.test"
  const withVerifier = <A, E>(
    body: (verify: (token: string) => Effect.Effect<string>) => Effect.Effect<A, E, TestIssuer>
  ) =>
    Effect.gen(function* () {
      const { verify } = yield* TokenVerifier
      return yield* body((token) =>
        Effect.map(Effect.exit(verify(Redacted.make(token))), (exit) => {
          if (Exit.isSuccess(exit)) return "accepted"
          const error = Option.getOrThrow(Exit.findErrorOption(exit))
          return error._tag === "InvalidToken" ? error.reason : error._tag
        })
      )
    }).pipe(
      Effect.provide(
        JwtVerifier.layer({ issuer, audience }).pipe(
          Layer.provideMerge(TestIssuer.layer({ issuer, audience, keys: [first] }))
        )
      )
    )

  /** Publishes the key without a `kid`, or with the `kid` "k". */
  const publishAs = (jwk: object, kid: string | undefined) =>
    TestIssuer.use(({ respond }) => respond("jwks", { body: JSON.stringify({ keys: [{ ...jwk, kid }] }) }))

  for (const kid of [undefined, "k"]) {
    const name = kid === undefined ? "without kid" : "whose kid is used again"
    it.effect(`${name} is found at once`, () =>
      withVerifier((verify) =>
        Effect.gen(function* () {
          const { mint } = yield* TestIssuer
          yield* publishAs(first.jwk, kid)
          assert.strictEqual(yield* verify(yield* mint({ key: first, header: { kid } })), "accepted")
          yield* TestClock.adjust("3 minutes")
          yield* publishAs(second.jwk, kid)
          const old = yield* mint({ key: first, header: { kid } })
          assert.strictEqual(yield* verify(yield* mint({ key: second, header: { kid } })), "accepted")
          assert.strictEqual(yield* keyFetches, 2)
          assert.strictEqual(yield* verify(old), "Signature")
          assert.strictEqual(yield* keyFetches, 2)
        })
      )
    )

    it.effect(`${name} is found after 30 seconds if a stranger sends bad signatures`, () =>
      withVerifier((verify) =>
        Effect.gen(function* () {
          const { mint } = yield* TestIssuer
          const stranger = yield* TestIssuer.makeKey("stranger", "RS256")
          const forged = mint({ key: stranger, header: { kid } })
          yield* publishAs(first.jwk, kid)
          assert.strictEqual(yield* verify(yield* mint({ key: first, header: { kid } })), "accepted")
          for (const i of times(60)) {
            assert.strictEqual(yield* verify(yield* forged), "Signature")
            if (i === 1) yield* publishAs(second.jwk, kid)
            const genuine = yield* verify(yield* mint({ key: second, header: { kid } }))
            if (i >= 31) assert.strictEqual(genuine, "accepted")
            yield* TestClock.adjust("1 second")
          }
          // The first fetch, and one search at 0 and 30 seconds.
          assert.isAtMost(yield* keyFetches, 3)
        })
      )
    )
  }

  it.effect("a search for a key asks past shared caches", () =>
    withDiscovery(({ requests }, keySet) =>
      Effect.gen(function* () {
        yield* keySet.refresh
        assertUnknown(yield* Effect.exit(keySet.find(rs256("k2"))))
        assert.deepStrictEqual(
          (yield* requests).map(({ cacheControl }) => cacheControl),
          [undefined, undefined, "no-cache", "no-cache"]
        )
      })
    )
  )

  it.effect("an empty key set keeps the last keys in the stale window, with a warning", () =>
    withLogs((logs) =>
      withDiscovery(({ respond }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* respond("jwks", { body: '{"keys":[]}' })
          for (const _ of times(69)) {
            yield* TestClock.adjust("1 minute")
            assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
            yield* settle
          }
          const warnings = logs.filter(({ level }) => level === "Warn").map(({ message }) => message)
          assert.lengthOf(warnings, 2)
          assert.include(warnings[0], "it is empty, so the last keys stay in use")
          assert.include(warnings[1], "Stale keys are in use")
          yield* TestClock.adjust("1 minute")
          assertUnknown(yield* Effect.exit(keySet.find(rs256("k1"))))
        })
      )
    )
  )

  it.effect("a key set whose keys are all refused does not keep the last keys", () =>
    withDiscovery(({ respond }, keySet) =>
      Effect.gen(function* () {
        yield* keySet.refresh
        yield* respond("jwks", { body: JSON.stringify({ keys: [{ ...first.jwk, d: "AQAB" }] }) })
        yield* TestClock.adjust("11 minutes")
        assertUnknown(yield* Effect.exit(keySet.find(rs256("k1"))))
      })
    )
  )
})

/** A port that was free a moment ago. `fetch` refuses some fixed ports itself. */
const closedPort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

describe("the warning about a failed fetch names its cause", () => {
  const causes: ReadonlyArray<
    readonly [name: string, document: "discovery" | "jwks", answer: IssuerResponse, expected: Record<string, unknown>]
  > = [
    ["403 of the key set", "jwks", { status: 403, body: "" }, { document: "key set", url: jwks, status: 403 }],
    [
      "401 of the metadata",
      "discovery",
      { status: 401, body: "" },
      { document: "metadata", url: discovery, status: 401 }
    ],
    [
      "a redirect of the key set",
      "jwks",
      { status: 302, headers: { location: "/login?state=secret" }, body: "" },
      { status: 302, location: `${issuer}/login` }
    ],
    [
      "a redirect to another host",
      "jwks",
      { status: 307, headers: { location: "https://sso.test/k?x=secret#y" }, body: "" },
      { status: 307, location: "https://sso.test/k" }
    ],
    [
      "429 with Retry-After",
      "jwks",
      { status: 429, headers: { "retry-after": "20" } },
      { status: 429, retryAfter: "20" }
    ]
  ]
  for (const [name, endpoint, answer, expected] of causes) {
    it.effect(`for ${name}`, () =>
      withLogs((logs) =>
        withDiscovery(({ respond }, keySet) =>
          Effect.gen(function* () {
            yield* respond(endpoint, answer)
            assertUnavailable(yield* Effect.exit(keySet.refresh), "BadResponse")
            assert.lengthOf(logs, 1)
            assert.strictEqual(logs[0]?.level, "Warn")
            assert.deepInclude(logs[0]?.annotations, { issuer, ...expected })
            assert.include(logs[0]?.message, `status ${String(expected["status"])}`)
            assert.notInclude(JSON.stringify(logs), "secret")
          })
        )
      )
    )
  }

  const words: ReadonlyArray<readonly [name: string, metadata: Record<string, unknown>, words: string]> = [
    ["an http jwks_uri", { jwks_uri: "http://issuer.test/jwks" }, "its jwks_uri is http, not https"],
    [
      "a jwks_uri on this machine",
      { jwks_uri: "https://localhost/jwks" },
      "its jwks_uri is on this machine or its link"
    ],
    ["a jwks_uri that is not a URL", { jwks_uri: "/jwks" }, "its jwks_uri is not a valid URL"],
    ["no jwks_uri", { jwks_uri: undefined }, "it has no jwks_uri"],
    ["another issuer", { issuer: "https://other.test" }, "its metadata names another issuer"]
  ]
  for (const [name, metadata, text] of words) {
    it.effect(`for metadata with ${name}`, () =>
      withLogs((logs) =>
        withKeySet(
          KeySet.layerDiscovery({ issuer }),
          (_, keySet) =>
            Effect.gen(function* () {
              assert.isTrue(Exit.isFailure(yield* Effect.exit(keySet.refresh)))
              assert.include(logs[0]?.message, text)
              assert.include(logs[0]?.message, discovery)
            }),
          { metadata }
        )
      )
    )
  }

  for (const [name, client] of [
    ["fetch", FetchHttpClient.layer],
    ["node:http", NodeHttpClient.layerNodeHttp],
    ["undici", NodeHttpClient.layerUndici]
  ] as const) {
    it.live(`for a closed port, with the code of the error: ${name}`, () =>
      withLogs((logs) =>
        Effect.gen(function* () {
          const port = yield* closedPort
          yield* KeySet.KeySet.use(({ refresh }) => Effect.exit(refresh)).pipe(
            Effect.provide(KeySet.layerDiscovery({ issuer: `http://127.0.0.1:${port}` }).pipe(Layer.provide(client)))
          )
          assert.strictEqual(logs[0]?.annotations["code"], "ECONNREFUSED")
          assert.include(logs[0]?.message, "ECONNREFUSED")
        })
      )
    )
  }

  for (const code of ["ENOTFOUND", "DEPTH_ZERO_SELF_SIGNED_CERT", "ECONNREFUSED", "CERT_HAS_EXPIRED"]) {
    it.effect(`for an error with the code ${code}, wherever it is in the causes`, () =>
      Effect.gen(function* () {
        const error = Object.assign(new Error("secret"), { code })
        for (const cause of [
          error,
          new TypeError("fetch failed", { cause: error }),
          new TypeError("fetch failed", { cause: new AggregateError([error]) })
        ]) {
          const client = HttpClient.make((request) =>
            Effect.fail(
              new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) })
            )
          )
          yield* withLogs((logs) =>
            KeySet.KeySet.use(({ refresh }) => Effect.exit(refresh)).pipe(
              Effect.provide(KeySet.layerRemote({ url: jwks })),
              Effect.provideService(HttpClient.HttpClient, client),
              Effect.map(() => {
                assert.include(logs[0]?.message, `${jwks} got no response (${code})`)
                assert.notInclude(JSON.stringify(logs), "secret")
              })
            )
          )
        }
      })
    )
  }

  for (const [given, seconds] of [
    ["20", 20],
    ["1", 5],
    ["3600", 60],
    ["Thu, 01 Jan 1970 00:00:30 GMT", 30],
    ["soon", 5]
  ] as const) {
    it.effect(`and Retry-After: ${given} is respected as ${seconds} seconds`, () =>
      withDiscovery(({ requests, respond }, keySet) =>
        Effect.gen(function* () {
          yield* respond("jwks", { status: 503, headers: { "retry-after": given }, body: "" })
          const error = yield* Effect.flip(keySet.refresh)
          assert.strictEqual(Duration.toSeconds(error.retryAfter), seconds)
          yield* respondAll("normal")
          yield* TestClock.adjust(`${seconds * 1000 - 1} millis`)
          assert.isTrue(Exit.isFailure(yield* Effect.exit(keySet.refresh)))
          assert.lengthOf(yield* requests, 2)
          yield* TestClock.adjust("1 millis")
          yield* keySet.refresh
        })
      )
    )
  }
})

describe("plain http inside a container network", () => {
  const keycloak = "http://keycloak:8080/realms/demo"
  const requested: (urls: Array<string>, issuer?: string) => Layer.Layer<HttpClient.HttpClient> = (
    urls,
    issuer = keycloak
  ) =>
    Layer.succeed(
      HttpClient.HttpClient,
      HttpClient.make((request, url) =>
        Effect.sync(() => {
          urls.push(url.href)
          const body = url.pathname.includes(".well-known")
            ? {
                issuer,
                jwks_uri: "http://keycloak:8080/jwks",
                introspection_endpoint: "http://keycloak:8080/introspect"
              }
            : { keys: [first.jwk], active: false }
          return HttpClientResponse.fromWeb(request, Response.json(body))
        })
      )
    )
  const refresh = KeySet.KeySet.use(({ refresh }) => refresh)
  const httpHosts = ["keycloak:8080"]

  it.effect("is refused unless its host is named, and the message names the option", () =>
    Effect.gen(function* () {
      const errorOf = <A>(layer: Layer.Layer<A, SecurityError.ConfigurationError, HttpClient.HttpClient>) =>
        Effect.flip(Effect.scoped(Layer.build(layer)))
      for (const failing of [
        errorOf(KeySet.layerRemote({ url: `${keycloak}/keys` })),
        errorOf(KeySet.layerRemote({ url: `${keycloak}/keys`, httpHosts: ["keycloak", "other:8080"] })),
        errorOf(KeySet.layerDiscovery({ issuer: keycloak })),
        errorOf(JwtVerifier.layer({ issuer: keycloak, audience: "api" }))
      ]) {
        const error = yield* failing
        assert.strictEqual(error._tag, "ConfigurationError")
        assert.include(error.message, 'httpHosts: ["keycloak:8080"]')
      }
    }).pipe(Effect.provide(requested([])))
  )

  it.effect("reaches the keys at a fixed URL, while tokens name another issuer", () => {
    const urls: Array<string> = []
    return refresh.pipe(
      Effect.provide(KeySet.layerRemote({ url: `${keycloak}/keys`, httpHosts })),
      Effect.provide(requested(urls)),
      Effect.map(() => assert.deepStrictEqual(urls, [`${keycloak}/keys`]))
    )
  })

  it.effect("reaches the metadata and the keys that it names", () => {
    const urls: Array<string> = []
    return refresh.pipe(
      Effect.provide(KeySet.layerDiscovery({ issuer: keycloak, httpHosts })),
      Effect.provide(requested(urls)),
      Effect.map(() =>
        assert.deepStrictEqual(urls, [`${keycloak}/.well-known/openid-configuration`, "http://keycloak:8080/jwks"])
      )
    )
  })

  it.effect("reaches the keys that the metadata of an https issuer names", () => {
    const urls: Array<string> = []
    return refresh.pipe(
      Effect.provide(KeySet.layerDiscovery({ issuer, httpHosts })),
      Effect.provide(requested(urls, issuer)),
      Effect.map(() => assert.deepStrictEqual(urls, [discovery, "http://keycloak:8080/jwks"]))
    )
  })

  it.effect("reaches an introspection endpoint without credentials", () => {
    const urls: Array<string> = []
    const endpoint = "http://hydra:4445/admin/oauth2/introspect"
    return TokenVerifier.use(({ verify }) => Effect.exit(verify(Redacted.make("opaque")))).pipe(
      Effect.provide(
        TokenIntrospection.layer({
          issuer,
          endpoint,
          httpHosts: ["hydra:4445"],
          audience: "api",
          credentials: Effect.succeed({})
        })
      ),
      Effect.provide(requested(urls)),
      Effect.map(() => assert.deepStrictEqual(urls, [endpoint]))
    )
  })

  for (const bad of [
    "keycloak",
    [1],
    ["http://keycloak:8080"],
    ["KEYCLOAK:8080"],
    ["keycloak:80"],
    ["a/b"],
    ["u:p@k"],
    [""]
  ]) {
    it.effect(`httpHosts is not ${JSON.stringify(bad)}`, () =>
      Effect.gen(function* () {
        const layer = KeySet.layerRemote({ url: jwks, httpHosts: bad as ReadonlyArray<string> })
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.strictEqual(error.setting, "httpHosts")
      }).pipe(Effect.provide(requested([])))
    )
  }
})
