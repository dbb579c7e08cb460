// The key of cached tokens covers every parameter: random sources and requests, and tokens that say what they are for.
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { ClientAuthentication, ClientCredentials, type ClientToken } from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as Jose from "jose"
import { settle } from "../support/settle.ts"
import { testWithIssuer as test } from "./support.ts"

const issuer = "https://issuer.test"
const algorithm = { name: "ECDSA", namedCurve: "P-256" }
const proofKeys = await Promise.all(
  ["1", "2"].map(async () => {
    const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
    return { keys, jkt: await Jose.calculateJwkThumbprint(await Jose.exportJWK(keys.publicKey)) }
  })
)

/** Numbers between 0 and 1 that depend only on the seed. */
const numbers = (seed: number) => {
  let state = seed * 7919 + 1
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
}

const scopes = ["a", "b", "c", "a.b"]

describe("a token of a source", () => {
  for (let seed = 1; seed <= 12; seed++) {
    test(`is for the client, the API, the scopes and the key that were asked for, and is requested once (seed ${seed})`, () =>
      Effect.gen(function* () {
        const next = numbers(seed)
        const pick = <A>(values: ReadonlyArray<A>): A => values[Math.floor(next() * values.length)] as A
        const some = () => scopes.filter(() => next() < 0.5).toSorted(() => next() - 0.5)
        const { respond, requests } = yield* TestIssuer
        const sources = yield* Effect.forEach(Array.from({ length: 6 }), () =>
          Effect.gen(function* () {
            const clientId = pick(["worker", "partner"])
            const resource = pick([undefined, "https://one.test", "https://two.test"])
            const audience = pick([undefined, "https://one.test", "three"])
            const proof = pick([undefined, ...proofKeys])
            const defaults = some()
            const source = yield* ClientCredentials.make({
              issuer,
              clientId,
              authentication: ClientAuthentication.secret(Redacted.make("secret")),
              scopes: defaults,
              ...(resource !== undefined && { resource }),
              ...(audience !== undefined && { parameters: { audience } }),
              ...(proof !== undefined && { dpop: proof.keys })
            })
            const expected = { client_id: clientId, aud: resource ?? audience ?? "https://api.test" }
            return { source, defaults, expected, jkt: proof?.jkt, combinations: new Set<string>() }
          })
        )
        const check = (
          { expected, jkt }: (typeof sources)[number],
          asked: ReadonlyArray<string>,
          { scopes, value }: ClientToken
        ) => {
          const claims = Jose.decodeJwt<{ scope?: string; cnf?: { jkt: string } }>(Redacted.value(value))
          assert.deepInclude(claims, expected)
          assert.strictEqual(claims.cnf?.jkt, jkt)
          const sorted = Array.from(new Set(asked)).toSorted()
          assert.deepStrictEqual((claims.scope ?? "").split(" ").filter(Boolean).toSorted(), sorted)
          assert.deepStrictEqual(Array.from(scopes).toSorted(), sorted)
        }
        for (let turn = 0; turn < 8; turn++) {
          yield* respond("token", { delay: pick([0, 200]) })
          const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () =>
            Effect.gen(function* () {
              const chosen = pick(sources)
              const asked = next() < 0.3 ? undefined : [...some(), ...some()]
              const effective = asked ?? chosen.defaults
              chosen.combinations.add(Array.from(new Set(effective)).toSorted().join(" "))
              const get = chosen.source.get(asked === undefined ? {} : { scopes: asked })
              return yield* Effect.forkChild(Effect.map(get, (token) => check(chosen, effective, token)))
            })
          )
          // A caller that gives up does not take the token from the others.
          const interrupted = pick(fibers)
          if (next() < 0.5) yield* Fiber.interrupt(interrupted)
          for (let wait = 0; wait < 3000 && fibers.some((fiber) => fiber.pollUnsafe() === undefined); wait++) {
            yield* settle
            yield* TestClock.adjust("1 millis")
          }
          yield* Effect.forEach(
            fibers.filter((fiber) => fiber !== interrupted),
            (fiber) => Fiber.join(fiber)
          )
        }
        // Nothing has expired, so each combination of each source was requested at most once.
        const all = sources.reduce((sum, { combinations }) => sum + combinations.size, 0)
        const sent = (yield* requests).filter(({ endpoint }) => endpoint === "token").length
        assert.isAtMost(sent, all)
        assert.isAtLeast(sent, all - 8)
      }))
  }
})
