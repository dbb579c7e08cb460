/**
 * A process that shares a grant in Redis with others, and prints its tokens.
 *
 * `ROUNDS` is how often it renews the token. `AT` names a step, and `SIGNAL` is what the process then sends to itself:
 * before it claims the version, or with the response of the token request at hand.
 */
import { NodeRedis } from "@effect/platform-node"
import { Console, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import * as Redis from "effect/persistence/Redis"
import { ClientAuthentication, RefreshToken, TokenStore } from "effect-oauth2/client"

const { AT, ISSUER = "", REDIS_PORT, ROUNDS, SIGNAL } = process.env

let isSent = false

const signalAt = (step: string) =>
  Effect.suspend(() => {
    if (AT !== step || isSent) return Effect.void
    isSent = true
    process.stdout.write(`at ${step}\n`)
    // The text must leave the process before the signal stops it.
    return Effect.andThen(
      Effect.promise(() => new Promise<void>((resolve) => process.stdout.write("", () => resolve()))),
      Effect.sync(() => process.kill(process.pid, SIGNAL))
    )
  })

const WithSignal = Layer.effect(
  Redis.Redis,
  Effect.map(Redis.Redis, (redis) => ({
    ...redis,
    send: <A>(command: string, ...args: ReadonlyArray<string>) => {
      const isClaim = command === "EVAL" && args.some((arg) => arg.includes(":grant:{"))
      return Effect.andThen(isClaim ? signalAt("claim") : Effect.void, redis.send<A>(command, ...args))
    }
  }))
).pipe(
  Layer.provide(NodeRedis.layer({ disableOfflineQueue: true, socket: { host: "127.0.0.1", port: Number(REDIS_PORT) } }))
)

const Http = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(HttpClient.HttpClient, (client) =>
    HttpClient.transform(client, (effect, request) =>
      Effect.tap(effect, () => (request.url.endsWith("/token") ? signalAt("response") : Effect.void))
    )
  )
).pipe(Layer.provide(FetchHttpClient.layer))

const program = Effect.gen(function* () {
  const { forget, get } = yield* RefreshToken.make({
    issuer: ISSUER,
    clientId: "cli",
    authentication: ClientAuthentication.none
  })
  let token = yield* get()
  for (let round = 1; round < Number(ROUNDS); round++) {
    yield* forget(token)
    token = yield* get()
  }
  yield* Console.log(`token ${Redacted.value(token.value)}`)
}).pipe(
  Effect.catch((error) => Console.log("error" in error ? `${error._tag} ${error.error}` : error._tag)),
  Effect.scoped
)

const Store = TokenStore.layerRedis({
  keys: Redacted.make("a secret that all processes have"),
  name: "alice",
  lease: "5 seconds",
  timeout: "10 seconds"
}).pipe(Layer.provide(WithSignal))

await Effect.runPromise(Effect.provide(program, Layer.merge(Store, Http)))
process.exit()
