/** Keeps a grant with its key in the Secret Service of this session. Prints `done` at the end. */
import { NodeServices } from "@effect/platform-node"
import { AsyncEntry } from "@napi-rs/keyring"
import { Console, Context, Effect, Layer, Option, Redacted } from "effect"
import { type StoredGrant, TokenStore } from "effect-oauth2/client"
import assert from "node:assert/strict"
import { existsSync, readFileSync } from "node:fs"

const path = process.argv[2] ?? ""

const grant: StoredGrant = {
  issuer: "https://issuer.test",
  clientId: "cli",
  // Longer than the keychain of Windows accepts.
  accessToken: Redacted.make("access".repeat(1000)),
  refreshToken: Redacted.make("refresh"),
  idToken: undefined,
  type: "Bearer",
  scopes: ["items:read"],
  sentAt: 0,
  expiresAt: 600_000
}

const entry = new AsyncEntry("effect-oauth2 test", "https://issuer.test", { linux: { store: "secret-service" } })
const open = Effect.map(
  Layer.build(Layer.fresh(TokenStore.layerKeychain({ path, entry })).pipe(Layer.provide(NodeServices.layer))),
  (context) => Context.get(context, TokenStore)
)

const program = Effect.gen(function* () {
  const [first, second] = [yield* open, yield* open]
  assert.ok(Option.isNone(yield* first.read))
  const version = yield* first.withLock(first.write(grant, undefined))
  assert.deepEqual(Option.getOrThrow(yield* second.read), { grant, version: Option.getOrThrow(version) })
  const key = yield* Effect.promise(() => entry.getPassword())
  assert.match(key ?? "", /^[\w-]{43}$/)
  const text = readFileSync(path, "utf8")
  for (const secret of [key ?? "", "accessaccess", "refresh", "issuer.test"]) assert.ok(!text.includes(secret))
  assert.ok(yield* second.withLock(second.remove()))
  assert.equal(yield* Effect.promise(() => entry.getPassword()), null)
  assert.ok(!existsSync(path))
  assert.ok(Option.isNone(yield* first.read))
  yield* Console.log("done")
}).pipe(Effect.scoped)

await Effect.runPromise(program)
