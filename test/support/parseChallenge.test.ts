/** The parser that other tests use to check challenges. */
import { assert, describe, it } from "@effect/vitest"
import { parseChallenge } from "./parseChallenge.ts"

describe("parseChallenge", () => {
  for (const [field, params] of [
    ["Bearer", []],
    ['Bearer realm="a"', [["realm", "a"]]],
    [
      'Bearer  REALM="a" , scope=b',
      [
        ["realm", "a"],
        ["scope", "b"]
      ]
    ],
    ['Bearer realm=""', [["realm", ""]]],
    ['Bearer realm="a \\"b\\" \\\\ \\c,="', [["realm", 'a "b" \\ c,=']]]
  ] as const) {
    it(`reads ${field}`, () => {
      assert.deepStrictEqual(parseChallenge(field), { scheme: "Bearer", params })
    })
  }

  for (const field of [
    "",
    " Bearer",
    "Bearer ",
    "Bearer abc",
    "Bearer abc==",
    "Bearer, Bearer",
    'Bearer realm="a", ',
    'Bearer , realm="a"',
    'Bearer realm="a",, scope="b"',
    'Bearer realm="a" scope="b"',
    'Bearer realm ="a"',
    'Bearer realm= "a"',
    'Bearer realm="a',
    'Bearer realm="a\\"',
    'Bearer realm="a"b',
    'Bearer realm="a", Basic realm="b"',
    'Bearer realm="a", realm="b"',
    'Bearer realm="a", Realm="b"',
    'Bearer realm="a\nb"',
    'Bearer realm="a\0b"',
    'Bearer realm="a\\\r"',
    'Bearer realm="\u212A"',
    "Bearer realm=",
    "Bearer realm=a b",
    "Bearer\trealm=a"
  ]) {
    it(`refuses ${JSON.stringify(field)}`, () => {
      assert.throws(() => parseChallenge(field), SyntaxError)
    })
  }
})
