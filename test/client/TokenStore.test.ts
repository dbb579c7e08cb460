/** One suite for every store of a grant: memory, file, keychain, a real Redis and a real SQLite. */
import { NodeRedis, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Option, Redacted, type Scope } from "effect"
import { type KeychainEntry, type SharedOptions, type StoredGrant, TokenStore } from "effect-oauth2/client"
import * as SqlClient from "effect/sql/SqlClient"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eventually } from "../support/eventually.ts"
import { fleets } from "../support/fleets.ts"
import * as nodeSqlite from "../support/nodeSqlite.ts"
import { layerClient, missing, RedisServer } from "../support/redisServer.ts"

const grant: StoredGrant = {
  issuer: "https://issuer.test",
  clientId: "worker",
  accessToken: Redacted.make("access-1"),
  refreshToken: Redacted.make("refresh-1"),
  idToken: Redacted.make("id-1"),
  type: "DPoP",
  scopes: ["items:read", "offline_access"],
  sentAt: 1,
  expiresAt: 600_000
}
const without: StoredGrant = { ...grant, refreshToken: undefined, idToken: undefined, type: "Bearer", scopes: [] }

type Store = TokenStore["Service"]

const [one, two] = [Redacted.make("1".repeat(32)), Redacted.make("2".repeat(32))]
const options = { keys: one, name: "alice", timeout: "5 seconds" } as const

const build = <E>(layer: Layer.Layer<TokenStore, E>) =>
  Effect.map(Effect.orDie(Layer.build(Layer.fresh(layer))), (context) => Context.get(context, TokenStore))
const twoOf = <E>(layer: Layer.Layer<TokenStore, E>) => Effect.all([build(layer), build(layer)])

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-oauth2-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** An entry of a keychain in memory. */
class Entry implements KeychainEntry {
  text: string | undefined
  isLocked = false
  readonly #do = <A>(run: () => A): Promise<A> =>
    this.isLocked ? Promise.reject(new Error("The keychain is locked.")) : Promise.resolve(run())
  readonly getPassword = () => this.#do(() => this.text)
  readonly setPassword = (text: string) =>
    this.#do(() => {
      this.text = text
    })
  readonly deletePassword = () =>
    this.#do(() => {
      this.text = undefined
    })
}

const onNode = <E>(
  layer: Layer.Layer<TokenStore, E, Layer.Success<typeof NodeServices.layer>>
): Layer.Layer<TokenStore, E> => Layer.provide(layer, NodeServices.layer)

const adapters = [
  ...fleets(TokenStore, {
    memory: TokenStore.layerMemory,
    redis: TokenStore.layerRedis(options),
    sql: TokenStore.layerSql(options)
  }),
  {
    name: "a file",
    isMissing: false,
    stores: Effect.flatMap(directory, (path) => twoOf(onNode(TokenStore.layerFile({ path: join(path, "tokens") }))))
  },
  {
    name: "a file with a key in the keychain",
    isMissing: false,
    stores: Effect.flatMap(directory, (path) =>
      twoOf(onNode(TokenStore.layerKeychain({ path: join(path, "tokens"), entry: new Entry() })))
    )
  }
]

for (const { isMissing, name, stores } of adapters) {
  const test = (name: string, body: (first: Store, second: Store) => Effect.Effect<void, unknown, Scope.Scope>) =>
    it.live(name, () => Effect.scoped(Effect.flatMap(stores, ([first, second]) => body(first, second))), 30_000)

  const stored = (store: Store) => Effect.map(store.read, Option.getOrThrow)

  describe.skipIf(isMissing)(`a grant in ${name}`, () => {
    test("is read as it was written, by every process", (first, second) =>
      Effect.gen(function* () {
        assert.isTrue(Option.isNone(yield* first.read))
        const version = Option.getOrThrow(yield* first.write(grant, undefined))
        assert.deepStrictEqual(yield* stored(second), { grant, version })
        const next = Option.getOrThrow(yield* second.write(without, version))
        assert.notStrictEqual(next, version)
        assert.deepStrictEqual(yield* stored(first), { grant: without, version: next })
      }))

    test("is replaced only by a write that expects the stored version", (first, second) =>
      Effect.gen(function* () {
        const version = Option.getOrThrow(yield* first.write(grant, undefined))
        const newer = { ...grant, refreshToken: Redacted.make("newer") }
        assert.isTrue(Option.isSome(yield* second.write(newer, version)))
        for (const expected of [version, undefined, "", "another"]) {
          assert.isTrue(Option.isNone(yield* first.write(grant, expected)), `${expected}`)
        }
        assert.deepStrictEqual((yield* stored(first)).grant, newer)
        yield* first.remove()
        // A late write does not bring a removed grant back.
        assert.isTrue(Option.isNone(yield* second.write(grant, version)))
        assert.isTrue(Option.isNone(yield* second.read))
      }))

    test("is removed with any version, or with the stored one only", (first, second) =>
      Effect.gen(function* () {
        assert.isFalse(yield* first.remove())
        assert.isFalse(yield* first.remove("a version"))
        const before = Option.getOrThrow(yield* first.write(grant, undefined))
        const version = Option.getOrThrow(yield* second.write(grant, before))
        assert.isFalse(yield* first.remove(before))
        assert.isTrue(Option.isSome(yield* second.read))
        assert.isTrue(yield* first.remove(version))
        assert.isTrue(Option.isNone(yield* second.read))
        yield* second.write(grant, undefined)
        assert.isTrue(yield* first.remove())
        assert.isTrue(Option.isNone(yield* second.read))
      }))

    test("is written by one of several that run with the lock at a time", (first, second) =>
      Effect.gen(function* () {
        yield* first.write({ ...grant, expiresAt: 0 }, undefined)
        const add = (store: Store) =>
          store.withLock(
            Effect.gen(function* () {
              const { grant, version } = yield* stored(store)
              yield* Effect.yieldNow
              assert.isTrue(
                Option.isSome(yield* store.write({ ...grant, expiresAt: grant.expiresAt + 1 }, version)),
                "Another one has written."
              )
            })
          )
        yield* Effect.forEach([first, second, first, second], add, { concurrency: 4 })
        assert.strictEqual((yield* stored(first)).grant.expiresAt, 4)
      }))

    test("keeps the errors of an effect with the lock, and is free afterwards", (first, second) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* Effect.flip(first.withLock(Effect.fail("failed"))), "failed")
        const exit = yield* Effect.exit(first.withLock(Effect.die("defect")))
        assert.include(JSON.stringify(exit), "defect")
        assert.strictEqual(yield* second.withLock(Effect.succeed("done")), "done")
      }))
  })
}

/** Stores that several servers share, and everything that they contain. */
const shared = [
  {
    name: "Redis",
    isMissing: missing,
    make: Effect.gen(function* () {
      const server = yield* RedisServer.make
      const dump = Effect.gen(function* () {
        const keys = (yield* server.command("KEYS", "*")) as ReadonlyArray<string>
        const values = yield* Effect.forEach(keys, (key) => server.command("GET", key))
        return { keys, text: JSON.stringify([keys, values]) }
      })
      const layer = (other: Partial<SharedOptions>) =>
        TokenStore.layerRedis({ ...options, prefix: "mailer", ...other }).pipe(Layer.provide(layerClient(server.port)))
      /** Writes the grant of alice, whose content is longer, over all others. */
      const copy = Effect.gen(function* () {
        const { keys } = yield* dump
        const lengths = yield* Effect.forEach(keys, (key) => Effect.map(server.command("STRLEN", key), Number))
        const from = keys[lengths.indexOf(Math.max(...lengths))] ?? ""
        for (const to of keys) if (to !== from) yield* server.command("COPY", from, to, "REPLACE")
      })
      return { layer, dump, copy }
    })
  },
  {
    name: "SQLite",
    isMissing: false,
    make: Effect.gen(function* () {
      const client = yield* Layer.build(nodeSqlite.layer(yield* nodeSqlite.file))
      const sql = Context.get(client, SqlClient.SqlClient)
      const dump = Effect.gen(function* () {
        const grants = yield* sql<{ readonly id: string }>`SELECT * FROM effect_oauth2_grants`
        const locks = yield* sql<{ readonly id: string }>`SELECT * FROM effect_oauth2_locks`
        return {
          keys: [
            ...grants.map(({ id }) => `mailer:v1:grant:{${id}}`),
            ...locks.map(({ id }) => `mailer:v1:lock:{${id}}`)
          ],
          text: JSON.stringify([grants, locks], (_, value: unknown) => (typeof value === "bigint" ? `${value}` : value))
        }
      })
      const layer = (other: Partial<SharedOptions>) =>
        TokenStore.layerSql({ ...options, ...other }).pipe(Layer.provide(Layer.succeedContext(client)))
      const copy = sql`UPDATE effect_oauth2_grants SET content =
        (SELECT content FROM effect_oauth2_grants ORDER BY rowid DESC LIMIT 1)`
      return { layer, dump, copy }
    })
  }
]

for (const { isMissing, make, name } of shared) {
  describe.skipIf(isMissing)(`a grant in ${name}, at rest`, () => {
    it.live("shows no token, user or issuer to those who can read the store", () =>
      Effect.gen(function* () {
        const { dump, layer } = yield* make
        const store = yield* build(layer({}))
        yield* store.write(grant, undefined)
        const { keys, text } = yield* store.withLock(dump)
        assert.strictEqual(keys.length, 2)
        for (const key of keys) assert.match(key, /^mailer:v1:(?:grant|lock):\{[\w-]{43}\}$/)
        for (const secret of ["access-1", "refresh-1", "id-1", "alice", "issuer.test", "worker", "items:read"]) {
          assert.notInclude(text, secret)
          assert.notInclude(text, btoa(secret).replace(/=+$/, "").slice(0, -1))
        }
      }).pipe(Effect.scoped)
    )

    it.live("belongs to its name: each user has another grant", () =>
      Effect.gen(function* () {
        const { layer } = yield* make
        const [alice, bob] = [yield* build(layer({})), yield* build(layer({ name: "bob" }))]
        yield* alice.write(grant, undefined)
        assert.isTrue(Option.isNone(yield* bob.read))
        yield* bob.write(without, undefined)
        yield* alice.withLock(bob.withLock(bob.remove()))
        assert.isTrue(Option.isSome(yield* alice.read))
      }).pipe(Effect.scoped)
    )

    it.live("is read with every key of the list, and written with the first", () =>
      Effect.gen(function* () {
        const { layer } = yield* make
        const [before, during, after] = [
          yield* build(layer({})),
          yield* build(layer({ keys: [two, one] })),
          yield* build(layer({ keys: two }))
        ]
        const version = Option.getOrThrow(yield* before.write(grant, undefined))
        assert.isTrue(Option.isSome(yield* during.read))
        const error = yield* Effect.flip(after.read)
        assert.deepInclude(error, { _tag: "TokenStoreError", operation: "read" })
        assert.include(String(error.cause), "Add the former key, or remove the grant and sign in again.")
        assert.notInclude(String(error.cause), "access-1")
        yield* during.write(grant, version)
        assert.isTrue(Option.isSome(yield* after.read))
        assert.isTrue(Exit.isFailure(yield* Effect.exit(before.read)))
        // A grant that cannot be read can be removed.
        assert.isTrue(yield* before.remove())
      }).pipe(Effect.scoped)
    )

    it.live("does not open as the grant of another user after a copy from entry to entry", () =>
      Effect.gen(function* () {
        const { copy, layer } = yield* make
        const [alice, bob] = [yield* build(layer({})), yield* build(layer({ name: "bob" }))]
        yield* bob.write(without, undefined)
        yield* alice.write(grant, undefined)
        yield* copy
        assert.isTrue(Option.isSome(yield* alice.read))
        assert.strictEqual((yield* Effect.flip(bob.read)).operation, "read")
      }).pipe(Effect.scoped)
    )

    it.effect("needs keys, a name and a lease that are valid", () =>
      Effect.gen(function* () {
        const { layer } = yield* make
        for (const [setting, other] of [
          ["keys", { keys: Redacted.make("short") }],
          ["name", { name: "" }],
          ["lease", { lease: "10 millis" }],
          ["timeout", { timeout: -1 }]
        ] as const) {
          const error = yield* Effect.flip(Effect.scoped(Layer.build(layer(other))))
          assert.deepInclude(error, { _tag: "ConfigurationError", setting })
        }
      }).pipe(Effect.scoped)
    )
  })
}

describe.skipIf(missing)("a grant in a real Redis", () => {
  it.live("needs no more rights than the guide gives to its user", () =>
    Effect.gen(function* () {
      const server = yield* RedisServer.make
      const guide = readFileSync(new URL("../../docs/guides/client.md", import.meta.url), "utf8")
      const acl = guide.split("\n").find((line) => line.startsWith("ACL SETUSER")) ?? ""
      yield* server.command(...acl.split(" "))
      const client = NodeRedis.layer({
        username: "mailer",
        password: "password",
        socket: { host: "127.0.0.1", port: server.port }
      })
      const store = yield* build(
        TokenStore.layerRedis({ ...options, prefix: "mailer", lease: "1 second" }).pipe(Layer.provide(client))
      )
      yield* store.withLock(
        Effect.gen(function* () {
          const version = Option.getOrThrow(yield* store.write(grant, undefined))
          yield* Effect.sleep("400 millis")
          assert.isTrue(Option.isSome(yield* store.write(grant, version)))
        })
      )
      assert.isTrue(Option.isSome(yield* store.read))
      assert.isTrue(yield* store.remove())
      const [{ _tag }, others] = [
        yield* Effect.flip(store.withLock(Effect.fail({ _tag: "Mine" as const }))),
        yield* build(TokenStore.layerRedis({ ...options, prefix: "other" }).pipe(Layer.provide(client)))
      ]
      assert.strictEqual(_tag, "Mine")
      assert.strictEqual((yield* Effect.flip(others.read)).operation, "read")
    }).pipe(Effect.scoped)
  )

  const outages = {
    killed: { begin: (server: RedisServer) => server.kill, end: (server: RedisServer) => server.start },
    frozen: { begin: (server: RedisServer) => server.freeze, end: (server: RedisServer) => server.thaw },
    demoted: {
      begin: (server: RedisServer) => server.command("REPLICAOF", "127.0.0.1", "1"),
      end: (server: RedisServer) => server.command("REPLICAOF", "NO", "ONE")
    }
  }
  for (const [name, { begin, end }] of Object.entries(outages)) {
    it.live(
      `if Redis is ${name}, every operation fails in time, and works again later`,
      () =>
        Effect.gen(function* () {
          const server = yield* RedisServer.durable
          const store = yield* build(
            TokenStore.layerRedis({ ...options, timeout: "250 millis" }).pipe(Layer.provide(server.client()))
          )
          yield* store.write(grant, undefined)
          yield* begin(server)
          const cause = (self: Effect.Effect<unknown, { readonly operation: string; readonly cause: unknown }>) =>
            Effect.match(self, {
              onFailure: ({ cause, operation }) => `${operation}: ${(cause as { readonly _tag: string })._tag}`,
              onSuccess: () => "success"
            })
          const [duration, outcomes] = yield* Effect.timed(
            Effect.all([
              cause(store.read),
              cause(store.write(grant, undefined)),
              cause(store.remove()),
              cause(store.withLock(Effect.void))
            ])
          )
          assert.deepStrictEqual(
            outcomes,
            ["read", "write", "remove", "lock"].map((operation) => `${operation}: StoreUnavailable`)
          )
          assert.isBelow(Duration.toMillis(duration), 3000)
          yield* end(server)
          yield* eventually(cause(store.read), (tag) => tag === "success")
          assert.deepStrictEqual(Option.getOrThrow(yield* store.read).grant, grant)
        }).pipe(Effect.scoped),
      40_000
    )
  }
})

describe("a grant with a key in the keychain", () => {
  const make = Effect.gen(function* () {
    const path = join(yield* directory, "items", "tokens")
    const entry = new Entry()
    const open = build(onNode(TokenStore.layerKeychain({ path, entry })))
    return { path, entry, open, store: yield* open }
  })

  it.live("is in a file that only its owner can read, without a readable token", () =>
    Effect.gen(function* () {
      const { entry, path, store } = yield* make
      yield* store.write(grant, undefined)
      if (process.platform !== "win32") assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      const text = readFileSync(path, "utf8")
      for (const secret of ["access-1", "refresh-1", "id-1", "issuer.test", entry.text ?? "", "offline_access"]) {
        assert.notInclude(text, secret)
      }
      assert.match(entry.text ?? "", /^[\w-]{43}$/)
    }).pipe(Effect.scoped)
  )

  it.live("ends with its key: a sign-out removes both, and the next sign-in makes another key", () =>
    Effect.gen(function* () {
      const { entry, path, store } = yield* make
      yield* store.write(grant, undefined)
      const key = entry.text
      yield* store.remove()
      assert.isUndefined(entry.text)
      assert.deepStrictEqual(readdirSync(join(path, "..")), [])
      yield* store.write(grant, undefined)
      assert.isDefined(entry.text)
      assert.notStrictEqual(entry.text, key)
    }).pipe(Effect.scoped)
  )

  it.live("is no grant any more if the keychain has lost the key, so the user can sign in again", () =>
    Effect.gen(function* () {
      const { entry, open, store } = yield* make
      yield* store.write(grant, undefined)
      entry.text = undefined
      assert.isTrue(Option.isNone(yield* store.read))
      assert.isTrue(Option.isSome(yield* store.write(grant, undefined)))
      assert.deepStrictEqual(Option.getOrThrow(yield* (yield* open).read).grant, grant)
    }).pipe(Effect.scoped)
  )

  it.live("stays while the keychain is locked: every operation fails with a typed error", () =>
    Effect.gen(function* () {
      const { entry, store } = yield* make
      const version = Option.getOrThrow(yield* store.write(grant, undefined))
      entry.isLocked = true
      const operations = [store.read, store.write(grant, version)] as ReadonlyArray<
        Effect.Effect<unknown, { readonly _tag: string }>
      >
      for (const operation of operations) assert.strictEqual((yield* Effect.flip(operation))._tag, "TokenStoreError")
      entry.isLocked = false
      assert.isTrue(Option.isSome(yield* store.write(grant, version)))
    }).pipe(Effect.scoped)
  )

  it.live("says that the keychain does not work also if no grant is stored", () =>
    Effect.gen(function* () {
      const { entry, store } = yield* make
      entry.isLocked = true
      assert.deepInclude(yield* Effect.flip(store.read), { _tag: "TokenStoreError", operation: "read" })
    }).pipe(Effect.scoped)
  )

  it.live("does not use an entry that has another content", () =>
    Effect.gen(function* () {
      const { entry, store } = yield* make
      entry.text = "a password"
      const error = yield* Effect.flip(store.write(grant, undefined))
      assert.include(String(error.cause), "Use an entry of its own.")
      assert.strictEqual(entry.text, "a password")
    }).pipe(Effect.scoped)
  )

  it.effect("needs an entry", () =>
    Effect.gen(function* () {
      const layer = onNode(TokenStore.layerKeychain({ path: "tokens", entry: {} as KeychainEntry }))
      assert.deepInclude(yield* Effect.flip(Layer.build(layer)), { _tag: "ConfigurationError", setting: "entry" })
    }).pipe(Effect.scoped)
  )
})
