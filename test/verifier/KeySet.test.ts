import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Redacted } from "effect"
import { JwtVerifier, KeySet, SecurityError, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { algorithms } from "../support/algorithms.ts"
import { settle } from "../support/settle.ts"
import * as jose from "jose"
import {
  assertUnavailable,
  assertUnknown,
  discovery,
  first,
  issuer,
  jwks,
  replaceKeys,
  requestedUrls,
  respondAll,
  rs256,
  second,
  withDiscovery,
  withKeySet,
  withLogs
} from "../support/keySets.ts"

describe("KeySet", () => {
  it.effect("finds the keys by OpenID Connect Discovery at the first lookup", () =>
    withDiscovery(({ requests }, keySet) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* requests, [])
        assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        assert.deepStrictEqual(yield* requestedUrls, [discovery, jwks])
      })
    )
  )

  it.effect("fetches from the issuer's host if its path looks like a host", () =>
    withKeySet(
      KeySet.layerDiscovery({ issuer: `${issuer}//elsewhere.test` }),
      (_, keySet) =>
        Effect.gen(function* () {
          yield* Effect.exit(keySet.refresh)
          assert.deepStrictEqual(yield* requestedUrls, [
            `${issuer}//elsewhere.test/.well-known/openid-configuration`,
            `${issuer}/.well-known/oauth-authorization-server//elsewhere.test`,
            `${issuer}/.well-known/openid-configuration//elsewhere.test`,
            `${issuer}//elsewhere.test/.well-known/oauth-authorization-server`
          ])
        }),
      { issuer }
    )
  )

  it.effect.each([404, 400, 403, 405, 410])(
    "finds the keys by RFC 8414 if the OpenID Connect document is missing (%i)",
    (status) =>
      withKeySet(
        KeySet.layerDiscovery({ issuer: `${issuer}/tenant` }),
        ({ respond }, keySet) =>
          Effect.gen(function* () {
            yield* respond("openid-configuration", { status, body: "" })
            yield* keySet.refresh
            assert.deepStrictEqual(yield* requestedUrls, [
              `${issuer}/tenant/.well-known/openid-configuration`,
              `${issuer}/.well-known/oauth-authorization-server/tenant`,
              `${issuer}/tenant/jwks?of=metadata`
            ])
          }),
        { issuer: `${issuer}/tenant`, metadata: { jwks_uri: `${issuer}/tenant/jwks?of=metadata` } }
      )
  )

  it.effect("fetches once for many requests at a time, and caches the keys for 10 minutes", () =>
    withDiscovery(({ requests }, keySet) =>
      Effect.gen(function* () {
        yield* Effect.all(
          Array.from({ length: 50 }, () => keySet.find(rs256("k1"))),
          { concurrency: "unbounded" }
        )
        yield* TestClock.adjust("599 seconds")
        yield* keySet.find(rs256("k1"))
        assert.lengthOf(yield* requests, 2)
        yield* settle
        yield* TestClock.adjust("1 second")
        yield* keySet.find(rs256("k1"))
        assert.lengthOf(yield* requests, 4)
      })
    )
  )

  it.effect("finds a new key at once, and does not fetch for every invented kid", () =>
    withDiscovery(({ publish, requests }, keySet) =>
      Effect.gen(function* () {
        yield* keySet.refresh
        yield* publish(second.jwk)
        assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
        assert.lengthOf(yield* requests, 4)
        for (let i = 0; i < 20; i++) {
          assertUnavailable(yield* Effect.exit(keySet.find(rs256(`invented-${i}`))), "Unspecified")
        }
        assert.lengthOf(yield* requests, 4)
        yield* TestClock.adjust("30 seconds")
        assertUnknown(yield* Effect.exit(keySet.find(rs256("invented"))))
        assert.lengthOf(yield* requests, 6)
      })
    )
  )

  it.effect("reads a key set at a given URL", () =>
    withKeySet(KeySet.layerRemote({ url: `${jwks}?tenant=1` }), (_, keySet) =>
      Effect.gen(function* () {
        assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        assert.deepStrictEqual(yield* requestedUrls, [`${jwks}?tenant=1`])
      })
    )
  )

  it.effect("reads a key set whose path contains an @, as Google's does", () => {
    const at = `${issuer}/jwk/securetoken@system.example.com/jwks`
    return withKeySet(
      KeySet.layerDiscovery({ issuer }),
      (_, keySet) =>
        Effect.gen(function* () {
          yield* Effect.exit(keySet.refresh)
          assert.include(yield* requestedUrls, at)
        }),
      { metadata: { jwks_uri: at } }
    )
  })

  it.effect("ignores members of a set that are not keys", () =>
    withDiscovery((_, keySet) =>
      Effect.gen(function* () {
        yield* replaceKeys([{}, { kty: 1 }, { kty: "XYZ", kid: "k1" }, { kty: "RSA", kid: "k1" }, first.jwk])
        assert.isAtLeast((yield* keySet.find(rs256("k1"))).length, 1)
      })
    )
  )

  describe("a key lookup", () => {
    it.effect("finds a new key within 30 seconds and one fetch, despite many invented kids", () =>
      withDiscovery(({ publish, requests }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          assertUnknown(yield* Effect.exit(keySet.find(rs256("invented"))))
          yield* publish(second.jwk)
          for (let time = 0; time < 29; time++) {
            yield* TestClock.adjust("1 second")
            const flood = Array.from({ length: 100 }, (_, i) =>
              Effect.exit(keySet.find(rs256(`invented-${time}-${i}`)))
            )
            yield* Effect.all(flood, { concurrency: "unbounded", discard: true })
          }
          assert.lengthOf(yield* requests, 4)
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("k2"))), "Unspecified")
          yield* TestClock.adjust("1 second")
          assertUnknown(yield* Effect.exit(keySet.find(rs256("invented"))))
          assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
          assert.lengthOf(yield* requests, 6)
        })
      )
    )

    it.effect("fetches nothing if no key can match the header", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          const headers = [
            rs256("k".repeat(257)),
            rs256("k".repeat(1_000_000)),
            ...["none", "HS256", "", "rs256", "__proto__", "constructor"].map((alg) => ({ alg, kid: "k1" }))
          ]
          for (const header of headers) assertUnknown(yield* Effect.exit(keySet.find(header)))
          assert.lengthOf(yield* requests, 2)
        })
      )
    )

    it.effect("finds a key only by its exact kid", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          for (const kid of ["__proto__", "constructor", "toString", "", "k1 ", "K1", "../k1", "' or 1=1"]) {
            yield* TestClock.adjust("30 seconds")
            assertUnknown(yield* Effect.exit(keySet.find(rs256(kid))))
          }
          assert.isFalse((yield* requestedUrls).some((url) => url.includes("k1") || url.includes("proto")))
        })
      )
    )

    it.effect("returns each key for the algorithm if the header has no kid", () =>
      Effect.gen(function* () {
        const ec = yield* TestIssuer.makeKey("ec", "ES256")
        const find = (alg: string) =>
          Effect.flatMap(KeySet.KeySet, (keySet) => keySet.find({ alg })).pipe(
            Effect.provide(
              KeySet.layerStatic({ keys: [first.jwk, second.jwk, { ...first.jwk, kid: "again" }, ec.jwk] })
            )
          )
        assert.lengthOf(yield* find("RS256"), 2)
        assert.lengthOf(yield* find("ES256"), 1)
        assertUnknown(yield* Effect.exit(find("PS256")))
      })
    )

    it.effect("returns keys that no caller can change", () =>
      Effect.gen(function* () {
        const keySet = yield* KeySet.KeySet
        const clock = yield* Clock.Clock
        const mint = TestIssuer.use(({ mint }) => mint({ scopes: ["a"] }))
        const find = (header: KeySet.KeySelector) =>
          Effect.orElseSucceed(keySet.find(header), () => keySet.findFetched(header, clock, 0))
        for (const header of [rs256("k1"), { alg: "RS256" }, rs256("none"), { alg: "ES256" }]) {
          const before = [...(yield* find(header))]
          const keys = yield* find(header)
          for (const key of keys) {
            assert.isFalse(Reflect.set(key.algorithm, "name", "RSA-PSS"))
            assert.isFalse(Reflect.defineProperty(key, "algorithm", { value: { name: "RSA-PSS" } }))
            assert.isFalse(Reflect.set(key, "extractable", false))
          }
          for (const value of [yield* TestIssuer.makeKey("k1"), undefined]) {
            assert.isFalse(Reflect.set(keys, keys.length, value))
            assert.isFalse(Reflect.set(keys, 0, value))
          }
          assert.isFalse(Reflect.deleteProperty(keys, 0) && before.length > 0)
          assert.deepStrictEqual(yield* find(header), before)
          const { subject } = yield* TokenVerifier.use((verifier) =>
            Effect.flatMap(mint, (token) => verifier.verify(Redacted.make(token)))
          )
          assert.strictEqual(subject, "demo")
        }
      }).pipe(
        Effect.provide(
          JwtVerifier.layerKeySet({ issuer, audience: "https://api.test", cache: false }).pipe(
            Layer.provideMerge(KeySet.layerStatic({ keys: [first.jwk] })),
            Layer.provideMerge(TestIssuer.layer({ issuer, audience: "https://api.test", keys: [first] }))
          )
        )
      )
    )

    it.effect("finds a key only for the algorithms of its kty and crv, and of its alg if present", () =>
      Effect.gen(function* () {
        const { alg: _, ...anyAlg } = first.jwk
        const ec = yield* TestIssuer.makeKey("ec", "ES384")
        const ed = yield* TestIssuer.makeKey("ed", "Ed25519")
        const serves = (jwk: jose.JWK) =>
          Effect.flatMap(KeySet.KeySet, (keySet) =>
            Effect.filter(algorithms, (alg) => Effect.isSuccess(keySet.find({ alg, kid: "k" })))
          ).pipe(Effect.provide(KeySet.layerStatic({ keys: [{ ...jwk, kid: "k" }] })))
        assert.deepStrictEqual(yield* serves(first.jwk), ["RS256"])
        assert.deepStrictEqual(yield* serves(anyAlg), ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
        assert.deepStrictEqual(yield* serves(ec.jwk), ["ES384"])
        assert.deepStrictEqual(yield* serves({ ...ed.jwk, alg: "EdDSA" }), ["EdDSA", "Ed25519"])
        // RFC 8032 §7.1, test SHA(abc). The sign bit of this key is set.
        const x = jose.base64url.encode(
          Buffer.from("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", "hex")
        )
        assert.deepStrictEqual(yield* serves({ kty: "OKP", crv: "Ed25519", x, alg: "Ed25519" }), ["EdDSA", "Ed25519"])
        const { alg: __, ...anyEd } = ed.jwk
        assert.deepStrictEqual(yield* serves(anyEd), ["EdDSA", "Ed25519"])
      })
    )
  })

  describe("options", () => {
    const bad: ReadonlyArray<readonly [setting: string, options: object]> = [
      ["freshFor", { freshFor: "59 seconds" }],
      ["freshFor", { freshFor: "61 minutes" }],
      ["freshFor", { freshFor: "5 minuts" }],
      ["freshFor", { freshFor: { minuts: 5 } }],
      ["staleFor", { staleFor: "25 hours" }],
      ["staleFor", { staleFor: -1 }],
      ["staleFor", { staleFor: NaN }],
      ["staleFor", { staleFor: "1 day, or two" }],
      ["staleFor", { staleFor: Infinity }],
      ["fetchTimeout", { fetchTimeout: 900 }],
      ["fetchTimeout", { fetchTimeout: "31 seconds" }],
      ["maxBytes", { maxBytes: 1023 }],
      ["maxBytes", { maxBytes: NaN }],
      ["maxBytes", { maxBytes: Infinity }],
      ["issuer", { issuer: "http://idp.example.com" }],
      ["issuer", { issuer: "https://idp.example.com?x" }]
    ]
    for (const [setting, options] of bad) {
      it.effect(`fail at start-up if ${setting} is invalid: ${JSON.stringify(options)}`, () =>
        Effect.gen(function* () {
          const layer = KeySet.layerDiscovery({ issuer, ...options })
          const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
          assert.instanceOf(error, SecurityError.ConfigurationError)
          assert.strictEqual(error.setting, setting)
          assert.include(error.message, `${setting} must`)
        }).pipe(Effect.provide(TestIssuer.layer({ keys: [first] })))
      )
    }

    it.effect("limit how long stale keys serve", () =>
      withKeySet(KeySet.layerDiscovery({ issuer, freshFor: "1 minute", staleFor: "30 seconds" }), (_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* respondAll("unreachable")
          yield* TestClock.adjust("89 seconds")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          yield* TestClock.adjust("1 second")
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
        })
      )
    )

    it.effect("fail at start-up if every fixed key is unusable, and list each reason", () =>
      Effect.gen(function* () {
        const unusable = [
          { ...first.jwk, use: "enc" },
          { kty: "oct", k: "c2VjcmV0", kid: "shared" }
        ]
        const error = yield* Effect.flip(Effect.scoped(Layer.build(KeySet.layerStatic({ keys: unusable }))))
        assert.strictEqual(error.setting, "keys")
        assert.include(error.message, "Purpose (kty RSA, kid k1), Symmetric (kty oct, kid shared)")
        assert.notInclude(error.message, "c2VjcmV0")
      })
    )

    it.effect("serve the usable fixed keys, with a warning for each other key", () =>
      withLogs((logs) =>
        Effect.gen(function* () {
          const layer = KeySet.layerStatic({ keys: [first.jwk, { kty: "oct", k: "c2VjcmV0", kid: "shared" }] })
          yield* Effect.provide(
            Effect.flatMap(KeySet.KeySet, (keySet) => keySet.find(rs256("k1"))),
            layer
          )
          assert.deepStrictEqual(
            logs.map(({ annotations, level }) => [level, annotations["reason"]]),
            [["Warn", "Symmetric"]]
          )
        })
      )
    )
  })
})
