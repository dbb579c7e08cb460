// Where a browser may go after a sign-in: paths of this app, whatever a stranger wrote into the link.
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { safeReturnTo } from "../../src/login/web/returnTo.ts"
import { test } from "../support/loginApp.ts"

const origin = "https://app.test"

const tricks = [
  "https://evil.test",
  "//evil.test",
  "///evil.test",
  "////evil.test",
  "/\\evil.test",
  "\\\\evil.test",
  "\\/evil.test",
  "/\t/evil.test",
  "/\n/evil.test",
  "\t//evil.test",
  " //evil.test",
  "/ /evil.test",
  "/\u0000/evil.test",
  "/.//evil.test",
  "/..//evil.test",
  "/./..//evil.test",
  "/a/../..//evil.test",
  "/%2e//evil.test",
  "/%2E%2e//evil.test",
  "/%2F/evil.test",
  "/%2f%2fevil.test",
  "/%5C%5Cevil.test",
  "/%5cevil.test",
  "/.%2fevil.test",
  "/%2e%5cevil.test",
  "/%09/evil.test",
  "/%0d%2fevil.test",
  "/%0d%0a%2fevil.test",
  "/\u007f/evil.test",
  "/\u2028/evil.test",
  "/\u00a0/evil.test",
  "/\u0085/evil.test",
  "https:evil.test",
  "https:/evil.test",
  "https:\\\\evil.test",
  "http://app.test",
  "https://app.test.evil.test",
  "https://app.test@evil.test",
  "https://app.test",
  "javascript:alert(1)",
  "/javascript:\\\\evil",
  "data:text/html,x",
  "evil.test",
  "@evil.test",
  "?x",
  "#x",
  "",
  "/" + "a".repeat(512)
]

describe("return_to", () => {
  it("refuses every trick that leads to another host", () => {
    for (const trick of tricks) {
      assert.isUndefined(safeReturnTo(trick, origin), JSON.stringify(trick))
    }
    for (const value of [undefined, null, 1, ["/"], { toString: () => "/" }]) {
      assert.isUndefined(safeReturnTo(value, origin))
    }
  })

  it("accepts paths with query and fragment as they are", () => {
    for (const path of ["/", "/items", "/items/1?q=a%2Fb&r=//x#top", "/a//b", "/ä?ö", "/a%20b", "/a:b@c"]) {
      assert.strictEqual(safeReturnTo(path, origin), new URL(path, origin).href.slice(origin.length))
    }
  })

  const options = { arbitrary: { runs: 5000, seed: 20261130 } }
  const parts =
    "/ // \\ %2f %2F %5c %5C . .. %2e %2E ; @ : ? # & = %09 %0a %00 %25 % evil.test https: http: javascript: app.test a ä [ ] |"
      .split(" ")
      .concat(["\t", "\n", "\r", " ", "\u0000", "\u00a0", "\u2028"])
  const address = Arbitrary.array(
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: parts.length - 1 }))),
    { minLength: 0, maxLength: 8 }
  ).pipe(Arbitrary.map((indexes) => indexes.map((i) => parts[i]).join("")))

  it.effect.prop(
    "stays on this origin, also after a proxy decoded the path, and is stable",
    { address, slash: Arbitrary.schema(Schema.Boolean) },
    ({ address, slash }) =>
      Effect.sync(() => {
        const safe = safeReturnTo(slash ? `/${address}` : address, origin)
        if (safe === undefined) return
        assert.match(safe, /^\/(?![/\\])/)
        assert.strictEqual(new URL(safe, origin).origin, origin)
        assert.strictEqual(safeReturnTo(safe, origin), safe)
        assert.notMatch(safe, /[\p{Cc}\s\\]/u)
        // A proxy that decodes once and then redirects.
        const decoded = safe.replace(/%2f/gi, "/").replace(/%5c/gi, "\\").replace(/%2e/gi, ".")
        assert.strictEqual(new URL(decoded, origin).origin, origin, safe)
      }),
    options
  )

  test("falls back to the app's own page for a bad address", (browser) =>
    Effect.gen(function* () {
      for (const trick of tricks.filter((trick) => safeReturnTo(trick, origin) === undefined)) {
        const response = yield* browser.visit(`/login?${new URLSearchParams({ return_to: trick }).toString()}`)
        const done = yield* browser.visit(yield* browser.answer(response.location), { from: "cross-site" })
        assert.strictEqual(done.location, "/", JSON.stringify(trick))
      }
    }))
})
