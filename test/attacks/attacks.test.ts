import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { TestIssuer } from "effect-oauth2/testing"
import { readFileSync, writeFileSync } from "node:fs"
import * as Arena from "./Arena.ts"
import { attacks, classes } from "./cases.ts"
import * as issuers from "./issuers.ts"

const table = new URL("../../docs/attacks.md", import.meta.url)
const passed = new Map<number, number>()

/** What of header lines must not come back, nor into a log. */
const secretsOf = (lines: ReadonlyArray<string>) =>
  lines.flatMap((line) => line.split(/[ :;,=]+/)).flatMap((word) => [word, ...word.split(".")])

// On the real clock: the server is.
layer(Arena.layer, { timeout: 30_000, excludeTestServices: true })("under attack", (it) => {
  it.effect("a good request is answered", () => Arena.assertAlive())

  for (const one of attacks) {
    it.effect(`${one.class}: ${classes[one.class]}: ${one.name}`, () =>
      Effect.gen(function* () {
        const issuer = yield* TestIssuer
        const lines = yield* one.lines(issuer)
        const beside = one.beside === undefined ? {} : yield* one.beside(issuer)
        const secrets = secretsOf([...lines, beside.query ?? "", beside.form ?? ""])
        const before = (yield* issuer.requests).length
        for (const form of Arena.responses) yield* Arena.assertAnswer(form, one.expected, lines, secrets, beside)
        // An unknown key may be looked for once in a while, at the issuer's own address; nothing else is ever fetched.
        const asked = (yield* issuer.requests).slice(before)
        for (const { url } of asked) assert.isTrue(url.startsWith("https://issuer.test/"), url)
        const good = yield* Arena.assertAlive()
        const observed = yield* Arena.observed
        for (const secret of [...secrets, ...secretsOf([good])])
          if (secret.length > 24) assert.notInclude(observed, secret)
        passed.set(one.class, (passed.get(one.class) ?? 0) + 1)
      })
    )
  }

  it.effect("is observed: verifications are counted by outcome, and traced", () =>
    Effect.map(Arena.observed, (observed) => {
      for (const text of [
        "oauth2_token_verifications_total",
        "Accepted",
        "Signature",
        "JwtVerifier.verify",
        "KeySet.refresh"
      ]) {
        assert.include(observed, text)
      }
    })
  )

  it.effect("fetches nothing but the issuer's own documents, and few of them", () =>
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const requests = yield* issuer.requests
      assert.isAtMost(requests.length, 4)
    })
  )
})

describe("attacks on the way to the issuer's keys", () => {
  for (const one of issuers.scenarios) {
    it.effect(`${one.class}: ${issuers.classes[one.class]}: ${one.name}`, () =>
      Effect.map(issuers.run(one), () => passed.set(one.class, (passed.get(one.class) ?? 0) + 1))
    )
  }
})

describe("the table of attacks", () => {
  it("is in docs/attacks.md", () => {
    const rows = Object.entries({ ...classes, ...issuers.classes }).map(([n, name]) => {
      const all = [...attacks, ...issuers.scenarios].filter((one) => one.class === Number(n)).length
      return `| ${n} | ${name} | ${all} | ${passed.get(Number(n)) === all ? "answered as it should be" : "FAILED"} |`
    })
    const text = [
      "# Attacks",
      "",
      "Made by the test run (`UPDATE_DOCS=1 npx vitest run test/attacks`). Each case is sent over a real socket in both forms of answers; asserted are the",
      "status, the challenge, that nothing of it comes back or is logged, that nothing but the issuer's own documents is fetched, and that the next good",
      "request is answered. `test/KeySet.model.test.ts` runs random interleavings of outages, rotations and floods against a model besides.",
      "",
      "| class | what | cases | result |",
      "| --- | --- | --- | --- |",
      ...rows,
      ""
    ].join("\n")
    if (process.env["UPDATE_DOCS"] !== undefined) writeFileSync(table, text)
    assert.strictEqual(readFileSync(table, "utf8"), text)
  })
})
