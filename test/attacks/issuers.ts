/** Attacks on the way to the issuer's keys: outages, floods of key names, weak keys. Each has a server and an issuer of its own, on the test's clock. */
import { assert } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import type { HttpServer } from "effect/http"
import { type Answer, type MintOptions, TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import { TestClock } from "effect/testing"
import * as Arena from "./Arena.ts"
import { withOtherS } from "./cases.ts"

export interface Scenario {
  readonly class: number
  readonly name: string
  readonly run: Effect.Effect<void, unknown, TestIssuer | HttpServer.HttpServer>
}

export const classes: Readonly<Record<number, string>> = {
  14: "outages of the issuer",
  15: "floods of key names",
  16: "weak and wrong keys",
  23: "what was accepted before"
}

const scenario = (n: number, name: string, run: Scenario["run"]): Scenario => ({ class: n, name, run })

const answer = Effect.fnUntraced(function* (expected: Arena.Expected, token: string) {
  for (const form of Arena.responses) {
    yield* Arena.assertAnswer(form, expected, [`Authorization: Bearer ${token}`], token.split("."))
  }
})

const good = TestIssuer.use((issuer) => issuer.mint({ scopes: ["read"] }))

/** A token of a day that was accepted. */
const accepted = Effect.fnUntraced(function* (options: MintOptions = {}) {
  const issuer = yield* TestIssuer
  const token = yield* issuer.mint({ scopes: ["read"], subject: "good", lifetime: "1 day", ...options })
  yield* Arena.assertAccepted(token)
  return token
})

/** How many tokens were found good by their signatures. */
const verifications = Effect.map(Metric.snapshot, (metrics) =>
  metrics.flatMap(({ attributes, id, state }) =>
    id === "oauth2_token_verifications_total" && attributes?.["outcome"] === "Accepted" ? [state] : []
  )
)

const countOfVerifications = Effect.map(verifications, (states) =>
  states.reduce((sum, state) => sum + ("count" in state ? Number(state.count) : 0), 0)
)

const outages: Readonly<Record<string, Answer>> = {
  "cannot be reached": "unreachable",
  "answers 500": { status: 500, body: "sorry" },
  "answers with HTML": { body: "<html>", headers: { "content-type": "text/html" } },
  "answers with nothing": { body: "" },
  "answers with another JSON": { body: `{"keys":1}` },
  redirects: { status: 302, headers: { location: "https://evil.test/" }, body: "" },
  "answers without end": { body: `{"keys":[${" ".repeat(600_000)}]}` }
}

export const scenarios: ReadonlyArray<Scenario> = [
  ...Object.entries(outages).map(([name, broken]) =>
    scenario(
      14,
      `at the start it ${name}: 503, and it recovers by itself`,
      Effect.gen(function* () {
        const issuer = yield* TestIssuer
        const token = yield* good
        yield* issuer.respond("discovery", broken)
        yield* issuer.respond("jwks", broken)
        yield* answer("503", token)
        yield* answer("503", yield* issuer.mint({ header: { kid: "unknown" } }))
        for (const { url } of yield* issuer.requests) assert.isTrue(url.startsWith("https://issuer.test/"), url)
        yield* issuer.respond("discovery", "normal")
        yield* issuer.respond("jwks", "normal")
        yield* TestClock.adjust("5 seconds")
        yield* Arena.assertAlive()
      })
    )
  ),
  ...Object.entries(outages).map(([name, broken]) =>
    scenario(
      14,
      `later it ${name}: known keys serve for the stale window, unknown ones are no refusal`,
      Effect.gen(function* () {
        const issuer = yield* TestIssuer
        yield* Arena.assertAlive()
        yield* issuer.respond("discovery", broken)
        yield* issuer.respond("jwks", broken)
        yield* answer("503", yield* issuer.mint({ header: { kid: "unknown" } }))
        yield* TestClock.adjust("69 minutes")
        yield* Arena.assertAlive()
        yield* TestClock.adjust("2 minutes")
        yield* answer("503", yield* good)
      })
    )
  ),

  scenario(
    15,
    "two hundred invented names cost one look, and a genuinely new key is learned all the same",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      yield* Arena.assertAlive()
      const before = (yield* issuer.requests).length
      const flood = (round: number) =>
        Effect.forEach(
          Array.from({ length: 200 }, (_, i) => `invented-${round}-${i}`),
          (kid) =>
            Effect.flatMap(issuer.mint({ header: { kid } }), (token) =>
              Arena.sendRaw("/fastapi", [`Authorization: Bearer ${token}`])
            ),
          { concurrency: 20 }
        )
      const statuses = new Set((yield* flood(1)).map(({ status }) => status))
      assert.deepStrictEqual([...statuses], [401])
      assert.isAtMost((yield* issuer.requests).length - before, 2, "metadata and keys, once")
      const { attacker } = yield* Effect.promise(() => Arena.keys)
      const added = yield* issuer.rotate({ ...attacker, kid: "new", jwk: { ...attacker.jwk, kid: "new" } })
      yield* TestClock.adjust("30 seconds")
      yield* flood(2)
      yield* Arena.assertAlive(added)
      assert.isAtMost((yield* issuer.requests).length - before, 4)
    })
  ),
  scenario(
    15,
    "a hundred requests at once for one unknown key cost one look",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const token = yield* good
      yield* Effect.all(
        Array.from({ length: 100 }, () => Arena.sendRaw("/fastapi", [`Authorization: Bearer ${token}`])),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(yield* issuer.requests, 2)
    })
  ),

  ...(
    [
      ["of 1024 bits", { alg: "RS256", modulusLength: 1024 }, {}],
      ["for encryption", { alg: "RS256", modulusLength: 2048 }, { use: "enc" }],
      ["that may only sign", { alg: "RS256", modulusLength: 2048 }, { use: undefined, key_ops: ["sign"] }],
      ["for another algorithm", { alg: "RS256", modulusLength: 2048 }, { alg: "RS512" }],
      ["with the exponent 1", { alg: "RS256", modulusLength: 2048 }, { e: "AQ" }],
      ["with its private half", { alg: "RS256", modulusLength: 2048 }, "private"],
      ["on another curve", { alg: "ES384" }, { alg: "ES256" }]
    ] as const
  ).map(([name, { alg, ...size }, change]) =>
    scenario(
      16,
      `a key ${name} is refused, and the others serve`,
      Effect.gen(function* () {
        const issuer = yield* TestIssuer
        const { jwk, privateKey } = yield* Effect.promise(() => makeKey(alg, size, change))
        yield* issuer.publish({ kid: "weak", alg, use: "sig", ...jwk, ...(change === "private" ? {} : change) })
        const token = yield* issuer.mint({
          scopes: ["read"],
          key: { kid: "weak", alg: alg === "ES384" ? "ES384" : "RS256", privateKey, jwk }
        })
        yield* answer("401t", token)
        yield* Arena.assertAlive()
      })
    )
  ),
  scenario(
    16,
    "another key of the same name takes neither's place",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const { attacker } = yield* Effect.promise(() => Arena.keys)
      yield* issuer.publish(attacker.jwk)
      yield* answer("401t", yield* issuer.mint({ scopes: ["read"], key: attacker }))
      yield* Arena.assertAlive((yield* issuer.keys).find(({ kid }) => kid === "ec"))
    })
  ),
  scenario(
    16,
    "a symmetric key in the set verifies nothing",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const secret = yield* TestIssuer.makeSecretKey("shared", "0123456789abcdef0123456789abcdef")
      yield* issuer.publish(secret.jwk)
      yield* answer("401t", yield* issuer.mint({ scopes: ["read"], key: secret }))
      yield* Arena.assertAlive()
    })
  ),

  scenario(
    16,
    "a key set that is called a page is read: its URL is what is trusted, and what is in it is what counts",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const { attacker } = yield* Effect.promise(() => Arena.keys)
      yield* issuer.respond("jwks", { headers: { "content-type": "text/html", "x-content-type-options": "nosniff" } })
      yield* answer("401t", yield* issuer.mint({ scopes: ["read"], key: attacker }))
      yield* Arena.assertAlive()
    })
  ),

  // Who denies a token by its text, or by what `invalidate` forgets, has denied one of two: `jti` is in both.
  scenario(
    23,
    "the other text of a token that was accepted, with the other elliptic signature, is verified for itself",
    Effect.gen(function* () {
      const token = yield* accepted({ key: "ec" })
      const other = withOtherS(token)
      assert.notStrictEqual(other, token)
      const before = yield* countOfVerifications
      yield* Arena.assertAccepted(other)
      assert.strictEqual(yield* countOfVerifications, before + 1)
      yield* Arena.assertAccepted(token)
      yield* Arena.assertAccepted(other)
      assert.strictEqual(yield* countOfVerifications, before + 1)
    })
  ),
  scenario(
    23,
    "a token that was accepted is refused when it has expired",
    Effect.gen(function* () {
      const token = yield* Arena.assertAlive()
      yield* TestClock.adjust("604 seconds")
      yield* Arena.assertAccepted(token)
      yield* TestClock.adjust("1 second")
      yield* answer("401t", token)
      yield* Arena.assertAlive()
    })
  ),
  scenario(
    23,
    "a token that was accepted is refused when its key has been removed",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const token = yield* accepted()
      yield* issuer.retire("rsa")
      yield* TestClock.adjust("11 minutes")
      yield* answer("401t", token)
      yield* Arena.assertAlive((yield* issuer.keys).find(({ kid }) => kid === "ec"))
    })
  ),
  scenario(
    23,
    "a token that was accepted is refused when its key's name is another key's",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const { attacker } = yield* Effect.promise(() => Arena.keys)
      const token = yield* accepted()
      yield* issuer.retire("rsa")
      yield* issuer.publish(attacker.jwk)
      yield* TestClock.adjust("11 minutes")
      yield* answer("401t", token)
      yield* Arena.assertAlive(attacker)
    })
  ),
  scenario(
    23,
    "in an outage what was accepted counts for the stale window, then it is no refusal, and counts again after",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const token = yield* accepted()
      const before = yield* verifications
      yield* issuer.respond("discovery", "unreachable")
      yield* issuer.respond("jwks", "unreachable")
      yield* TestClock.adjust("69 minutes")
      yield* Arena.assertAccepted(token)
      yield* TestClock.adjust("2 minutes")
      yield* answer("503", token)
      yield* issuer.respond("discovery", "normal")
      yield* issuer.respond("jwks", "normal")
      yield* TestClock.adjust("5 seconds")
      yield* Arena.assertAccepted(token)
      assert.deepStrictEqual(yield* verifications, before)
    })
  ),
  scenario(
    23,
    "a token that was accepted is refused by a clock that was set back to before its time",
    Effect.gen(function* () {
      yield* TestClock.setTime(3_600_000)
      const token = yield* accepted({ claims: { nbf: 3600 } })
      yield* TestClock.setTime(0)
      yield* answer("401t", token)
      yield* TestClock.setTime(3_600_000)
      yield* Arena.assertAccepted(token)
    })
  ),
  scenario(
    23,
    "what was accepted for one token is nothing to another that shares two of its three parts",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const token = yield* Arena.assertAlive()
      const other = yield* issuer.mint({ scopes: ["read"], subject: "mallory" })
      const [header, payload, signature] = token.split(".")
      const [, otherPayload, otherSignature] = other.split(".")
      yield* answer("401t", [header, otherPayload, signature].join("."))
      yield* answer("401t", [header, payload, otherSignature].join("."))
      yield* Arena.assertAlive()
    })
  ),
  ...["header", "payload", "signature"].map((part, i) =>
    scenario(
      23,
      `one other character in the ${part} of a token that was accepted makes it another`,
      Effect.gen(function* () {
        const token = yield* accepted()
        const change = (text: string, at: number) =>
          text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1)
        // Of the last character of each, some bits count for nothing.
        for (const at of [0, 1, 7, 20, -2, -1]) {
          const parts = token.split(".")
          yield* answer(
            "401t",
            parts.map((text, j) => (i === j ? change(text, at < 0 ? text.length + at : at) : text)).join(".")
          )
        }
        yield* Arena.assertAccepted(token)
      })
    )
  ),
  scenario(
    23,
    "two thousand bad tokens take no place of one that was accepted",
    Effect.gen(function* () {
      const token = yield* accepted()
      const before = yield* verifications
      const at = token.lastIndexOf(".") + 1
      const statuses = yield* Effect.forEach(
        Array.from({ length: 2000 }, (_, i) => token.slice(0, at) + String(i).padStart(4, "0") + token.slice(at + 4)),
        (bad, i) =>
          Effect.map(
            Arena.sendRaw(i % 2 === 0 ? "/fastapi" : "/rfc6750", [`Authorization: Bearer ${bad}`]),
            ({ status }) => status
          ),
        { concurrency: 20 }
      )
      assert.deepStrictEqual([...new Set(statuses)], [401])
      yield* Arena.assertAccepted(token)
      assert.deepStrictEqual(yield* verifications, before)
    })
  )
]

/** WebCrypto makes keys that jose would not. */
const makeKey = async (
  alg: "RS256" | "ES384",
  size: { readonly modulusLength?: number },
  change: object | "private"
) => {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(
    alg === "ES384"
      ? { name: "ECDSA", namedCurve: "P-384" }
      : {
          name: "RSASSA-PKCS1-v1_5",
          hash: "SHA-256",
          modulusLength: size.modulusLength ?? 2048,
          publicExponent: new Uint8Array([1, 0, 1])
        },
    true,
    ["sign", "verify"]
  )
  const {
    ext: _ext,
    key_ops: _ops,
    ...jwk
  } = await crypto.subtle.exportKey("jwk", change === "private" ? privateKey : publicKey)
  return { privateKey, jwk: jwk as jose.JWK }
}

/** Built in the test, so that server and issuer are on its clock. Tokens are kept for as long as they can be. */
export const run = ({ run }: Scenario) =>
  Effect.provide(run, Layer.fresh(Arena.layerCaching({ cache: { timeToLive: "24 hours" } })))
