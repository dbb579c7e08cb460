/** The client of Redis, as `docs/guides/fleet.md` recommends it. `REDIS_URL` is the address of the server. */
import { NodeRedis } from "@effect/platform-node"
import { Config, Effect, Layer } from "effect"

export const layer = Layer.unwrap(
  Effect.map(Config.String("REDIS_URL"), (url) =>
    NodeRedis.layer({
      url,
      // A request must not wait while Redis is unavailable.
      disableOfflineQueue: true,
      socket: { connectTimeout: 1000, reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 1000) }
    })
  )
)
