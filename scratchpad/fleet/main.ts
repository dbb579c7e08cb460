/**
 * Three processes of one API, which share revocations and introspection responses. Run `npm run example -- fleet`.
 *
 * A client logs out at one process. The other two refuse its token milliseconds later. The example needs redis-server.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Effect, Schema } from "effect"
import { join } from "node:path"
import { AuthorizationServer, clients } from "../items-api/AuthorizationServer.ts"
import { audience, authorizationServerPort, issuer, port } from "../support/Addresses.ts"
import * as Processes from "../support/Processes.ts"
import * as Redis from "../support/Redis.ts"
import * as Walkthrough from "../support/Walkthrough.ts"

const Issuer = AuthorizationServer.layer({
  port: authorizationServerPort,
  audience,
  redirectUris: [],
  origins: [],
  scopes: ["items:read"],
  accessTokens: "opaque"
})

/** Starts one process of the API, and returns its address. */
const startApi = (redisUrl: string, apiPort: number) =>
  Effect.map(
    Processes.start(join(import.meta.dirname, "api.ts"), { REDIS_URL: redisUrl, API_PORT: String(apiPort) }),
    ({ address }) => address
  )

const statusOf = (url: string, token: string) =>
  Effect.promise(async () => (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status)

const Figures = Schema.fromJsonString(Schema.Struct({ introspectionRequests: Schema.Number }))

const introspectionRequests = Effect.fnUntraced(function* (apis: ReadonlyArray<string>) {
  const asked = yield* Effect.forEach(apis, (api) =>
    Effect.flatMap(
      Effect.promise(async () => (await fetch(`${api}/figures`)).text()),
      Schema.decodeUnknownEffect(Figures)
    )
  )
  return asked.reduce((sum, { introspectionRequests }) => sum + introspectionRequests, 0)
})

/** Sends requests until the token is refused. Returns the milliseconds since `from`. */
const timeUntilRefused = (api: string, token: string, from: number): Effect.Effect<number> =>
  Effect.flatMap(statusOf(`${api}/items`, token), (status) =>
    status === 401 ? Effect.map(Clock.currentTimeMillis, (now) => now - from) : timeUntilRefused(api, token, from)
  )

const walkthrough = Effect.gen(function* () {
  const redisUrl = yield* Redis.start
  const apis = yield* Effect.forEach([port, 0, 0], (port) => startApi(redisUrl, port), { concurrency: "unbounded" })
  const [first = "", second = "", third = ""] = apis

  const response = yield* Walkthrough.send("An opaque token", `POST ${issuer}/token`, {
    basic: clients.cli,
    form: { grant_type: "client_credentials", scope: "items:read" }
  })
  const token = yield* Walkthrough.token("TOKEN", Walkthrough.accessToken(response))
  yield* Walkthrough.send("The first process asks the authorization server", `GET ${first}/items`, { token })
  yield* Walkthrough.send("The second process finds the response in Redis", `GET ${second}/items`, { token })
  yield* Walkthrough.send("So does the third process", `GET ${third}/items`, { token })
  for (let i = 0; i < 99; i++) {
    yield* Effect.forEach(apis, (api) => statusOf(`${api}/items`, token.value), { concurrency: "unbounded" })
  }
  const asked = yield* introspectionRequests(apis)

  yield* Walkthrough.send("Log out at the first process", `POST ${first}/logout`, { token })
  const from = yield* Clock.currentTimeMillis
  const times = yield* Effect.forEach([second, third], (api) => timeUntilRefused(api, token.value, from), {
    concurrency: "unbounded"
  })
  yield* Walkthrough.send("The first process refuses the token", `GET ${first}/items`, { token })
  yield* Walkthrough.send("So does the second process", `GET ${second}/items`, { token })
  yield* Walkthrough.send("So does the third process", `GET ${third}/items`, { token })

  yield* Console.log("\n# Figures")
  yield* Console.log(`  introspection requests of the fleet for 300 requests: ${asked}`)
  yield* Console.log(`  time until the second process refused the token: ${times[0]} ms`)
  yield* Console.log(`  time until the third process refused the token: ${times[1]} ms`)
  yield* Walkthrough.end
})

walkthrough.pipe(
  Effect.provide(Issuer),
  Effect.scoped,
  Effect.catchTag("RedisMissing", ({ message }) =>
    Effect.sync(() => {
      console.error(message)
      process.exitCode = 1
    })
  ),
  NodeRuntime.runMain
)
