import { assert, describe } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { type RawPart, TestIssuer } from "effect-oauth2/testing"
import { assertRefused, audience, issuer, mint, other, outcome, rsa, test, verifyWith } from "../support/jwts.ts"

describe("JwtVerifier", () => {
  describe("the strict compact form", () => {
    const changes: ReadonlyArray<readonly [name: string, change: (token: string) => string]> = [
      ["padding", (token) => `${token}=`],
      ["a space", (token) => token.replace(".", ". ")],
      ["a line break", (token) => `${token}\n`],
      ["a fourth segment", (token) => `${token}.e30`],
      ["an empty payload", (token) => token.replace(/\.[^.]*\./, "..")],
      ["a character of base64 that base64url lacks", (token) => token.replace(/.$/, "/")],
      ["another spelling of the same signature", (token) => otherSpelling(token)],
      ["JSON serialization", (token) => JSON.stringify({ payload: token.split(".")[1] })]
    ]
    // The last character of a 256-byte signature has four unused bits.
    const otherSpelling = (token: string) => {
      const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
      const last = alphabet.indexOf(token.charAt(token.length - 1))
      return token.slice(0, -1) + alphabet.charAt(last | 1)
    }
    for (const [name, change] of changes) {
      test(`refuses ${name}`, () =>
        Effect.gen(function* () {
          const token = yield* mint()
          assertRefused(yield* Effect.exit(verifyWith({}, [rsa], change(token))), { reason: "Malformed" })
        }))
    }

    test("refuses header parameters that could change the key, the bytes or the rules", () =>
      Effect.gen(function* () {
        const { mintRaw } = yield* TestIssuer
        for (const name of ["crit", "b64", "enc", "jwk"]) {
          const header = JSON.stringify({ alg: "RS256", typ: "at+jwt", [name]: ["x"] })
          const token = yield* mintRaw({ header, payload: "{}", signature: "AAAA" })
          assertRefused(yield* Effect.exit(verifyWith({}, [rsa], token)), { reason: "Malformed" })
        }
      }))

    test("refuses headers and claims that parsers could read differently", () =>
      Effect.gen(function* () {
        const { mintRaw } = yield* TestIssuer
        const good = JSON.stringify({
          iss: issuer,
          aud: audience,
          sub: "demo",
          client_id: "c",
          jti: "1",
          iat: 0,
          exp: 600
        })
        const header = JSON.stringify({ alg: "RS256", kid: rsa.kid, typ: "at+jwt" })
        const verify = (header: RawPart, payload: RawPart) =>
          mintRaw({ header, payload }).pipe(
            Effect.flatMap((token) => verifyWith({}, [rsa], token)),
            Effect.exit
          )
        assert(Exit.isSuccess(yield* verify(header, good)))
        const nested = `{"a":${"[".repeat(20)}${"]".repeat(20)},${good.slice(1)}`
        const bad: ReadonlyArray<readonly [header: RawPart, payload: RawPart]> = [
          [header, good.replace("{", `{"sub":"admin",`)],
          [header, good.replace("{", `{"s\\u0075b":"admin",`)],
          [header, good.replace("{", `{"x":{"y":1,"y":2},`)],
          [header.replace("{", `{"alg":"none",`), good],
          [header, nested],
          [header, `\ufeff${good}`],
          [
            header,
            new Uint8Array([...new TextEncoder().encode(good.slice(0, -1)), 0x2c, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])
          ],
          [header, "[]"],
          [header, "null"],
          [header, "1"],
          [header, ""],
          ["[]", good],
          [`${header} `.repeat(2), good]
        ]
        for (const [header, payload] of bad) {
          assertRefused(yield* verify(header, payload), { reason: "Malformed" })
        }
        // A brace in a string, a name that repeats in nested objects and an escaped quotation mark are valid.
        const odd = good.replace("{", `{"x":"{[\\"","y":{"sub":{"sub":1}},`)
        assert(Exit.isSuccess(yield* verify(header, odd)))
      }))

    const hints = {
      zip: ["NONE", "DEF"],
      jku: ["https://evil.test/jwks", 1],
      x5u: ["https://evil.test/certificate"],
      x5c: [["MIIB"], "MIIB"],
      x5t: ["dGh1bWI"],
      "x5t#S256": ["dGh1bWI"],
      cty: ["JWT"],
      nonce: ["n"]
    }
    for (const [name, values] of Object.entries(hints)) {
      test(`ignores the header parameter ${name} in a signed token`, () =>
        Effect.gen(function* () {
          const { requests } = yield* TestIssuer
          for (const value of values) {
            assert(Exit.isSuccess(yield* outcome({ header: { [name]: value } })), String(value))
            const forged = yield* mint({ key: other, header: { [name]: value } })
            assertRefused(yield* Effect.exit(verifyWith({}, [rsa], forged)), { reason: "Signature" })
          }
          assert.lengthOf(yield* requests, 0)
        }))
    }

    test("accepts a header with a certificate that fits", () =>
      Effect.gen(function* () {
        assert(Exit.isSuccess(yield* outcome({ header: { x5c: ["M".repeat(700)] } })))
      }))

    test("refuses a header of more than 1024 bytes", () =>
      Effect.gen(function* () {
        const [header = ""] = (yield* mint({ header: { x: "" } })).split(".")
        const length = atob(header).length
        const withHeader = (bytes: number) =>
          outcome({ header: { x: "x".repeat(bytes - length) } }, { maxTokenLength: 20_000 })
        assert(Exit.isSuccess(yield* withHeader(1024)))
        assertRefused(yield* withHeader(1025), { reason: "Malformed" })
        assertRefused(yield* withHeader(10_000), { reason: "Malformed" })
        // Control: a long header within the limit is accepted.
        assert(Exit.isSuccess(yield* outcome({ header: { kid: undefined, x: "x".repeat(900) } })))
      }))

    test("refuses a token over maxTokenLength and a kid over 256 characters", () =>
      Effect.gen(function* () {
        assertRefused(yield* outcome({}, { maxTokenLength: 100 }), { reason: "Malformed" })
        assertRefused(yield* outcome({ header: { kid: "k".repeat(257) } }), { reason: "Malformed" })
      }))
  })
})
