import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as jose from "jose"
import { hasRocaFingerprint } from "../../src/verifier/keys/roca.ts"
import { roca } from "../support/rocaModulus.ts"
import { assertUnknown, first, replaceKeys, rs256, second, withDiscovery, withLogs } from "../support/keySets.ts"

describe("KeySet", () => {
  describe("refuses a key", () => {
    const base64url = (hex: string) =>
      jose.base64url.encode(Uint8Array.from(hex.match(/../g) ?? [], (x) => parseInt(x, 16)))
    const hexOf = (text: string) => Buffer.from(text, "base64url").toString("hex")
    const littleEndian = (y: bigint) =>
      base64url((y.toString(16).padStart(64, "0").match(/../g) ?? []).toReversed().join(""))

    it("with the fingerprint of ROCA only if one exponent fits every prime", () => {
      assert.isTrue(hasRocaFingerprint(BigInt(`0x${roca}`)))
      assert.isFalse(hasRocaFingerprint(BigInt(`0x${roca}`) + 2n))
      // From the same test data: a power of 65537 modulo each small prime, but with different exponents.
      const chance =
        72414128973967872688332736535017614208620368242015797102796086827882754006260204061799547004983731426777596445658889886861027045033760014948048067467947960318205453778973975867532910489227970143091184725760290172935872752222320334100097730483600892686353719855397381316384244147860260153198611313067061116317n
      assert.isFalse(hasRocaFingerprint(chance))
    })

    const modulus2048 = 2n ** 2047n + 2n ** 1000n + 1n
    const rsa = Effect.succeed({ ...first.jwk, kid: "bad" })
    const derived = (alg: "RS256" | "ES256" | "ES384" | "ES512", change: (jwk: Record<string, any>) => unknown) =>
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
      [
        "with a modulus of 400 000 characters",
        "ModulusSize",
        derived("RS256", (k) => ({ ...k, n: "A".repeat(400_000) }))
      ],
      [
        "of 2047 bits with leading zeros",
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
      ["whose unused base64url bits are not zero", "Malformed", derived("RS256", (k) => ({ ...k, e: "AR" }))],
      ["whose alg is a number", "Malformed", derived("RS256", (k) => ({ ...k, alg: 1 }))],
      ["whose kid is too long", "Malformed", derived("RS256", (k) => ({ ...k, kid: "k".repeat(257) }))],
      ["that is null", "Malformed", Effect.succeed(null)],
      ["that is a string", "Malformed", Effect.succeed("RSA")],
      ["whose use is enc", "Purpose", derived("RS256", (k) => ({ ...k, use: "enc" }))],
      ["whose key_ops lacks verify", "Purpose", derived("RS256", (k) => ({ ...k, key_ops: ["encrypt"] }))],
      ["whose key_ops is a string", "Purpose", derived("RS256", (k) => ({ ...k, key_ops: "verify" }))],
      ["with an encryption algorithm", "Algorithm", derived("RS256", (k) => ({ ...k, alg: "RSA-OAEP" }))],
      ["with an algorithm of another type", "Algorithm", derived("RS256", (k) => ({ ...k, alg: "ES256" }))],
      ["with an algorithm of another curve", "Algorithm", derived("ES256", (k) => ({ ...k, alg: "ES384" }))],
      ["with a symmetric algorithm", "Algorithm", derived("RS256", (k) => ({ ...k, alg: "HS256" }))],
      ["that is symmetric", "Symmetric", Effect.succeed({ kty: "oct", kid: "bad", k: "c2VjcmV0c2VjcmV0c2VjcmV0" })],
      ["of an unknown type", "Type", Effect.succeed({ kty: "AKP", kid: "bad", alg: "ML-DSA-44", pub: "AA" })],
      ["for key agreement", "Curve", Effect.succeed({ kty: "OKP", crv: "X25519", kid: "bad", x: "AA" })],
      ["on an unknown curve", "Curve", derived("ES256", (k) => ({ ...k, alg: undefined, crv: "secp256k1" }))],
      [
        "with coordinates of another curve",
        "CoordinateLength",
        derived("ES256", (k) => ({ ...k, alg: "ES384", crv: "P-384" }))
      ],
      ["whose point is not on its curve", "Invalid", derived("ES256", (k) => ({ ...k, y: k.x }))],
      ["whose point is not on P-384", "Invalid", derived("ES384", (k) => ({ ...k, y: k.x }))],
      ["whose point is not on P-521", "Invalid", derived("ES512", (k) => ({ ...k, y: k.x }))],
      [
        "whose coordinate is not reduced",
        "Invalid",
        derived("ES512", (k) => ({ ...k, x: base64url("ff".repeat(66)) }))
      ],
      ["whose private key is published", "Private", derived("ES256", (k) => ({ ...k, d: k.x }))],
      ["with a published prime of its modulus", "Private", derived("RS256", (k) => ({ ...k, p: "AQAB" }))],
      ["with a private member that is a number", "Private", derived("RS256", (k) => ({ ...k, d: 1 }))],
      ...smallOrder.map(
        (y) =>
          [
            `with a point of small order: ${y}`,
            "SmallOrder",
            Effect.succeed({ kty: "OKP", crv: "Ed25519", kid: "bad", x: littleEndian(y) })
          ] as const
      )
    ]
    it.effect("with more than 8192 bits, and accepts a key with exactly 8192 bits", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          const isDivisible = (n: bigint) =>
            Array.from({ length: 400 }, (_, i) => BigInt(i + 2)).some((x) => n % x === 0n)
          let modulus = 2n ** 8191n + 1n
          while (isDivisible(modulus)) modulus += 2n
          yield* replaceKeys([{ ...first.jwk, kid: "long", n: base64url(modulus.toString(16)) }])
          assert.lengthOf(yield* keySet.find(rs256("long")), 1)
        })
      )
    )

    for (const [name, reason, bad] of cases) {
      it.effect(`${name}, warns once, and serves the other keys`, () =>
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
                [["Warn", "A published key is refused.", reason]]
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

    it("with a point of small order, and order8 is the y of the points of order 8", () => {
      const power = (base: bigint, exponent: bigint): bigint =>
        exponent === 0n ? 1n : (power((base * base) % p, exponent / 2n) * (exponent % 2n === 1n ? base : 1n)) % p
      const d = (p - 121665n) * power(121666n, p - 2n)
      for (const y of [order8, p - order8]) {
        const xx = (y * y - 1n) * power((d * y * y + 1n) % p, p - 2n)
        // Doubling a point of order 8 gives a point of order 4, whose y is 0.
        assert.strictEqual((y * y + xx) % p, 0n)
      }
    })

    it.effect("under each of its kids if its private key is published under one", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          const withZero = jose.base64url.encode(
            Buffer.concat([Buffer.alloc(1), jose.base64url.decode(first.jwk.n ?? "")])
          )
          const { alg: _, ...leak } = { ...first.jwk, kid: "leak", d: "AQAB", n: withZero, crv: "P-256", x: "AQAB" }
          const { kty: __, x: ___, ...untyped } = leak
          yield* replaceKeys([first.jwk, leak, second.jwk])
          assertUnknown(yield* Effect.exit(keySet.find(rs256("k1"))))
          assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
          yield* TestIssuer.use(({ retire }) => retire("leak"))
          yield* TestClock.adjust("600 seconds")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          yield* TestIssuer.use(({ publish }) => publish(untyped))
          yield* TestClock.adjust("600 seconds")
          assertUnknown(yield* Effect.exit(keySet.find(rs256("k1"))))
          assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
        })
      )
    )

    const ec = { one: TestIssuer.makeKey("ec-1", "ES256"), two: TestIssuer.makeKey("ec-2", "ES256") }
    /** The other point of P-256 with this `x`. Its private key is the negative of the first. */
    const opposite = ({ y = "", ...jwk }: jose.JWK) => {
      const prime = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n
      const negated = prime - BigInt(`0x${hexOf(y)}`)
      return { ...jwk, y: base64url(negated.toString(16).padStart(64, "0")) }
    }
    const leaks: ReadonlyArray<readonly [name: string, change: (jwk: jose.JWK) => Record<string, unknown>]> = [
      ["itself", () => ({})],
      ["with the other sign of y", opposite],
      ["with a wrong y", ({ x }) => ({ y: x })],
      ["without a y", () => ({ y: undefined })],
      ["on another curve", () => ({ crv: "P-384" })],
      ["without a curve", () => ({ crv: undefined })],
      ["without a type", () => ({ kty: undefined })],
      ["with a leading zero in x", ({ x = "" }) => ({ x: base64url(`00${hexOf(x)}`) })]
    ]
    for (const [name, change] of leaks) {
      it.effect(`on an elliptic curve if its private key is published under another kid: ${name}`, () =>
        withDiscovery((_, keySet) =>
          Effect.gen(function* () {
            const { one, two } = yield* Effect.all(ec)
            const leak = { ...one.jwk, ...change(one.jwk), kid: "leak", d: "AQAB" }
            yield* replaceKeys([one.jwk, leak, two.jwk])
            assertUnknown(yield* Effect.exit(keySet.find({ alg: "ES256", kid: "ec-1" })))
            assert.lengthOf(yield* keySet.find({ alg: "ES256", kid: "ec-2" }), 1)
            assert.lengthOf(yield* keySet.find({ alg: "ES256" }), 1)
          })
        )
      )
    }

    it.effect("if another point with the same x has the same kid", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          const { one } = yield* Effect.all(ec)
          yield* replaceKeys([one.jwk, { ...opposite(one.jwk), kid: "opposite" }])
          for (const kid of ["ec-1", "opposite"]) assert.lengthOf(yield* keySet.find({ alg: "ES256", kid }), 1)
          assert.lengthOf(yield* keySet.find({ alg: "ES256" }), 2)
          yield* TestIssuer.use(({ publish }) => publish(opposite(one.jwk)))
          yield* TestClock.adjust("600 seconds")
          assertUnknown(yield* Effect.exit(keySet.find({ alg: "ES256", kid: "ec-1" })))
          assert.lengthOf(yield* keySet.find({ alg: "ES256", kid: "opposite" }), 1)
        })
      )
    )

    it.effect("whose kid another key has, but accepts two copies of one key", () =>
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

    it.effect("without logging a kid that could inject text", () =>
      withLogs((logs) =>
        withDiscovery((_, keySet) =>
          Effect.gen(function* () {
            const kids = ["a\r\nlevel=FATAL", "\u001b[2J", "k".repeat(65)]
            yield* replaceKeys(kids.map((kid) => ({ ...first.jwk, kid, e: "AQ" })))
            yield* keySet.refresh
            assert.deepStrictEqual(
              logs.map(({ annotations, message }) => [message, annotations["kid"]]),
              [
                ["A published key is refused.", "(not shown)"],
                ["A published key is refused.", "(not shown)"],
                ["A published key is refused.", "(not shown)"],
                ["No published key is usable, so every token is refused.", undefined]
              ]
            )
          })
        )
      )
    )
  })
})
