// Runs every attack, and writes docs/attacks.md if UPDATE_DOCS is set.
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { makeDpopClient, TestIssuer } from "effect-oauth2/testing"
import { readFileSync, writeFileSync } from "node:fs"
import * as Arena from "./Arena.ts"
import * as authentications from "./authentications.ts"
import * as calls from "./calls.ts"
import { attacks } from "./cases.ts"
import * as certificates from "./certificates.ts"
import { classes } from "./classes.ts"
import { values } from "../conformance/Wire.ts"
import * as issuers from "./issuers.ts"
import * as proofs from "./proofs.ts"

const table = new URL("../../docs/attacks.md", import.meta.url)
const passed = new Map<number, number>()

/** Returns the words of header lines that must not appear in a response or in a log. */
const secretsOf = (lines: ReadonlyArray<string>) =>
  lines
    .flatMap((line) => line.split(/[ :;,=]+/))
    .flatMap((word) => [word, ...word.split(".")])
    // The name of the header is not a secret. The constant body of a 503 starts with the word.
    .filter((word) => word !== "Authorization")

// The server of this layer runs on the real clock.
layer(Arena.layer, { timeout: 30_000, excludeTestServices: true })("an app under attack", (it) => {
  it.effect("accepts a valid token", () => Arena.assertAlive())

  // The first unknown kid causes a fetch. In the next 30 seconds, a kid that no fetch looked for gets 503.
  it.effect("refuses a token with an unknown kid", () =>
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const token = yield* issuer.mint({ header: { kid: "invented" } })
      for (const setting of Arena.responses) {
        yield* Arena.assertResponse(setting, "401t", [`Authorization: Bearer ${token}`], [])
      }
    })
  )

  for (const attack of attacks) {
    const status = attack.expected.slice(0, 3)
    it.effect(
      `responds with ${status} to attack ${attack.class} (${classes[attack.class]?.name}): ${attack.name}`,
      () =>
        Effect.gen(function* () {
          const issuer = yield* TestIssuer
          const lines = yield* attack.lines(issuer)
          const parameters = attack.parameters === undefined ? {} : yield* attack.parameters(issuer)
          const secrets = secretsOf([...lines, parameters.query ?? "", parameters.form ?? ""])
          const before = (yield* issuer.requests).length
          for (const setting of Arena.responses) {
            yield* Arena.assertResponse(setting, attack.expected, lines, secrets, parameters)
          }
          // An unknown kid may cause a rate-limited fetch of the issuer's key set. No other URL is ever fetched.
          const requests = (yield* issuer.requests).slice(before)
          for (const { url } of requests) assert.isTrue(url.startsWith("https://issuer.test/"), url)
          const good = yield* Arena.assertAlive()
          const telemetry = yield* Arena.telemetry
          for (const secret of [...secrets, ...secretsOf([good])])
            if (secret.length > 24) assert.notInclude(telemetry, secret)
          passed.set(attack.class, (passed.get(attack.class) ?? 0) + 1)
        })
    )
  }

  it.effect("counts verifications by outcome, and traces them", () =>
    Effect.map(Arena.telemetry, (telemetry) => {
      for (const text of [
        "oauth2_token_verifications_total",
        "Accepted",
        "Signature",
        "JwtVerifier.verify",
        "KeySet.refresh"
      ]) {
        assert.include(telemetry, text)
      }
    })
  )

  it.effect("fetches at most four documents of the issuer during all attacks", () =>
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const requests = yield* issuer.requests
      assert.isAtMost(requests.length, 4)
    })
  )
})

layer(proofs.layer, { timeout: 30_000, excludeTestServices: true })("an app with bound tokens under attack", (it) => {
  const scheme = (path: string) => (path === "/bound" ? "only bound tokens" : "both kinds of tokens")

  /** Returns the status and the codes of the errors in the challenges. */
  const send = (path: string, lines: ReadonlyArray<string>) =>
    Effect.map(Arena.sendRaw(path, lines), (response) => ({
      response,
      status: response.status,
      errors: new Set(
        values(response, "www-authenticate").flatMap((challenge) => /error="([^"]+)"/.exec(challenge)?.[1] ?? [])
      )
    }))

  const stolenAt = (path: string) =>
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const client = yield* makeDpopClient()
      const token = yield* issuer.mint({ scopes: ["read"], subject: "good", boundTo: client })
      return { issuer, client, token, url: `https://api.test${path}` }
    })

  for (const { error, lines, name } of proofs.proofAttacks) {
    it.effect(`responds with ${error} to attack 20 (${classes[20]?.name}): ${name}`, () =>
      Effect.gen(function* () {
        for (const path of proofs.paths) {
          const stolen = yield* stolenAt(path)
          const sent = yield* lines(stolen)
          const { errors, response, status } = yield* send(path, sent)
          assert.strictEqual(status, error === "invalid_request" ? 400 : 401, scheme(path))
          assert.deepStrictEqual([...errors], [error], scheme(path))
          const whole = JSON.stringify(response)
          for (const secret of secretsOf(sent)) if (secret.length > 24) assert.notInclude(whole, secret)
          // The client itself is still accepted.
          const good = yield* send(path, yield* proofs.valid(stolen))
          assert.deepStrictEqual([good.status, good.response.body.includes("good")], [200, true])
        }
        passed.set(20, (passed.get(20) ?? 0) + 1)
      })
    )
  }

  it.effect(
    "responds with invalid_dpop_proof to attack 20 (sender-constrained tokens): a request that is sent again",
    () =>
      Effect.gen(function* () {
        for (const path of proofs.paths) {
          const lines = yield* proofs.valid(yield* stolenAt(path))
          assert.strictEqual((yield* send(path, lines)).status, 200)
          for (let i = 0; i < 3; i++) {
            assert.deepStrictEqual([...(yield* send(path, lines)).errors], ["invalid_dpop_proof"])
          }
        }
        passed.set(20, (passed.get(20) ?? 0) + 1)
      })
  )
})

layer(certificates.layer, { timeout: 30_000, excludeTestServices: true })(
  "an app with tokens that are bound to a certificate, under attack",
  (it) => {
    for (const attack of certificates.certificateAttacks) {
      const { error, name, path } = attack
      it.effect(`responds with ${error} to attack 20 (${classes[20]?.name}) at ${path}: ${name}`, () =>
        Effect.gen(function* () {
          const { answer, next, stolen } = yield* certificates.run(attack)
          const { challenge = "", status, text } = answer
          assert.strictEqual(status, error === "invalid_request" ? 400 : 401, challenge)
          const codes = new Set(Array.from(challenge.matchAll(/error="([^"]+)"/g), ([, code]) => code))
          assert.deepStrictEqual([...codes], error === "none" ? [] : [error])
          for (const secret of stolen.token.split(".")) assert.notInclude(text, secret)
          // The client itself is still accepted.
          assert.strictEqual(next.status, 200)
          assert.include(next.text, "good")
          passed.set(20, (passed.get(20) ?? 0) + 1)
        })
      )
    }
  }
)

describe("an app whose users must authenticate strongly and recently", () => {
  for (const scenario of authentications.scenarios) {
    it.effect(`resists attack ${scenario.class} (${classes[scenario.class]?.name}): ${scenario.name}`, () =>
      Effect.map(authentications.run(scenario), () => passed.set(scenario.class, (passed.get(scenario.class) ?? 0) + 1))
    )
  }
})

describe("an app whose issuer or cache is under attack", () => {
  for (const scenario of issuers.scenarios) {
    it.effect(`resists attack ${scenario.class} (${classes[scenario.class]?.name}): ${scenario.name}`, () =>
      Effect.map(issuers.run(scenario), () => passed.set(scenario.class, (passed.get(scenario.class) ?? 0) + 1))
    )
  }
})

describe("an app whose calls and messages are under attack", () => {
  for (const scenario of calls.scenarios) {
    it.effect(`resists attack ${scenario.class} (${classes[scenario.class]?.name}): ${scenario.name}`, () =>
      Effect.map(calls.run(scenario), () => passed.set(scenario.class, (passed.get(scenario.class) ?? 0) + 1))
    )
  }
})

/** How the table writes the expected response of an attack by request. */
const words: Readonly<Record<string, string>> = {
  "200": "200",
  "401t": "`invalid_token`",
  "400": "`invalid_request`",
  "401n": "401 without error",
  "403s": "`insufficient_scope`",
  "431": "431",
  "503": "503"
}

/** The other files with attacks of class 20. */
const ofBoundTokens = [
  { file: "proofs.ts", count: proofs.proofAttacks.length + 1 },
  { file: "certificates.ts", count: certificates.certificateAttacks.length }
]

describe("the table of attacks", () => {
  const cases = {
    "cases.ts": attacks,
    "issuers.ts": issuers.scenarios,
    "calls.ts": calls.scenarios,
    "authentications.ts": authentications.scenarios
  }

  it("names the expected responses of each class, and no others", () => {
    for (const [n, { expected, file }] of Object.entries(classes)) {
      if (file !== "cases.ts") continue
      const all = new Set(
        attacks.filter((attack) => attack.class === Number(n)).flatMap(({ expected }) => expected.split(" or "))
      )
      for (const [code, word] of Object.entries(words)) {
        assert.strictEqual(expected.includes(word), all.has(code), `${n}: ${code}`)
      }
    }
  })

  it("equals docs/attacks.md", () => {
    const rows = Object.entries(classes).map(([n, { expected, file, name }]) => {
      const all = cases[file].filter((attack) => attack.class === Number(n)).length
      assert.isAbove(all, 0, name)
      const others = Number(n) === 20 ? ofBoundTokens : []
      const more = others.map(({ count, file }) => `, [${count}](../test/attacks/${file})`).join("")
      const total = others.reduce((sum, { count }) => sum + count, all)
      const result = passed.get(Number(n)) === total ? "passed" : "FAILED"
      return `| ${n} | ${name} | ${expected} | [${all}](../test/attacks/${file})${more} | ${result} |`
    })
    const text = [
      "# Attacks",
      "",
      "Every test run makes these attacks over a real socket. Classes 1 to 23 run with both `responses` settings.",
      'The table has the responses of `"rfc6750"`. For each case, the test checks:',
      "",
      "- the response: status and challenge, or the error of the call",
      "- that no handler runs without its proof",
      "- that responses, logs, spans and metrics contain no part of the credentials",
      "- that the library fetches only documents of the issuer",
      "- that the next valid token is accepted",
      "",
      "The number of cases links to the file with the cases.",
      "`test/verifier/KeySet.model.test.ts` runs random sequences of outages, key rotations and floods against a model.",
      "`test/mcp/Mcp.test.ts` attacks MCP servers, too: pages of other origins, and several protocols with resources and prompts.",
      "To update this page, run `UPDATE_DOCS=1 npx vitest run test/attacks`.",
      "",
      "| class | attack | expected response | cases | result |",
      "| --- | --- | --- | --- | --- |",
      ...rows,
      ""
    ].join("\n")
    if (process.env["UPDATE_DOCS"] !== undefined) writeFileSync(table, text)
    assert.strictEqual(readFileSync(table, "utf8"), text)
  })
})
