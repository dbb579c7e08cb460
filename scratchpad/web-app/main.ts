/**
 * A web app with sign-in in two processes behind one address, with its sessions in Redis. Run
 * `npm run example -- web-app`, and open the printed address.
 *
 * Requests go to both processes in turn, so the process that ends a sign-in is not the one that started it. The example
 * needs redis-server.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { randomBytes } from "node:crypto"
import { createServer } from "node:http"
import { join } from "node:path"
import { AuthorizationServer } from "../items-api/AuthorizationServer.ts"
import { api, audience, authorizationServerPort, issuer, port } from "../support/Addresses.ts"
import * as Processes from "../support/Processes.ts"
import * as Redis from "../support/Redis.ts"
import * as Proxy from "./Proxy.ts"
import { publicUrl, registration, scopes } from "./Registration.ts"

const Issuer = AuthorizationServer.layer({
  port: authorizationServerPort,
  audience,
  redirectUris: [],
  origins: [],
  scopes: Object.keys(scopes),
  otherClients: [registration(publicUrl, api)]
})

const program = Effect.gen(function* () {
  const settings = { REDIS_URL: yield* Redis.start, LOGIN_SECRET: randomBytes(32).toString("base64") }
  const file = join(import.meta.dirname, "process.ts")
  const processes = yield* Effect.all([Processes.start(file, settings), Processes.start(file, settings)], {
    concurrency: "unbounded"
  })
  let targets = processes.map(({ address }, i) => ({ name: String(i + 1), address }))
  processes.forEach(({ address, child }) => {
    // If a process ends, the other one serves all requests.
    child.once("exit", () => {
      targets = targets.filter((target) => target.address !== address)
    })
  })
  yield* Proxy.serve(
    createServer(),
    port,
    Proxy.roundRobin(() => targets)
  )
  yield* Console.log(`Open ${publicUrl}

${targets.map(({ address, name }) => `  process ${name}             ${address}`).join("\n")}
  authorization server  ${issuer}
  sessions              ${settings.REDIS_URL}

Sign in with any name. Ctrl-C ends the program.`)
  return yield* Effect.never
})

program.pipe(
  Effect.provide(Issuer),
  Effect.scoped,
  // Prints only the message, because a stack trace does not help to install Redis or to choose a port.
  Effect.catchTag(["RedisMissing", "PortUnavailable"], ({ message }) =>
    Effect.sync(() => {
      console.error(message)
      process.exitCode = 1
    })
  ),
  NodeRuntime.runMain
)
