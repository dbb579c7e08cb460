/** One suite for the adapters of `Revocations`: what revokes which token, and how long. */
import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect, Exit, Layer, Logger, Metric, Redacted } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { TestClock } from "effect/testing"
import { AccessToken, type VerifiedToken } from "effect-oauth2"
import * as Revocations from "effect-oauth2/Revocations"
import { eventually } from "../support/eventually.ts"
import { fleets } from "../support/fleets.ts"
import * as nodeSqlite from "../support/nodeSqlite.ts"
import { settle } from "../support/settle.ts"

const issuer = "https://idp.example.com"
const inAnHour = DateTime.addDuration(DateTime.nowUnsafe(), "1 hour")
const ago = (minutes: number) => DateTime.subtractDuration(DateTime.nowUnsafe(), `${minutes} minutes`)

const tokenOf = (options: Partial<Parameters<typeof AccessToken.make>[0]>): VerifiedToken =>
  AccessToken.make({ subject: "alice", scopes: "a", issuer, expiresAt: inAnHour, issuedAt: ago(5), ...options })

const timeout = { timeout: "5 seconds" } as const
const localCopy = { maxAge: "1 second" } as const
const modes = {
  "with a local copy": {
    memory: Revocations.layerMemory(),
    redis: Revocations.layerRedis({ localCopy, ...timeout }),
    sql: Revocations.layerSql({ localCopy, ...timeout })
  },
  "with a lookup per request": {
    memory: Revocations.layerMemory(),
    redis: Revocations.layerRedis({ localCopy: false, ...timeout }),
    sql: Revocations.layerSql({ localCopy: false, ...timeout })
  }
}

for (const [mode, layers] of Object.entries(modes)) {
  for (const { isMissing, name, stores } of fleets(Revocations.Revocations, layers)) {
    describe.skipIf(isMissing)(`Revocations in ${name}, ${mode}`, () => {
      /** Revokes in one process, and checks in both processes which tokens are revoked. */
      const check = (
        target: Revocations.Target,
        tokens: Readonly<Record<string, readonly [token: VerifiedToken, isRevoked: boolean]>>
      ) =>
        Effect.gen(function* () {
          const [first, second] = yield* stores
          const outcomes = ({ isRevoked }: Revocations.Revocations["Service"]) =>
            Effect.all(
              Object.fromEntries(
                Object.entries(tokens).map(([text, [token]]) => [text, isRevoked(token, Redacted.make(text))])
              )
            )
          const before = Object.fromEntries(Object.keys(tokens).map((text) => [text, false]))
          assert.deepStrictEqual(yield* outcomes(second), before)
          yield* first.revoke(target)
          const expected = Object.fromEntries(Object.entries(tokens).map(([text, [, isRevoked]]) => [text, isRevoked]))
          assert.deepStrictEqual(yield* outcomes(first), expected)
          yield* eventually(outcomes(second), (outcomes) => Object.values(outcomes).includes(true))
          assert.deepStrictEqual(yield* outcomes(second), expected)
        }).pipe(Effect.scoped)

      it.live("revokes one opaque token by its text", () =>
        check(
          { token: Redacted.make("opaque-1"), expiresAt: inAnHour },
          { "opaque-1": [tokenOf({}), true], "opaque-2": [tokenOf({}), false] }
        )
      )

      it.live("revokes a JWT by its jti, and not the same jti of another issuer", () =>
        check(
          { issuer, tokenId: "id-1", expiresAt: inAnHour },
          {
            a: [tokenOf({ tokenId: "id-1" }), true],
            b: [tokenOf({ tokenId: "id-2" }), false],
            c: [tokenOf({ tokenId: "id-1", issuer: "https://other.example.com" }), false],
            d: [tokenOf({ subject: "id-1", claims: { sid: "id-1" } }), false]
          }
        )
      )

      it.live("revokes the tokens of a subject that were not issued after a time", () =>
        check(
          { issuer, subject: "alice", issuedBefore: ago(3) },
          {
            before: [tokenOf({ issuedAt: ago(4) }), true],
            after: [tokenOf({ issuedAt: ago(2) }), false],
            "other subject": [tokenOf({ subject: "bob" }), false],
            "other issuer": [tokenOf({ issuer: "https://other.example.com" }), false],
            // No `issuedAt` could be before the revocation.
            unknown: [AccessToken.make({ subject: "alice", scopes: "a", issuer, expiresAt: inAnHour }), true]
          }
        )
      )

      it.live("revokes the tokens of a session", () =>
        check(
          { issuer, sessionId: "s-1" },
          {
            a: [tokenOf({ claims: { sid: "s-1" } }), true],
            b: [tokenOf({ claims: { sid: "s-2" } }), false],
            c: [tokenOf({ claims: { sid: ["s-1"] } }), false]
          }
        )
      )

      it.live("never revokes fewer tokens of a subject after an earlier issuedBefore", () =>
        Effect.gen(function* () {
          const [first, second] = yield* stores
          const isRevoked = second.isRevoked(tokenOf({ issuedAt: ago(2) }), Redacted.make("a"))
          yield* first.revoke({ issuer, subject: "alice", issuedBefore: ago(1) })
          yield* eventually(isRevoked, (isRevoked) => isRevoked)
          yield* second.revoke({ issuer, subject: "alice", issuedBefore: ago(10) })
          assert.isTrue(yield* isRevoked)
          assert.isTrue(yield* first.isRevoked(tokenOf({ issuedAt: ago(2) }), Redacted.make("a")))
        }).pipe(Effect.scoped)
      )

      it.live("forgets a revocation when the token has expired for the longest clock tolerance", () =>
        Effect.gen(function* () {
          const [first, second] = yield* stores
          const soon = DateTime.subtractDuration(DateTime.nowUnsafe(), "59500 millis")
          yield* first.revoke({ token: Redacted.make("short"), expiresAt: soon })
          const isRevoked = (of: typeof first) => of.isRevoked(tokenOf({}), Redacted.make("short"))
          assert.isTrue(yield* isRevoked(first))
          // The list in memory forgets entries when it adds others.
          yield* eventually(
            Effect.andThen(first.revoke({ token: Redacted.make("x"), expiresAt: inAnHour }), isRevoked(second)),
            (isRevoked) => name === "memory" || !isRevoked
          )
        }).pipe(Effect.scoped)
      )
    })
  }
}

describe("Revocations.layerMemory", () => {
  it.effect("refuses a new revocation if it is full, and keeps those that it has", () =>
    Effect.gen(function* () {
      const { isRevoked, revoke } = yield* Revocations.Revocations
      const inADay = DateTime.makeUnsafe(86_400_000)
      yield* revoke({ token: Redacted.make("a"), expiresAt: inADay })
      const error = yield* Effect.flip(revoke({ token: Redacted.make("b"), expiresAt: inADay }))
      assert.strictEqual(error.reason, "Full")
      assert.isTrue(yield* isRevoked(tokenOf({}), Redacted.make("a")))
    }).pipe(Effect.provide(Layer.fresh(Revocations.layerMemory({ capacity: 1 }))))
  )
})

describe("the gauge oauth2_revocations_age_seconds", () => {
  it.effect("is the time after the last complete read of the list, and falls when the store works again", () =>
    Effect.gen(function* () {
      const client = yield* Layer.build(nodeSqlite.layer(yield* nodeSqlite.file))
      const sql = Context.get(client, SqlClient.SqlClient)
      yield* Layer.build(
        Revocations.layerSql({ localCopy: { maxAge: "10 seconds" } }).pipe(Layer.provide(Layer.succeedContext(client)))
      )
      const age = Effect.map(Metric.snapshot, (metrics) => {
        const gauge = metrics.find(({ id }) => id === "oauth2_revocations_age_seconds")
        return gauge !== undefined && "value" in gauge.state ? gauge.state.value : undefined
      })
      const pass = (seconds: number) => Effect.andThen(TestClock.adjust(`${seconds} seconds`), settle)
      assert.strictEqual(yield* age, 0)
      yield* pass(2)
      assert.strictEqual(yield* age, 2)
      // The process reads the list four times in each maxAge.
      yield* pass(0.5)
      assert.strictEqual(yield* age, 0)
      yield* sql`ALTER TABLE effect_oauth2_revocations RENAME TO moved`
      for (let i = 0; i < 6; i++) yield* pass(2)
      assert.strictEqual(yield* age, 12)
      yield* sql`ALTER TABLE moved RENAME TO effect_oauth2_revocations`
      yield* pass(2.5)
      assert.isAtMost((yield* age) as number, 2.5)
    }).pipe(
      Effect.scoped,
      Effect.provide(Logger.layer([Logger.make(() => {})])),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  )

  it.effect("falls one second after the store works again, also if the process usually reads every 15 minutes", () =>
    Effect.gen(function* () {
      const client = yield* Layer.build(nodeSqlite.layer(yield* nodeSqlite.file))
      const sql = Context.get(client, SqlClient.SqlClient)
      // The first read fails, because the table has other columns.
      yield* sql`CREATE TABLE effect_oauth2_revocations (id TEXT PRIMARY KEY, expires BIGINT NOT NULL)`
      const context = yield* Layer.build(
        Revocations.layerSql({ localCopy: { maxAge: "1 hour" } }).pipe(Layer.provide(Layer.succeedContext(client)))
      )
      const { isRevoked } = Context.get(context, Revocations.Revocations)
      const check = Effect.exit(isRevoked(tokenOf({}), Redacted.make("a")))
      assert.isTrue(Exit.isFailure(yield* check))
      yield* sql`ALTER TABLE effect_oauth2_revocations ADD COLUMN value TEXT NOT NULL DEFAULT ''`
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual(yield* check, Exit.succeed(false))
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([Logger.make(() => {})])))
  )

  it.effect("is infinite before the first complete read", () =>
    Effect.gen(function* () {
      const client = yield* Layer.build(nodeSqlite.layer(yield* nodeSqlite.file))
      const sql = Context.get(client, SqlClient.SqlClient)
      // The layer creates no table that exists, and cannot read the columns of this one.
      yield* sql`CREATE TABLE effect_oauth2_revocations (id TEXT PRIMARY KEY, expires BIGINT NOT NULL)`
      yield* Layer.build(Revocations.layerSql().pipe(Layer.provide(Layer.succeedContext(client))))
      const gauge = (yield* Metric.snapshot).find(({ id }) => id === "oauth2_revocations_age_seconds")
      assert.deepInclude(gauge?.state, { value: Infinity })
    }).pipe(
      Effect.scoped,
      Effect.provide(Logger.layer([Logger.make(() => {})])),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  )
})
