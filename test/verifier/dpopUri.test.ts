// The comparison of `htu` with the URI of the request (RFC 3986 §6.2.2 and §6.2.3).
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { normalize, normalizeBelow } from "../../src/verifier/dpop/uri.ts"

const rows: ReadonlyArray<readonly [text: string, normal: string | undefined]> = [
  ["https://a.example", "https://a.example/"],
  ["HTTPS://A.Example:443/", "https://a.example/"],
  ["http://a.example:80/x", "http://a.example/x"],
  ["https://a.example:8443/x", "https://a.example:8443/x"],
  ["https://a.example/x?q#f", "https://a.example/x"],
  ["https://a.example/x/../y", "https://a.example/y"],
  ["https://a.example/x/./y/", "https://a.example/x/y/"],
  ["https://a.example/%2e%2E/b", "https://a.example/b"],
  ["https://a.example/%7euser", "https://a.example/~user"],
  ["https://a.example/%41%2d%5F", "https://a.example/A-_"],
  ["https://a.example/a%2fb", "https://a.example/a%2Fb"],
  ["https://a.example/a%252fb", "https://a.example/a%252fb"],
  ["https://a.example//x//y", "https://a.example//x//y"],
  ["https://a.example/X", "https://a.example/X"],
  ["https://a.example./x", "https://a.example./x"],
  ["https://[2001:DB8::1]/x", "https://[2001:db8::1]/x"],
  ["https://bücher.example/x", "https://xn--bcher-kva.example/x"],
  ["https://XN--BCHER-KVA.example/x", "https://xn--bcher-kva.example/x"],
  ["https://a.example/ä", "https://a.example/%C3%A4"],
  ["https://a.example/%c3%a4", "https://a.example/%C3%A4"],
  ["https://user@a.example/x", undefined],
  ["https://user:pw@a.example/x", undefined],
  ["https:\\\\a.example\\x", undefined],
  ["https://a.example/x\\y", undefined],
  ["https://a.example/x\n", undefined],
  ["https://a.example/x\ty", undefined],
  [" https://a.example/x", undefined],
  ["https:a.example/x", undefined],
  ["//a.example/x", undefined],
  ["/x", undefined],
  ["ws://a.example/x", undefined],
  ["javascript:alert(1)", undefined],
  ["https://", undefined],
  ["", undefined]
]

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
const characters = Array.from("abzAZ09-._~/%!$&'()*+,;=:@")
const path = Arbitrary.array(
  Arbitrary.map(int(0, characters.length), (i) => {
    const character = characters[i] ?? "%2F"
    return character === "%" ? "%7E" : character
  }),
  { minLength: 0, maxLength: 30 }
).pipe(Arbitrary.map((parts) => `/${parts.join("")}`))

/** Escapes characters that do not need it, and changes the case of escapes. */
const escaped = (text: string, mask: number) =>
  text.replace(/%[0-9A-F]{2}|[A-Za-z0-9~_-]/g, (part, index: number) => {
    if (((mask >> (index % 16)) & 1) === 0) return part
    return part.length === 3 ? part.toLowerCase() : `%${part.charCodeAt(0).toString(16).padStart(2, "0")}`
  })

describe("the URI of a proof", () => {
  it.each(rows)("%j is normalized to %j", (text, normal) => {
    assert.strictEqual(normalize(text), normal)
  })

  it.effect.prop(
    "has one normal form, however its characters are escaped",
    { path, mask: int(0, 65_535) },
    ({ mask, path }) =>
      Effect.sync(() => {
        const normal = normalize(`https://a.example${path}`)
        assert.isDefined(normal)
        assert.strictEqual(normalize(normal ?? ""), normal)
        assert.strictEqual(normalize(`HTTPS://A.EXAMPLE:443${escaped(path, mask)}?q=1#f`), normal)
        assert.strictEqual(normalizeBelow("https://a.example", path), normal)
        assert.strictEqual(normalizeBelow("https://a.example", escaped(path, mask)), normal)
      }),
    { arbitrary: { runs: 3000, size: 32, seed: 9449 } }
  )

  it.effect.prop(
    "differs for different paths without escapes and dots",
    { left: path, right: path },
    ({ left, right }) =>
      Effect.sync(() => {
        const [a, b] = [left, right].map((path) => path.replaceAll(/%..|\./g, ""))
        assert.strictEqual(
          normalizeBelow("https://a.example", a ?? "") === normalizeBelow("https://a.example", b ?? ""),
          a === b
        )
      }),
    { arbitrary: { runs: 3000, size: 32, seed: 9449 } }
  )
})
