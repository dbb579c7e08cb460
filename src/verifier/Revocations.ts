/**
 * Refuses revoked tokens before they expire, in every process of a fleet.
 *
 * **When to use**
 *
 * Use if a token must stop working at once: a user logs out, an account is blocked, or a token has leaked. Without
 * revocations, a JWT is accepted until its `exp`.
 *
 * **Details**
 *
 * Every request checks its token, also if the token is cached. The response to a revoked token is that to any refused
 * token: a 401.
 *
 * | adapter | a revocation arrives | a request needs |
 * |---|---|---|
 * | `layerMemory`, for one process | at once | no command |
 * | `layerRedis` with a local copy (default) | within milliseconds, at most `maxAge` later | no command |
 * | `layerSql` with a local copy (default) | within a quarter of `maxAge`, at most `maxAge` later | no command |
 * | `layerRedis` or `layerSql` with `localCopy: false` | at once | a command for each id of the token |
 *
 * If the store does not answer, or if the local copy is older than `maxAge`, requests get 503 with `Retry-After`, never
 * 401. The option `whenUnavailable` changes this. Stores contain SHA-256 digests, and no token.
 *
 * | metric | value |
 * |---|---|
 * | `oauth2_revocations_age_seconds` | the age of the local copy |
 * | `oauth2_revocations` | the number of revocations in the local copy |
 * | `oauth2_revocation_checks_total` | checks with the outcome `Revoked`, `Unavailable` or `Unchecked` |
 * | `oauth2_store_failures_total` | failures of the store, by `store` and `reason` |
 *
 * **Example** (Refusing revoked tokens)
 *
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { JwtVerifier } from "effect-oauth2"
 * import * as Revocations from "effect-oauth2/Revocations"
 *
 * export const Verifier = JwtVerifier.layer({
 *   issuer: "https://idp.example.com",
 *   audience: "https://api.example.com"
 * }).pipe(
 *   Revocations.enforce,
 *   Layer.provideMerge(Revocations.layerRedis({ prefix: "items-api" })),
 *   Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379", disableOfflineQueue: true }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redis from "effect/persistence/Redis"
import type * as SqlClient from "effect/sql/SqlClient"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as commands from "../stores/commands.ts"
import type { RedisOptions } from "../stores/redisCommands.ts"
import type { RevocationsService, Target } from "../stores/revocationEntry.ts"
import { makeMemory, makeShared, type RevocationOptions, type SharedOptions } from "../stores/revocations.ts"
import * as revocationsRedis from "../stores/revocationsRedis.ts"
import * as revocationsSql from "../stores/revocationsSql.ts"
import type { StoreUnavailable } from "../stores/storeUnavailable.ts"
import * as revocable from "./cache/revocable.ts"
import { TokenVerifier } from "./TokenVerifier.ts"

export type { CommandOptions } from "../stores/commands.ts"
export type { RedisOptions } from "../stores/redisCommands.ts"
export type { Target } from "../stores/revocationEntry.ts"
export type { RevocationOptions, SharedOptions } from "../stores/revocations.ts"
export { StoreUnavailable } from "../stores/storeUnavailable.ts"

/**
 * Service that remembers revocations.
 *
 * **Example** (Using a list of your own)
 *
 * ```ts
 * import { Effect, Layer, Redacted } from "effect"
 * import * as Revocations from "effect-oauth2/Revocations"
 *
 * const blocked = new Set<string>()
 *
 * export const Blocked = Layer.succeed(Revocations.Revocations, {
 *   isRevoked: (token) => Effect.succeed(blocked.has(token.subject)),
 *   revoke: (target) =>
 *     Effect.sync(() => {
 *       if ("subject" in target) blocked.add(target.subject)
 *     })
 * })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class Revocations extends Context.Service<Revocations, RevocationsService>()("effect-oauth2/Revocations") {}

/**
 * Revokes tokens.
 *
 * **Details**
 *
 * Fails with `StoreUnavailable` if the store does not answer. The tokens may then be revoked in some processes, so
 * revoke them again.
 *
 * **Example** (Logging out)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { BearerToken, OAuth2 } from "effect-oauth2"
 * import * as Revocations from "effect-oauth2/Revocations"
 *
 * const auth = OAuth2.bearer("Items", {})
 *
 * export const logOut = Effect.gen(function* () {
 *   const { expiresAt } = yield* auth.token
 *   yield* Revocations.revoke({ token: yield* BearerToken, expiresAt })
 * })
 * ```
 *
 * **Example** (Blocking a user)
 *
 * ```ts
 * import * as Revocations from "effect-oauth2/Revocations"
 *
 * export const block = (subject: string) => Revocations.revoke({ issuer: "https://idp.example.com", subject })
 * ```
 *
 * @category revoking
 * @since 0.1.0
 */
export const revoke = (target: Target): Effect.Effect<void, StoreUnavailable, Revocations> =>
  Effect.flatMap(Revocations, (revocations) => revocations.revoke(target))

/**
 * Makes a verifier refuse revoked tokens.
 *
 * **Details**
 *
 * - The layer requires `Revocations`. A program without a store does not compile.
 * - A request with a revoked token fails with `InvalidToken`. If the store cannot decide, the request fails with
 *   `AuthorizationServerUnavailable` and the reason `StoreUnavailable`.
 * - `TokenVerifier.invalidate` reaches the other processes. They verify the token again.
 * - With a list in memory or a local copy, `auth.expiry` and the streams of `effect/rpc` end for a revoked token.
 *
 * **Gotchas**
 *
 * `localCopy` needs timers between requests. On Cloudflare Workers, set `localCopy: false`.
 *
 * **Example** (Refusing revoked tokens in one process)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { JwtVerifier } from "effect-oauth2"
 * import * as Revocations from "effect-oauth2/Revocations"
 *
 * export const Verifier = JwtVerifier.layer({
 *   issuer: "https://idp.example.com",
 *   audience: "https://api.example.com"
 * }).pipe(Revocations.enforce, Layer.provideMerge(Revocations.layerMemory()))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const enforce = <E, R>(
  verifier: Layer.Layer<TokenVerifier, E, R>
): Layer.Layer<TokenVerifier, E, R | Revocations> =>
  Layer.effect(
    TokenVerifier,
    Effect.gen(function* () {
      return yield* revocable.make(yield* TokenVerifier, yield* Revocations)
    })
  ).pipe(Layer.provide(verifier))

/**
 * Layer with revocations in the memory of one process.
 *
 * **Details**
 *
 * `capacity` is a number of revocations. If the list is full, `revoke` fails with `StoreUnavailable`. Default: 100 000.
 *
 * **Example** (Revoking in a test)
 *
 * ```ts
 * import * as Revocations from "effect-oauth2/Revocations"
 *
 * export const Test = Revocations.layerMemory({ maxTokenLifetime: "1 hour" })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (
  options: RevocationOptions & {
    /** Maximum number of revocations. If the list is full, `revoke` fails. Default: 100 000. */
    readonly capacity?: number
  } = {}
): Layer.Layer<Revocations, ConfigurationError> =>
  Layer.effect(
    Revocations,
    Effect.flatMap(commands.make("Revocations", {}), (commands) => makeMemory(options, commands))
  )

/**
 * Layer with revocations in Redis, or in a server with the protocol of Redis.
 *
 * **Details**
 *
 * The layer starts also if Redis is unreachable. Requests get 503 until it answers.
 *
 * | key | content |
 * |---|---|
 * | `<prefix>:v1:rev:{<kind>.<digest>}` | one revocation, which expires with its tokens |
 * | `<prefix>:v1:rev:{index}` | all revocations, by expiry |
 * | `<prefix>:v1:rev:{mark}` | changes with each revocation, so a poll reads the index only after a change |
 * | channel `<prefix>:v1:rev` | new revocations |
 *
 * If the server loses entries, the processes with a local copy write them again.
 *
 * **Gotchas**
 *
 * Set `maxmemory-policy noeviction`. Every other policy deletes revocations before they expire, without an error.
 *
 * **Example** (Looking up each token in Redis)
 *
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import * as Revocations from "effect-oauth2/Revocations"
 *
 * export const Revoked = Revocations.layerRedis({ prefix: "items-api", localCopy: false }).pipe(
 *   Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379", disableOfflineQueue: true }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRedis = (
  options: SharedOptions & RedisOptions & commands.CommandOptions = {}
): Layer.Layer<Revocations, ConfigurationError, Redis.Redis> =>
  Layer.effect(
    Revocations,
    Effect.gen(function* () {
      const own = ownProperties(options)
      const commandsOfStore = yield* commands.make("Revocations", own)
      return yield* makeShared(own, commandsOfStore, yield* revocationsRedis.make(own))
    })
  )

/**
 * Layer with revocations in the table `effect_oauth2_revocations` of a database. The layer creates the table.
 *
 * **Details**
 *
 * A database sends no notifications, so a local copy reads changes four times in each `maxAge`.
 *
 * **Example** (Keeping revocations in a database)
 *
 * ```ts
 * import * as Revocations from "effect-oauth2/Revocations"
 *
 * // Provide the SqlClient of your database.
 * export const Revoked = Revocations.layerSql({ localCopy: { maxAge: "5 seconds" } })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSql = (
  options: SharedOptions & commands.CommandOptions = {}
): Layer.Layer<Revocations, ConfigurationError | StoreUnavailable, SqlClient.SqlClient> =>
  Layer.effect(
    Revocations,
    Effect.gen(function* () {
      const own = ownProperties(options)
      const commandsOfStore = yield* commands.make("Revocations", own)
      return yield* makeShared(own, commandsOfStore, yield* revocationsSql.make(commandsOfStore))
    })
  )
