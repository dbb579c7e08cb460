/** Properties of challenges, for generated realms and scopes. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Schema } from "effect"
import { Challenge, SecurityError } from "effect-oauth2"
import { parseChallenge } from "../support/parseChallenge.ts"
import { settings, variants } from "../support/errorTable.ts"

const dpopErrors: ReadonlySet<string> = new Set(["InvalidDpopProof", "UseDpopNonce"])

describe("Challenge", () => {
  describe("properties", () => {
    const options = { arbitrary: { runs: 1000, size: 48, seed: 20260819 } }
    const int = (minimum: number, maximum: number) =>
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
    const text = (character: Arbitrary.Arbitrary<string>, minLength = 0, maxLength = 40) =>
      Arbitrary.array(character, { minLength, maxLength }).pipe(Arbitrary.map((characters) => characters.join("")))
    const oneOf = (...members: ReadonlyArray<Arbitrary.Arbitrary<string>>) =>
      Arbitrary.flatMap(int(0, members.length - 1), (i) => members[i]!)
    const character = (minimum: number, maximum: number) =>
      int(minimum, maximum).pipe(Arbitrary.map((code) => String.fromCodePoint(code)))
    const among = (characters: ReadonlyArray<string>) =>
      int(0, characters.length - 1).pipe(Arbitrary.map((i) => characters[i]!))

    const printable = text(oneOf(character(0x20, 0x7e), among(['"', "\\", ",", "="])))
    const scopeToken = text(oneOf(character(0x21, 0x21), character(0x23, 0x5b), character(0x5d, 0x7e)), 1, 20)
    const scopes = Arbitrary.array(scopeToken, { maxLength: 6 })
    const hostile = text(
      oneOf(
        among([
          "\r",
          "\n",
          "\r\n",
          "\0",
          "\t",
          '"',
          "\\",
          "\\\r",
          "\u2028",
          "\u0085",
          "\x7F",
          "\uD800",
          "\uDC00",
          "😀",
          ","
        ]),
        character(0, 0x20),
        character(0x7f, 0xff),
        character(0, 0xffff),
        character(0x10000, 0x10ffff)
      )
    )

    const isVisibleAsciiLine = (field: string) => Array.from(field).every((c) => c >= " " && c <= "~")

    it.prop(
      "writes a challenge from which a parser reads the same realm and scopes",
      { realm: printable, scopes },
      ({ realm, scopes }) => {
        for (const error of variants) {
          for (const responses of ["fastapi", "rfc6750"] as const) {
            const field = Challenge.answer(error, settings({ responses, realm, scopes })).headers["www-authenticate"]
            if (field === undefined) continue
            const { params, scheme } = parseChallenge(field)
            assert.strictEqual(scheme, dpopErrors.has(error._tag) ? "DPoP" : "Bearer")
            const found = new Map(params)
            if (found.has("realm")) assert.strictEqual(found.get("realm"), realm)
            if (found.has("scope")) assert.strictEqual(found.get("scope"), scopes.join(" "))
            const namesRealm = error._tag === "NotAuthenticated" || error._tag === "FailedCheck"
            assert.strictEqual(found.has("realm"), namesRealm && responses === "rfc6750")
            const namesScopes =
              error._tag === "InvalidToken" ||
              error._tag === "InsufficientScope" ||
              error._tag === "InsufficientUserAuthentication" ||
              (error._tag === "NotAuthenticated" && responses === "rfc6750")
            assert.strictEqual(found.has("scope"), namesScopes && scopes.length > 0)
          }
        }
      },
      options
    )

    it.prop(
      "composes schemes, errors and parameters, from which a parser reads each value once",
      { realm: printable, scopes, acrValues: scopes, age: int(1, 100_000_000), algs: scopes, metadata: scopeToken },
      ({ acrValues, age, algs, metadata, realm, scopes }) => {
        const stepUp = new SecurityError.InsufficientUserAuthentication({
          reason: "TooOld",
          acrValues,
          maxAge: Duration.seconds(age),
          required: scopes,
          missing: scopes
        })
        for (const error of [...variants, stepUp]) {
          for (const responses of ["fastapi", "rfc6750"] as const) {
            for (const authScheme of ["Bearer", "DPoP"] as const) {
              const otherSchemes = authScheme === "Bearer" ? (["DPoP"] as const) : (["Bearer"] as const)
              const form = { responses, realm, scopes, authScheme, otherSchemes, algs, resourceMetadata: metadata }
              const challenges = Challenge.answer(error, settings(form)).challenges.map(parseChallenge)
              const names = challenges.map(({ scheme }) => scheme)
              assert.deepStrictEqual(names, Array.from(new Set(names)))
              for (const [index, { params, scheme }] of challenges.entries()) {
                const found = new Map(params)
                assert.strictEqual(found.get("resource_metadata"), metadata)
                assert.strictEqual(found.get("algs"), scheme === "DPoP" && algs.length > 0 ? algs.join(" ") : undefined)
                if (found.has("realm")) assert.strictEqual(found.get("realm"), realm)
                if (found.has("scope")) assert.strictEqual(found.get("scope"), scopes.join(" "))
                const isSeveral = error._tag === "InvalidRequest" && error.reason === "SeveralCredentials"
                if (index > 0 && !isSeveral) assert.isFalse(found.has("error"))
                if (error !== stepUp) continue
                assert.strictEqual(found.get("error"), "insufficient_user_authentication")
                assert.strictEqual(found.get("max_age"), String(age))
                assert.strictEqual(found.get("acr_values"), acrValues.length === 0 ? undefined : acrValues.join(" "))
              }
            }
          }
        }
      },
      { arbitrary: { ...options.arbitrary, runs: 200 } }
    )

    it.prop(
      "writes one line of ASCII with exactly the given parameters, whatever their values",
      { realm: hostile, scope: hostile, error: hostile },
      ({ error, realm, scope }) => {
        const given = [
          ["realm", realm],
          ["error", error],
          ["scope", scope]
        ] as const
        for (let count = 0; count <= 3; count++) {
          const field = Challenge.bearer(given.slice(0, count))
          assert.isTrue(isVisibleAsciiLine(field), JSON.stringify(field))
          const { params, scheme } = parseChallenge(field)
          assert.strictEqual(scheme, "Bearer")
          assert.deepStrictEqual(
            params.map(([name]) => name),
            given.slice(0, count).map(([name]) => name)
          )
          // RFC 6750 §3: the characters that error and scope allow.
          for (const [name, value] of params) {
            if (name !== "realm") assert.match(value, /^[\x20\x21\x23-\x5B\x5D-\x7E]*$/)
          }
        }
      },
      options
    )

    it.prop(
      "returns a response that can be sent with any realm and scopes",
      { realm: hostile, scopes: Arbitrary.array(hostile, { maxLength: 4 }) },
      ({ realm, scopes }) => {
        for (const error of variants) {
          for (const responses of ["fastapi", "rfc6750"] as const) {
            const { headers } = Challenge.answer(error, settings({ responses, realm, scopes }))
            assert.doesNotThrow(() => new Headers(headers))
            const field = headers["www-authenticate"]
            if (field === undefined) continue
            assert.isTrue(isVisibleAsciiLine(field))
            assert.doesNotThrow(() => parseChallenge(field))
          }
        }
      },
      { arbitrary: { ...options.arbitrary, runs: 200 } }
    )
  })
})
