// Tokens of a user who has signed in: one use of each refresh token, across fibers and processes.
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Redacted, Scope } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import { ClientAuthentication, ClientError, RefreshToken, type StoredGrant, TokenStore } from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { settle, until } from "../support/settle.ts"
import { issuer, test as testWith } from "../support/testIssuers.ts"
import { clientId, count, refreshes, signIn } from "./support.ts"

const registration = { issuer, clientId, authentication: ClientAuthentication.none }

const test = (name: string, body: Parameters<typeof testWith>[1], options: Parameters<typeof testWith>[2] = {}) =>
  testWith(name, body, { clients: [{ clientId }], ...options })

/** A store with the grant of a user, which several sources may share. */
const signedIn = Effect.gen(function* () {
  const store = yield* Effect.provide(
    TokenStore.use((store) => Effect.succeed(store)),
    TokenStore.layerMemory
  )
  const grant = yield* signIn()
  yield* store.write(grant, undefined)
  const make = (options: Partial<RefreshToken.Options> = {}, other: Partial<TokenStore["Service"]> = {}) =>
    Effect.provideService(RefreshToken.make({ ...registration, ...options }), TokenStore, { ...store, ...other })
  const stored = Effect.map(store.read, (found) => Option.getOrThrow(found).grant)
  return { store, grant, make, stored }
})

/** Lets short times pass until so many requests were sent. */
const passing = <E, R>(count: Effect.Effect<number, E, R>, expected: number) =>
  until(Effect.andThen(TestClock.adjust("50 millis"), count), (count) => count === expected)

const textOf = (token: { readonly value: Redacted.Redacted }) => Redacted.value(token.value)
const refreshTokenOf = ({ refreshToken }: StoredGrant) => refreshToken && Redacted.value(refreshToken)

describe("a source over a stored grant", () => {
  test("uses the stored access token, and renews it for all that need one at once", () =>
    Effect.gen(function* () {
      const { grant, make, stored } = yield* signedIn
      const { get } = yield* make()
      assert.strictEqual(textOf(yield* get()), Redacted.value(grant.accessToken))
      assert.strictEqual(yield* count, 0)
      yield* TestClock.adjust("10 minutes")
      const tokens = yield* Effect.all(
        Array.from({ length: 10 }, () => get()),
        { concurrency: 10 }
      )
      assert.strictEqual(new Set(tokens.map(textOf)).size, 1)
      assert.strictEqual(yield* count, 1)
      assert.notStrictEqual(refreshTokenOf(yield* stored), refreshTokenOf(grant))
      assert.strictEqual(tokens[0]?.expiresAt, 1_200_000)
    }))

  test("reads the store again after it got the lock, so two processes refresh once", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { make } = yield* signedIn
      const [one, two] = [yield* make(), yield* make()]
      yield* one.get()
      yield* two.get()
      yield* TestClock.adjust("10 minutes")
      yield* respond("token", { delay: "1 second" })
      const fiber = yield* Effect.forkChild(Effect.all([one.get(), two.get()], { concurrency: 2 }))
      yield* until(count, (count) => count === 1)
      yield* TestClock.adjust("1 second")
      const [a, b] = yield* Fiber.join(fiber)
      assert.strictEqual(textOf(a), textOf(b))
      assert.strictEqual(yield* count, 1)
    }))

  test("renews in the background before the end", () =>
    Effect.gen(function* () {
      const { grant, make } = yield* signedIn
      const { get } = yield* make()
      yield* get()
      yield* TestClock.adjust("9 minutes")
      assert.strictEqual(textOf(yield* get()), Redacted.value(grant.accessToken))
      yield* until(count, (count) => count === 1)
      yield* until(get(), (token) => textOf(token) !== Redacted.value(grant.accessToken))
    }))

  test("uses a newer refresh token of the store after invalid_grant, and keeps the user signed in", () =>
    Effect.gen(function* () {
      const { make, store } = yield* signedIn
      const other = yield* signIn()
      // A process without the lock writes between the request and the second look.
      let reads = 0
      const read = Effect.suspend(() => {
        reads += 1
        if (reads !== 3) return store.read
        const change = Effect.flatMap(store.read, (found) =>
          store.write({ ...other, expiresAt: 0 }, Option.getOrUndefined(found)?.version)
        )
        return Effect.andThen(change, store.read)
      })
      const { get } = yield* make({}, { read })
      const [broken] = Option.toArray(yield* store.read)
      assert.isDefined(broken)
      yield* store.write({ ...broken.grant, refreshToken: Redacted.make("unknown"), expiresAt: 0 }, broken.version)
      const token = yield* get()
      assert.include(textOf(token), "ey")
      assert.deepStrictEqual(
        (yield* refreshes).map(({ refresh_token }) => refresh_token),
        ["unknown", refreshTokenOf(other)]
      )
    }))

  test("ends the grant after invalid_grant if the store is unchanged", () =>
    Effect.gen(function* () {
      const { grant, make, store } = yield* signedIn
      const { get, save } = yield* make()
      yield* TestIssuer.use(({ signOut }) => signOut)
      yield* TestClock.adjust("10 minutes")
      const error = yield* Effect.flip(get())
      assert.deepInclude(error, { _tag: "ReauthenticationRequired", error: "invalid_grant" })
      assert.isTrue(Option.isNone(yield* store.read))
      assert.deepInclude(yield* Effect.flip(get()), { error: "login_required" })
      assert.strictEqual(yield* count, 1)
      // A new sign-in works at once.
      yield* save({ ...grant, expiresAt: 1_200_000 })
      yield* get()
    }))

  test("ends the exchange and its write although the request was interrupted", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { grant, make, store } = yield* signedIn
      const scope = yield* Scope.make()
      const { get } = yield* Scope.provide(make(), scope)
      yield* TestClock.adjust("10 minutes")
      yield* respond("token", { delay: "3 seconds" })
      const fiber = yield* Effect.forkChild(get())
      yield* until(count, (count) => count === 1)
      yield* Fiber.interrupt(fiber)
      // The program ends, too. Its scope waits for the write.
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settle
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(closing)
      const [found] = Option.toArray(yield* store.read)
      assert.isDefined(found)
      assert.notStrictEqual(refreshTokenOf(found.grant), refreshTokenOf(grant))
      yield* respond("token", "normal")
      const again = yield* make()
      assert.strictEqual(textOf(yield* again.get()), Redacted.value(found.grant.accessToken))
      assert.strictEqual(yield* count, 1)
    }))

  test("writes the new tokens before a caller gets them, and writes again after a failure", () =>
    Effect.gen(function* () {
      const { make, store } = yield* signedIn
      let isFull = true
      const full = new ClientError.TokenStoreError({ operation: "write", cause: "ENOSPC" })
      // The store is full after the claim.
      const write: TokenStore["Service"]["write"] = (grant, expected) =>
        isFull && grant.expiresAt > 600_000 ? Effect.fail(full) : store.write(grant, expected)
      const { get } = yield* make({}, { write })
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* Effect.flip(get()), { _tag: "TokenUnavailable", reason: "Store" })
      isFull = false
      yield* TestClock.adjust("1 second")
      const token = yield* get()
      const [found] = Option.toArray(yield* store.read)
      assert.strictEqual(found && Redacted.value(found.grant.accessToken), textOf(token))
      // The refresh token was used once, although the first write failed.
      assert.strictEqual(yield* count, 1)
    }))

  test(
    "sends the same refresh token once more, soon, after a lost response",
    () =>
      Effect.gen(function* () {
        const { grant, make } = yield* signedIn
        let lost = 0
        const http = yield* HttpClient.HttpClient
        const lossy = HttpClient.transform(http, (effect, request) =>
          Effect.flatMap(effect, (response) => {
            if (!request.url.endsWith("/token") || lost > 0) return Effect.succeed(response)
            lost += 1
            const reason = new HttpClientError.TransportError({ request, cause: "ECONNRESET" })
            return Effect.fail(new HttpClientError.HttpClientError({ reason }))
          })
        )
        const { get } = yield* Effect.provideService(make(), HttpClient.HttpClient, lossy)
        yield* TestClock.adjust("10 minutes")
        const fiber = yield* Effect.forkChild(get())
        yield* passing(count, 2)
        assert.include(textOf(yield* Fiber.join(fiber)), "ey")
        assert.deepStrictEqual(
          (yield* refreshes).map(({ refresh_token }) => refresh_token),
          [refreshTokenOf(grant), refreshTokenOf(grant)]
        )
      }),
    { refreshTokens: { grace: "10 seconds" } }
  )

  test("keeps the user signed in while the authorization server is down", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { grant, make, store } = yield* signedIn
      const { get } = yield* make()
      yield* get()
      yield* respond("token", "unreachable")
      yield* TestClock.adjust("595 seconds")
      // The unexpired token stays in use.
      const waiting = yield* Effect.forkChild(get())
      yield* passing(count, 2)
      assert.strictEqual(textOf(yield* Fiber.join(waiting)), Redacted.value(grant.accessToken))
      yield* TestClock.adjust("6 hours")
      const failing = yield* Effect.forkChild(Effect.flip(get()))
      yield* passing(count, 4)
      assert.deepInclude(yield* Fiber.join(failing), { _tag: "TokenUnavailable", reason: "Unreachable" })
      assert.isTrue(Option.isSome(yield* store.read))
      yield* respond("token", "normal")
      yield* TestClock.adjust("1 minute")
      assert.include(textOf(yield* get()), "ey")
    }))

  test(
    "keeps a refresh token that the server does not rotate",
    () =>
      Effect.gen(function* () {
        const { grant, make, stored } = yield* signedIn
        const { get } = yield* make()
        yield* TestClock.adjust("10 minutes")
        yield* get()
        assert.strictEqual(refreshTokenOf(yield* stored), refreshTokenOf(grant))
      }),
    { refreshTokens: { rotate: false } }
  )

  test("renews exactly the token that an API has refused", () =>
    Effect.gen(function* () {
      const { make } = yield* signedIn
      const { forget, get } = yield* make()
      const first = yield* get()
      yield* forget(first)
      const second = yield* get()
      assert.notStrictEqual(textOf(second), textOf(first))
      yield* forget(first)
      assert.strictEqual(textOf(yield* get()), textOf(second))
      assert.strictEqual(yield* count, 1)
    }))

  test("needs the user for a scope that the grant does not include", () =>
    Effect.gen(function* () {
      const { make } = yield* signedIn
      const { get } = yield* make()
      yield* get({ scopes: ["items:write"] })
      const error = yield* Effect.flip(get({ scopes: ["items:write", "admin"] }))
      assert.deepInclude(error, { _tag: "ReauthenticationRequired", error: "insufficient_scope" })
      assert.strictEqual(yield* count, 0)
    }))

  test("uses no grant of another issuer or client", () =>
    Effect.gen(function* () {
      const { make } = yield* signedIn
      const { get } = yield* make({ clientId: "other" })
      assert.deepInclude(yield* Effect.flip(get()), { error: "login_required" })
      const other = yield* make({ issuer: "https://other.test", tokenUrl: `${issuer}/token` })
      assert.deepInclude(yield* Effect.flip(other.get()), { error: "login_required" })
    }))

  test("does not accept the ID token of another user", () =>
    Effect.gen(function* () {
      const { make, store } = yield* signedIn
      const alice = yield* signIn("openid items:read")
      const [stored] = Option.toArray(yield* store.read)
      const bob = yield* TestIssuer.use((issuer) => issuer.mint({ profile: "id-token", subject: "bob" }))
      yield* store.write({ ...alice, idToken: Redacted.make(bob), expiresAt: 0 }, stored?.version)
      const { get } = yield* make()
      assert.deepInclude(yield* Effect.flip(get()), { error: "login_required" })
      assert.isTrue(Option.isNone(yield* store.read))
    }))

  test("does not accept an ID token without the audience of the first one", () =>
    Effect.gen(function* () {
      const { make, store } = yield* signedIn
      const alice = yield* signIn("openid items:read")
      const [stored] = Option.toArray(yield* store.read)
      const first = yield* TestIssuer.use((issuer) =>
        issuer.mint({ profile: "id-token", subject: "demo", audience: [clientId, "partner"] })
      )
      yield* store.write({ ...alice, idToken: Redacted.make(first), expiresAt: 0 }, stored?.version)
      const { get } = yield* make()
      assert.deepInclude(yield* Effect.flip(get()), { error: "login_required" })
    }))

  test("revokes the grant at a sign-out, and gives no token afterwards", () =>
    Effect.gen(function* () {
      const { grant, make, store } = yield* signedIn
      const { get, signOut } = yield* make()
      yield* get()
      assert.isTrue(yield* signOut)
      const all = yield* TestIssuer.use(({ requests }) => requests)
      assert.deepInclude(all.at(-1)?.parameters, { token: refreshTokenOf(grant), token_type_hint: "refresh_token" })
      assert.isTrue(Option.isNone(yield* store.read))
      assert.deepInclude(yield* Effect.flip(get()), { error: "login_required" })
      assert.isFalse(yield* signOut)
    }))

  test("forgets the grant at a sign-out although the authorization server is down", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { make, store } = yield* signedIn
      const { get, signOut } = yield* make()
      yield* get()
      yield* respond("revocation", { status: 503 })
      assert.strictEqual((yield* Effect.flip(signOut))._tag, "TokenUnavailable")
      assert.isTrue(Option.isNone(yield* store.read))
      assert.deepInclude(yield* Effect.flip(get()), { error: "login_required" })
    }))

  test("does not use the refresh token if it has lost the lock, and uses the tokens of the new holder", () =>
    Effect.gen(function* () {
      const { grant, make, store, stored } = yield* signedIn
      const other = yield* make()
      yield* TestClock.adjust("10 minutes")
      // The process is paused when it has read the grant. The lock of a paused process ends.
      let isPaused = true
      const write: TokenStore["Service"]["write"] = (...args) =>
        Effect.suspend(() => {
          const isFirst = isPaused
          isPaused = false
          return Effect.andThen(isFirst ? Effect.orDie(other.get()) : Effect.void, store.write(...args))
        })
      const { get } = yield* make({}, { write, withLock: (self) => self })
      const token = yield* get()
      assert.strictEqual(textOf(token), Redacted.value((yield* stored).accessToken))
      assert.deepStrictEqual(
        (yield* refreshes).map(({ refresh_token }) => refresh_token),
        [refreshTokenOf(grant)]
      )
    }))

  test("does not use the refresh token if the store accepts no writes", () =>
    Effect.gen(function* () {
      const { make, store } = yield* signedIn
      const full = new ClientError.TokenStoreError({ operation: "write", cause: "OOM" })
      const { get } = yield* make({}, { write: () => Effect.fail(full) })
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* Effect.flip(get()), { _tag: "TokenUnavailable", reason: "Store" })
      assert.strictEqual(yield* count, 0)
      assert.isTrue(Option.isSome(yield* store.read))
    }))

  test("does not overwrite what another process has written since it lost the lock", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { make, store } = yield* signedIn
      const { get } = yield* make()
      yield* TestClock.adjust("10 minutes")
      yield* respond("token", { delay: "1 second" })
      const fiber = yield* Effect.forkChild(get())
      yield* until(count, (count) => count === 1)
      const claimed = Option.getOrThrow(yield* store.read)
      const other = { ...claimed.grant, accessToken: Redacted.make("other"), expiresAt: 2_000_000 }
      yield* store.write(other, claimed.version)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(textOf(yield* Fiber.join(fiber)), "other")
      assert.deepStrictEqual(Option.getOrThrow(yield* store.read).grant, other)
      const all = yield* TestIssuer.use(({ requests }) => requests)
      assert.notStrictEqual(all.at(-1)?.endpoint, "revocation")
    }))

  test("does not remove a grant that another process has claimed since it lost the lock", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { make, store } = yield* signedIn
      const { get } = yield* make()
      yield* TestClock.adjust("10 minutes")
      yield* respond("token", { status: 400, body: JSON.stringify({ error: "invalid_grant" }), delay: "1 second" })
      const fiber = yield* Effect.forkChild(Effect.flip(get()))
      yield* until(count, (count) => count === 1)
      const claimed = Option.getOrThrow(yield* store.read)
      yield* store.write(claimed.grant, claimed.version)
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "TokenUnavailable", reason: "Store" })
      assert.isTrue(Option.isSome(yield* store.read))
    }))

  test("takes a write whose answer was lost as done", () =>
    Effect.gen(function* () {
      const { make, store, stored } = yield* signedIn
      let writes = 0
      const lost = new ClientError.TokenStoreError({ operation: "write", cause: "Timeout" })
      // The first write is the claim.
      const write: TokenStore["Service"]["write"] = (...args) =>
        Effect.flatMap(store.write(...args), (version) => {
          writes += 1
          return writes === 2 ? Effect.fail(lost) : Effect.succeed(version)
        })
      const { get } = yield* make({}, { write })
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* Effect.flip(get()), { _tag: "TokenUnavailable", reason: "Store" })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(textOf(yield* get()), Redacted.value((yield* stored).accessToken))
      assert.strictEqual(yield* count, 1)
      const all = yield* TestIssuer.use(({ requests }) => requests)
      assert.notStrictEqual(all.at(-1)?.endpoint, "revocation")
    }))

  test("throws its new tokens away if the user signed out in the meantime", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { make, store } = yield* signedIn
      const { get } = yield* make()
      yield* TestClock.adjust("10 minutes")
      yield* respond("token", { delay: "1 second" })
      const fiber = yield* Effect.forkChild(Effect.flip(get()))
      yield* until(count, (count) => count === 1)
      // A process whose lock has ended does not wait.
      yield* store.remove()
      yield* TestClock.adjust("1 second")
      assert.deepInclude(yield* Fiber.join(fiber), { error: "login_required" })
      assert.isTrue(Option.isNone(yield* store.read))
      const all = yield* TestIssuer.use(({ requests }) => requests)
      assert.strictEqual(all.at(-1)?.endpoint, "revocation")
    }))
})
