// Two processes of an API with one store of used proofs: in memory, in a real Redis, and in a real SQLite.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import { makeDpopClient, TestIssuer } from "effect-oauth2/testing"
import { appOf, boundClient, codeOf, headersOf, schemeOf, sendTo } from "../support/dpopApp.ts"
import { fleets } from "../support/fleets.ts"

const adapters = fleets(ReplayStore, {
  memory: ReplayStore.layerMemory(),
  redis: ReplayStore.layerRedis({ timeout: "5 seconds" }),
  sql: ReplayStore.layerSql({ timeout: "5 seconds" })
})

const run = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)

for (const { isMissing, name, stores } of adapters) {
  describe.skipIf(isMissing)(`two apps with one ReplayStore in ${name}`, () => {
    const apps = Effect.flatMap(stores, ([one, two]) =>
      Effect.all([
        appOf(schemeOf(), Layer.succeed(ReplayStore, one)),
        appOf(schemeOf(), Layer.succeed(ReplayStore, two))
      ])
    )

    it.live("accept a proof once, of many requests at the same time", () =>
      Effect.gen(function* () {
        const [first, second] = yield* apps
        const bound = yield* boundClient()
        for (let round = 0; round < 3; round++) {
          const headers = yield* headersOf(bound)
          const answers = yield* Effect.all(
            Array.from({ length: 10 }, (_, i) => sendTo(i % 2 === 0 ? first : second, headers)),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(answers.map(codeOf).toSorted(), [
            "200",
            ...Array.from({ length: 9 }, () => "invalid_dpop_proof")
          ])
        }
      }).pipe(run)
    )

    it.live("accept a proof after forged proofs with its identifier", () =>
      Effect.gen(function* () {
        const [first, second] = yield* apps
        const bound = yield* boundClient()
        const thief = yield* makeDpopClient()
        const claims = { jti: "the same identifier" }
        for (const forged of [
          yield* headersOf(bound, { claims, signWith: thief.key }),
          yield* headersOf({ client: thief, token: bound.token }, { claims })
        ]) {
          assert.strictEqual((yield* sendTo(first, forged)).status, 401)
        }
        const good = yield* headersOf(bound, { claims })
        assert.strictEqual(codeOf(yield* sendTo(second, good)), "200")
        assert.strictEqual(codeOf(yield* sendTo(first, good)), "invalid_dpop_proof")
      }).pipe(run)
    )
  })
}
