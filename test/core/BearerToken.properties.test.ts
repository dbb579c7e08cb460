/** Properties of the extraction of bearer tokens, for generated headers. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { BearerToken } from "effect-oauth2"
import { answer, oracle, pythonSpace, token, token68 } from "../support/extractBearerToken.ts"

describe("BearerToken", () => {
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
      "extracts the token from every header that the grammar produces",
      { good },
      Effect.fnUntraced(function* ({ good }) {
        assert.deepStrictEqual(yield* answer(good.value), token(good.token))
      }),
      options
    )

    it.effect.prop(
      "treats a changed header like the second implementation does",
      { value: mutated },
      Effect.fnUntraced(function* ({ value }) {
        assert.deepStrictEqual(yield* answer(value), oracle(value))
      }),
      options
    )

    it.effect.prop(
      "returns a token68 or a typed failure for any text",
      { value: text(hostile, 0, 60) },
      Effect.fnUntraced(function* ({ value }) {
        assert.deepStrictEqual(yield* answer(value), oracle(value))
      }),
      options
    )

    it.effect.prop(
      "returns a token68 or a typed failure for any text after the scheme",
      { scheme, text: text(oneOf(hostile, from(Array.from(token68))), 0, 20) },
      Effect.fnUntraced(function* ({ scheme, text }) {
        assert.deepStrictEqual(yield* answer(`${scheme} ${text}`), oracle(`${scheme} ${text}`))
      }),
      options
    )

    it.effect.prop(
      "enforces any MaxLength exactly",
      { good, maxLength: int(0, 120) },
      Effect.fnUntraced(function* ({ good, maxLength }) {
        const answered = yield* answer(good.value).pipe(Effect.provideService(BearerToken.MaxLength, maxLength))
        assert.deepStrictEqual(answered, oracle(good.value, maxLength))
      }),
      options
    )
  })
})
