/** Real processes that share a grant in a real Redis, and an authorization server that detects the reuse of a token. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Option, Redacted, type Scope } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { ClientAuthentication, RefreshToken, type StoredGrant, TokenStore } from "effect-oauth2/client"
import { TestIssuer, type TestIssuerOptions } from "effect-oauth2/testing"
import { createServer } from "node:http"
import { eventually } from "../support/eventually.ts"
import { type Program, start } from "../support/program.ts"
import { missing, RedisServer } from "../support/redisServer.ts"
import { clientId, refreshes, signIn } from "./support.ts"

const keys = Redacted.make("a secret that all processes have")

interface World {
  readonly redis: RedisServer
  readonly store: TokenStore["Service"]
  readonly grant: StoredGrant
  /** Starts a process. */
  readonly run: (env?: Readonly<Record<string, string>>) => Effect.Effect<Program, never, Scope.Scope>
}

const text = (token: Redacted.Redacted | undefined) => token && Redacted.value(token)

/** The refresh tokens of all token requests. */
const used = Effect.map(refreshes, (all) => all.map(({ refresh_token }) => refresh_token))

/** Returns the last line that a process has printed. */
const result = ({ ended, output }: Program) =>
  Effect.map(ended, () => output.stdout.trim().split("\n").at(-1) ?? output.stderr)

const test = (
  name: string,
  body: (world: World) => Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Scope.Scope>,
  refreshTokens: TestIssuerOptions["refreshTokens"] = {}
) =>
  it.live(
    name,
    () =>
      Effect.gen(function* () {
        const redis = yield* RedisServer.durable
        const { issuer } = yield* TestIssuer
        const context = yield* Layer.build(
          TokenStore.layerRedis({ keys, name: "alice", lease: "5 seconds", timeout: "10 seconds" }).pipe(
            Layer.provide(redis.client())
          )
        )
        const store = Context.get(context, TokenStore)
        const grant = yield* signIn()
        yield* store.write(grant, undefined)
        yield* body({
          redis,
          store,
          grant,
          run: (env = {}) =>
            start("test/client/programs/process.ts", {
              REDIS_PORT: String(redis.port),
              ISSUER: issuer,
              ROUNDS: "1",
              ...env
            })
        })
      }).pipe(
        Effect.scoped,
        Effect.provide(
          Layer.merge(
            TestIssuer.serve({ clients: [{ clientId }], refreshTokens: { ...refreshTokens } }).pipe(
              Layer.provide(NodeHttpServer.layer(createServer, { port: 0 }))
            ),
            Layer.provide(
              FetchHttpClient.layer,
              Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" as const })
            )
          )
        )
      ),
    180_000
  )

describe.skipIf(missing)("processes with a grant in Redis", () => {
  test("use each refresh token once, however many renew at the same time", ({ grant, run, store }) =>
    Effect.gen(function* () {
      const processes = yield* Effect.all([run({ ROUNDS: "10" }), run({ ROUNDS: "10" })])
      for (const line of yield* Effect.forEach(processes, result, { concurrency: 2 })) assert.match(line, /^token ey/)
      const tokens = yield* used
      assert.strictEqual(tokens[0], text(grant.refreshToken))
      assert.isAtLeast(tokens.length, 10)
      assert.strictEqual(new Set(tokens).size, tokens.length)
      assert.isTrue(Option.isSome(yield* store.read))
    }))

  test("do not use a refresh token again if a crash has lost the new one: the user signs in again", ({
    grant,
    run,
    store
  }) =>
    Effect.gen(function* () {
      const crashed = yield* run({ AT: "response", SIGNAL: "SIGKILL" })
      assert.strictEqual(yield* crashed.ended, "SIGKILL")
      // The lock of the crashed process ends by itself.
      assert.strictEqual(yield* result(yield* run()), "ReauthenticationRequired invalid_grant")
      assert.strictEqual(yield* result(yield* run()), "ReauthenticationRequired login_required")
      // The server refuses the second request, so the token was exchanged once.
      assert.deepStrictEqual(yield* used, [text(grant.refreshToken), text(grant.refreshToken)])
      assert.isTrue(Option.isNone(yield* store.read))
    }))

  test(
    "go on after the same crash if the server forgives a lost response",
    ({ grant, run }) =>
      Effect.gen(function* () {
        yield* (yield* run({ AT: "response", SIGNAL: "SIGKILL" })).ended
        assert.match(yield* result(yield* run({ ROUNDS: "2" })), /^token ey/)
        const tokens = yield* used
        assert.deepStrictEqual(tokens.slice(0, 2), [text(grant.refreshToken), text(grant.refreshToken)])
        assert.strictEqual(new Set(tokens).size, 2)
      }),
    { grace: "1 minute" }
  )

  /** Stops a process until its lock has ended. */
  const pausedAt = Effect.fnUntraced(function* ({ redis, run }: World, step: string) {
    const paused = yield* run({ AT: step, SIGNAL: "SIGSTOP" })
    yield* paused.waitFor(`at ${step}`)
    yield* eventually(redis.command("KEYS", "*:lock:*"), (keys) => Array.isArray(keys) && keys.length === 0)
    return paused
  })

  test("do not use a refresh token if they were paused until their lock had ended", (world) =>
    Effect.gen(function* () {
      const { grant, run } = world
      const paused = yield* pausedAt(world, "claim")
      const other = yield* result(yield* run())
      assert.match(other, /^token ey/)
      paused.process.kill("SIGCONT")
      assert.strictEqual(yield* result(paused), other)
      assert.deepStrictEqual(yield* used, [text(grant.refreshToken)])
    }))

  test(
    "do not overwrite newer tokens after a pause between the response and the write",
    (world) =>
      Effect.gen(function* () {
        const { run, store } = world
        const paused = yield* pausedAt(world, "response")
        const other = yield* result(yield* run())
        assert.match(other, /^token ey/)
        const before = Option.getOrThrow(yield* store.read)
        paused.process.kill("SIGCONT")
        assert.strictEqual(yield* result(paused), other)
        assert.deepStrictEqual(Option.getOrThrow(yield* store.read), before)
        // The tokens that were not written are not revoked, because they belong to the same grant.
        assert.match(yield* result(yield* run({ ROUNDS: "2" })), /^token ey/)
      }),
    { grace: "1 minute" }
  )

  test("keep the unexpired token in an outage of Redis during a renewal, and then write the new one", ({
    grant,
    redis,
    store
  }) =>
    Effect.gen(function* () {
      const found = Option.getOrThrow(yield* store.read)
      const [now, accessToken] = [Date.now(), Redacted.make("unexpired")]
      yield* store.write({ ...grant, accessToken, sentAt: now - 600_000, expiresAt: now + 110_000 }, found.version)
      let isKilled = false
      const client = HttpClient.transform(yield* HttpClient.HttpClient, (effect, request) =>
        Effect.tap(effect, () => {
          if (!request.url.endsWith("/token") || isKilled) return Effect.void
          return Effect.andThen(
            redis.kill,
            Effect.sync(() => {
              isKilled = true
            })
          )
        })
      )
      const make = Effect.provideService(
        RefreshToken.make({ issuer: grant.issuer, clientId, authentication: ClientAuthentication.none }),
        HttpClient.HttpClient,
        client
      ).pipe(Effect.provideService(TokenStore, store))
      const { forget, get } = yield* make
      const first = yield* get()
      assert.strictEqual(Redacted.value(first.value), "unexpired")
      // The token expires in less than 2 minutes, so this renews it in the background.
      yield* get()
      yield* eventually(
        Effect.sync(() => isKilled),
        (isKilled) => isKilled
      )
      assert.strictEqual(Redacted.value((yield* get()).value), "unexpired")
      // An API refuses the token: now the outage is an error that says so.
      yield* forget(first)
      assert.deepInclude(yield* Effect.flip(get()), { _tag: "TokenUnavailable", reason: "Store" })
      yield* redis.start
      const token = yield* eventually(
        Effect.option(get()),
        (token) => Option.isSome(token) && Redacted.value(token.value.value) !== "unexpired"
      )
      const written = Option.getOrThrow(yield* store.read)
      assert.strictEqual(text(written.grant.accessToken), text(Option.getOrThrow(token).value))
      assert.deepStrictEqual(yield* used, [text(grant.refreshToken)])
    }))
})
