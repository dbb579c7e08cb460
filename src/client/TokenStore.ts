/**
 * Stores the tokens that a user has granted to a client.
 *
 * **When to use**
 *
 * | the grant must survive | use |
 * |---|---|
 * | nothing | `TokenStore.layerMemory` |
 * | the end of a command | `TokenStore.layerFile`, or `TokenStore.layerKeychain` |
 * | a process of a server, and be shared by several | `TokenStore.layerRedis`, or `TokenStore.layerSql` |
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type * as Redis from "effect/persistence/Redis"
import type * as SqlClient from "effect/sql/SqlClient"
import type { ConfigurationError } from "../core/SecurityError.ts"
import type { StoreUnavailable } from "../stores/storeUnavailable.ts"
import * as file from "./store/file.ts"
import * as keychain from "./store/keychain.ts"
import * as memory from "./store/memory.ts"
import type { Store } from "./store/model.ts"
import * as redis from "./store/redis.ts"
import type { SharedOptions } from "./store/shared.ts"
import * as sql from "./store/sql.ts"

export type { StoredGrant } from "./protocol/grant.ts"
export { StoreUnavailable } from "../stores/storeUnavailable.ts"
export type { FileOptions } from "./store/file.ts"
export type { KeychainEntry, KeychainOptions } from "./store/keychain.ts"
export type { Store, VersionedGrant } from "./store/model.ts"
export type { RedisOptions } from "./store/redis.ts"
export type { SharedOptions } from "./store/shared.ts"

/**
 * Service that stores one grant. `RefreshToken` uses it.
 *
 * **Example** (Removing a grant)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { TokenStore } from "effect-oauth2/client"
 *
 * export const forget = TokenStore.use((store) => store.withLock(store.remove()))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class TokenStore extends Context.Service<TokenStore, Store>()("effect-oauth2/client/TokenStore") {
  /**
   * Layer that stores the grant in memory.
   *
   * **Example** (Starting without a grant)
   *
   * ```ts import.meta.vitest
   * import { Effect, Option } from "effect"
   * import { TokenStore } from "effect-oauth2/client"
   *
   * const program = TokenStore.use(({ read }) => Effect.map(read, Option.isSome))
   *
   * Effect.runSync(Effect.provide(program, TokenStore.layerMemory)) // => false
   * ```
   *
   * @since 0.1.0
   */
  static readonly layerMemory: Layer.Layer<TokenStore> = Layer.effect(TokenStore, memory.make)

  /**
   * Layer that stores the grant in a file.
   *
   * **Details**
   *
   * | rule | how |
   * |---|---|
   * | only the owner can read the file | mode 0600, in a directory with mode 0700 |
   * | a crash leaves the old grant or the new one | a new file is written, synchronized, and renamed |
   * | one process refreshes at a time | a lock file beside the file: `tokens.json.lock` |
   * | the lock of a crashed process ends | after `lease` |
   *
   * **Gotchas**
   *
   * The modes have no effect on Windows, where the directory of the user protects the file.
   *
   * **Example** (Storing the grant of a command)
   *
   * ```ts
   * import { NodeServices } from "@effect/platform-node"
   * import { Layer } from "effect"
   * import { TokenStore } from "effect-oauth2/client"
   * import { homedir } from "node:os"
   * import { join } from "node:path"
   *
   * export const Store = TokenStore.layerFile({ path: join(homedir(), ".config", "items", "tokens.json") }).pipe(
   *   Layer.provide(NodeServices.layer)
   * )
   * ```
   *
   * @since 0.1.0
   */
  static layerFile(
    options: file.FileOptions
  ): Layer.Layer<TokenStore, ConfigurationError, FileSystem.FileSystem | Path.Path> {
    return Layer.effect(TokenStore, file.make(ownProperties(options)))
  }

  /**
   * Layer that stores the grant in a file, encrypted with a key in the keychain of the operating system.
   *
   * **When to use**
   *
   * Use for a command on the machine of its user. Other programs of the user can read a file, and backups copy it. The
   * keychain gives the key to the user's session only.
   *
   * **Details**
   *
   * Pass an entry of the package `@napi-rs/keyring`, or an object with its methods. The first sign-in creates the key, and
   * a sign-out removes the key and the file. The file has the modes, the lock and the options of `layerFile`. A keychain
   * has no lock, and that of Windows refuses secrets of the length of tokens, so the tokens are in the file.
   *
   * **Gotchas**
   *
   * - If the keychain cannot be used, the store fails with `TokenStoreError`. This is usual over SSH and in containers.
   *   Let the user choose `layerFile` then.
   * - On Linux without Secret Service, `@napi-rs/keyring` uses the kernel, which forgets the key at a restart. The user
   *   then signs in again. `{ linux: { store: "secret-service" } }` fails instead.
   *
   * **Example** (Storing the grant of a command)
   *
   * ```ts
   * import { NodeServices } from "@effect/platform-node"
   * import { AsyncEntry } from "@napi-rs/keyring"
   * import { Layer } from "effect"
   * import { TokenStore } from "effect-oauth2/client"
   * import { homedir } from "node:os"
   * import { join } from "node:path"
   *
   * export const Store = TokenStore.layerKeychain({
   *   path: join(homedir(), ".config", "items", "tokens"),
   *   entry: new AsyncEntry("items", "https://idp.example.com")
   * }).pipe(Layer.provide(NodeServices.layer))
   * ```
   *
   * @since 0.1.0
   */
  static layerKeychain(
    options: keychain.KeychainOptions
  ): Layer.Layer<TokenStore, ConfigurationError, FileSystem.FileSystem | Path.Path> {
    return Layer.effect(TokenStore, keychain.make(ownProperties(options)))
  }

  /**
   * Layer that stores the grant in Redis, or in a server with the protocol of Redis, for several processes.
   *
   * **Details**
   *
   * | key | content |
   * |---|---|
   * | `<prefix>:v1:grant:{<digest>}` | a random version, and the grant, encrypted by AES-256-GCM. It does not expire |
   * | `<prefix>:v1:lock:{<digest>}` | the lock of a refresh, for `lease`. A process that is alive renews it |
   *
   * The digest is that of `name`. Operations fail with `TokenStoreError`, whose `cause` is `StoreUnavailable` if Redis
   * does not answer in time. `RefreshToken` then fails with `TokenUnavailable`, and an unexpired token stays in use.
   *
   * **Gotchas**
   *
   * - Set `maxmemory-policy noeviction` and `appendonly yes`. A lost grant signs its user out.
   * - A process that is paused for longer than `lease`, after it has sent the refresh token, loses its lock. Another
   *   process then sends the same refresh token.
   *
   * **Example** (Sharing the grant of a user)
   *
   * ```ts
   * import { NodeRedis } from "@effect/platform-node"
   * import { Layer, type Redacted } from "effect"
   * import { TokenStore } from "effect-oauth2/client"
   *
   * const Redis = NodeRedis.layer({ url: "redis://127.0.0.1:6379", disableOfflineQueue: true })
   *
   * export const storeOf = (userId: string, key: Redacted.Redacted) =>
   *   TokenStore.layerRedis({ name: userId, keys: key, prefix: "mailer" }).pipe(Layer.provide(Redis))
   * ```
   *
   * @since 0.1.0
   */
  static layerRedis(options: redis.RedisOptions): Layer.Layer<TokenStore, ConfigurationError, Redis.Redis> {
    return Layer.effect(TokenStore, redis.make(ownProperties(options)))
  }

  /**
   * Layer that stores the grant in a database, for several processes. The layer creates the tables
   * `effect_oauth2_grants` and `effect_oauth2_locks`.
   *
   * **Details**
   *
   * The grant is encrypted by AES-256-GCM, and its row has the digest of `name`. SQLite and PostgreSQL are supported. The
   * clock of each process decides about the end of a lock, so clocks must agree. Failures are those of `layerRedis`.
   *
   * **Example** (Sharing the grant of a user)
   *
   * ```ts
   * import type { Redacted } from "effect"
   * import { TokenStore } from "effect-oauth2/client"
   *
   * // Provide the SqlClient of your database.
   * export const storeOf = (userId: string, key: Redacted.Redacted) => TokenStore.layerSql({ name: userId, keys: key })
   * ```
   *
   * @since 0.1.0
   */
  static layerSql(
    options: SharedOptions
  ): Layer.Layer<TokenStore, ConfigurationError | StoreUnavailable, SqlClient.SqlClient> {
    return Layer.effect(TokenStore, sql.make(ownProperties(options)))
  }
}
