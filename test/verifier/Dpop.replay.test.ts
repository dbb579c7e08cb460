// A proof counts once, until its own end, and the store that remembers it never lets a request pass when it fails.
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { Dpop, OAuth2 } from "effect-oauth2"
import { ReplayStore, StoreUnavailable } from "effect-oauth2/ReplayStore"
import { makeDpopClient, TestIssuer } from "effect-oauth2/testing"
import { appOf, boundClient, codeOf, headersOf, schemeOf, sendTo, Verifier } from "../support/dpopApp.ts"

const now = 1_800_000_000_000

/** A store that records its calls. */
const recording = (answer: (key: string) => Effect.Effect<boolean, StoreUnavailable>) => {
  const calls: Array<{ readonly key: string; readonly millis: number }> = []
  const layer = Layer.succeed(ReplayStore, {
    addOnce: (key, timeToLive) => {
      calls.push({ key, millis: Duration.toMillis(timeToLive) })
      return answer(key)
    }
  })
  return { calls, layer }
}

const run = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)

describe("a proof", () => {
  it.effect("counts once for its key", () =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf())
      const bound = yield* boundClient()
      const other = yield* boundClient()
      const claims = { jti: "same" }
      const headers = yield* headersOf(bound, { claims })
      assert.strictEqual(codeOf(yield* sendTo(app, headers)), "200")
      assert.strictEqual(codeOf(yield* sendTo(app, headers)), "invalid_dpop_proof")
      // Another proof with the same identifier is refused, also for another path.
      const again = yield* headersOf(bound, { claims, url: "https://api.test/items/1" })
      assert.strictEqual(codeOf(yield* sendTo(app, again, "/items/1")), "invalid_dpop_proof")
      // Another client may use the same identifier.
      assert.strictEqual(codeOf(yield* sendTo(app, yield* headersOf(other, { claims }))), "200")
    }).pipe(run)
  )

  it.effect("of the future is remembered until it ends", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      const app = yield* appOf(schemeOf())
      const bound = yield* boundClient()
      const headers = yield* headersOf(bound, { claims: { iat: now / 1000 + 30 } })
      assert.strictEqual(codeOf(yield* sendTo(app, headers)), "200")
      for (const seconds of [1, 59, 59]) {
        yield* TestClock.adjust(Duration.seconds(seconds))
        assert.strictEqual(codeOf(yield* sendTo(app, headers)), "invalid_dpop_proof")
      }
      assert.strictEqual(codeOf(yield* sendTo(app, yield* headersOf(bound))), "200")
    }).pipe(run)
  )

  it.effect("is recorded once, with the time to its own end, after all other checks", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now)
      const { calls, layer } = recording(() => Effect.succeed(true))
      const app = yield* appOf(schemeOf({ dpop: { maxAge: "60 seconds", clockTolerance: "30 seconds" } }), layer)
      const bound = yield* boundClient()
      const thief = yield* makeDpopClient()
      for (const headers of [
        yield* headersOf(bound, { without: ["ath"] }),
        yield* headersOf(bound, { signWith: thief.key }),
        yield* headersOf(bound, { claims: { iat: now / 1000 - 91 } }),
        yield* headersOf({ client: thief, token: bound.token }),
        yield* headersOf({ client: bound.client, token: "other" }),
        {
          authorization: `Bearer ${bound.token}`,
          dpop: yield* bound.client.proof({ url: "https://api.test/items", token: bound.token })
        }
      ]) {
        assert.strictEqual((yield* sendTo(app, headers)).status, 401)
      }
      assert.deepStrictEqual(calls, [])
      for (const offset of [-89, 0, 30]) {
        const headers = yield* headersOf(bound, { claims: { jti: `j${offset}`, iat: now / 1000 + offset } })
        assert.strictEqual((yield* sendTo(app, headers)).status, 200)
      }
      assert.deepStrictEqual(
        calls,
        [-89, 0, 30].map((offset) => ({
          key: JSON.stringify(["dpop", bound.client.jkt, `j${offset}`]),
          millis: (offset + 90) * 1000
        }))
      )
    }).pipe(run)
  )

  it.effect("is refused with 503 while the store is unavailable, and bearer tokens are not", () =>
    Effect.gen(function* () {
      const { layer } = recording(() =>
        Effect.fail(
          new StoreUnavailable({ store: "ReplayStore", reason: "Unreachable", retryAfter: Duration.seconds(7) })
        )
      )
      const app = yield* appOf(schemeOf(), layer)
      const answer = yield* sendTo(app, yield* headersOf(yield* boundClient()))
      assert.strictEqual(answer.status, 503)
      assert.strictEqual(answer.headers["retry-after"], "7")
      assert.deepStrictEqual(answer.challenges, [])
      const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"] }))
      assert.strictEqual((yield* sendTo(app, { authorization: `Bearer ${token}` })).status, 200)
    }).pipe(run)
  )

  it.effect("is refused with 503 by a full store, and no older proof counts again", () =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf(), Layer.orDie(ReplayStore.layerMemory({ capacity: 2 })))
      const bound = yield* boundClient()
      const first = yield* headersOf(bound)
      assert.strictEqual(codeOf(yield* sendTo(app, first)), "200")
      assert.strictEqual(codeOf(yield* sendTo(app, yield* headersOf(bound))), "200")
      assert.strictEqual(codeOf(yield* sendTo(app, yield* headersOf(bound))), "503")
      assert.strictEqual(codeOf(yield* sendTo(app, first)), "invalid_dpop_proof")
      yield* TestClock.adjust(Duration.seconds(92))
      assert.strictEqual(codeOf(yield* sendTo(app, yield* headersOf(bound))), "200")
    }).pipe(run)
  )

  it.effect("counts once for two servers with one store, and for two layers of one scheme", () =>
    Effect.gen(function* () {
      const shared = yield* Layer.build(ReplayStore.layerMemory())
      const auth = schemeOf()
      const store = Layer.succeedContext(shared)
      const apps = [yield* appOf(schemeOf(), store), yield* appOf(schemeOf(), store)] as const
      const bound = yield* boundClient()
      const headers = yield* headersOf(bound)
      assert.strictEqual(codeOf(yield* sendTo(apps[0], headers)), "200")
      assert.strictEqual(codeOf(yield* sendTo(apps[1], headers)), "invalid_dpop_proof")
      const own = [yield* appOf(auth), yield* appOf(auth)] as const
      const next = yield* headersOf(bound)
      assert.strictEqual(codeOf(yield* sendTo(own[0], next)), "200")
      assert.strictEqual(codeOf(yield* sendTo(own[1], next)), "invalid_dpop_proof")
    }).pipe(run)
  )

  it.effect("counts once for each of many requests at the same time", () =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf())
      const headers = yield* headersOf(yield* boundClient())
      const answers = yield* Effect.all(
        Array.from({ length: 20 }, () => sendTo(app, headers)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers.map(({ status }) => status).toSorted((a, b) => a - b),
        [200, ...Array<number>(19).fill(401)]
      )
    }).pipe(run)
  )

  it.effect("is verified and recorded once for several requirements and schemes of one request", () =>
    Effect.gen(function* () {
      const { calls, layer } = recording(() => Effect.succeed(true))
      const scheme = (name: string) =>
        OAuth2.bearer(name, { scopes: { read: "Read" }, dpop: Dpop.make({ origin: "https://api.test" }) })
      const [one, two] = [scheme("One"), scheme("Two")]
      const handler = Effect.gen(function* () {
        const tokens = yield* Effect.all([one.authorize, two.authorize, one.authorizeOption, one.token], {
          concurrency: "unbounded"
        })
        return HttpServerResponse.text(String(tokens.length))
      })
      const app = yield* HttpRouter.toHttpEffect(
        HttpRouter.add("GET", "/items", handler).pipe(
          one.require("read"),
          two.require("read"),
          one.require(),
          OAuth2.either(two.require("read"), one.require("read")),
          Layer.provide([one.layer(Verifier), two.layer(Verifier)]),
          Layer.provide(layer)
        )
      )
      const headers = yield* headersOf(yield* boundClient())
      assert.strictEqual(codeOf(yield* sendTo(app, headers)), "200")
      assert.strictEqual(calls.length, 1)
    }).pipe(run)
  )
})
