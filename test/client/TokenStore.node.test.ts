// The file of a grant: who can read it, what a crash leaves, and how processes wait for each other.
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Redacted } from "effect"
import { type FileOptions, type StoredGrant, TokenStore } from "effect-oauth2/client"
import { TestClock } from "effect/testing"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { settle, until } from "../support/settle.ts"

const grant: StoredGrant = {
  issuer: "https://issuer.test",
  clientId: "cli",
  accessToken: Redacted.make("access"),
  refreshToken: Redacted.make("refresh"),
  idToken: undefined,
  type: "Bearer",
  scopes: ["items:read"],
  sentAt: 0,
  expiresAt: 600_000
}

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-oauth2-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const open = (path: string, options: Pick<FileOptions, "lease" | "lockTimeout"> = {}) =>
  Effect.provide(
    TokenStore.use((store) => Effect.succeed(store)),
    TokenStore.layerFile({ path, ...options })
  ).pipe(Effect.provide(NodeServices.layer))

// Longer than the clock of a test runs while a busy machine reads and writes files.
const patient = { lease: "1 day", lockTimeout: "1 day" } as const

const modeOf = (path: string) => statSync(path).mode & 0o777

/** Runs turns of the event loop and of the clock until the fiber ends. */
const advance = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.gen(function* () {
    while (fiber.pollUnsafe() === undefined) {
      yield* TestClock.adjust("50 millis")
      // The clock must not outrun the file system, or the locks would end.
      for (let turn = 0; turn < 20; turn++) yield* settle
    }
    return yield* Fiber.await(fiber)
  })

describe("a file of tokens", () => {
  it.effect("is readable for its owner only, and holds one grant", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "config", "items", "tokens.json")
      const store = yield* open(path)
      assert.isTrue(Option.isNone(yield* store.read))
      assert.isTrue(Option.isSome(yield* store.write(grant, undefined)))
      if (process.platform !== "win32") {
        assert.strictEqual(modeOf(path), 0o600)
        assert.strictEqual(modeOf(join(path, "..")), 0o700)
      }
      const found = Option.getOrThrow(yield* (yield* open(path)).read)
      assert.deepStrictEqual(found.grant, grant)
      yield* store.write({ ...grant, idToken: Redacted.make("id") }, found.version)
      assert.deepStrictEqual(Option.getOrThrow(yield* store.read).grant.idToken, Redacted.make("id"))
      yield* store.remove()
      assert.isTrue(Option.isNone(yield* store.read))
      assert.deepStrictEqual(readdirSync(join(path, "..")), [])
    })
  )

  it.effect("is replaced at once: a crash leaves the old grant", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "tokens.json")
      const store = yield* open(path)
      yield* store.write(grant, undefined)
      const before = readFileSync(path, "utf8")
      // A crash between the two steps leaves a temporary file beside the old one.
      writeFileSync(`${path}.crashed.tmp`, '{"version":')
      assert.deepStrictEqual(Option.getOrThrow(yield* store.read).grant, grant)
      assert.strictEqual(readFileSync(path, "utf8"), before)
    })
  )

  it.effect("is not read if it is no grant, and its text is not shown", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "tokens.json")
      writeFileSync(path, '{"refresh_token":"very secret"}')
      const exit = yield* Effect.exit((yield* open(path)).read)
      assert.isTrue(Exit.isFailure(exit))
      assert.include(JSON.stringify(exit), "TokenStoreError")
      assert.notInclude(JSON.stringify(exit) + String(exit), "very secret")
      // A file that cannot be read can be removed.
      const store = yield* open(path)
      assert.isTrue(yield* store.remove())
      assert.isTrue(Option.isNone(yield* store.read))
    })
  )

  it.effect("lets one process at a time run with the lock", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "tokens.json")
      let running = 0
      let most = 0
      const work = Effect.gen(function* () {
        running += 1
        most = Math.max(most, running)
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        running -= 1
      })
      const stores = [yield* open(path, patient), yield* open(path, patient), yield* open(path, patient)]
      const all = Effect.forEach([...stores, ...stores, ...stores], (store) => store.withLock(work), {
        concurrency: 9
      })
      const exit = yield* advance(yield* Effect.forkChild(all))
      assert.isTrue(Exit.isSuccess(exit))
      assert.strictEqual(most, 1)
      assert.deepStrictEqual(readdirSync(join(path, "..")), [])
    })
  )

  it.effect("removes the lock of a crashed process after its lease, once", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "tokens.json")
      writeFileSync(`${path}.lock`, JSON.stringify({ owner: "crashed", until: 60_000 }))
      const stores = [yield* open(path, patient), yield* open(path, patient), yield* open(path, patient)]
      let running = 0
      let most = 0
      const work = Effect.gen(function* () {
        running += 1
        most = Math.max(most, running)
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
        running -= 1
      })
      const fiber = yield* Effect.forkChild(Effect.forEach(stores, (store) => store.withLock(work), { concurrency: 3 }))
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isSuccess(yield* advance(fiber)))
      assert.strictEqual(most, 1)
    })
  )

  it.effect("gives up waiting at the time limit, and when it is interrupted", () =>
    Effect.gen(function* () {
      const path = join(yield* directory, "tokens.json")
      const held = yield* open(path)
      const holder = yield* Effect.forkChild(held.withLock(Effect.never))
      const isLocked = Effect.sync(() => readdirSync(join(path, "..")).includes("tokens.json.lock"))
      yield* until(isLocked, (isLocked) => isLocked)
      const other = yield* open(path, { lockTimeout: "5 seconds" })
      const exit = yield* advance(yield* Effect.forkChild(other.withLock(Effect.void)))
      assert.include(JSON.stringify(exit), '"operation":"lock"')
      const waiting = yield* Effect.forkChild(other.withLock(Effect.void))
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interrupt(holder)
      assert.isFalse(yield* isLocked)
    })
  )

  it.effect("refuses options that are not valid", () =>
    Effect.gen(function* () {
      const cases = [
        ["path", { path: "" }],
        ["lease", { path: "x", lease: 10 }],
        ["lockTimeout", { path: "x", lockTimeout: Infinity }]
      ] as const
      for (const [setting, options] of cases) {
        const layer = TokenStore.layerFile(options)
        const error = yield* Effect.flip(Effect.provide(Effect.asVoid(TokenStore), layer))
        assert.deepInclude(error, { _tag: "ConfigurationError", setting })
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
