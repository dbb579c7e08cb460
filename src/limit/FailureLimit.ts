/**
 * Limits the failed authentications of each client.
 *
 * **When to use**
 *
 * Use if strangers can reach your API, and nothing in front of it limits their requests. Each invented token costs a
 * verification, and with `TokenIntrospection` a request to the authorization server. Without this layer, nothing is
 * limited.
 *
 * **Details**
 *
 * A client that has failed `limit` times in `window` gets 429 with `Retry-After`, before its token is verified. The client
 * is the remote address of the request: an IPv4 address, or the first 64 bits of an IPv6 address.
 *
 * | request | counts |
 * |---|---|
 * | a token or credentials that are refused (`InvalidToken`, `InvalidRequest`) | yes |
 * | accepted, without credentials, or without a required scope | no |
 * | an outage of the authorization server or of a store (503) | no |
 *
 * If the store of the counts is unavailable, each process counts the failures that it sees itself. The counter
 * `oauth2_failure_limit_total` has the outcomes `Counted`, `Uncounted` and `Refused`.
 *
 * **Gotchas**
 *
 * - Behind a proxy, the remote address is that of the proxy, so all clients share one limit. Use
 *   `HttpMiddleware.xForwardedHeaders` with `trustedProxies` around the router. Do not trust a header that clients can set.
 * - Users behind one address share its limit. Their valid tokens get 429, too.
 * - Requests without a remote address, such as those of a web handler, are not limited.
 * - The typed client of an `HttpApi` does not decode the 429 response. It fails with the status of the response.
 * - The calls of a WebSocket count, but only a new request is refused.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as OpenApi from "effect/http-api/OpenApi"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as commands from "../stores/commands.ts"
import * as hash from "../stores/hash.ts"
import { BoundedKeys } from "./boundedKeys.ts"
import * as middleware from "./middleware.ts"
import * as limits from "./options.ts"
import { response } from "./response.ts"

export type { CommandOptions } from "../stores/commands.ts"
export type { Options } from "./options.ts"

/**
 * Middleware for routes that counts the failures of each client in the memory of one process.
 *
 * **Details**
 *
 * The counts are those of Effect's `RateLimiter`, with a bounded number of keys (`capacity`). An invalid option fails the
 * layer with a `ConfigurationError`.
 *
 * **Gotchas**
 *
 * Provide the layer after the requirement. Inside a requirement, the first request dies with an explanation.
 *
 * **Example** (Limiting the failures of each client)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import * as FailureLimit from "effect-oauth2/FailureLimit"
 * import { auth } from "./auth.ts"
 *
 * export const Items = HttpRouter.add("GET", "/items", HttpServerResponse.jsonUnsafe([])).pipe(
 *   auth.require("items:read"),
 *   Layer.provide(FailureLimit.layerMemory({ limit: 20, window: "1 minute" }))
 * )
 * ```
 *
 * @see {@link layer} for several processes
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (options: limits.Options = {}): Layer.Layer<never, ConfigurationError> =>
  middleware.layer(
    Effect.gen(function* () {
      const checked = yield* limits.check(ownProperties(options))
      return { options: checked, counters: [yield* localCounter(checked)] }
    })
  )

const Local = RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))

/** Counts in the memory of this process, with a bounded number of keys. */
const localCounter = ({ capacity, window }: limits.CheckedOptions): Effect.Effect<middleware.Counter> =>
  Effect.map(Effect.scoped(Layer.build(Layer.fresh(Local))), (context) => {
    const keys = new BoundedKeys(capacity, Duration.toMillis(window))
    return {
      limiter: Context.get(context, RateLimiter.RateLimiter),
      keyOf: (client, now) => Effect.succeed(keys.keyOf(client, now)),
      run: (command) => command
    }
  })

/**
 * Middleware for routes that counts the failures of each client with the `RateLimiter` in the context, for example in
 * Redis.
 *
 * **Details**
 *
 * - The keys are `failed:v1:{<digest>}`, with a SHA-256 digest of the client. The store contains no address.
 * - Each failed authentication costs one command. Other requests need no command: each process remembers which clients
 *   are over the limit. A process learns this from the first failure that it sees itself.
 * - `timeout` is the time limit of a command. If the store does not answer, the failure counts in the process alone.
 *
 * **Gotchas**
 *
 * `RateLimiter.layerStoreMemory` of Effect keeps every key for ever. Use `layerMemory` instead.
 *
 * **Example** (Counting for all processes in Redis)
 *
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { RateLimiter } from "effect/persistence"
 * import * as FailureLimit from "effect-oauth2/FailureLimit"
 *
 * export const Limit = FailureLimit.layer({ limit: 20, window: "1 minute" }).pipe(
 *   Layer.provide(RateLimiter.layer),
 *   Layer.provide(RateLimiter.layerStoreRedis({ prefix: "items-api:" })),
 *   Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379", disableOfflineQueue: true }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: limits.Options & commands.CommandOptions = {}
): Layer.Layer<never, ConfigurationError, RateLimiter.RateLimiter> =>
  middleware.layer(
    Effect.gen(function* () {
      const own = ownProperties(options)
      const checked = yield* limits.check(own)
      const { run } = yield* commands.make("FailureLimit", own)
      const shared: middleware.Counter = {
        limiter: yield* RateLimiter.RateLimiter,
        keyOf: (client) => hash.of("client", client),
        run
      }
      return { options: checked, counters: [shared, yield* localCounter(checked)] }
    })
  )

/**
 * Adds the 429 response to each operation of an OpenAPI document that has a security requirement.
 *
 * **When to use**
 *
 * Use for the document of an `HttpApi`. The documents of routes have the response already.
 *
 * **Example** (Describing the limit of an api)
 *
 * ```ts
 * import { HttpApi, OpenApi } from "effect/http-api"
 * import * as FailureLimit from "effect-oauth2/FailureLimit"
 *
 * export const api = HttpApi.make("items").annotate(OpenApi.Transform, (document) =>
 *   FailureLimit.document(document as OpenApi.OpenAPISpec)
 * )
 * ```
 *
 * @category OpenAPI
 * @since 0.1.0
 */
export const document = (document: OpenApi.OpenAPISpec): OpenApi.OpenAPISpec => {
  const isProtected = (operation: unknown): operation is OpenApi.OpenAPISpecOperation => {
    const { responses, security = document.security } = operation as Partial<OpenApi.OpenAPISpecOperation>
    return responses !== undefined && security !== undefined && security.length > 0
  }
  const paths = Object.entries(document.paths).map(([path, item]) => [
    path,
    Object.fromEntries(
      Object.entries(item).map(([name, operation]) => [
        name,
        isProtected(operation) ? { ...operation, responses: { "429": response, ...operation.responses } } : operation
      ])
    )
  ])
  // Safe cast: every operation has its other fields.
  return { ...document, paths: Object.fromEntries(paths) as OpenApi.OpenAPISpec["paths"] }
}
