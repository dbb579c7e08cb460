/** The service `Redis` around the Sentinel client of node-redis, as docs/guides/fleet.md shows it. */
import { Effect, Layer } from "effect"
import * as Redis from "effect/persistence/Redis"
import { createSentinel } from "redis"

const attempt = <A>(run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (cause) => new Redis.RedisError({ cause }) })

export const layer = (port: number): Layer.Layer<Redis.Redis, Redis.RedisError> =>
  Layer.effect(
    Redis.Redis,
    Effect.gen(function* () {
      const sentinel = yield* Effect.acquireRelease(
        Effect.sync(() => createSentinel({ name: "items", sentinelRootNodes: [{ host: "127.0.0.1", port }] })),
        (sentinel) => Effect.promise(() => sentinel.destroy())
      )
      // Without a listener, an error would end the process.
      sentinel.on("error", () => {})
      yield* attempt(() => sentinel.connect())
      const send = <A>(...command: ReadonlyArray<string>) => attempt(() => sentinel.sendCommand<A>(false, [...command]))
      return yield* Redis.make({
        send,
        // The client sends each command to the current primary.
        connect: Effect.succeed({ send, close: Effect.void }),
        subscribe: Effect.fnUntraced(function* (channel, onMessage) {
          const listener = (message: string | Buffer) => onMessage({ channel, message: String(message) })
          yield* Effect.acquireRelease(
            attempt(() => sentinel.subscribe(channel, listener)),
            () => Effect.ignore(attempt(() => sentinel.unsubscribe(channel, listener)))
          )
          return Effect.never
        })
      })
    })
  )
