/**
 * Stores the tokens that a user has granted to a client.
 *
 * **When to use**
 *
 * | the grant must survive | use |
 * |---|---|
 * | nothing | `TokenStore.layerMemory` |
 * | the end of a command | `TokenStore.layerFile` |
 * | a server, and be shared by several | your own implementation of `Store`, over a database with a lock |
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as file from "./store/file.ts"
import * as memory from "./store/memory.ts"
import type { Store } from "./store/model.ts"

export type { StoredGrant } from "./protocol/grant.ts"
export type { FileOptions } from "./store/file.ts"
export type { Store, VersionedGrant } from "./store/model.ts"

/**
 * Service that stores one grant. `RefreshToken` uses it.
 *
 * **Example** (Removing a grant)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { TokenStore } from "effect-oauth2/client"
 *
 * export const forget = TokenStore.use((store) => store.withLock(store.remove))
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
}
