import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { Arbitrary, Context, DateTime, Deferred, Effect, Exit, Layer, Option, Redacted, Result, Schema } from "effect"
import { Headers, HttpMiddleware, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import { AccessToken, BearerToken, OAuth2, OptionalAccessToken, TokenVerifier } from "effect-oauth2"
import * as http from "node:http"
import * as http2 from "node:http2"
import * as net from "node:net"
import { inspect } from "node:util"

type Answer =
  | { readonly token: string }
  | {
      readonly refused: "NoCredentials" | "OtherScheme" | "Malformed" | "TooLong" | "SeveralCredentials" | "Unspecified"
    }

const token = (token: string): Answer => ({ token })
const malformed: Answer = { refused: "Malformed" }
const noCredentials: Answer = { refused: "NoCredentials" }
const otherScheme: Answer = { refused: "OtherScheme" }
const tooLong: Answer = { refused: "TooLong" }

// Through `unknown`: to the types, a `Redacted` has no text of its own.
const print: (value: unknown) => string = String

/** A request with exactly this field value: `Request` itself would normalise it or throw. */
const requestWith = (authorization: string | undefined): HttpServerRequest.HttpServerRequest =>
  HttpServerRequest.fromWeb(new Request("http://localhost/")).modify({
    headers: authorization === undefined ? Headers.empty : Headers.fromRecordUnsafe({ authorization })
  })

const answerTo = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<Answer> =>
  BearerToken.extract.pipe(
    Effect.match({
      onSuccess: (bearer) => token(Redacted.value(bearer)),
      onFailure: (error): Answer => ({ refused: error.reason })
    }),
    Effect.provideService(HttpServerRequest.HttpServerRequest, request)
  )

const answer = (authorization: string | undefined) => answerTo(requestWith(authorization))

/**
 * The rule, written a second time without a regular expression: FastAPI's `get_authorization_scheme_param`, then the grammar of token68.
 */
const oracle = (value: string | undefined, maxLength = 8192): Answer => {
  if (value === undefined || value === "") return noCredentials
  if (value.length > maxLength) return tooLong
  const [scheme = "", ...rest] = value.split(" ")
  const isBearer = scheme.length === 6 && Array.from("bearer").every((c, i) => isLetter(scheme.charCodeAt(i), c))
  if (!isBearer) return otherScheme
  const param = rest.join(" ")
  let start = 0
  let end = param.length
  while (start < end && pythonSpace.has(param.charCodeAt(start))) start++
  while (end > start && pythonSpace.has(param.charCodeAt(end - 1))) end--
  const presented = param.slice(start, end)
  let padding = presented.length
  while (padding > 0 && presented[padding - 1] === "=") padding--
  if (padding === 0) return malformed
  for (let i = 0; i < padding; i++) if (!token68.includes(presented.charAt(i))) return malformed
  return token(presented)
}
const isLetter = (code: number, lower: string) => code === lower.charCodeAt(0) || code === lower.charCodeAt(0) - 32
// What `str.strip()` takes away, below U+0100.
const pythonSpace = new Set([0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x85, 0xa0])
const token68 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/"

describe("BearerToken", () => {
  describe("the Authorization field, against FastAPI's table (fastapi.md §1.1)", () => {
    // Ours differs where FastAPI takes an empty token, inner spaces, or what is outside token68.
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
      it.effect(`${JSON.stringify(value)} is answered with ${JSON.stringify(expected)}`, () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* answer(value), expected)
          assert.deepStrictEqual(oracle(value), expected)
        })
      )
    }
  })

  describe("the scheme", () => {
    it.effect("is taken in each of its 64 mixtures of case", () =>
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

    it.effect("has no look-alikes: U+212A, full width, mathematical, Cyrillic, combining letters are others", () =>
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
    it.effect("may hold each character of token68, and no other (RFC 9110 §11.2)", () =>
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

    it.effect("loses the white space around it that FastAPI strips, and keeps what is not white space", () =>
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

    it.effect("is searched in linear time: white space in the middle of a long field costs nothing", () =>
      Effect.gen(function* () {
        // A quadratic search takes several seconds for each of these; a linear one less than a millisecond.
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
    it.effect("is 8192 characters of the field by default: the token is taken at the bound, refused one over it", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* BearerToken.MaxLength, 8192)
        const longest = "a".repeat(8192 - "Bearer ".length)
        assert.deepStrictEqual(yield* answer(`Bearer ${longest}`), token(longest))
        assert.deepStrictEqual(yield* answer(`Bearer ${longest}a`), tooLong)
        assert.deepStrictEqual(yield* answer(`Bearer ${longest} `), tooLong)
        assert.deepStrictEqual(yield* answer(`Bearer ${" ".repeat(10_000)}a`), tooLong)
      })
    )

    it.effect("goes before what the field says", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* answer(`Basic ${"a".repeat(8192)}`), tooLong)
        assert.deepStrictEqual(yield* answer(" ".repeat(8193)), tooLong)
        assert.deepStrictEqual(yield* answer("Bearer" + "\0".repeat(8192)), tooLong)
        assert.deepStrictEqual(yield* answer(".".repeat(100_000)), tooLong)
      })
    )

    it.effect("is configured through the Reference", () =>
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

    it.effect("a token is not in what it prints as", () =>
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
      it.effect(`the field is not in the error that refuses ${JSON.stringify(value.slice(0, 60))}`, () =>
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

  describe("extract", () => {
    it.effect(
      "fails with NotAuthenticated where there is no bearer token, with InvalidRequest where it is malformed",
      () =>
        Effect.gen(function* () {
          const failure = (value: string | undefined) =>
            Effect.flip(BearerToken.extract).pipe(
              Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(value)),
              Effect.map((error) => ({ _tag: error._tag, reason: error.reason }))
            )
          assert.deepStrictEqual(yield* failure(undefined), { _tag: "NotAuthenticated", reason: "NoCredentials" })
          assert.deepStrictEqual(yield* failure(""), { _tag: "NotAuthenticated", reason: "NoCredentials" })
          assert.deepStrictEqual(yield* failure("Basic dTpw"), { _tag: "NotAuthenticated", reason: "OtherScheme" })
          assert.deepStrictEqual(yield* failure("Bearer"), { _tag: "InvalidRequest", reason: "Malformed" })
          assert.deepStrictEqual(yield* failure("Bearer a b"), { _tag: "InvalidRequest", reason: "Malformed" })
          assert.deepStrictEqual(yield* failure("x".repeat(8193)), { _tag: "InvalidRequest", reason: "TooLong" })
        })
    )

    it.effect("reads the request each time that it runs", () =>
      Effect.gen(function* () {
        for (const value of ["one", "two", "one"]) {
          assert.deepStrictEqual(yield* answer(`Bearer ${value}`), token(value))
        }
      })
    )

    for (const [where, request] of [
      ["the query", new Request("http://localhost/?access_token=abc&token=abc&Authorization=Bearer%20abc")],
      [
        "a form",
        new Request("http://localhost/", { method: "POST", body: new URLSearchParams({ access_token: "abc" }) })
      ],
      [
        "a cookie",
        new Request("http://localhost/", { headers: { cookie: "access_token=abc; Authorization=Bearer abc" } })
      ],
      [
        "fields with another name",
        new Request("http://localhost/", {
          headers: {
            "proxy-authorization": "Bearer abc",
            "x-authorization": "Bearer abc",
            "x-forwarded-authorization": "Bearer abc",
            authorization_: "Bearer abc",
            "www-authenticate": "Bearer abc"
          }
        })
      ]
    ] as const) {
      it.effect(`takes no token from ${where}`, () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* answerTo(HttpServerRequest.fromWeb(request)), noCredentials)
        })
      )
    }

    it.effect("is not misled by a header of the prototype", () =>
      Effect.gen(function* () {
        const request = HttpServerRequest.fromWeb(new Request("http://localhost/")).modify({
          headers: Headers.fromRecordUnsafe({ ["__proto__"]: "Bearer abc", constructor: "Bearer abc" })
        })
        assert.deepStrictEqual(yield* answerTo(request), noCredentials)
      })
    )
  })

  describe("extractOption", () => {
    const optional = (value: string | undefined) =>
      BearerToken.extractOption.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(value)),
        Effect.result
      )

    it.effect("is None where no bearer token was sent", () =>
      Effect.gen(function* () {
        for (const value of [undefined, "", " ", "Basic dTpw", "DPoP abc"]) {
          assert.deepStrictEqual(yield* optional(value), Result.succeed(Option.none()), JSON.stringify(value))
        }
      })
    )

    it.effect("is Some of the token", () =>
      Effect.gen(function* () {
        const found = Option.getOrThrow(Result.getOrThrow(yield* optional("bearer abc")))
        assert.strictEqual(Redacted.value(found), "abc")
      })
    )

    it.effect("refuses a malformed credential, never taking it for none", () =>
      Effect.gen(function* () {
        for (const value of ["Bearer", "Bearer ", "Bearer a b", "Bearer a\0", "Bearer =", "x".repeat(8193)]) {
          const refused = yield* optional(value)
          assert.isTrue(Result.isFailure(refused), JSON.stringify(value.slice(0, 20)))
          if (Result.isFailure(refused)) assert.strictEqual(refused.failure._tag, "InvalidRequest")
        }
      })
    )
  })

  describe("layer", () => {
    const provided = Effect.map(BearerToken, Redacted.value).pipe(Effect.provide(BearerToken.layer))

    it.effect("provides the token of the request", () =>
      Effect.gen(function* () {
        const found = provided.pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith("Bearer abc"))
        )
        assert.strictEqual(yield* found, "abc")
      })
    )

    it.effect("fails with the typed errors of extract", () =>
      Effect.gen(function* () {
        const refusal = (value: string | undefined) =>
          Effect.flip(provided).pipe(
            Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(value)),
            Effect.map((error) => error._tag)
          )
        assert.strictEqual(yield* refusal(undefined), "NotAuthenticated")
        assert.strictEqual(yield* refusal("Bearer"), "InvalidRequest")
      })
    )

    it.effect("remembers neither a token nor a refusal", () =>
      Effect.gen(function* () {
        for (const [value, expected] of [
          ["Bearer one", Exit.succeed("one")],
          ["Bearer two", Exit.succeed("two")],
          [undefined, undefined],
          ["Bearer three", Exit.succeed("three")]
        ] as const) {
          const exit = yield* Effect.exit(provided).pipe(
            Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(value))
          )
          if (expected === undefined) assert.isTrue(Exit.isFailure(exit))
          else assert.deepStrictEqual(exit, expected)
        }
      })
    )

    it.effect("is built anew even with one memo map and one scope for all requests", () =>
      Effect.gen(function* () {
        const memoMap = yield* Layer.makeMemoMap
        const scope = yield* Effect.scope
        for (const value of ["one", "two", "three"]) {
          const context = yield* Layer.buildWithMemoMap(BearerToken.layer, memoMap, scope).pipe(
            Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(`Bearer ${value}`))
          )
          assert.strictEqual(Redacted.value(Context.get(context, BearerToken)), value)
        }
      })
    )

    it.effect("is built anew where one layer that contains it is used for several requests", () =>
      Effect.gen(function* () {
        class Caller extends Context.Service<Caller, string>()("test/Caller") {}
        const callerLayer = Layer.effect(Caller, Effect.map(BearerToken, Redacted.value)).pipe(
          Layer.provide(BearerToken.layer)
        )
        const found = yield* Effect.forEach(
          ["one", "two", "three"],
          (value) =>
            Caller.pipe(
              Effect.provide(callerLayer),
              Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(`Bearer ${value}`))
            ),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(found, ["one", "two", "three"])
      })
    )

    // The trap: a layer is remembered by reference in the memo map of the fiber, and an app has one memo map for all its requests.
    it.effect("gives each of many concurrent requests to one router its own token", () =>
      Effect.gen(function* () {
        const count = 200
        const allHaveTokens = yield* Deferred.make<void>()
        let waiting = 0
        const handler = Effect.gen(function* () {
          const before = Redacted.value(yield* BearerToken)
          if (++waiting === count) yield* Deferred.succeed(allHaveTokens, undefined)
          yield* Deferred.await(allHaveTokens)
          yield* Effect.yieldNow
          const after = Redacted.value(yield* BearerToken)
          return HttpServerResponse.text(`${before} ${after}`)
        })
        const app = yield* HttpRouter.toHttpEffect(
          HttpRouter.add("GET", "/", Effect.andThen(Effect.yieldNow, Effect.provide(handler, BearerToken.layer)))
        )
        const bodies = yield* Effect.forEach(
          Array.from({ length: count }, (_, i) => `token-${i}`),
          Effect.fnUntraced(function* (value) {
            const headers = { authorization: `Bearer ${value}` }
            const request = HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))
            const response = yield* Effect.provideService(app, HttpServerRequest.HttpServerRequest, request)
            return yield* Effect.promise(() => HttpServerResponse.toWeb(response).text())
          }),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          bodies,
          bodies.map((_, i) => `token-${i} token-${i}`)
        )
      })
    )
  })

  describe("layerTest", () => {
    it.effect("provides the given token without any request", () =>
      Effect.gen(function* () {
        const bearer = yield* Effect.provide(BearerToken, BearerToken.layerTest("demo"))
        assert.strictEqual(Redacted.value(bearer), "demo")
        assert.strictEqual(print(bearer), "<redacted:access_token>")
      })
    )

    it.effect("does not open a guarded route: the guard reads the request", () =>
      Effect.gen(function* () {
        const Guarded = HttpRouter.add("GET", "/", HttpServerResponse.text("open")).pipe(
          Layer.provide(fastapi.require().route.layer),
          Layer.provide(fastapi.layer),
          Layer.provide(verifierLayer)
        )
        const app = yield* HttpRouter.toHttpEffect(Guarded).pipe(Effect.provide(BearerToken.layerTest("good")))
        const error = yield* Effect.flip(app).pipe(
          Effect.provide(BearerToken.layerTest("good")),
          Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith(undefined))
        )
        assert.strictEqual(error._tag, "NotAuthenticated")
      })
    )
  })

  describe("a web-standard Request", () => {
    const two = (...values: ReadonlyArray<string>) => {
      const headers = new globalThis.Headers()
      for (const value of values) headers.append("authorization", value)
      return HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))
    }

    it.effect("with one Authorization field is answered by its token", () =>
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
      it.effect(`with ${JSON.stringify(values)}, which it joins by a comma, is refused`, () =>
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

  describe("properties", () => {
    const options = { arbitrary: { runs: 2000, size: 64, seed: 20260819 } }
    const int = (minimum: number, maximum: number) =>
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
    const text = (character: Arbitrary.Arbitrary<string>, minLength: number, maxLength: number) =>
      Arbitrary.array(character, { minLength, maxLength }).pipe(Arbitrary.map((characters) => characters.join("")))
    const oneOf = (...members: ReadonlyArray<Arbitrary.Arbitrary<string>>) =>
      Arbitrary.flatMap(int(0, members.length - 1), (i) => members[i]!)
    const from = (characters: ReadonlyArray<string>) =>
      int(0, characters.length - 1).pipe(Arbitrary.map((i) => characters[i]!))

    const scheme = int(0, 63).pipe(
      Arbitrary.map((mask) => Array.from("bearer", (c, i) => ((mask >> i) & 1 ? c.toUpperCase() : c)).join(""))
    )
    const good = Arbitrary.all({
      scheme,
      spaces: text(Arbitrary.Constant(" "), 1, 5),
      before: text(from(Array.from(pythonSpace, (code) => String.fromCharCode(code))), 0, 3),
      token: Arbitrary.all([text(from(Array.from(token68)), 1, 80), text(Arbitrary.Constant("="), 0, 3)]).pipe(
        Arbitrary.map(([characters, padding]) => characters + padding)
      ),
      after: text(from(Array.from(pythonSpace, (code) => String.fromCharCode(code))), 0, 3)
    }).pipe(
      Arbitrary.map((parts) => ({
        value: `${parts.scheme}${parts.spaces}${parts.before}${parts.token}${parts.after}`,
        token: parts.token
      }))
    )

    const hostile = oneOf(
      from([
        "\0",
        "\r",
        "\n",
        "\t",
        "\x7F",
        " ",
        ",",
        "=",
        '"',
        "\\",
        ";",
        "\u0085",
        "\u00A0",
        "\u212A",
        "\uD800",
        "😀"
      ]),
      int(0, 0xff).pipe(Arbitrary.map((code) => String.fromCharCode(code))),
      int(0, 0xffff).pipe(Arbitrary.map((code) => String.fromCharCode(code))),
      int(0, 0x10ffff).pipe(Arbitrary.map((code) => String.fromCodePoint(code)))
    )
    const mutated = Arbitrary.all({
      good,
      edits: Arbitrary.array(Arbitrary.all({ kind: int(0, 4), at: int(0, 120), character: hostile }), {
        minLength: 1,
        maxLength: 3
      })
    }).pipe(
      Arbitrary.map(({ edits, good }) =>
        edits.reduce((value, { at, character, kind }) => {
          const i = at % (value.length + 1)
          switch (kind) {
            case 0:
              return value.slice(0, i) + character + value.slice(i)
            case 1:
              return value.slice(0, i) + value.slice(i + 1)
            case 2:
              return value.slice(0, i) + character + value.slice(i + 1)
            case 3:
              return value.slice(0, i)
            default:
              return value.slice(0, i) + value + value.slice(i)
          }
        }, good.value)
      )
    )

    it.effect.prop(
      "the token of every field that the grammar produces comes back",
      { good },
      Effect.fnUntraced(function* ({ good }) {
        assert.deepStrictEqual(yield* answer(good.value), token(good.token))
      }),
      options
    )

    it.effect.prop(
      "a good field that was changed is answered as its new text demands",
      { value: mutated },
      Effect.fnUntraced(function* ({ value }) {
        assert.deepStrictEqual(yield* answer(value), oracle(value))
      }),
      options
    )

    it.effect.prop(
      "any text at all is answered with a token of the grammar or a typed failure",
      { value: text(hostile, 0, 60) },
      Effect.fnUntraced(function* ({ value }) {
        assert.deepStrictEqual(yield* answer(value), oracle(value))
      }),
      options
    )

    it.effect.prop(
      "any text after the scheme is answered with a token of the grammar or a typed failure",
      { scheme, text: text(oneOf(hostile, from(Array.from(token68))), 0, 20) },
      Effect.fnUntraced(function* ({ scheme, text }) {
        assert.deepStrictEqual(yield* answer(`${scheme} ${text}`), oracle(`${scheme} ${text}`))
      }),
      options
    )

    it.effect.prop(
      "the length limit is exact wherever it is",
      { good, maxLength: int(0, 120) },
      Effect.fnUntraced(function* ({ good, maxLength }) {
        const answered = yield* answer(good.value).pipe(Effect.provideService(BearerToken.MaxLength, maxLength))
        assert.deepStrictEqual(answered, oracle(good.value, maxLength))
      }),
      options
    )
  })
})

const flow = {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  scopes: {}
}
const fastapi = OAuth2.authorizationCode("fastapi", flow)
const rfc6750 = OAuth2.authorizationCode("rfc6750", { ...flow, responses: "rfc6750" })

/** Takes every token, and makes it the subject. */
const verifierLayer = TokenVerifier.layer({
  verify: (bearer) =>
    Effect.succeed({
      subject: Redacted.value(bearer),
      clientId: Option.none(),
      scopes: new Set<string>(),
      issuer: "https://idp.example.com",
      audience: ["https://api.example.com"],
      expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z"),
      issuedAt: Option.none(),
      tokenId: Option.none(),
      claims: {}
    })
})

const subject = Effect.map(AccessToken, (accessToken) => HttpServerResponse.text(accessToken.subject))

const Routes = Layer.mergeAll(
  HttpRouter.add(
    "*",
    "/layer",
    Effect.gen(function* () {
      yield* Effect.yieldNow
      return HttpServerResponse.text(Redacted.value(yield* BearerToken))
    }).pipe(Effect.provide(BearerToken.layer))
  ),
  HttpRouter.add("*", "/fastapi", subject).pipe(Layer.provide(fastapi.require().route.layer)),
  HttpRouter.add("*", "/rfc6750", subject).pipe(Layer.provide(rfc6750.require().route.layer)),
  HttpRouter.add(
    "*",
    "/optional",
    Effect.map(OptionalAccessToken, (accessToken) =>
      HttpServerResponse.text(
        Option.match(accessToken, { onNone: () => "anonymous", onSome: ({ subject }) => `user ${subject}` })
      )
    )
  ).pipe(Layer.provide(fastapi.optional().route.layer))
).pipe(Layer.provide([fastapi.layer, rfc6750.layer]), Layer.provide(verifierLayer))

const serve = { disableLogger: true, disableListenLog: true }

interface RawResponse {
  readonly status: number
  readonly headers: string
  readonly body: string
}

/** Writes the bytes to the server, and reads until it closes the connection. */
const send = (bytes: string): Effect.Effect<RawResponse, Error, HttpServer.HttpServer> =>
  Effect.flatMap(HttpServer.HttpServer, ({ address }) =>
    Effect.callback<RawResponse, Error>((resume) => {
      const port = NetAddress.isInetAddress(address) ? address.port : 0
      const socket = net.connect({ port, host: "127.0.0.1" }, () => socket.write(bytes, "latin1"))
      let received = ""
      socket.setEncoding("latin1")
      socket.on("data", (chunk: string) => (received += chunk))
      socket.on("error", (error) => resume(Effect.fail(error)))
      socket.on("close", () => {
        const end = received.indexOf("\r\n\r\n")
        resume(
          Effect.succeed({
            status: Number(received.split(" ")[1]),
            headers: received.slice(0, end).toLowerCase(),
            body: received.slice(end + 4)
          })
        )
      })
      return Effect.sync(() => socket.destroy())
    })
  )

/** A GET request with these lines, as bytes. */
const get = (path: string, ...lines: ReadonlyArray<string>) =>
  send(["GET " + path + " HTTP/1.1", "Host: localhost", "Connection: close", ...lines, "", ""].join("\r\n"))

const nextGoodRequest = Effect.gen(function* () {
  for (const path of ["/layer", "/fastapi", "/rfc6750"]) {
    const { body, status } = yield* get(path, "Authorization: Bearer good")
    assert.deepStrictEqual({ body, status }, { body: "good", status: 200 })
  }
})

layer(HttpRouter.serve(Routes, serve).pipe(Layer.provideMerge(NodeHttpServer.layerTest)))(
  "BearerToken over a socket",
  (it) => {
    it.effect("answers good requests, with the field's name in any case", () =>
      Effect.gen(function* () {
        yield* nextGoodRequest
        for (const name of ["authorization", "AUTHORIZATION", "aUtHoRiZaTiOn"]) {
          assert.strictEqual((yield* get("/fastapi", `${name}: bEARER abc`)).body, "abc")
        }
        assert.strictEqual((yield* get("/fastapi", "Authorization:Bearer abc")).body, "abc")
        assert.strictEqual((yield* get("/fastapi", "Authorization: \t Bearer   abc \t ")).body, "abc")
        assert.strictEqual((yield* get("/optional")).body, "anonymous")
        assert.strictEqual((yield* get("/optional", "Authorization: Bearer abc")).body, "user abc")
      })
    )

    const several: ReadonlyArray<readonly [title: string, lines: ReadonlyArray<string>]> = [
      ["two different ones", ["Authorization: Bearer one", "Authorization: Bearer two"]],
      ["two identical ones", ["Authorization: Bearer one", "Authorization: Bearer one"]],
      ["first Basic, then Bearer", ["Authorization: Basic dTpw", "Authorization: Bearer one"]],
      ["first Bearer, then Basic", ["Authorization: Bearer one", "Authorization: Basic dTpw"]],
      ["an empty first one", ["Authorization:", "Authorization: Bearer one"]],
      ["a blank first one", ["Authorization: \t ", "Authorization: Bearer one"]],
      ["an empty last one", ["Authorization: Bearer one", "Authorization:"]],
      ["three", ["Authorization: Bearer one", "Authorization: Bearer one", "Authorization: Bearer one"]],
      ["names in different cases", ["authorization: Bearer one", "AUTHORIZATION: Bearer two"]],
      ["names in odd cases", ["aUTHORIZATIOn: Bearer one", "AuThOrIzAtIoN: Bearer two"]],
      ["others between them", ["Authorization: Bearer one", "X-A: 1", "Accept: */*", "authorization: Bearer two"]],
      ["a malformed one and a good one", ["Authorization: Bearer a b", "Authorization: Bearer one"]]
    ]
    for (const [title, lines] of several) {
      it.effect(`refuses several Authorization fields: ${title}`, () =>
        Effect.gen(function* () {
          const bare = { status: 401, body: '{"detail":"Not authenticated"}' }
          for (const path of ["/layer", "/fastapi", "/optional"]) {
            const { body, headers, status } = yield* get(path, ...lines)
            assert.deepStrictEqual({ status, body }, bare, path)
            assert.include(`${headers}\r\n`, "\r\nwww-authenticate: bearer\r\n")
          }
          const { body, headers, status } = yield* get("/rfc6750", ...lines)
          assert.deepStrictEqual({ status, body }, { status: 400, body: '{"detail":"Malformed credentials"}' })
          assert.include(`${headers}\r\n`, '\r\nwww-authenticate: bearer error="invalid_request"\r\n')
          yield* nextGoodRequest
        })
      )
    }

    it.effect("refuses two fields that a client joined by a comma", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* get("/rfc6750", "Authorization: Bearer one, Bearer two")).status, 400)
        assert.strictEqual((yield* get("/rfc6750", "Authorization: Bearer one, Basic dTpw")).status, 400)
        assert.strictEqual((yield* get("/rfc6750", "Authorization: Basic dTpw, Bearer two")).status, 401)
        yield* nextGoodRequest
      })
    )

    it.effect("takes no token from the query, a form, a trailer, or a field with a similar name", () =>
      Effect.gen(function* () {
        const form = "access_token=abc"
        const head = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        for (const response of [
          yield* get("/fastapi?access_token=abc"),
          yield* get("/fastapi", "Authorization2: Bearer abc", "X-Authorization: Bearer abc"),
          yield* get("/fastapi", "Proxy-Authorization: Bearer abc", "Cookie: access_token=abc"),
          yield* send(
            `POST /fastapi ${head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`
          ),
          yield* send(
            `POST /fastapi ${head}Trailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nAuthorization: Bearer abc\r\n\r\n`
          )
        ]) {
          assert.deepStrictEqual(
            { status: response.status, body: response.body },
            { status: 401, body: '{"detail":"Not authenticated"}' }
          )
        }
        yield* nextGoodRequest
      })
    )

    it.effect("never answers a byte of any value, anywhere in the field, with a 5xx", () =>
      Effect.gen(function* () {
        const fields = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).flatMap((byte) => [
          `Bearer ab${byte}cd`,
          `Bearer abcd${byte}`,
          `Bearer ${byte}abcd`,
          `Bea${byte}rer abcd`,
          byte
        ])
        yield* Effect.forEach(
          fields,
          Effect.fnUntraced(function* (field) {
            const { body, status } = yield* get("/fastapi", `Authorization: ${field}`)
            const shown = JSON.stringify(field)
            assert.include([200, 400, 401], status, shown)
            // A server takes the blanks around a value away before anyone sees it.
            const expected = oracle(field.replace(/^[ \t]+|[ \t]+$/g, ""))
            if (status === 200) assert.deepStrictEqual(token(body), expected, shown)
            if (/^[\x20-\x7E\x80-\xFF]*$/.test(field))
              assert.strictEqual(status, "token" in expected ? 200 : 401, shown)
          }),
          { concurrency: 32 }
        )
        yield* nextGoodRequest
      })
    )

    for (const [title, lines] of [
      ["a folded line", ["Authorization: Bearer", " abc"]],
      ["a folded line in the middle of the token", ["Authorization: Bearer ab", "\tcd"]],
      ["a folded second credential", ["Authorization: Bearer abc,", " Basic dTpw"]],
      ["a bare CR", ["Authorization: Bearer a\rbc"]],
      ["a bare LF before another field", ["Authorization: Bearer abc\nAuthorization: Bearer def"]],
      ["NUL", ["Authorization: Bearer a\0bc"]],
      ["a blank before the colon", ["Authorization : Bearer abc"]],
      ["no colon", ["Authorization Bearer abc"]],
      ["UTF-8", ["Authorization: Bearer \xC3\xA9\xF0\x9F\x98\x80"]],
      ["a byte order mark", ["\xEF\xBB\xBFAuthorization: Bearer abc"]],
      ["a field over the limit", [`Authorization: Bearer ${"a".repeat(8200)}`]],
      ["a field over the server's own limit", [`Authorization: Bearer ${"a".repeat(50_000)}`]],
      ["many dots", [`Authorization: Bearer ${".".repeat(8000)}!`]],
      ["many blanks", [`Authorization: Bearer a${" ".repeat(8000)}b`]]
    ] as const) {
      it.effect(`refuses ${title} with a 4xx, and answers the next good request`, () =>
        Effect.gen(function* () {
          for (const path of ["/layer", "/fastapi", "/rfc6750", "/optional"]) {
            const response = yield* Effect.result(get(path, ...lines))
            // A server may reset the connection while bytes are still coming: an answer too, and no 5xx.
            if (Result.isFailure(response)) {
              assert.strictEqual(title, "a field over the server's own limit")
              continue
            }
            const { body, status } = response.success
            if (path === "/optional" && body === "anonymous") {
              assert.strictEqual(title, "a byte order mark")
              continue
            }
            assert.isAtLeast(status, 400, path)
            assert.isBelow(status, 500, path)
          }
          yield* nextGoodRequest
        })
      )
    }

    it.effect("takes a field of exactly 8192 characters, and refuses one more", () =>
      Effect.gen(function* () {
        const longest = "a".repeat(8192 - "Bearer ".length)
        assert.strictEqual((yield* get("/rfc6750", `Authorization: Bearer ${longest}`)).body, longest)
        assert.strictEqual((yield* get("/layer", `Authorization: Bearer ${longest}`)).body, longest)
        assert.strictEqual((yield* get("/rfc6750", `Authorization: Bearer ${longest}a`)).status, 400)
        assert.strictEqual((yield* get("/layer", `Authorization: Bearer ${longest}a`)).status, 401)
      })
    )

    it.effect("keeps the tokens of concurrent requests apart", () =>
      Effect.gen(function* () {
        for (const path of ["/layer", "/fastapi"]) {
          const names = Array.from({ length: 100 }, (_, i) => `token-${i}`)
          const bodies = yield* Effect.forEach(
            names,
            (name) => Effect.map(get(path, `Authorization: Bearer ${name}`), ({ body }) => body),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(bodies, names)
        }
      })
    )

    it.effect("keeps the tokens of pipelined requests on one connection apart", () =>
      Effect.gen(function* () {
        const requests = Array.from(
          { length: 20 },
          (_, i) =>
            `GET /layer HTTP/1.1\r\nHost: localhost\r\n${i % 5 === 4 ? "" : `Authorization: Bearer token-${i}\r\n`}` +
            `${i === 19 ? "Connection: close\r\n" : ""}\r\n`
        )
        const { body, headers } = yield* send(requests.join(""))
        const bodies = Array.from(
          `${headers}\r\n\r\n${body}`.matchAll(/\r\n\r\n(token-\d+|\{"detail":"[A-Za-z ]+"\})/g),
          (match) => match[1]
        )
        assert.deepStrictEqual(
          bodies,
          requests.map((_, i) => (i % 5 === 4 ? '{"detail":"Not authenticated"}' : `token-${i}`))
        )
      })
    )
  }
)

layer(
  HttpRouter.serve(Routes, serve).pipe(
    Layer.provide(Layer.succeed(BearerToken.MaxLength, 10)),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
)("BearerToken.MaxLength of a served app", (it) => {
  it.effect("is the one provided to the server", () =>
    Effect.gen(function* () {
      for (const path of ["/layer", "/fastapi", "/rfc6750"]) {
        assert.strictEqual((yield* get(path, "Authorization: Bearer abc")).body, "abc", path)
        assert.include([400, 401], (yield* get(path, "Authorization: Bearer abcd")).status, path)
      }
    })
  )
})

layer(
  HttpRouter.serve(
    HttpRouter.add(
      "GET",
      "/",
      Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
        HttpServerResponse.text(String((request as { readonly headersOverride?: unknown }).headersOverride))
      )
    ).pipe(Layer.provide(fastapi.require().route.layer), Layer.provide(fastapi.layer), Layer.provide(verifierLayer)),
    serve
  ).pipe(
    Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
)("BearerToken of a request as Node has it", (it) => {
  it.effect("is found without an object of all fields: where Effect changes, this is to be looked at again", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* get("/", "Authorization: Bearer abc")).body, "undefined")
    })
  )
})

/** Ways to show a request with other headers, in front of Node's. */
const fronts: Readonly<
  Record<
    string,
    (request: HttpServerRequest.HttpServerRequest, headers: Headers.Headers) => HttpServerRequest.HttpServerRequest
  >
> = {
  "inherits from it": (request, headers) => Object.create(request, { headers: { value: headers } }),
  "copies it": (request, headers) => ({ ...request, headers }),
  "defines its headers anew": (request, headers) => Object.defineProperty(request, "headers", { value: headers }),
  "is a proxy of it": (request, headers) =>
    new Proxy(request, { get: (target, name) => (name === "headers" ? headers : Reflect.get(target, name, target)) }),
  "is of a class that shows it otherwise": (request, headers) => {
    const prototype = Object.create(Object.getPrototypeOf(request), {
      headers: {
        get(this: { readonly hides?: boolean }) {
          return this.hides === true ? headers : Reflect.get(Object.getPrototypeOf(prototype), "headers", this)
        }
      }
    })
    return Object.setPrototypeOf(Object.assign(request, { hides: true }), prototype)
  },
  "modifies it": (request, headers) => request.modify({ headers })
}

for (const [name, front] of Object.entries(fronts)) {
  layer(
    HttpRouter.serve(Routes, {
      ...serve,
      middleware: (app) =>
        Effect.updateService(app, HttpServerRequest.HttpServerRequest, (request) => {
          // The adapter's own are not asked: from then on it would show others itself.
          const { cookie } = (request.source as http.IncomingMessage).headers
          return front(request, Headers.fromInput({ authorization: `Bearer ${cookie}` }))
        })
    }).pipe(
      // A span of the server's would ask for the headers.
      Layer.provide(Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)),
      Layer.provideMerge(NodeHttpServer.layerTest)
    )
  )(`BearerToken of a request, where what stands in front of it ${name}`, (it) => {
    it.effect("is what that says", () =>
      Effect.gen(function* () {
        for (const path of ["/layer", "/fastapi", "/rfc6750"]) {
          const { body } = yield* get(path, "Cookie: abc", "Authorization: Bearer def")
          if (name === "copies it") assert.notInclude(body, "def", path)
          else assert.strictEqual(body, "abc", path)
        }
      })
    )
  })
}

layer(
  HttpRouter.serve(Routes, serve).pipe(
    Layer.provideMerge(
      NodeHttpServer.layer(
        () =>
          http.createServer((request) => {
            // What stands in front of the app on Node may write the field, or take it away.
            const { cookie } = request.headers
            if (cookie === undefined) delete request.headers.authorization
            else request.headers.authorization = `Bearer ${cookie}`
          }),
        { port: 0 }
      )
    )
  )
)("BearerToken behind a listener that changes Node's headers", (it) => {
  it.effect("is what the listener says", () =>
    Effect.gen(function* () {
      for (const path of ["/layer", "/fastapi", "/rfc6750"]) {
        assert.strictEqual((yield* get(path, "Cookie: abc")).body, "abc", path)
        assert.strictEqual((yield* get(path, "Cookie: abc", "Authorization: Bearer def")).body, "abc", path)
        assert.strictEqual((yield* get(path, "Authorization: Bearer def")).status, 401, path)
      }
    })
  )
})

layer(
  HttpRouter.serve(Routes, serve).pipe(
    Layer.provideMerge(NodeHttpServer.layer(() => http2.createServer(), { port: 0 }))
  )
)("BearerToken over HTTP/2", (it) => {
  // Written as frames (RFC 9113 §4.1) and literal header fields (RFC 7541 §6.2.2): Node's own client refuses to send a field twice.
  const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const header = Buffer.alloc(9)
    header.writeUIntBE(payload.length, 0, 3)
    header.writeUInt8(type, 3)
    header.writeUInt8(flags, 4)
    header.writeUInt32BE(stream, 5)
    return Buffer.concat([header, payload])
  }
  const literal = ([name, value]: readonly [string, string]) =>
    Buffer.concat([
      Buffer.from([0, name.length]),
      Buffer.from(name, "latin1"),
      Buffer.from([value.length]),
      Buffer.from(value, "latin1")
    ])
  const DATA = 0
  const HEADERS = 1
  const SETTINGS = 4
  const END_STREAM = 1
  const END_HEADERS = 4

  /** The body of the answer to a request with these fields. */
  const ask = (...values: ReadonlyArray<string>) =>
    Effect.flatMap(HttpServer.HttpServer, ({ address }) =>
      Effect.callback<string, Error>((resume) => {
        const port = NetAddress.isInetAddress(address) ? address.port : 0
        const fields = [
          [":method", "GET"],
          [":scheme", "http"],
          [":path", "/rfc6750"],
          [":authority", "localhost"],
          ...values.map((value) => ["authorization", value] as const)
        ] as const
        const socket = net.connect({ port, host: "127.0.0.1" }, () =>
          socket.write(
            Buffer.concat([
              Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
              frame(SETTINGS, 0, 0, Buffer.alloc(0)),
              frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.concat(fields.map(literal)))
            ])
          )
        )
        let received = Buffer.alloc(0)
        let body = ""
        socket.on("data", (chunk: Buffer) => {
          received = Buffer.concat([received, chunk])
          while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
            const end = 9 + received.readUIntBE(0, 3)
            const type = received.readUInt8(3)
            if (type === DATA) body += received.toString("latin1", 9, end)
            if ((type === DATA || type === HEADERS) && (received.readUInt8(4) & END_STREAM) !== 0) {
              resume(Effect.succeed(body))
              socket.destroy()
            }
            received = received.subarray(end)
          }
        })
        socket.on("error", (error) => resume(Effect.fail(error)))
        socket.on("close", () => resume(Effect.fail(new Error("The server closed the connection"))))
        return Effect.sync(() => socket.destroy())
      })
    )

  it.effect("takes one field, refuses several, and answers the next good request", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ask("Bearer one"), "one")
      for (const several of [
        ["Bearer one", "Bearer two"],
        ["Bearer one", "Bearer one"],
        ["Basic dTpw", "Bearer one"],
        ["", "Bearer one"]
      ]) {
        assert.strictEqual(yield* ask(...several), '{"detail":"Malformed credentials"}', JSON.stringify(several))
      }
      assert.strictEqual(yield* ask(), '{"detail":"Not authenticated"}')
      assert.strictEqual(yield* ask("Bearer two"), "two")
    })
  )
})
