// Random interleavings of processes that share a grant, with crashes, lost responses, interrupts and outages.
import { assert, describe } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Option, Random, Redacted, Scope } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest } from "effect/http"
import { ClientAuthentication, RefreshToken, TokenStore, type VersionedGrant } from "effect-oauth2/client"
import { TestClock } from "effect/testing"
import { settle, until } from "../support/settle.ts"
import { issuer, test } from "../support/testIssuers.ts"
import { clientId, refreshes, signIn } from "./support.ts"

/** Numbers between 0 and 1 that are the same in each run (Park and Miller, 1988). */
const random = (seed: number) => {
  let state = seed * 7919 + 1
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

interface Process {
  isAlive: boolean
  readonly source: RefreshToken.RefreshTokenSource
}

const lease = 60_000

/**
 * A grant in a store that several processes share. A process that is alive renews its lock, and the lock of a crashed
 * process ends after a minute.
 */
const world = (seed: number) =>
  Effect.gen(function* () {
    const next = random(seed)
    const http = yield* HttpClient.HttpClient
    let stored: VersionedGrant | undefined = { grant: yield* signIn(), version: "0" }
    let lock:
      { readonly owner: object; readonly holder: { readonly isAlive: boolean }; readonly until: number } | undefined
    let version = 0
    let running = 0
    /** Refresh tokens whose response may not have come to a process that is alive. */
    const lost = new Set<string>()
    const network = { loses: 0, isDown: false }

    const start = Effect.gen(function* () {
      const self = { isAlive: true }
      // A crashed process stops at its next step.
      const step = <A>(run: () => A) => Effect.suspend(() => (self.isAlive ? Effect.sync(run) : Effect.never))
      const store = TokenStore.of({
        read: step(() => Option.fromUndefinedOr(stored)),
        write: (grant, expected) =>
          step(() => {
            if (stored?.version !== expected) return Option.none()
            version += 1
            stored = { grant, version: String(version) }
            return Option.some(String(version))
          }),
        remove: (expected) =>
          step(() => {
            if (stored === undefined || (expected !== undefined && stored.version !== expected)) return false
            stored = undefined
            return true
          }),
        withLock: (effect) =>
          Effect.gen(function* () {
            const owner = {}
            const isLocked = Effect.map(
              Clock.currentTimeMillis,
              (now) => lock !== undefined && (lock.holder.isAlive || lock.until > now)
            )
            while (yield* isLocked) yield* Effect.sleep(50)
            const until = (yield* Clock.currentTimeMillis) + lease
            yield* step(() => {
              lock = { owner, holder: self, until }
            })
            return yield* Effect.ensuring(
              effect,
              step(() => {
                if (lock?.owner === owner) lock = undefined
              })
            )
          })
      })
      const isRefresh = (request: HttpClientRequest.HttpClientRequest) => request.url.endsWith("/token")
      const client = HttpClient.transform(http, (effect, request) =>
        Effect.gen(function* () {
          const reason = new HttpClientError.TransportError({ request, cause: "ECONNRESET" })
          const reset = Effect.fail(new HttpClientError.HttpClientError({ reason }))
          if (!self.isAlive) return yield* Effect.never
          if (network.isDown) return yield* reset
          const used = isRefresh(request) ? stored?.grant.refreshToken : undefined
          const response = yield* Effect.acquireUseRelease(
            Effect.sync(() => {
              running += 1
            }),
            () => effect,
            (_, exit) =>
              Effect.sync(() => {
                running -= 1
                // The time limit of the client ends the wait, and the server may have answered.
                if (Exit.isFailure(exit) && used !== undefined) lost.add(Redacted.value(used))
              })
          )
          if (!self.isAlive || (isRefresh(request) && network.loses > 0)) {
            network.loses -= self.isAlive ? 1 : 0
            if (used !== undefined) lost.add(Redacted.value(used))
            return yield* self.isAlive ? reset : Effect.never
          }
          return response
        })
      )
      const scope = yield* Scope.make()
      const registration = { issuer, clientId, authentication: ClientAuthentication.none }
      const source = yield* RefreshToken.make(registration).pipe(
        Scope.provide(scope),
        Effect.provideService(TokenStore, store),
        Effect.provideService(HttpClient.HttpClient, client)
      )
      return Object.assign(self, { source }) satisfies Process
    })

    const processes: Array<Process> = [yield* start, yield* start, yield* start]
    const idle = until(
      Effect.andThen(
        settle,
        Effect.sync(() => running)
      ),
      (running) => running === 0
    )
    const pick = () => Math.floor(next() * processes.length)

    const action = Effect.gen(function* () {
      const index = pick()
      const { source } = processes[index] ?? (yield* Effect.die("no process"))
      const fiber = yield* Effect.forkDetach(Effect.exit(source.get()))
      const what = next()
      if (what < 0.1) yield* Fiber.interrupt(fiber)
      if (what > 0.9) {
        // The crash comes after a random number of steps of the request.
        for (let turn = Math.floor(next() * 4); turn > 0; turn--) yield* settle
        const crashed = processes[index]
        if (crashed !== undefined) crashed.isAlive = false
        processes[index] = yield* start
        // A crashed process reads no response, and writes none that it has read.
        const isLost = running > 0 || (lock !== undefined && lock.holder === crashed)
        if (isLost && stored?.grant.refreshToken) lost.add(Redacted.value(stored.grant.refreshToken))
      }
      if (what > 0.4 && what < 0.5) network.loses = 1
      if (what > 0.5 && what < 0.6) network.isDown = !network.isDown
      if (what > 0.6 && what < 0.7) yield* source.forget(tokenOf(stored))
      if (next() < 0.6) yield* idle
      yield* TestClock.adjust(what < 0.3 ? "5 minutes" : "1100 millis")
      yield* idle
    })

    return { action, idle, lost, network, processes, isSignedIn: () => stored !== undefined }
  })

const tokenOf = (stored: VersionedGrant | undefined) => ({
  value: stored?.grant.accessToken ?? Redacted.make(""),
  type: "Bearer" as const,
  scopes: new Set<string>(),
  expiresAt: 0
})

const uses = Effect.map(refreshes, (all) => {
  const counts = new Map<string, number>()
  for (const { refresh_token: token = "" } of all) counts.set(token, (counts.get(token) ?? 0) + 1)
  return counts
})

describe("processes that share a grant", () => {
  for (let seed = 1; seed <= 40; seed++) {
    // The server forgives the second use of half of the runs, and revokes the grant in the others.
    const grace = seed % 2 === 0 ? "10 minutes" : 0
    test(
      `use each refresh token once, unless its response was lost (seed ${seed})`,
      () =>
        Effect.gen(function* () {
          const { action, idle, isSignedIn, lost, network, processes } = yield* world(seed)
          for (let turn = 0; turn < 25; turn++) yield* action
          Object.assign(network, { loses: 0, isDown: false })
          for (let second = 0; second < 150; second++) {
            yield* TestClock.adjust("1 second")
            if (second % 10 === 0) yield* idle
          }
          yield* idle
          for (const [token, count] of yield* uses) assert.isTrue(count === 1 || lost.has(token), `${token}: ${count}`)
          // Nobody is signed out by an outage, or by another process.
          if (lost.size === 0) assert.isTrue(isSignedIn())
          const survivor = processes[0]?.source ?? assert.fail()
          const fiber = yield* Effect.forkDetach(Effect.exit(survivor.get()))
          yield* idle
          yield* TestClock.adjust("2 seconds")
          const exit = yield* Fiber.join(fiber)
          assert.strictEqual(Exit.isSuccess(exit), isSignedIn())
        }).pipe(Random.withSeed(seed)),
      { clients: [{ clientId }], refreshTokens: { grace } }
    )
  }
})
