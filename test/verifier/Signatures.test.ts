// Compares `node:crypto` with jose, also for keys that no key set returns. The tests of verification run with both,
// too (`vitest.config.ts`).
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted } from "effect"
import { JwtVerifier, KeySet, SecurityError, Signatures, TokenVerifier } from "effect-oauth2"
import { type SigningKey, TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import { constants, KeyObject, sign } from "node:crypto"

const issuer = "https://issuer.test"
const audience = "https://api.test"

const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"] as const

/** Returns `"accepted"`, or the reason for the refusal of a token. */
const outcomeOf = <E>(token: string, verifier: Layer.Layer<TokenVerifier, E>) =>
  Effect.flatMap(TokenVerifier, (verifier) => Effect.exit(verifier.verify(Redacted.make(token)))).pipe(
    Effect.map((exit) => {
      if (Exit.isSuccess(exit)) return "accepted"
      const error = Option.getOrThrow(Exit.findErrorOption(exit))
      return error instanceof SecurityError.InvalidToken ? `${error.reason} ${error.claim ?? ""}`.trim() : error._tag
    }),
    Effect.provide(verifier)
  )

const outcome = (token: string, keys: Layer.Layer<KeySet.KeySet, unknown>, signatures: Layer.Layer<never, unknown>) =>
  outcomeOf(
    token,
    JwtVerifier.layerKeySet({ issuer, audience, cache: false }).pipe(Layer.provide(keys), Layer.provide(signatures))
  )

const published = (key: SigningKey) => KeySet.layerStatic({ keys: [key.jwk] })

/** Key set that returns this key for every token. */
const given = (key: CryptoKey) =>
  Layer.succeed(KeySet.KeySet, {
    find: () => Effect.succeed([key]),
    findFetched: () => [key],
    refresh: Effect.void,
    invalidate: Effect.void
  })

const minting = (key: SigningKey) => TestIssuer.layer({ issuer, audience, keys: [key] })

const mint = TestIssuer.use((issuer) => issuer.mint({ scopes: ["me"] }))

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

const change = (token: string, place: number, character: string) =>
  `${token.slice(0, place)}${character}${token.slice(place + 1)}`

describe("Signatures.layerNode", () => {
  it.live("refuses a token if node:crypto throws for its key", () =>
    Effect.gen(function* () {
      const key = yield* TestIssuer.makeKey("key", "ES256")
      const token = yield* Effect.provide(mint, minting(key))
      // Looks like a key, as a key of another implementation does. `KeyObject.from` throws for it.
      const algorithm = { name: "ECDSA", namedCurve: "P-256" }
      const alike = { algorithm, usages: ["verify"], type: "public", extractable: true } as unknown as CryptoKey
      assert.strictEqual(yield* outcome(token, given(alike), Signatures.layerNode), "UnknownKey")
    })
  )

  for (const algorithm of algorithms) {
    it.live(`accepts ${algorithm}, and refuses a changed token as jose does`, () =>
      Effect.gen(function* () {
        const key = yield* TestIssuer.makeKey("key", algorithm)
        const token = yield* Effect.provide(mint, minting(key))
        assert.strictEqual(yield* outcome(token, published(key), Signatures.layerNode), "accepted")
        for (let place = 0; place < token.length; place += 11) {
          const character = alphabet.charAt((place * 31) % alphabet.length)
          const changed = change(token, place, character)
          const expected = yield* outcome(changed, published(key), Signatures.layerJose)
          assert.strictEqual(yield* outcome(changed, published(key), Signatures.layerNode), expected, changed)
          if (changed !== token) assert.notStrictEqual(expected, "accepted")
        }
      })
    )

    it.live(`refuses ${algorithm} with a key for another algorithm, as jose does`, () =>
      Effect.gen(function* () {
        const key = yield* TestIssuer.makeKey("key", algorithm)
        const token = yield* Effect.provide(mint, minting(key))
        for (const other of algorithms) {
          const { jwk } = yield* TestIssuer.makeKey("key", other)
          const imported = yield* Effect.promise(() => jose.importJWK({ ...jwk, alg: other }, other))
          assert(!(imported instanceof Uint8Array))
          const expected = other === algorithm ? "Signature" : "UnknownKey"
          assert.strictEqual(yield* outcome(token, given(imported), Signatures.layerNode), expected, other)
          assert.strictEqual(yield* outcome(token, given(imported), Signatures.layerJose), expected, `${other}, jose`)
        }
      })
    )
  }

  for (const [keyAlgorithm, minted] of [
    ["EdDSA", "Ed25519"],
    ["Ed25519", "EdDSA"]
  ] as const) {
    it.live(`accepts a token with ${minted} and a key with ${keyAlgorithm}, as jose does (RFC 9864)`, () =>
      Effect.gen(function* () {
        const key = yield* TestIssuer.makeKey("key", keyAlgorithm)
        const forger = yield* TestIssuer.makeKey("key", keyAlgorithm)
        const mintWith = (kid: string | undefined, signer = key) =>
          TestIssuer.use((issuer) => issuer.mint({ key: signer, header: { alg: minted, kid } })).pipe(
            Effect.provide(minting(signer))
          )
        for (const signatures of [Signatures.layerNode, Signatures.layerJose]) {
          for (const algorithms of [undefined, ["EdDSA"], ["Ed25519"], ["ES256"]] as const) {
            const verifier = JwtVerifier.layerKeySet({
              issuer,
              audience,
              ...(algorithms === undefined ? {} : { algorithms })
            }).pipe(Layer.provide(published(key)), Layer.provide(signatures))
            const isAllowed = algorithms?.[0] !== "ES256"
            for (const kid of ["key", undefined]) {
              const expected = isAllowed ? "accepted" : "Algorithm"
              assert.strictEqual(yield* outcomeOf(yield* mintWith(kid), verifier), expected)
              const forged = isAllowed ? "Signature" : "Algorithm"
              assert.strictEqual(yield* outcomeOf(yield* mintWith(kid, forger), verifier), forged)
            }
          }
        }
      })
    )
  }

  for (const [algorithm, digest] of [
    ["PS256", 32],
    ["PS384", 48],
    ["PS512", 64]
  ] as const) {
    it.live(`refuses a salt whose length differs from the digest, as jose does (${algorithm}, RFC 7518 §3.5)`, () =>
      Effect.gen(function* () {
        const key = yield* TestIssuer.makeKey("key", algorithm)
        const token = yield* Effect.provide(mint, minting(key))
        const input = token.slice(0, token.lastIndexOf("."))
        const privateKey = KeyObject.from(key.privateKey)
        const longest = 256 - digest - 2
        for (const saltLength of [0, digest - 1, digest, digest + 1, longest]) {
          const padding = constants.RSA_PKCS1_PSS_PADDING
          const signature = sign(`sha${digest * 8}`, Buffer.from(input), { key: privateKey, padding, saltLength })
          const resigned = `${input}.${signature.toString("base64url")}`
          const expected = saltLength === digest ? "accepted" : "Signature"
          for (const signatures of [Signatures.layerNode, Signatures.layerJose]) {
            assert.strictEqual(yield* outcome(resigned, published(key), signatures), expected, `${saltLength}`)
          }
        }
      })
    )
  }

  it.live("refuses a key without the usage verify, and a short key, as jose does", () =>
    Effect.gen(function* () {
      const key = yield* TestIssuer.makeKey("key", "RS256")
      const token = yield* Effect.provide(mint, minting(key))
      const rsa = (modulusLength: number) =>
        Effect.promise(() =>
          crypto.subtle.generateKey(
            { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength, publicExponent: new Uint8Array([1, 0, 1]) },
            true,
            ["sign", "verify"]
          )
        )
      const { privateKey, publicKey } = yield* rsa(2048)
      const short = yield* rsa(1024)
      const mute = yield* Effect.promise(async () =>
        crypto.subtle.importKey(
          "jwk",
          await crypto.subtle.exportKey("jwk", publicKey),
          { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
          true,
          []
        )
      )
      for (const [name, refused] of Object.entries({ privateKey, short: short.publicKey, mute })) {
        for (const signatures of [Signatures.layerNode, Signatures.layerJose]) {
          assert.strictEqual(yield* outcome(token, given(refused), signatures), "UnknownKey", name)
        }
      }
    })
  )

  it.live("verifies shared secrets only with the configured algorithm", () =>
    Effect.gen(function* () {
      const secret = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      const now = Math.floor(Date.now() / 1000)
      const signed = (alg: string, text: string) =>
        Effect.promise(() =>
          new jose.SignJWT({ client_id: "web" })
            .setProtectedHeader({ alg, typ: "at+jwt" })
            .setIssuer(issuer)
            .setAudience(audience)
            .setSubject("demo")
            .setExpirationTime(now + 600)
            .sign(new TextEncoder().encode(text))
        )
      for (const algorithm of ["HS256", "HS384", "HS512"] as const) {
        for (const signatures of [Signatures.layerNode, Signatures.layerJose]) {
          const verifier = JwtVerifier.layerSecret({ issuer, audience, secret: Redacted.make(secret), algorithm }).pipe(
            Layer.provide(signatures)
          )
          const outcome = (token: string) => outcomeOf(token, verifier)
          const token = yield* signed(algorithm, secret)
          assert.strictEqual(yield* outcome(token), "accepted")
          assert.strictEqual(yield* outcome(yield* signed(algorithm, `${secret}x`)), "Signature")
          // The signature is truncated or extended, so the lengths differ.
          const [input = ""] = token.split(/\.(?=[^.]*$)/)
          const signature = Buffer.from(token.slice(input.length + 1), "base64url")
          for (const other of [
            ...[1, 16, signature.length - 1].map((length) => signature.subarray(0, length)),
            Buffer.concat([signature, Buffer.alloc(1)]),
            Buffer.concat([signature, signature])
          ]) {
            assert.strictEqual(yield* outcome(`${input}.${other.toString("base64url")}`), "Signature")
          }
          for (const other of ["HS256", "HS384", "HS512"]) {
            if (other !== algorithm) assert.strictEqual(yield* outcome(yield* signed(other, secret)), "Algorithm")
          }
        }
      }
    })
  )
})
