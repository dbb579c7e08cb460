/** The Items API with its web page: as the program of `npm start`, or in this process with a clock that can move. */
import { NodeHttpServer } from "@effect/platform-node"
import { Clock, Context, Effect, Layer, Option } from "effect"
import { FetchHttpClient, HttpRouter } from "effect/http"
import { createServer } from "node:http"
import * as Api from "../../scratchpad/items-api/Api.ts"
import * as Issuer from "../../scratchpad/items-api/Issuer.ts"
import { freePort, start } from "./program.ts"

export const file = "scratchpad/items-api/main.ts"

/** Starts the program on free ports. */
export const program = Effect.gen(function* () {
  const port = yield* freePort
  const issuerPort = yield* freePort
  const running = yield* start(file, { PORT: String(port), AUTHORIZATION_SERVER_PORT: String(issuerPort) })
  yield* running.waitFor("Ctrl-C ends the program.")
  return { api: `http://127.0.0.1:${port}`, issuer: `http://127.0.0.1:${issuerPort}`, program: running }
})

export class ItemsProgram extends Context.Service<ItemsProgram, Effect.Success<typeof program>>()("test/ItemsProgram") {
  static readonly layer = Layer.effect(ItemsProgram, program)
}

/** Serves the app in this process. The offset moves the clock of the app, and not that of its authorization server. */
export const onClock = Effect.gen(function* () {
  const settings = {
    port: yield* freePort,
    authorizationServerPort: yield* freePort,
    logLevel: "Warn" as const,
    publicUrl: Option.none(),
    external: Option.none()
  }
  const clock = { offset: 0 }
  const real = yield* Clock.Clock
  const millis = () => real.currentTimeMillisUnsafe() + clock.offset
  const nanos = () => real.currentTimeNanosUnsafe() + BigInt(clock.offset) * 1_000_000n
  const moved = Clock.Clock.of({
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) => real.sleep(duration)
  })
  const issuer = yield* Issuer.make(settings)
  const api = Issuer.apiUrl(settings)
  const app = Api.makeWithPage(issuer, Issuer.verifier(issuer), { origin: api, issuer: issuer.issuer })
  yield* Layer.build(
    HttpRouter.serve(app, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provide(NodeHttpServer.layer(createServer, { port: settings.port, host: "127.0.0.1" }))
    )
  ).pipe(Effect.provideService(Clock.Clock, moved))
  return { api, issuer: issuer.issuer, clock }
}).pipe(Effect.provide(FetchHttpClient.layer))

/** More than the idle time-out of a session. */
export const aDayLater = 25 * 60 * 60 * 1000
