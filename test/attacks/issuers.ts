/** Attacks on the key set and the cache. Each scenario has its own server and issuer on `TestClock`. */
import { assert } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import type { HttpServer } from "effect/http"
import { type IssuerResponse, type MintOptions, TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import { TestClock } from "effect/testing"
import * as Arena from "./Arena.ts"
import { withOtherS } from "./cases.ts"

export interface Scenario {
  readonly class: number
  readonly name: string
  readonly run: Effect.Effect<void, unknown, TestIssuer | HttpServer.HttpServer>
}

const scenario = (n: number, name: string, run: Scenario["run"]): Scenario => ({ class: n, name, run })

const assertResponses = Effect.fnUntraced(function* (expected: Arena.Expected, token: string) {
  for (const setting of Arena.responses) {
    yield* Arena.assertResponse(setting, expected, [`Authorization: Bearer ${token}`], token.split("."))
  }
})

const validToken = TestIssuer.use((issuer) => issuer.mint({ scopes: ["read"] }))

/** Mints a token with a lifetime of one day, and asserts that the app accepts it. */
const acceptedToken = Effect.fnUntraced(function* (options: MintOptions = {}) {
  const issuer = yield* TestIssuer
  const token = yield* issuer.mint({ scopes: ["read"], subject: "good", lifetime: "1 day", ...options })
  yield* Arena.assertAccepted(token)
  return token
})

/** State of the counter of successful verifications. Cache hits do not change it. */
const verifications = Effect.map(Metric.snapshot, (metrics) =>
  metrics.flatMap(({ attributes, id, state }) =>
    id === "oauth2_token_verifications_total" && attributes?.["outcome"] === "Accepted" ? [state] : []
  )
)

const verificationCount = Effect.map(verifications, (states) =>
  states.reduce((sum, state) => sum + ("count" in state ? Number(state.count) : 0), 0)
)

const outages: Readonly<Record<string, IssuerResponse>> = {
  "is unreachable": "unreachable",
  "responds with 500": { status: 500, body: "sorry" },
  "responds with HTML": { body: "<html>", headers: { "content-type": "text/html" } },
  "responds with an empty body": { body: "" },
  "responds with unexpected JSON": { body: `{"keys":1}` },
  redirects: { status: 302, headers: { location: "https://evil.test/" }, body: "" },
  "responds with 600 kB": { body: `{"keys":[${" ".repeat(600_000)}]}` }
}

export const scenarios: ReadonlyArray<Scenario> = [
  ...Object.entries(outages).map(([name, broken]) =>
    scenario(
      14,
      `responds with 503 if the issuer ${name} at the start, and recovers without a restart`,
      Effect.gen(function* () {
        const issuer = yield* TestIssuer
        const token = yield* validToken
        yield* issuer.respond("discovery", broken)
        yield* issuer.respond("jwks", broken)
        yield* assertResponses("503", token)
        yield* assertResponses("503", yield* issuer.mint({ header: { kid: "unknown" } }))
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
      `uses cached keys for the stale window if the issuer ${name} later, and responds with 503 to unknown keys`,
      Effect.gen(function* () {
        const issuer = yield* TestIssuer
        yield* Arena.assertAlive()
        yield* issuer.respond("discovery", broken)
        yield* issuer.respond("jwks", broken)
        yield* assertResponses("503", yield* issuer.mint({ header: { kid: "unknown" } }))
        yield* TestClock.adjust("69 minutes")
        yield* Arena.assertAlive()
        yield* TestClock.adjust("2 minutes")
        yield* assertResponses("503", yield* validToken)
      })
    )
  ),

  scenario(
    15,
    "fetches the keys once for 200 invented key names, and still finds a new key later",
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
      // A key name is refused if a fetch looked for it. The other key names get 503, because their keys may exist.
      assert.isTrue(statuses.has(401) && statuses.isSubsetOf(new Set([401, 503])), [...statuses].join())
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
    "fetches the keys once for 100 simultaneous requests",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const token = yield* validToken
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
      `ignores a key ${name}, and still uses the other keys`,
      Effect.gen(function* () {
        const issuer = yield* TestIssuer
        const { jwk, privateKey } = yield* Effect.promise(() => makeKey(alg, size, change))
        yield* issuer.publish({ kid: "weak", alg, use: "sig", ...jwk, ...(change === "private" ? {} : change) })
        const token = yield* issuer.mint({
          scopes: ["read"],
          key: { kid: "weak", alg: alg === "ES384" ? "ES384" : "RS256", privateKey, jwk }
        })
        yield* assertResponses("401t", token)
        yield* Arena.assertAlive()
      })
    )
  ),
  scenario(
    16,
    "uses neither of two keys of the same name",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const { attacker } = yield* Effect.promise(() => Arena.keys)
      yield* issuer.publish(attacker.jwk)
      yield* assertResponses("401t", yield* issuer.mint({ scopes: ["read"], key: attacker }))
      yield* Arena.assertAlive((yield* issuer.keys).find(({ kid }) => kid === "ec"))
    })
  ),
  scenario(
    16,
    "verifies no token with a symmetric key in the key set",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const secret = yield* TestIssuer.makeSecretKey("shared", "0123456789abcdef0123456789abcdef")
      yield* issuer.publish(secret.jwk)
      yield* assertResponses("401t", yield* issuer.mint({ scopes: ["read"], key: secret }))
      yield* Arena.assertAlive()
    })
  ),

  scenario(
    16,
    "reads a key set whose content type is text/html",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const { attacker } = yield* Effect.promise(() => Arena.keys)
      yield* issuer.respond("jwks", { headers: { "content-type": "text/html", "x-content-type-options": "nosniff" } })
      yield* assertResponses("401t", yield* issuer.mint({ scopes: ["read"], key: attacker }))
      yield* Arena.assertAlive()
    })
  ),

  // A deny list of token texts, or `invalidate`, covers only one of the two texts. Both have the same `jti`.
  scenario(
    23,
    "verifies the same token with its second valid ECDSA signature as another token",
    Effect.gen(function* () {
      const token = yield* acceptedToken({ key: "ec" })
      const other = withOtherS(token)
      assert.notStrictEqual(other, token)
      const before = yield* verificationCount
      yield* Arena.assertAccepted(other)
      assert.strictEqual(yield* verificationCount, before + 1)
      yield* Arena.assertAccepted(token)
      yield* Arena.assertAccepted(other)
      assert.strictEqual(yield* verificationCount, before + 1)
    })
  ),
  scenario(
    23,
    "refuses a cached token when it expires",
    Effect.gen(function* () {
      const token = yield* Arena.assertAlive()
      yield* TestClock.adjust("604 seconds")
      yield* Arena.assertAccepted(token)
      yield* TestClock.adjust("1 second")
      yield* assertResponses("401t", token)
      yield* Arena.assertAlive()
    })
  ),
  scenario(
    23,
    "refuses a cached token after its key leaves the key set",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const token = yield* acceptedToken()
      yield* issuer.retire("rsa")
      yield* TestClock.adjust("11 minutes")
      yield* assertResponses("401t", token)
      yield* Arena.assertAlive((yield* issuer.keys).find(({ kid }) => kid === "ec"))
    })
  ),
  scenario(
    23,
    "refuses a cached token if another key takes the name of its key",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const { attacker } = yield* Effect.promise(() => Arena.keys)
      const token = yield* acceptedToken()
      yield* issuer.retire("rsa")
      yield* issuer.publish(attacker.jwk)
      yield* TestClock.adjust("11 minutes")
      yield* assertResponses("401t", token)
      yield* Arena.assertAlive(attacker)
    })
  ),
  scenario(
    23,
    "accepts a cached token in an outage for the stale window, then responds with 503, and accepts it after the outage",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const token = yield* acceptedToken()
      const before = yield* verifications
      yield* issuer.respond("discovery", "unreachable")
      yield* issuer.respond("jwks", "unreachable")
      yield* TestClock.adjust("69 minutes")
      yield* Arena.assertAccepted(token)
      yield* TestClock.adjust("2 minutes")
      yield* assertResponses("503", token)
      yield* issuer.respond("discovery", "normal")
      yield* issuer.respond("jwks", "normal")
      yield* TestClock.adjust("5 seconds")
      yield* Arena.assertAccepted(token)
      assert.deepStrictEqual(yield* verifications, before)
    })
  ),
  scenario(
    23,
    "refuses a cached token if the clock is set back before its nbf",
    Effect.gen(function* () {
      yield* TestClock.setTime(3_600_000)
      const token = yield* acceptedToken({ claims: { nbf: 3600 } })
      yield* TestClock.setTime(0)
      yield* assertResponses("401t", token)
      yield* TestClock.setTime(3_600_000)
      yield* Arena.assertAccepted(token)
    })
  ),
  scenario(
    23,
    "refuses a token that shares two of three segments with a cached token",
    Effect.gen(function* () {
      const issuer = yield* TestIssuer
      const token = yield* Arena.assertAlive()
      const other = yield* issuer.mint({ scopes: ["read"], subject: "mallory" })
      const [header, payload, signature] = token.split(".")
      const [, otherPayload, otherSignature] = other.split(".")
      yield* assertResponses("401t", [header, otherPayload, signature].join("."))
      yield* assertResponses("401t", [header, payload, otherSignature].join("."))
      yield* Arena.assertAlive()
    })
  ),
  ...["header", "payload", "signature"].map((part, i) =>
    scenario(
      23,
      `refuses a cached token if one character of its ${part} changes`,
      Effect.gen(function* () {
        const token = yield* acceptedToken()
        const change = (text: string, at: number) =>
          text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1)
        // -1 covers the last character, in which some bits have no meaning.
        for (const at of [0, 1, 7, 20, -2, -1]) {
          const parts = token.split(".")
          yield* assertResponses(
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
    "accepts a cached token without a new verification after 2000 invalid tokens",
    Effect.gen(function* () {
      const token = yield* acceptedToken()
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

// Uses WebCrypto, because jose does not generate weak keys.
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

/** Builds the layer inside of the test, so that server and issuer use its `TestClock`. Caches tokens for 24 hours. */
export const run = ({ run }: Scenario) =>
  Effect.provide(run, Layer.fresh(Arena.layerCaching({ cache: { timeToLive: "24 hours" } })))
