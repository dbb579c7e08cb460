/** The syntax of the `Authorization` header, its length limit, and the secrecy of tokens. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpServerRequest } from "effect/http"
import { BearerToken } from "effect-oauth2"
import { inspect } from "node:util"
import {
  type Answer,
  answer,
  answerTo,
  malformed,
  noCredentials,
  oracle,
  otherScheme,
  print,
  pythonSpace,
  requestWith,
  token,
  token68,
  tooLong
} from "../support/extractBearerToken.ts"

describe("BearerToken", () => {
  describe("the Authorization header, compared with FastAPI", () => {
    // FastAPI also accepts an empty token, inner spaces, and characters outside token68.
    const rows: ReadonlyArray<readonly [value: string | undefined, expected: Answer]> = [
      [undefined, noCredentials],
      ["", noCredentials],
      [" ", otherScheme],
      ["  ", otherScheme],
      ["Bearer", malformed],
      ["Bearer ", malformed],
      ["Bearer  ", malformed],
      ["Bearer a", token("a")],
      ["Bearer  a", token("a")],
      ["Bearer a ", token("a")],
      ["bearer a", token("a")],
      ["Bearer a b", malformed],
      ["Bearer  a  b ", malformed],
      [" Bearer a", otherScheme],
      ["Bearer\ta", otherScheme],
      ["Bearer \ta\t", token("a")],
      ["Bearer\t a", otherScheme],
      ["Bearer \u00a0a\u00a0", token("a")]
    ]
    for (const [value, expected] of rows) {
      it.effect(`${JSON.stringify(value)} results in ${JSON.stringify(expected)}`, () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* answer(value), expected)
          assert.deepStrictEqual(oracle(value), expected)
        })
      )
    }
  })

  describe("the scheme", () => {
    it.effect("is accepted in upper, lower and mixed case: all 64 spellings", () =>
      Effect.gen(function* () {
        for (let mask = 0; mask < 64; mask++) {
          const scheme = Array.from("bearer", (c, i) => ((mask >> i) & 1 ? c.toUpperCase() : c)).join("")
          assert.deepStrictEqual(yield* answer(`${scheme} abc`), token("abc"), scheme)
        }
      })
    )

    for (const scheme of [
      "Basic",
      "DPoP",
      "Digest",
      "Bear",
      "Beare",
      "Bearers",
      "BearerX",
      "XBearer",
      "Bearer,",
      "Bearer:",
      "Bearer=",
      '"Bearer"',
      "Token",
      "Bearer\0",
      "\0Bearer",
      "Bearer\u200B",
      "\uFEFFBearer",
      "Bearer\u00A0",
      "Bea\u0000rer",
      "Bearer\r\n"
    ]) {
      it.effect(`${JSON.stringify(scheme)} is another scheme`, () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* answer(`${scheme} abc`), otherScheme)
        })
      )
    }

    it.effect("is not accepted with look-alike letters, such as U+212A, full width or Cyrillic", () =>
      Effect.gen(function* () {
        const tricks = new Set(["\u212A", "\u017F", "\u0130", "\u0131", "\u00DF", "е", "а", "В", "ᴇ", "e\u0301"])
        for (let code = 0x80; code <= 0x1ffff; code++) {
          if (code >= 0xd800 && code <= 0xdfff) continue
          const character = String.fromCodePoint(code)
          const folded = [character.toLowerCase(), character.toUpperCase().toLowerCase(), character.normalize("NFKD")]
          if (folded.some((folding) => /[bear]/i.test(folding))) tricks.add(character)
        }
        assert.isAbove(tricks.size, 50)
        for (const trick of tricks) {
          for (let i = 0; i < 6; i++) {
            const scheme = `${"Bearer".slice(0, i)}${trick}${"Bearer".slice(i + 1)}`
            assert.deepStrictEqual(yield* answer(`${scheme} abc`), otherScheme, JSON.stringify(scheme))
          }
        }
      })
    )
  })

  describe("the token", () => {
    it.effect("accepts every character of token68, and no other character (RFC 9110 §11.2)", () =>
      Effect.gen(function* () {
        for (let code = 0; code <= 0x17f; code++) {
          const value = `a${String.fromCharCode(code)}b`
          const expected = token68.includes(String.fromCharCode(code)) ? token(value) : malformed
          assert.deepStrictEqual(yield* answer(`Bearer ${value}`), expected, JSON.stringify(value))
        }
      })
    )

    for (const good of ["a=", "a==", "a====", "-", ".", "~+/", "..", "a.b.c", "0".repeat(1000)]) {
      it.effect(`${good.slice(0, 10)} is a token`, () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* answer(`Bearer ${good}`), token(good))
        })
      )
    }

    for (const bad of [
      "=",
      "==",
      "=a",
      "a=b",
      "a= =",
      '"a"',
      "'a'",
      "a,b",
      "a, Basic b",
      "a, Bearer b",
      "a;b",
      "a\\b",
      "a%20b",
      "a\tb",
      "a\r\nX-Injected: 1",
      "a\0",
      "\0",
      "é",
      "аbc",
      "a\u2003",
      "\u2003a",
      "\uFEFFa",
      "😀",
      "\uD800",
      "<script>",
      "Bearer a",
      "a\n\nb",
      "$&",
      "$1 $`"
    ]) {
      it.effect(`${JSON.stringify(bad)} is not a token`, () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* answer(`Bearer ${bad}`), malformed)
        })
      )
    }

    it.effect("is extracted without the surrounding white space that FastAPI strips", () =>
      Effect.gen(function* () {
        for (let code = 0; code <= 0xff; code++) {
          if (token68.includes(String.fromCharCode(code)) || code === 0x3d) continue
          const character = String.fromCharCode(code)
          const expected = pythonSpace.has(code) ? token("abc") : malformed
          for (const value of [`${character}abc`, `abc${character}`, `${character.repeat(3)}abc${character}`]) {
            assert.deepStrictEqual(yield* answer(`Bearer ${value}`), expected, JSON.stringify(value))
          }
        }
      })
    )

    it.effect("is parsed in linear time, even with much white space in the middle of a long header", () =>
      Effect.gen(function* () {
        // For each of these headers, quadratic code needs several seconds, and linear code less than a millisecond.
        const length = 60_000
        for (const value of [
          `Bearer a${" ".repeat(length)}b`,
          `Bearer a${"\t".repeat(length)}b`,
          `Bearer ${" ".repeat(length)}\0`,
          `Bearer ${"a".repeat(length)} =`,
          `Bearer ${"=".repeat(length)}a`,
          `Bearer ${"a=".repeat(length / 2)}`,
          `${" ".repeat(length)}Bearer a`
        ]) {
          const start = performance.now()
          const answered = yield* answer(value).pipe(Effect.provideService(BearerToken.MaxLength, 100_000))
          const elapsed = performance.now() - start
          assert.deepStrictEqual(answered, oracle(value, 100_000))
          assert.isBelow(elapsed, 500, `milliseconds for ${JSON.stringify(value.slice(0, 10))}…`)
        }
      })
    )
  })

  describe("MaxLength", () => {
    it.effect("is 8192 characters by default: a header of this length is accepted, a longer one is refused", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* BearerToken.MaxLength, 8192)
        const longest = "a".repeat(8192 - "Bearer ".length)
        assert.deepStrictEqual(yield* answer(`Bearer ${longest}`), token(longest))
        assert.deepStrictEqual(yield* answer(`Bearer ${longest}a`), tooLong)
        assert.deepStrictEqual(yield* answer(`Bearer ${longest} `), tooLong)
        assert.deepStrictEqual(yield* answer(`Bearer ${" ".repeat(10_000)}a`), tooLong)
      })
    )

    it.effect("is checked before the scheme and the syntax", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* answer(`Basic ${"a".repeat(8192)}`), tooLong)
        assert.deepStrictEqual(yield* answer(" ".repeat(8193)), tooLong)
        assert.deepStrictEqual(yield* answer("Bearer" + "\0".repeat(8192)), tooLong)
        assert.deepStrictEqual(yield* answer(".".repeat(100_000)), tooLong)
      })
    )

    it.effect("is configured with the Reference", () =>
      Effect.gen(function* () {
        const at = (maxLength: number, value: string) =>
          answer(value).pipe(Effect.provideService(BearerToken.MaxLength, maxLength))
        assert.deepStrictEqual(yield* at(10, "Bearer abc"), token("abc"))
        assert.deepStrictEqual(yield* at(10, "Bearer abcd"), tooLong)
        assert.deepStrictEqual(yield* at(9, "Bearer abc"), tooLong)
        assert.deepStrictEqual(yield* at(0, ""), noCredentials)
        assert.deepStrictEqual(yield* at(0, "B"), tooLong)
        assert.deepStrictEqual(yield* at(NaN, "Bearer abc"), tooLong)
        assert.deepStrictEqual(yield* at(100_000, `Bearer ${"a".repeat(50_000)}`), token("a".repeat(50_000)))
        const layered = answer("Bearer abcd").pipe(Effect.provide(Layer.succeed(BearerToken.MaxLength, 10)))
        assert.deepStrictEqual(yield* layered, tooLong)
      })
    )
  })

  describe("secrecy", () => {
    const secret = "s3cr3t.s3cr3t.s3cr3t"

    it.effect("prints a token only as <redacted:access_token>", () =>
      Effect.gen(function* () {
        const extracted = yield* BearerToken.extract.pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(`Bearer ${secret}`))
        )
        const given = yield* Effect.provide(BearerToken, BearerToken.layerTest(secret))
        for (const bearer of [extracted, given]) {
          assert.strictEqual(Redacted.value(bearer), secret)
          assert.strictEqual(print(bearer), "<redacted:access_token>")
          assert.strictEqual(JSON.stringify({ bearer }), '{"bearer":"<redacted:access_token>"}')
          for (const printed of [inspect(bearer, { depth: null, showHidden: true }), inspect([{ bearer }])]) {
            assert.notInclude(printed, "s3cr3t")
            assert.include(printed, "access_token")
          }
        }
      })
    )

    for (const value of [
      `Basic ${secret}`,
      `Bearer ${secret} ${secret}`,
      `Bearer ${secret}\0`,
      `Bearer ${secret.repeat(500)}`,
      secret,
      `Bearer ${secret}, Bearer ${secret}`
    ]) {
      it.effect(`prints no credentials in the error for ${JSON.stringify(value.slice(0, 60))}`, () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(BearerToken.extract).pipe(
            Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(value))
          )
          const exit = yield* Effect.exit(Effect.fail(error))
          for (const printed of [
            String(error),
            error.message,
            error.stack ?? "",
            JSON.stringify(error),
            JSON.stringify(exit),
            inspect(error, { depth: null, showHidden: true }),
            inspect(exit, { depth: null, showHidden: true })
          ]) {
            assert.notInclude(printed, "s3cr3t")
          }
        })
      )
    }
  })

  describe("a web-standard Request", () => {
    const two = (...values: ReadonlyArray<string>) => {
      const headers = new globalThis.Headers()
      for (const value of values) headers.append("authorization", value)
      return HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))
    }

    it.effect("with one Authorization header yields its token", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* answerTo(two("Bearer abc")), token("abc"))
      })
    )

    for (const values of [
      ["Bearer abc", "Bearer abc"],
      ["Bearer abc", "Bearer def"],
      ["Bearer abc", "Basic dTpw"],
      ["Basic dTpw", "Bearer abc"],
      ["", "Bearer abc"],
      ["Bearer abc", ""],
      ["Bearer", "abc"]
    ]) {
      it.effect(`with several headers, joined by a comma, is refused: ${JSON.stringify(values)}`, () =>
        Effect.gen(function* () {
          const request = two(...values)
          assert.strictEqual(request.headers["authorization"], values.join(", ").trim())
          const answered = yield* answerTo(request)
          assert.isTrue("refused" in answered)
          if (values[0]?.startsWith("Bearer ")) assert.deepStrictEqual(answered, malformed)
        })
      )
    }
  })
})
