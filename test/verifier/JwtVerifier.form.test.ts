import { assert, describe } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { type RawPart, TestIssuer } from "effect-oauth2/testing"
import { certificateChain } from "../support/certificateChain.ts"
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

    test("accepts a header with a chain of three certificates, with the default length of a token", () =>
      Effect.gen(function* () {
        const { requests } = yield* TestIssuer
        const header = { x5c: certificateChain, "x5t#S256": "dGh1bWI" }
        const token = yield* mint({ header })
        assert.isAbove(token.split(".")[0]?.length ?? 0, 5000)
        assert(Exit.isSuccess(yield* Effect.exit(verifyWith({}, [rsa], token))))
        // The key of the chain is never used, and nothing is fetched.
        const forged = yield* mint({ key: other, header })
        assertRefused(yield* Effect.exit(verifyWith({}, [rsa], forged)), { reason: "Signature" })
        assert.lengthOf(yield* requests, 0)
      }))

    test("refuses a header of more than 1024 bytes, or of 8192 bytes with certificates", () =>
      Effect.gen(function* () {
        const [header = ""] = (yield* mint({ header: { x: "", x5c: [""] } })).split(".")
        const length = atob(header).length
        const withHeader = (bytes: number, certificates: number) =>
          outcome(
            { header: { x: "x".repeat(bytes - length), x5c: ["M".repeat(certificates)] } },
            { maxTokenLength: 40_000 }
          )
        for (const certificates of [0, 700, 8192 - 1024]) {
          assert(Exit.isSuccess(yield* withHeader(1024, certificates)))
          assertRefused(yield* withHeader(1025, certificates), { reason: "Malformed" })
        }
        assert(Exit.isSuccess(yield* withHeader(length, 8192 - length)))
        assertRefused(yield* withHeader(length, 8193 - length), { reason: "Malformed" })
        assertRefused(yield* withHeader(20_000, 0), { reason: "Malformed" })
        assertRefused(yield* outcome({ header: { x5c: "M".repeat(4000) } }), { reason: "Malformed" })
        // The limit of the whole token still applies.
        assertRefused(yield* outcome({ header: { x5c: ["M".repeat(6500)] } }), { reason: "Malformed" })
      }))

    test("refuses a header with more than 128 commas, colons and opening brackets, before it is parsed", () =>
      Effect.gen(function* () {
        const { mintRaw } = yield* TestIssuer
        const claims = { iss: issuer, aud: audience, sub: "demo", client_id: "c", jti: "1", iat: 0, exp: 600 }
        const base = `{"alg":"RS256","kid":"${rsa.kid}","typ":"at+jwt","x":`
        const verify = (x: string) =>
          mintRaw({ header: `${base}${x}}`, payload: JSON.stringify(claims) }).pipe(
            Effect.flatMap((token) => verifyWith({ maxTokenLength: 40_000 }, [rsa], token)),
            Effect.exit
          )
        // The base has 8 marks. The array adds one for its bracket, and one for each comma.
        const array = (items: number) => `[${"1,".repeat(items - 1)}1]`
        assert(Exit.isSuccess(yield* verify(array(120))))
        // Marks within a string do not count, nor does a quotation mark that a backslash escapes.
        assert(Exit.isSuccess(yield* verify(JSON.stringify('",[{:\\"'.repeat(60)))))
        const { parse } = JSON
        let parsed = 0
        JSON.parse = (...args) => {
          parsed++
          return parse(...args) as unknown
        }
        try {
          for (const x of [
            array(121),
            array(4000),
            `{${Array.from({ length: 500 }, (_, i) => `"${i}":0`).join()}}`,
            "[".repeat(4000),
            "{".repeat(4000),
            `[${"[],".repeat(2000)}[]]`,
            '"'.repeat(4001)
          ]) {
            parsed = 0
            const exit = yield* verify(x)
            assertRefused(exit, { reason: "Malformed" })
            if (x !== '"'.repeat(4001)) assert.strictEqual(parsed, 0, x.slice(0, 20))
          }
        } finally {
          JSON.parse = parse
        }
      }))

    test("refuses a token over maxTokenLength and a kid over 256 characters", () =>
      Effect.gen(function* () {
        assertRefused(yield* outcome({}, { maxTokenLength: 100 }), { reason: "Malformed" })
        assertRefused(yield* outcome({ header: { kid: "k".repeat(257) } }), { reason: "Malformed" })
      }))
  })
})
