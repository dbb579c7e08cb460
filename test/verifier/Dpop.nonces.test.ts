// Nonces of the server (RFC 9449 §8, §9, §11.3): demanded, rotated, shared by processes with one secret.
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Dpop } from "effect-oauth2"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import { TestIssuer } from "effect-oauth2/testing"
import { type App, appOf, boundClient, codeOf, headersOf, schemeOf, sendTo } from "../support/dpopApp.ts"

const now = 1_800_000_000_000

const run = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)

const nonceOf = ({ headers }: { readonly headers: Readonly<Record<string, string>> }) => headers["dpop-nonce"] ?? ""

const secret = (text: string) => Redacted.make(text.padEnd(32, "."))

const withNonces = (services?: Layer.Layer<never, unknown>) => appOf(schemeOf({ dpop: { nonces: true } }), services)

const sharing = (...secrets: readonly [string, string?]) =>
  withNonces(
    Layer.orDie(
      Dpop.layerNonces({
        secrets: secrets[1] === undefined ? [secret(secrets[0])] : [secret(secrets[0]), secret(secrets[1])]
      })
    )
  )

describe("a scheme with nonces", () => {
  it.effect("answers a proof without a nonce with one, and accepts the next proof", () =>
    Effect.gen(function* () {
      const app = yield* withNonces()
      const bound = yield* boundClient()
      const refused = yield* sendTo(app, yield* headersOf(bound))
      assert.strictEqual(refused.status, 401)
      assert.strictEqual(codeOf(refused), "use_dpop_nonce")
      assert.strictEqual(refused.challenges.length, 1)
      assert.strictEqual(refused.headers["cache-control"], "no-store")
      // One field, whose value is base64url.
      assert.match(nonceOf(refused), /^[\w-]{43}$/)
      const accepted = yield* sendTo(app, yield* headersOf(bound, { nonce: nonceOf(refused) }))
      assert.strictEqual(accepted.status, 200)
      assert.strictEqual(nonceOf(accepted), nonceOf(refused))
      assert.strictEqual(accepted.headers["cache-control"], "no-store")
    }).pipe(run)
  )

  it.effect.each([
    ["an unknown nonce", { nonce: "x" }],
    ["an empty nonce", { nonce: "" }],
    ["a nonce that is not a text", { claims: { nonce: 1 } }],
    ["a nonce that is null", { claims: { nonce: null } }],
    ["no nonce and a bad iat", { claims: { iat: 1 } }]
  ] as const)("refuses %s", ([, options]) =>
    Effect.gen(function* () {
      const app = yield* withNonces()
      const answer = yield* sendTo(app, yield* headersOf(yield* boundClient(), options))
      assert.strictEqual(codeOf(answer), "use_dpop_nonce")
      assert.notStrictEqual(nonceOf(answer), "")
    }).pipe(run)
  )

  it.effect("does not tell a forger whether a nonce is valid", () =>
    Effect.gen(function* () {
      const app = yield* withNonces()
      const bound = yield* boundClient()
      const forger = yield* boundClient()
      const nonce = nonceOf(yield* sendTo(app, yield* headersOf(bound)))
      for (const guess of [nonce, "x", undefined]) {
        const headers = yield* headersOf(bound, {
          signWith: forger.client.key,
          ...(guess === undefined ? {} : { nonce: guess })
        })
        assert.strictEqual(codeOf(yield* sendTo(app, headers)), "invalid_dpop_proof")
      }
    }).pipe(run)
  )

  it.effect("accepts a nonce for three periods, and issues the next one before it ends", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      const app = yield* withNonces()
      const bound = yield* boundClient()
      const nonce = nonceOf(yield* sendTo(app, yield* headersOf(bound)))
      const code = (nonce: string) =>
        Effect.flatMap(headersOf(bound, { nonce }), (headers) => Effect.map(sendTo(app, headers), codeOf))
      yield* TestClock.setTime(now + 179_000)
      assert.strictEqual(yield* code(nonce), "200")
      yield* TestClock.setTime(now + 180_000)
      assert.strictEqual(yield* code(nonce), "use_dpop_nonce")
      const next = nonceOf(yield* sendTo(app, yield* headersOf(bound)))
      assert.notStrictEqual(next, nonce)
      assert.strictEqual(yield* code(next), "200")
      // Before its time, a nonce of a later period is unknown.
      yield* TestClock.setTime(now)
      assert.strictEqual(yield* code(next), "use_dpop_nonce")
    }).pipe(run)
  )

  it.effect("uses the time of the nonce instead of the client's clock", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      const app = yield* withNonces()
      const bound = yield* boundClient()
      const nonce = nonceOf(yield* sendTo(app, yield* headersOf(bound)))
      const headers = yield* headersOf(bound, { nonce, claims: { iat: now / 1000 - 86_400 } })
      assert.strictEqual(codeOf(yield* sendTo(app, headers)), "200")
      // The proof is remembered until its nonce ends.
      yield* TestClock.setTime(now + 179_000)
      assert.strictEqual(codeOf(yield* sendTo(app, headers)), "invalid_dpop_proof")
    }).pipe(run)
  )

  it.effect("accepts several proofs with one nonce, each of them once", () =>
    Effect.gen(function* () {
      const app = yield* withNonces()
      const bound = yield* boundClient()
      const nonce = nonceOf(yield* sendTo(app, {}))
      for (let i = 0; i < 3; i++) {
        const headers = yield* headersOf(bound, { nonce })
        assert.strictEqual(codeOf(yield* sendTo(app, headers)), "200")
        assert.strictEqual(codeOf(yield* sendTo(app, headers)), "invalid_dpop_proof")
      }
    }).pipe(run)
  )

  it.effect("accepts the nonces of a custom service, such as the examples of RFC 9449 §8", () =>
    Effect.gen(function* () {
      const [current, next] = ["eyJ7S_zG.eyJH0-Z.HX4w-7v", "eyJ7S_zG.eyJbYu3.xQmBj-1"]
      const app = yield* withNonces(
        Layer.succeed(Dpop.Nonces, {
          issue: Effect.succeed(next),
          validUntil: (nonce) => Effect.succeed(nonce === current || nonce === next ? Date.now() + 60_000 : undefined)
        })
      )
      const bound = yield* boundClient()
      for (const nonce of [current, next]) {
        const answer = yield* sendTo(app, yield* headersOf(bound, { nonce }))
        assert.deepStrictEqual([answer.status, nonceOf(answer)], [200, next])
      }
      assert.strictEqual(codeOf(yield* sendTo(app, yield* headersOf(bound, { nonce: "other" }))), "use_dpop_nonce")
    }).pipe(run)
  )

  it.effect("records a proof until its nonce ends", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now + 1000)
      const times: Array<number> = []
      const store = Layer.succeed(ReplayStore, {
        addOnce: (_, timeToLive) => Effect.sync(() => times.push(Duration.toMillis(timeToLive)) > 0)
      })
      const app = yield* withNonces(store)
      const bound = yield* boundClient()
      const nonce = nonceOf(yield* sendTo(app, yield* headersOf(bound)))
      assert.deepStrictEqual(times, [])
      yield* sendTo(app, yield* headersOf(bound, { nonce }))
      // The periods begin at multiples of 60 seconds. The issued nonce is that of the next period.
      assert.deepStrictEqual(times, [180_000 - 1000])
    }).pipe(run)
  )

  it.effect("gives a nonce to a request without credentials, and none to a bearer token", () =>
    Effect.gen(function* () {
      const app = yield* withNonces()
      const anonymous = yield* sendTo(app, {})
      assert.strictEqual(anonymous.status, 401)
      assert.notStrictEqual(nonceOf(anonymous), "")
      const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"] }))
      const bearer = yield* sendTo(app, { authorization: `Bearer ${token}` })
      assert.strictEqual(bearer.status, 200)
      assert.strictEqual(nonceOf(bearer), "")
      assert.isUndefined(bearer.headers["cache-control"])
    }).pipe(run)
  )

  it.effect("gives a nonce with every refusal of a DPoP request", () =>
    Effect.gen(function* () {
      const app = yield* withNonces()
      const bound = yield* boundClient()
      const nonce = nonceOf(yield* sendTo(app, {}))
      const answers = [
        yield* sendTo(app, { authorization: `DPoP ${bound.token}` }),
        yield* sendTo(app, yield* headersOf(bound, { nonce, method: "POST" }), "/items", "POST")
      ]
      assert.deepStrictEqual(answers.map(codeOf), ["invalid_dpop_proof", "insufficient_scope"])
      for (const answer of answers) assert.strictEqual(nonceOf(answer), nonce)
    }).pipe(run)
  )
})

describe("Dpop.layerNonces", () => {
  const exchange = (from: App, to: App) =>
    Effect.gen(function* () {
      const bound = yield* boundClient()
      const nonce = nonceOf(yield* sendTo(from, {}))
      return codeOf(yield* sendTo(to, yield* headersOf(bound, { nonce })))
    })

  it.effect("lets processes with one secret accept each other's nonces", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      assert.strictEqual(yield* exchange(yield* sharing("a"), yield* sharing("a")), "200")
      assert.strictEqual(yield* exchange(yield* sharing("a"), yield* sharing("b")), "use_dpop_nonce")
      assert.strictEqual(yield* exchange(yield* withNonces(), yield* withNonces()), "use_dpop_nonce")
    }).pipe(run)
  )

  it.effect("accepts the nonces of two secrets while one replaces the other", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      const [before, during, swapped, after] = [
        yield* sharing("old"),
        yield* sharing("old", "new"),
        yield* sharing("new", "old"),
        yield* sharing("new")
      ]
      for (const [from, to, code] of [
        [before, during, "200"],
        [during, before, "200"],
        [during, swapped, "200"],
        [swapped, during, "200"],
        [swapped, after, "200"],
        [after, swapped, "200"],
        [before, after, "use_dpop_nonce"],
        [after, before, "use_dpop_nonce"]
      ] as const) {
        assert.strictEqual(yield* exchange(from, to), code)
      }
    }).pipe(run)
  )

  it.effect.each([
    ["secrets", { secrets: [] }],
    ["secrets", { secrets: [Redacted.make("short")] }],
    ["secrets", { secrets: [secret("a"), Redacted.make("short")] }],
    ["secrets", { secrets: [secret("a"), secret("b"), secret("c")] }],
    ["secrets", { secrets: ["x".repeat(32)] }],
    ["secrets", {}],
    ["lifetime", { secrets: [secret("a")], lifetime: "2 seconds" }],
    ["lifetime", { secrets: [secret("a")], lifetime: "2 hours" }]
  ] as const)("refuses invalid %s", ([setting, options]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Layer.build(Dpop.layerNonces(options as unknown as Parameters<typeof Dpop.layerNonces>[0]))
      )
      assert.strictEqual(error.setting, setting)
    }).pipe(Effect.scoped)
  )
})
