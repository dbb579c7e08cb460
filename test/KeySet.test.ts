import { assert, describe, it, vi } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer, Logger, Metric, Option, References, Scope, Tracer } from "effect"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "effect/http"
import { KeySet, SecurityError } from "effect-oauth2"
import { type Answer, type Issuer, TestIssuer, type TestIssuerOptions } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { createServer } from "node:http"
import * as jose from "jose"
import { hasRocaFingerprint } from "../src/internal/keySet/roca.ts"
import { settle } from "./support/settle.ts"

const issuer = "https://issuer.test"
const discovery = `${issuer}/.well-known/openid-configuration`
const jwks = `${issuer}/jwks`

const { first, second } = await Effect.runPromise(
  Effect.all({ first: TestIssuer.makeKey("k1"), second: TestIssuer.makeKey("k2") })
)

interface Logged {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** What the program logs. */
const withLogs = <A, E, R>(body: (logs: ReadonlyArray<Logged>) => Effect.Effect<A, E, R>) => {
  const logs: Array<Logged> = []
  const logger = Logger.make<unknown, void>(({ fiber, logLevel, message }) => {
    const text = Array.isArray(message) ? message.join(" ") : String(message)
    logs.push({ level: logLevel, message: text, annotations: fiber.getRef(References.CurrentLogAnnotations) })
  })
  return Effect.provide(body(logs), Logger.layer([logger]))
}

const rs256 = (kid: string) => ({ alg: "RS256", kid })

type Body<A, E> = (issuer: Issuer, keySet: KeySet.KeySet["Service"]) => Effect.Effect<A, E, TestIssuer>

/** A key set in front of an issuer that publishes the first key. */
const withKeySet = <A, E, E1>(
  layer: Layer.Layer<KeySet.KeySet, E1, HttpClient.HttpClient>,
  body: Body<A, E>,
  options: TestIssuerOptions = {}
) =>
  Effect.gen(function* () {
    return yield* body(yield* TestIssuer, yield* KeySet.KeySet)
  }).pipe(Effect.provide(Layer.provideMerge(layer, TestIssuer.layer({ issuer, keys: [first], ...options }))))

const withDiscovery = <A, E>(body: Body<A, E>) => withKeySet(KeySet.layerDiscovery({ issuer }), body)

/**
 * A key set in front of a client of its own, for what `TestIssuer` cannot say: a body that is a stream, a length that is not said or not true, a
 * client that dies, and whether the request was aborted.
 */
const withClient = <A, E>(
  answer: (signal: AbortSignal) => Response,
  body: (keySet: KeySet.KeySet["Service"]) => Effect.Effect<A, E>,
  options: { readonly maxBytes?: number } = {}
) => {
  const client = HttpClient.make((request, _, signal) =>
    Effect.sync(() => HttpClientResponse.fromWeb(request, answer(signal)))
  )
  return Effect.flatMap(KeySet.KeySet, body).pipe(
    Effect.provide(KeySet.layerRemote({ url: jwks, ...options })),
    Effect.provideService(HttpClient.HttpClient, client)
  )
}

/** All of the issuer answers alike. */
const respondAll = (answer: Answer) =>
  TestIssuer.use(({ respond }) => Effect.andThen(respond("discovery", answer), respond("jwks", answer)))

/** Takes the first key out of the key set, and publishes these. */
const replaceKeys = (jwks: ReadonlyArray<unknown>) =>
  TestIssuer.use(({ publish, retire }) =>
    Effect.andThen(retire("k1"), Effect.forEach(jwks, publish, { discard: true }))
  )

const urls = TestIssuer.use(({ requests }) => Effect.map(requests, (requests) => requests.map(({ url }) => url)))

const assertUnavailable = (exit: Exit.Exit<unknown, unknown>, reason: string) => {
  assert(Exit.isFailure(exit))
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
  assert.strictEqual(error.reason, reason)
}

const assertUnknown = (exit: Exit.Exit<unknown, unknown>) => {
  assert(Exit.isFailure(exit))
  assert.instanceOf(Option.getOrThrow(Exit.findErrorOption(exit)), SecurityError.InvalidToken)
}

describe("KeySet", () => {
  it.effect("finds the keys by OpenID Connect Discovery, when they are first needed", () =>
    withDiscovery(({ requests }, keySet) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* requests, [])
        assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        assert.deepStrictEqual(yield* urls, [discovery, jwks])
      })
    )
  )

  it.effect("asks the issuer's own host, whatever its path looks like", () =>
    withKeySet(
      KeySet.layerDiscovery({ issuer: `${issuer}//elsewhere.test` }),
      (_, keySet) =>
        Effect.gen(function* () {
          yield* Effect.exit(keySet.refresh)
          assert.deepStrictEqual(yield* urls, [
            `${issuer}//elsewhere.test/.well-known/openid-configuration`,
            `${issuer}/.well-known/oauth-authorization-server//elsewhere.test`
          ])
        }),
      { issuer }
    )
  )

  it.effect.each([404, 400, 403, 405, 410])(
    "finds them by RFC 8414 where there is no OpenID Connect document (%i), with the path after the well-known part",
    (status) =>
      withKeySet(
        KeySet.layerDiscovery({ issuer: `${issuer}/tenant` }),
        ({ respond }, keySet) =>
          Effect.gen(function* () {
            yield* respond("openid-configuration", { status, body: "" })
            yield* keySet.refresh
            assert.deepStrictEqual(yield* urls, [
              `${issuer}/tenant/.well-known/openid-configuration`,
              `${issuer}/.well-known/oauth-authorization-server/tenant`,
              `${issuer}/tenant/jwks?of=metadata`
            ])
          }),
        { issuer: `${issuer}/tenant`, metadata: { jwks_uri: `${issuer}/tenant/jwks?of=metadata` } }
      )
  )

  it.effect("fetches once for many requests at a time, and keeps the keys for ten minutes", () =>
    withDiscovery(({ requests }, keySet) =>
      Effect.gen(function* () {
        yield* Effect.all(
          Array.from({ length: 50 }, () => keySet.find(rs256("k1"))),
          { concurrency: "unbounded" }
        )
        yield* TestClock.adjust("599 seconds")
        yield* keySet.find(rs256("k1"))
        assert.lengthOf(yield* requests, 2)
        yield* TestClock.adjust("1 second")
        yield* keySet.find(rs256("k1"))
        assert.lengthOf(yield* requests, 4)
      })
    )
  )

  it.effect("learns a new key at once, and is not made to fetch by invented ones", () =>
    withDiscovery(({ publish, requests }, keySet) =>
      Effect.gen(function* () {
        yield* keySet.refresh
        yield* publish(second.jwk)
        assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
        assert.lengthOf(yield* requests, 4)
        for (let i = 0; i < 20; i++) assertUnknown(yield* Effect.exit(keySet.find(rs256(`invented-${i}`))))
        assert.lengthOf(yield* requests, 4)
        yield* TestClock.adjust("30 seconds")
        assertUnknown(yield* Effect.exit(keySet.find(rs256("invented"))))
        assert.lengthOf(yield* requests, 6)
      })
    )
  )

  describe("in an outage", () => {
    it.effect("without keys it is unavailable, asks again after five seconds, and recovers by itself", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* respondAll("unreachable")
          for (let i = 0; i < 20; i++) assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
          assert.lengthOf(yield* requests, 1)
          yield* respondAll("normal")
          yield* TestClock.adjust("5 seconds")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )

    it.effect("known keys serve for an hour longer than they are fresh; an unknown key is never a refusal", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* respondAll("unreachable")
          yield* TestClock.adjust("4199 seconds")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          for (let i = 0; i < 3; i++) assertUnavailable(yield* Effect.exit(keySet.find(rs256("k2"))), "Unreachable")
          yield* TestClock.adjust("1 second")
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
        })
      )
    )

    it.effect("an unknown key that could not be looked for is no refusal, though the keys are fresh", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* respondAll("unreachable")
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("k2"))), "Unreachable")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )

    for (const [seconds, waits] of [
      [59, false],
      [60, true]
    ] as const) {
      it.effect(
        `a request ${seconds} seconds after a failed fetch ${waits ? "waits" : "does not wait"} for the next`,
        () =>
          withDiscovery(({ requests }, keySet) =>
            Effect.gen(function* () {
              yield* keySet.refresh
              yield* respondAll("unreachable")
              yield* TestClock.adjust("10 minutes")
              assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
              yield* respondAll("never")
              yield* TestClock.adjust(`${seconds} seconds`)
              const fiber = yield* Effect.forkChild(keySet.find(rs256("k1")))
              yield* settle
              assert.strictEqual(fiber.pollUnsafe() === undefined, waits)
              assert.lengthOf(yield* requests, 4, "it is begun in either case")
              yield* TestClock.adjust("5 seconds")
              assert.lengthOf(yield* Fiber.join(fiber), 1)
            })
          )
      )
    }

    it.effect("an issuer that does not answer is given up after five seconds", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* respondAll("never")
          const fiber = yield* Effect.forkChild(Effect.exit(keySet.find(rs256("k1"))))
          yield* TestClock.adjust("5 seconds")
          assertUnavailable(yield* Fiber.join(fiber), "Timeout")
        })
      )
    )

    it.effect("a request that is interrupted takes nobody else with it", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* respondAll("never")
          const one = yield* Effect.forkChild(keySet.find(rs256("k1")))
          const other = yield* Effect.forkChild(Effect.exit(keySet.find(rs256("k1"))))
          yield* Effect.yieldNow
          yield* Fiber.interrupt(one)
          yield* TestClock.adjust("5 seconds")
          assertUnavailable(yield* Fiber.join(other), "Timeout")
        })
      )
    )

    const metadata = (jwksUri: string, identifier = issuer): Answer => ({
      body: JSON.stringify({ issuer: identifier, jwks_uri: jwksUri })
    })
    const answers: ReadonlyArray<
      readonly [name: string, endpoint: "jwks" | "discovery" | "all", answer: Answer, reason: string]
    > = [
      ["an error", "all", { status: 500, body: "sorry" }, "BadResponse"],
      ["HTML", "all", { body: "<html>", headers: { "content-type": "text/html" } }, "BadResponse"],
      ["an empty body", "all", { body: "" }, "BadResponse"],
      ["nothing under either address", "all", { status: 404, body: "" }, "BadResponse"],
      ["another issuer's metadata", "discovery", metadata(jwks, "https://evil.example.com"), "IssuerMismatch"],
      ["keys over http", "discovery", metadata("http://issuer.test/jwks"), "BadResponse"],
      ["no key set", "jwks", { body: '{"keys":1}' }, "BadResponse"]
    ]
    for (const [name, endpoint, answer, reason] of answers) {
      it.effect(`an issuer that answers with ${name} is unavailable`, () =>
        withDiscovery(({ respond }, keySet) =>
          Effect.gen(function* () {
            yield* endpoint === "all" ? respondAll(answer) : respond(endpoint, answer)
            assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), reason)
          })
        )
      )
    }
  })

  it.effect("reads a key set at a given URL", () =>
    withKeySet(KeySet.layerRemote({ url: `${jwks}?tenant=1` }), (_, keySet) =>
      Effect.gen(function* () {
        assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        assert.deepStrictEqual(yield* urls, [`${jwks}?tenant=1`])
      })
    )
  )

  it.effect("reads a key set whose path holds an @, as Google's does", () => {
    const at = `${issuer}/jwk/securetoken@system.example.com/jwks`
    return withKeySet(
      KeySet.layerDiscovery({ issuer }),
      (_, keySet) =>
        Effect.gen(function* () {
          yield* Effect.exit(keySet.refresh)
          assert.include(yield* urls, at)
        }),
      { metadata: { jwks_uri: at } }
    )
  })

  it.effect("ignores what is no key in a set", () =>
    withDiscovery((_, keySet) =>
      Effect.gen(function* () {
        yield* replaceKeys([{}, { kty: 1 }, { kty: "XYZ", kid: "k1" }, { kty: "RSA", kid: "k1" }, first.jwk])
        assert.isAtLeast((yield* keySet.find(rs256("k1"))).length, 1)
      })
    )
  )

  describe("keeps the keys", () => {
    const ages: ReadonlyArray<readonly [headers: Record<string, string>, seconds: number]> = [
      [{}, 600],
      [{ "cache-control": "public" }, 600],
      [{ "cache-control": "public, max-age=900, must-revalidate" }, 900],
      [{ "cache-control": 'MAX-AGE="900"' }, 900],
      [{ "cache-control": "max-age=900", age: "100" }, 800],
      [{ "cache-control": "max-age=900, max-age=120" }, 120],
      [{ "cache-control": "max-age=0" }, 60],
      [{ "cache-control": "max-age=59" }, 60],
      [{ "cache-control": "no-store" }, 60],
      [{ "cache-control": "no-cache, max-age=900" }, 60],
      [{ "cache-control": "max-age=-1" }, 60],
      [{ "cache-control": "max-age=1e9" }, 60],
      [{ "cache-control": "max-age=86400" }, 3600],
      [{ "cache-control": "max-age=99999999999999999999" }, 60],
      [{ "cache-control": "s-maxage=900" }, 600],
      [{ "cache-control": "x-max-age=900" }, 600]
    ]
    for (const [headers, seconds] of ages) {
      it.effect(`for ${seconds} seconds where the issuer says ${JSON.stringify(headers)}`, () =>
        withDiscovery(({ requests, respond }, keySet) =>
          Effect.gen(function* () {
            yield* respond("jwks", { headers })
            yield* keySet.refresh
            yield* TestClock.adjust(`${seconds - 1} seconds`)
            yield* keySet.refresh
            assert.lengthOf(yield* requests, 2)
            yield* TestClock.adjust("1 second")
            yield* keySet.refresh
            assert.lengthOf(yield* requests, 4)
          })
        )
      )
    }

    it.effect("and fetches them anew in the background when four fifths of that time are over", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* TestClock.adjust("479 seconds")
          yield* keySet.find(rs256("k1"))
          yield* settle
          assert.lengthOf(yield* requests, 2)
          yield* TestClock.adjust("1 second")
          yield* respondAll("never")
          for (let i = 0; i < 20; i++) assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          yield* settle
          assert.lengthOf(yield* requests, 3)
          yield* TestClock.adjust("10 seconds")
          yield* respondAll("normal")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          yield* settle
          assert.lengthOf(yield* requests, 5)
          yield* TestClock.adjust("470 seconds")
          yield* keySet.find(rs256("k1"))
          assert.lengthOf(yield* requests, 5)
        })
      )
    )

    it.effect("by the time that passes, though the machine's clock is set back", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* TestClock.setTime(1_700_000_000_000)
          yield* keySet.refresh
          yield* TestClock.adjust("599 seconds")
          yield* TestClock.setTime(1_600_000_000_000)
          yield* TestClock.adjust("1 second")
          yield* keySet.refresh
          assert.lengthOf(yield* requests, 4)
        })
      )
    )

    it.effect("and counts the time that the machine was suspended", () =>
      withDiscovery(({ requests }, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          const clock = yield* Clock.clockWith(Effect.succeed)
          const resumed: Clock.Clock = Object.create(clock, {
            currentTimeMillisUnsafe: { value: () => clock.currentTimeMillisUnsafe() + 600_000 }
          })
          yield* Effect.provideService(keySet.refresh, Clock.Clock, resumed)
          assert.lengthOf(yield* requests, 4)
        })
      )
    )

    it.effect("a key that the issuer removed is refused when the set is fetched again", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          yield* replaceKeys([second.jwk])
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          yield* TestClock.adjust("600 seconds")
          assertUnknown(yield* Effect.exit(keySet.find(rs256("k1"))))
        })
      )
    )

    it.effect("a set without keys is a set: every token is refused, and a key that comes back is found", () =>
      withDiscovery(({ publish, retire }, keySet) =>
        Effect.gen(function* () {
          yield* retire("k1")
          assertUnknown(yield* Effect.exit(keySet.find(rs256("k1"))))
          yield* publish(first.jwk)
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )

    it.effect("an unchanged key stays the same object", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          const [before] = yield* keySet.find(rs256("k1"))
          yield* TestClock.adjust("600 seconds")
          const [after] = yield* keySet.find(rs256("k1"))
          assert.strictEqual(after, before)
        })
      )
    )
  })

  describe("looks a key up", () => {
    it.effect(
      "in a flood of invented names a new key is kept out for 30 seconds at most, for 1 fetch in that time",
      () =>
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
            assertUnknown(yield* Effect.exit(keySet.find(rs256("k2"))))
            yield* TestClock.adjust("1 second")
            assertUnknown(yield* Effect.exit(keySet.find(rs256("invented"))))
            assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
            assert.lengthOf(yield* requests, 6)
          })
        )
    )

    it.effect("and asks nobody where no key could ever be meant", () =>
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

    it.effect("by nothing but its name", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          for (const kid of ["__proto__", "constructor", "toString", "", "k1 ", "K1", "../k1", "' or 1=1"]) {
            assertUnknown(yield* Effect.exit(keySet.find(rs256(kid))))
          }
          assert.isFalse((yield* urls).some((url) => url.includes("k1") || url.includes("proto")))
        })
      )
    )

    it.effect("without a name, each that fits the algorithm", () =>
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

    it.effect("only for the algorithms of its type and curve, and of its alg where it has one", () =>
      Effect.gen(function* () {
        const { alg: _, ...anyAlg } = first.jwk
        const ec = yield* TestIssuer.makeKey("ec", "ES384")
        const ed = yield* TestIssuer.makeKey("ed", "Ed25519")
        const all = [
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
        ]
        const serves = (jwk: jose.JWK) =>
          Effect.flatMap(KeySet.KeySet, (keySet) =>
            Effect.filter(all, (alg) => Effect.isSuccess(keySet.find({ alg, kid: "k" })))
          ).pipe(Effect.provide(KeySet.layerStatic({ keys: [{ ...jwk, kid: "k" }] })))
        assert.deepStrictEqual(yield* serves(first.jwk), ["RS256"])
        assert.deepStrictEqual(yield* serves(anyAlg), ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
        assert.deepStrictEqual(yield* serves(ec.jwk), ["ES384"])
        assert.deepStrictEqual(yield* serves({ ...ed.jwk, alg: "EdDSA" }), ["EdDSA"])
        // RFC 8032 §7.1, test SHA(abc): a key with the sign bit.
        const x = jose.base64url.encode(
          Buffer.from("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", "hex")
        )
        assert.deepStrictEqual(yield* serves({ kty: "OKP", crv: "Ed25519", x, alg: "Ed25519" }), ["Ed25519"])
        const { alg: __, ...anyEd } = ed.jwk
        assert.deepStrictEqual(yield* serves(anyEd), ["EdDSA", "Ed25519"])
      })
    )
  })

  describe("refuses a key", () => {
    /** The real modulus mod03 of the test data of the paper's authors (crocs-muni/roca), of 2048 bits. */
    const roca =
      "9dcd7420e420c270a68060eb8b5aa7457a9f6648f86fafed2775cc1f79ae962f1e63f1b9e51c55f9ea6fdc7332e9b0058c9ff2eb1fc89855029cf6aafe21e689" +
      "feb38ac9ffb12f1ce371bb5d0e9aae64161abce74b4244bf68f1edb4411f756a097c8929c14740245ea355f8332d1aa36bb50c7dcb4505da8de02e4e53d38f8d" +
      "f06097da7524df0df93db48eac8cc4af2d3a16257eb2b2adca6ba464e5974fa92550d31b1babf161e7692d00b86e3dd886ecab4abfbe1a8f8cc263ff4af55cdb" +
      "45f4249a5193925f5e983d762f0b6800943eb0267b08f42ed311ce1f5c86eacbc8ce4d3cb7a2fee1ef5641423a1cf4114e5ecf50034a60a412523af9e6f4aa11"
    const base64url = (hex: string) =>
      jose.base64url.encode(Uint8Array.from(hex.match(/../g) ?? [], (x) => parseInt(x, 16)))
    const littleEndian = (y: bigint) =>
      base64url((y.toString(16).padStart(64, "0").match(/../g) ?? []).toReversed().join(""))

    it("has the fingerprint of ROCA only where one exponent fits every prime", () => {
      assert.isTrue(hasRocaFingerprint(BigInt(`0x${roca}`)))
      assert.isFalse(hasRocaFingerprint(BigInt(`0x${roca}`) + 2n))
      // A power of 65537 modulo each small prime, yet with different exponents: from the same test data.
      const chance =
        72414128973967872688332736535017614208620368242015797102796086827882754006260204061799547004983731426777596445658889886861027045033760014948048067467947960318205453778973975867532910489227970143091184725760290172935872752222320334100097730483600892686353719855397381316384244147860260153198611313067061116317n
      assert.isFalse(hasRocaFingerprint(chance))
    })

    const modulus2048 = 2n ** 2047n + 2n ** 1000n + 1n
    const rsa = Effect.succeed({ ...first.jwk, kid: "bad" })
    const derived = (alg: "RS256" | "ES256", change: (jwk: Record<string, any>) => unknown) =>
      Effect.map(alg === "RS256" ? rsa : Effect.map(TestIssuer.makeKey("bad", alg), ({ jwk }) => jwk), change)
    const short = Effect.promise(async () => {
      const { publicKey } = await crypto.subtle.generateKey(
        { name: "RSASSA-PKCS1-v1_5", modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
        true,
        ["verify", "sign"]
      )
      return { ...(await jose.exportJWK(publicKey)), kid: "bad" }
    })
    const order8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022n
    const p = 2n ** 255n - 19n
    const smallOrder = [0n, 1n, p - 1n, order8, p - order8, p, p + 1n].flatMap((y) => [y, y + 2n ** 255n])

    const cases: ReadonlyArray<readonly [name: string, reason: string, jwk: Effect.Effect<unknown>]> = [
      ["of 1024 bits", "ModulusSize", short],
      [
        "of more than 8192 bits",
        "ModulusSize",
        derived("RS256", (k) => ({ ...k, n: base64url(`01${"00".repeat(1023)}01`) }))
      ],
      ["of megabytes", "ModulusSize", derived("RS256", (k) => ({ ...k, n: "A".repeat(400_000) }))],
      [
        "of 2047 bits behind leading zeros",
        "ModulusSize",
        derived("RS256", (k) => ({ ...k, n: base64url(`0000${"7f".repeat(256)}`) }))
      ],
      [
        "whose modulus is divisible by a small prime",
        "ModulusFactor",
        derived("RS256", (k) => ({ ...k, n: base64url((modulus2048 - (modulus2048 % 167n)).toString(16)) }))
      ],
      ["with the fingerprint of ROCA", "Roca", derived("RS256", (k) => ({ ...k, n: base64url(roca) }))],
      ["with the exponent 1", "Exponent", derived("RS256", (k) => ({ ...k, e: "AQ" }))],
      ["with an even exponent", "Exponent", derived("RS256", (k) => ({ ...k, e: "AQAA" }))],
      ["with an exponent over 32 bits", "Exponent", derived("RS256", (k) => ({ ...k, e: "AQAAAAE" }))],
      ["without an exponent", "Malformed", derived("RS256", (k) => ({ ...k, e: undefined }))],
      ["padded", "Malformed", derived("RS256", (k) => ({ ...k, e: "AQAB====" }))],
      ["with white space", "Malformed", derived("RS256", (k) => ({ ...k, e: "AQ AB" }))],
      ["with stray bits", "Malformed", derived("RS256", (k) => ({ ...k, e: "AR" }))],
      ["whose alg is a number", "Malformed", derived("RS256", (k) => ({ ...k, alg: 1 }))],
      ["whose kid is too long", "Malformed", derived("RS256", (k) => ({ ...k, kid: "k".repeat(257) }))],
      ["that is null", "Malformed", Effect.succeed(null)],
      ["that is text", "Malformed", Effect.succeed("RSA")],
      ["for encryption", "Purpose", derived("RS256", (k) => ({ ...k, use: "enc" }))],
      ["without the operation verify", "Purpose", derived("RS256", (k) => ({ ...k, key_ops: ["encrypt"] }))],
      ["whose operations are text", "Purpose", derived("RS256", (k) => ({ ...k, key_ops: "verify" }))],
      ["with an algorithm for encryption", "Algorithm", derived("RS256", (k) => ({ ...k, alg: "RSA-OAEP" }))],
      ["with an algorithm of another type", "Algorithm", derived("RS256", (k) => ({ ...k, alg: "ES256" }))],
      ["with an algorithm of another curve", "Algorithm", derived("ES256", (k) => ({ ...k, alg: "ES384" }))],
      ["with a symmetric algorithm", "Algorithm", derived("RS256", (k) => ({ ...k, alg: "HS256" }))],
      ["that is symmetric", "Symmetric", Effect.succeed({ kty: "oct", kid: "bad", k: "c2VjcmV0c2VjcmV0c2VjcmV0" })],
      ["of an unknown type", "Type", Effect.succeed({ kty: "AKP", kid: "bad", alg: "ML-DSA-44", pub: "AA" })],
      ["for key agreement", "Curve", Effect.succeed({ kty: "OKP", crv: "X25519", kid: "bad", x: "AA" })],
      ["on an unknown curve", "Curve", derived("ES256", (k) => ({ ...k, alg: undefined, crv: "secp256k1" }))],
      [
        "on another curve than its coordinates",
        "Malformed",
        derived("ES256", (k) => ({ ...k, alg: "ES384", crv: "P-384" }))
      ],
      ["whose point is not on its curve", "Invalid", derived("ES256", (k) => ({ ...k, y: k.x }))],
      ["whose private half is published", "Private", derived("ES256", (k) => ({ ...k, d: k.x }))],
      ["with a prime of its modulus", "Private", derived("RS256", (k) => ({ ...k, p: "AQAB" }))],
      ["with a private half that is no text", "Private", derived("RS256", (k) => ({ ...k, d: 1 }))],
      ...smallOrder.map(
        (y) =>
          [
            `that is a point of small order: ${y}`,
            "SmallOrder",
            Effect.succeed({ kty: "OKP", crv: "Ed25519", kid: "bad", x: littleEndian(y) })
          ] as const
      )
    ]
    for (const [name, reason, bad] of cases) {
      it.effect(`${name}, says so once, and serves the others`, () =>
        withLogs((logs) =>
          withDiscovery((_, keySet) =>
            Effect.gen(function* () {
              const jwk: any = yield* bad
              yield* replaceKeys([jwk, second.jwk])
              assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
              for (const alg of ["RS256", "ES256", "ES384", "EdDSA"]) {
                assertUnknown(yield* Effect.exit(keySet.find({ alg, kid: "bad" })))
              }
              yield* TestClock.adjust("600 seconds")
              assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
              assert.deepStrictEqual(
                logs.map(({ annotations, level, message }) => [level, message, annotations["reason"]]),
                [["Warn", "A published key is refused", reason]]
              )
              const text = JSON.stringify(logs)
              for (const member of ["n", "x", "y", "d", "k"]) {
                const value = jwk?.[member]
                if (typeof value === "string" && value.length > 8) assert.notInclude(text, value)
              }
            })
          )
        )
      )
    }

    it("knows the points of small order", () => {
      const power = (base: bigint, exponent: bigint): bigint =>
        exponent === 0n ? 1n : (power((base * base) % p, exponent / 2n) * (exponent % 2n === 1n ? base : 1n)) % p
      const d = (p - 121665n) * power(121666n, p - 2n)
      for (const y of [order8, p - order8]) {
        const xx = (y * y - 1n) * power((d * y * y + 1n) % p, p - 2n)
        // Doubled, a point of order 8 is one of order 4: y = 0.
        assert.strictEqual((y * y + xx) % p, 0n)
      }
    })

    it.effect("under its other names too, where its private half is published under one", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          const withZero = jose.base64url.encode(
            Buffer.concat([Buffer.alloc(1), jose.base64url.decode(first.jwk.n ?? "")])
          )
          const { alg: _, ...leak } = { ...first.jwk, kid: "leak", d: "AQAB", n: withZero, crv: "P-256" }
          yield* replaceKeys([first.jwk, leak, second.jwk])
          assertUnknown(yield* Effect.exit(keySet.find(rs256("k1"))))
          assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
        })
      )
    )

    it.effect("whose name another key has too, and takes the same key twice for one", () =>
      withLogs((logs) =>
        withDiscovery((_, keySet) =>
          Effect.gen(function* () {
            const { alg: _, ...anyAlg } = first.jwk
            const ec = yield* TestIssuer.makeKey("k2", "ES256")
            yield* replaceKeys([
              first.jwk,
              { ...second.jwk, kid: "k1" },
              second.jwk,
              { ...second.jwk },
              { ...second.jwk, alg: "PS256" },
              ec.jwk,
              { ...anyAlg, kid: "k3" },
              { ...first.jwk, kid: "k3" }
            ])
            assertUnknown(yield* Effect.exit(keySet.find(rs256("k1"))))
            for (const alg of ["RS256", "PS256", "ES256"]) assert.lengthOf(yield* keySet.find({ alg, kid: "k2" }), 1)
            for (const alg of ["RS256", "PS512"]) assert.lengthOf(yield* keySet.find({ alg, kid: "k3" }), 1)
            assert.deepStrictEqual(
              logs.map(({ annotations }) => [annotations["reason"], annotations["kid"]]),
              [
                ["DuplicateKid", "k1"],
                ["DuplicateKid", "k1"]
              ]
            )
          })
        )
      )
    )

    it.effect("after the hundredth", () =>
      withLogs((logs) =>
        withDiscovery((_, keySet) =>
          Effect.gen(function* () {
            const many = Array.from({ length: 99 }, (_, i) => ({ ...second.jwk, kid: `other-${i}` }))
            yield* replaceKeys([...many, first.jwk, second.jwk])
            assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
            assertUnknown(yield* Effect.exit(keySet.find(rs256("k2"))))
            assert.deepStrictEqual(
              logs.map(({ annotations }) => annotations["reason"]),
              ["TooMany"]
            )
          })
        )
      )
    )

    it.effect("and does not log a name that could be more than a name", () =>
      withLogs((logs) =>
        withDiscovery((_, keySet) =>
          Effect.gen(function* () {
            const kids = ["a\r\nlevel=FATAL", "\u001b[2J", "k".repeat(65)]
            yield* replaceKeys(kids.map((kid) => ({ ...first.jwk, kid, e: "AQ" })))
            yield* keySet.refresh
            assert.deepStrictEqual(
              logs.map(({ annotations, message }) => [message, annotations["kid"]]),
              [
                ["A published key is refused", "(not shown)"],
                ["A published key is refused", "(not shown)"],
                ["A published key is refused", "(not shown)"],
                ["No published key is usable: every token is refused", undefined]
              ]
            )
          })
        )
      )
    )
  })

  describe("an answer", () => {
    const set = JSON.stringify({ keys: [first.jwk] })
    const bad: ReadonlyArray<readonly [name: string, answer: Answer]> = [
      ["with a byte order mark", { body: `\ufeff${set}` }],
      ["that is not UTF-8", { body: Uint8Array.from(`{"note":"\xff",${set.slice(1)}`, (char) => char.charCodeAt(0)) }],
      ["that ends within a character", { body: Uint8Array.from([...new TextEncoder().encode(set), 0xe2, 0x82]) }],
      ["that nests 100 000 deep", { body: `{"keys":${"[".repeat(100_000)}${"]".repeat(100_000)}` }],
      ["with more behind it", { body: `${set}{}` }],
      ["that is longer than it may be", { body: set + " ".repeat(512 * 1024) }],
      ["with a part of the set", { status: 206 }],
      ["with a redirect", { status: 302, headers: { location: `${issuer}/other` }, body: "" }],
      ["with a redirect and a set", { status: 307, headers: { location: "/other" } }]
    ]
    for (const [name, answer] of bad) {
      it.effect(`${name} is no answer`, () =>
        withDiscovery(({ requests, respond }, keySet) =>
          Effect.gen(function* () {
            yield* respond("jwks", answer)
            assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "BadResponse")
            assert.lengthOf(yield* requests, 2)
          })
        )
      )
    }

    /** As a `fetch` gives it that has followed a redirect, though it was told not to. */
    const from = (url: string) => Object.defineProperty(new Response(set), "url", { value: url })

    const others: ReadonlyArray<readonly [name: string, answer: () => Response]> = [
      ["that is too long without saying so", () => new Response(set + " ".repeat(512 * 1024))],
      ["that says it is too long", () => new Response(set, { headers: { "content-length": "524289" } })],
      ...["https://evil.test/jwks", `${issuer}/other`, `${jwks}?x`, `${jwks}/`, "http://issuer.test/jwks"].map(
        (url) => [`from ${url}, where ${jwks} was asked,`, () => from(url)] as const
      )
    ]
    for (const [name, answer] of others) {
      it.effect(`${name} is no answer`, () => {
        let asked = 0
        const counted = () => {
          asked++
          return answer()
        }
        return withClient(counted, (keySet) =>
          Effect.gen(function* () {
            assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "BadResponse")
            assert.strictEqual(asked, 1)
          })
        )
      })
    }

    it.effect("from the URL that was asked, or from none, is one", () =>
      Effect.forEach([jwks, ""], (url) =>
        withClient(
          () => from(url),
          (keySet) => Effect.map(keySet.find(rs256("k1")), (keys) => assert.lengthOf(keys, 1))
        )
      )
    )

    it.effect("is read whatever its content type, up to the size that is allowed", () =>
      withDiscovery(({ respond }, keySet) =>
        Effect.gen(function* () {
          const body = set + " ".repeat(512 * 1024 - set.length)
          yield* respond("jwks", { body, headers: { "content-type": "text/html" } })
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )

    it.effect("without an end is not read to it", () => {
      let read = 0
      let cancelled = false
      const source: UnderlyingDefaultSource<Uint8Array> = {
        pull: (controller) => {
          read += 1024
          controller.enqueue(new Uint8Array(1024).fill(0x20))
        },
        cancel: () => {
          cancelled = true
        }
      }
      return withClient(
        () => new Response(new ReadableStream(source, { highWaterMark: 0 })),
        (keySet) =>
          Effect.gen(function* () {
            assertUnavailable(yield* Effect.exit(keySet.refresh), "BadResponse")
            assert.isAtMost(read, 8192)
            assert.isTrue(cancelled)
          }),
        { maxBytes: 4096 }
      )
    })

    it.effect("that is refused is not downloaded", () => {
      const signals: Array<AbortSignal> = []
      const answer = (signal: AbortSignal) => {
        signals.push(signal)
        return new Response("sorry", { status: 500 })
      }
      return withClient(answer, (keySet) =>
        Effect.gen(function* () {
          yield* Effect.exit(keySet.refresh)
          assert.deepStrictEqual(
            signals.map((signal) => signal.aborted),
            [true]
          )
        })
      )
    })

    it.effect("from an issuer on the network cannot name a port of this machine", () =>
      withDiscovery(({ metadata, requests, respond }, keySet) =>
        Effect.gen(function* () {
          const body = JSON.stringify({ ...(yield* metadata), jwks_uri: "http://localhost:8080/jwks" })
          yield* respond("discovery", { body })
          assertUnavailable(yield* Effect.exit(keySet.refresh), "BadResponse")
          assert.lengthOf(yield* requests, 1)
        })
      )
    )

    for (const [name, client] of [
      ["fetch", FetchHttpClient.layer],
      ["node:http", NodeHttpClient.layerNodeHttp],
      ["undici", NodeHttpClient.layerUndici]
    ] as const) {
      it.live(`that redirects is not followed: ${name}`, () =>
        Effect.gen(function* () {
          const { issuer, jwksUri, requests, respond } = yield* TestIssuer
          const read = (url: string) =>
            Effect.exit(Effect.flatMap(KeySet.KeySet, (keySet) => keySet.refresh)).pipe(
              Effect.provide(KeySet.layerRemote({ url }).pipe(Layer.provide(client))),
              Effect.provide(Logger.layer([]))
            )
          yield* respond("openid-configuration", { status: 302, headers: { location: jwksUri }, body: "" })
          assertUnavailable(yield* read(`${issuer}/.well-known/openid-configuration`), "BadResponse")
          assert.deepStrictEqual(
            (yield* requests).map(({ endpoint }) => endpoint),
            ["openid-configuration"]
          )
          assert(Exit.isSuccess(yield* read(`${jwksUri}?x=a%20b+c&y=%C3%A9#part`)))
          assert.lengthOf(yield* requests, 2)
        }).pipe(
          Effect.provide(TestIssuer.serve({ keys: [first] })),
          Effect.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: 0 }))
        )
      )
    }
  })

  describe("whatever happens to a request", () => {
    it.effect("the fetch that it started goes on for the others, and for those to come", () =>
      withDiscovery(({ requests, respond }, keySet) =>
        Effect.gen(function* () {
          yield* respond("jwks", { delay: "3 seconds" })
          const one = yield* Effect.forkChild(keySet.find(rs256("k1")))
          yield* settle
          const other = yield* Effect.forkChild(keySet.find(rs256("k1")))
          yield* settle
          yield* Fiber.interrupt(one)
          yield* TestClock.adjust("3 seconds")
          assert.lengthOf(yield* Fiber.join(other), 1)
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          assert.lengthOf(yield* requests, 2)
        })
      )
    )

    it.effect("the fetch goes on though its answer is being read", () => {
      let asked = 0
      const { promise: opened, resolve: open } = Promise.withResolvers<void>()
      const source: UnderlyingDefaultSource<Uint8Array> = {
        start: (controller) =>
          void opened.then(() => {
            controller.enqueue(new TextEncoder().encode(JSON.stringify({ keys: [first.jwk] })))
            return controller.close()
          })
      }
      const answer = () => {
        asked++
        return new Response(new ReadableStream(source))
      }
      return withClient(answer, (keySet) =>
        Effect.gen(function* () {
          const one = yield* Effect.forkChild(keySet.find(rs256("k1")))
          yield* settle
          const other = yield* Effect.forkChild(keySet.find(rs256("k1")))
          yield* settle
          yield* Fiber.interrupt(one)
          open()
          assert.lengthOf(yield* Fiber.join(other), 1)
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          assert.strictEqual(asked, 1)
        })
      )
    })

    it.effect("a client that dies is an issuer that cannot be reached, and its cause is told once", () => {
      const dies = () => {
        throw new Error("broken")
      }
      return withLogs((logs) =>
        withClient(dies, (keySet) =>
          Effect.gen(function* () {
            for (let i = 0; i < 3; i++) {
              assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
              yield* TestClock.adjust("5 seconds")
            }
            assert.deepStrictEqual(
              logs.map(({ level }) => level),
              ["Error", "Warn"]
            )
          })
        )
      )
    })

    it.effect("a client that gives up is an issuer that cannot be reached, and is left alone for a while", () => {
      let asked = 0
      const client = HttpClient.make(() =>
        Effect.andThen(
          Effect.sync(() => void asked++),
          Effect.interrupt
        )
      )
      return Effect.gen(function* () {
        const keySet = yield* KeySet.KeySet
        for (const expected of [1, 2]) {
          for (let i = 0; i < 20; i++) assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
          assert.strictEqual(asked, expected)
          yield* TestClock.adjust("5 seconds")
        }
      }).pipe(
        Effect.provide(
          KeySet.layerRemote({ url: jwks }).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))
        ),
        Effect.provide(Logger.layer([]))
      )
    })

    it.effect("a key that could not be imported is tried again with the next fetch", () =>
      Effect.gen(function* () {
        const keySet = yield* KeySet.KeySet
        const importKey = vi.spyOn(crypto.subtle, "importKey")
        importKey.mockRejectedValue(new Error("out of memory"))
        assert.strictEqual((yield* Effect.exit(keySet.find(rs256("k1"))))._tag, "Failure")
        importKey.mockRestore()
        yield* TestClock.adjust("11 minutes")
        assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
      }).pipe(
        Effect.provide(Layer.provide(KeySet.layerRemote({ url: jwks }), TestIssuer.layer({ keys: [first] }))),
        Effect.provide(Logger.layer([]))
      )
    )

    it.effect("a key that could not be imported for one of its algorithms is tried again for all", () =>
      Effect.gen(function* () {
        const keySet = yield* KeySet.KeySet
        const importKey = vi.spyOn(crypto.subtle, "importKey")
        importKey.mockRejectedValueOnce(new Error("out of memory"))
        const of = (alg: string) => Effect.exit(keySet.find({ alg, kid: "any" }))
        const before = yield* Effect.forEach(["RS256", "RS384", "RS512"], of)
        importKey.mockRestore()
        assert.strictEqual(before.filter(Exit.isFailure).length, 1)
        yield* TestClock.adjust("11 minutes")
        for (const alg of ["RS256", "RS384", "RS512"]) assert.isTrue(Exit.isSuccess(yield* of(alg)), alg)
      }).pipe(
        Effect.provide(
          Layer.unwrap(
            Effect.sync(() => {
              const { alg: _, ...jwk } = first.jwk
              return Layer.provide(
                KeySet.layerRemote({ url: jwks }),
                Layer.effectDiscard(replaceKeys([{ ...jwk, kid: "any" }])).pipe(
                  Layer.provideMerge(TestIssuer.layer({ keys: [first] }))
                )
              )
            })
          )
        ),
        Effect.provide(Logger.layer([]))
      )
    )

    it.effect("a layer that is closed ends its fetch, and answers", () =>
      Effect.gen(function* () {
        const { requests } = yield* TestIssuer
        yield* respondAll("never")
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(KeySet.layerRemote({ url: jwks }), scope)
        const find = Effect.provide(
          Effect.flatMap(KeySet.KeySet, (keySet) => keySet.find(rs256("k1"))),
          context
        )
        const waiting = yield* Effect.forkChild(Effect.exit(find))
        yield* settle
        yield* Scope.close(scope, Exit.void)
        assertUnavailable(yield* Fiber.join(waiting), "Unreachable")
        assertUnavailable(yield* Effect.exit(find), "Unreachable")
        assert.lengthOf(yield* requests, 1)
      }).pipe(Effect.provide(TestIssuer.layer({ keys: [first] })))
    )
  })

  describe("reports", () => {
    it.effect("an outage once, stale keys once, their end once, and the recovery", () =>
      withLogs((logs) =>
        withDiscovery((_, keySet) =>
          Effect.gen(function* () {
            const ask = Effect.repeat(Effect.exit(keySet.find(rs256("k1"))), { times: 20 })
            yield* keySet.refresh
            yield* respondAll("unreachable")
            for (let minutes = 0; minutes <= 75; minutes += 1) {
              yield* ask
              yield* settle
              yield* TestClock.adjust("1 minute")
            }
            yield* respondAll("normal")
            yield* ask
            yield* settle
            assert.deepStrictEqual(
              logs.filter(({ level }) => level !== "Debug").map(({ level, message }) => [level, message]),
              [
                ["Warn", "The issuer's keys could not be fetched"],
                ["Warn", "Stale keys serve while the issuer cannot be asked"],
                ["Error", "The stale keys are too old to serve: requests are answered 503"],
                ["Info", "The issuer's keys are fetched again"]
              ]
            )
            assert.isTrue(logs.every(({ annotations }) => annotations["issuer"] === issuer))
          })
        )
      )
    )

    it.effect("the age of the keys, and each fetch by its outcome", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.find(rs256("k1"))
          yield* TestClock.adjust("100 seconds")
          yield* keySet.find(rs256("k1"))
          yield* respondAll({ status: 500, body: "sorry" })
          yield* Effect.exit(keySet.find(rs256("k2")))
          yield* TestClock.adjust("5 seconds")
          yield* respondAll("unreachable")
          yield* Effect.exit(keySet.find(rs256("k2")))
          const metrics = yield* Metric.snapshot
          const of = (id: string) =>
            metrics.filter((metric) => metric.id === id).map(({ attributes, state }) => ({ attributes, state }))
          assert.deepStrictEqual(
            of("oauth2_key_set_age_seconds").map(({ attributes, state }) => [attributes, state]),
            [[{ issuer }, { value: 105 }]] as any
          )
          assert.deepStrictEqual(
            of("oauth2_key_set_fetches_total").map(({ attributes, state }) => [
              attributes?.["outcome"],
              "count" in state ? state.count : undefined
            ]),
            [
              ["success", 1],
              ["bad_response", 1],
              ["unreachable", 1]
            ]
          )
        })
      ).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
    )

    it.effect("a fetch as a span of its own, without what the request said", () =>
      Effect.gen(function* () {
        const spans: Array<Tracer.NativeSpan> = []
        const tracer = Tracer.make({
          span: (options) => {
            const span = new Tracer.NativeSpan(options)
            spans.push(span)
            return span
          }
        })
        yield* withDiscovery((_, keySet) =>
          Effect.withSpan(Effect.exit(keySet.find(rs256("secret-kid"))), "request")
        ).pipe(Effect.withSpan("start"), Effect.provideService(Tracer.Tracer, tracer))
        const refresh = spans.find((span) => span.name === "KeySet.refresh")
        assert.isTrue(refresh !== undefined && Option.isNone(refresh.parent))
        assert.deepStrictEqual(Object.fromEntries(refresh?.attributes ?? []), { issuer, keys: 1, refused: 0 })
        for (const span of spans) assert.notInclude(JSON.stringify([...span.attributes]), "secret-kid")
      })
    )

    it.effect("a URL without its query", () =>
      withLogs((logs) =>
        withKeySet(KeySet.layerRemote({ url: `${jwks}?key=secret` }), (_, keySet) =>
          Effect.gen(function* () {
            yield* respondAll("unreachable")
            const error = yield* Effect.flip(keySet.refresh)
            assert.notInclude(JSON.stringify([logs, error]), "secret")
          })
        )
      )
    )
  })

  describe("settings", () => {
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
      ["maxBytes", { maxBytes: 1023 }],
      ["maxBytes", { maxBytes: NaN }],
      ["maxBytes", { maxBytes: Infinity }],
      ["issuer", { issuer: "http://idp.example.com" }],
      ["issuer", { issuer: "https://idp.example.com?x" }]
    ]
    for (const [setting, options] of bad) {
      it.effect(`fail at start-up where ${setting} cannot work: ${JSON.stringify(options)}`, () =>
        Effect.gen(function* () {
          const layer = KeySet.layerDiscovery({ issuer, ...options })
          const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
          assert.instanceOf(error, SecurityError.ConfigurationError)
          assert.strictEqual(error.setting, setting)
          assert.include(error.message, `${setting} must`)
        }).pipe(Effect.provide(TestIssuer.layer({ keys: [first] })))
      )
    }

    it.effect("bound the stale window", () =>
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

    it.effect("given keys of which none can be used fail at start-up, and each is told why", () =>
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

    it.effect("given keys of which some cannot be used serve, with a warning for each", () =>
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
