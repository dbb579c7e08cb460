import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Metric, Option, Tracer } from "effect"
import { KeySet } from "effect-oauth2"
import { TestClock } from "effect/testing"
import { settle } from "../support/settle.ts"
import { discovery, issuer, jwks, respondAll, rs256, withDiscovery, withKeySet, withLogs } from "../support/keySets.ts"

describe("KeySet", () => {
  describe("reports", () => {
    it.effect("once per outage: the failed fetch, stale keys, expired keys, and the recovery", () =>
      withLogs((logs) =>
        withDiscovery((_, keySet) =>
          Effect.gen(function* () {
            const ask = Effect.repeat(Effect.exit(keySet.find(rs256("k1"))), { times: 20 })
            yield* keySet.refresh
            yield* respondAll("unreachable")
            for (let minutes = 0; minutes <= 75; minutes += 1) {
              yield* ask
              yield* settle
              yield* TestClock.adjust("1 minute")
            }
            yield* respondAll("normal")
            yield* ask
            yield* settle
            assert.deepStrictEqual(
              logs.filter(({ level }) => level !== "Debug").map(({ level, message }) => [level, message]),
              [
                [
                  "Warn",
                  `The issuer's keys could not be fetched. The request for the metadata at ${discovery} got no response. Check that the issuer is reachable.`
                ],
                ["Warn", "Stale keys are in use, because the issuer is unavailable."],
                [
                  "Error",
                  "The stale keys have expired. Requests with a token get a 503 response until the issuer is available."
                ],
                ["Info", "Fetching the issuer's keys works again."]
              ]
            )
            assert.isTrue(logs.every(({ annotations }) => annotations["issuer"] === issuer))
          })
        )
      )
    )

    it.effect("no expired keys if a token names an unknown key while stale keys serve", () =>
      withLogs((logs) =>
        withDiscovery((_, keySet) =>
          Effect.gen(function* () {
            yield* keySet.refresh
            yield* respondAll("unreachable")
            yield* TestClock.adjust("20 minutes")
            assert.isTrue(Exit.isFailure(yield* Effect.exit(keySet.find(rs256("k9")))))
            assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
            yield* settle
            assert.deepStrictEqual(
              logs.filter(({ level }) => level === "Error"),
              []
            )
          })
        )
      )
    )

    it.effect("the age of the keys and the outcome of each fetch", () =>
      withDiscovery((_, keySet) =>
        Effect.gen(function* () {
          yield* keySet.find(rs256("k1"))
          yield* TestClock.adjust("100 seconds")
          yield* keySet.find(rs256("k1"))
          yield* respondAll({ status: 500, body: "sorry" })
          yield* Effect.exit(keySet.find(rs256("k2")))
          yield* TestClock.adjust("5 seconds")
          yield* respondAll("unreachable")
          yield* Effect.exit(keySet.find(rs256("k2")))
          const metrics = yield* Metric.snapshot
          const of = (id: string) =>
            metrics.filter((metric) => metric.id === id).map(({ attributes, state }) => ({ attributes, state }))
          assert.deepStrictEqual(
            of("oauth2_key_set_age_seconds").map(({ attributes, state }) => [attributes, state]),
            [[{ issuer }, { value: 105 }]] as any
          )
          assert.deepStrictEqual(
            of("oauth2_key_set_fetches_total").map(({ attributes, state }) => [
              attributes?.["outcome"],
              "count" in state ? state.count : undefined
            ]),
            [
              ["success", 1],
              ["bad_response", 1],
              ["unreachable", 1]
            ]
          )
        })
      ).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
    )

    it.effect("a fetch as a separate span without data of the request", () =>
      Effect.gen(function* () {
        const spans: Array<Tracer.NativeSpan> = []
        const tracer = Tracer.make({
          span: (options) => {
            const span = new Tracer.NativeSpan(options)
            spans.push(span)
            return span
          }
        })
        yield* withDiscovery((_, keySet) =>
          Effect.withSpan(Effect.exit(keySet.find(rs256("secret-kid"))), "request")
        ).pipe(Effect.withSpan("start"), Effect.provideService(Tracer.Tracer, tracer))
        const refresh = spans.find((span) => span.name === "KeySet.refresh")
        assert.isTrue(refresh !== undefined && Option.isNone(refresh.parent))
        assert.deepStrictEqual(Object.fromEntries(refresh?.attributes ?? []), { issuer, keys: 1, refused: 0 })
        for (const span of spans) assert.notInclude(JSON.stringify([...span.attributes]), "secret-kid")
      })
    )

    it.effect("a URL without its query", () =>
      withLogs((logs) =>
        withKeySet(KeySet.layerRemote({ url: `${jwks}?key=secret` }), (_, keySet) =>
          Effect.gen(function* () {
            yield* respondAll("unreachable")
            const error = yield* Effect.flip(keySet.refresh)
            assert.notInclude(JSON.stringify([logs, error]), "secret")
          })
        )
      )
    )
  })
})
