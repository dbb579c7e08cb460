/** Requests that arrive while a program starts. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, globSync, readFileSync } from "node:fs"
import { get } from "node:http"
import { dirname, join, sep } from "node:path"
import { freePort, start } from "../support/program.ts"

const root = join(import.meta.dirname, "..", "..")

const issuer = ["/.well-known/openid-configuration", "/jwks"]

/** The documented forms, and every example with a server. The value says which paths each port serves. */
const programs: Readonly<Record<string, Readonly<Record<string, ReadonlyArray<string>>>>> = {
  "scratchpad/items-api/main.ts": {
    PORT: ["/", "/your-items", "/health", "/docs", "/openapi.json"],
    AUTHORIZATION_SERVER_PORT: issuer
  },
  "scratchpad/mcp-server/main.ts": {
    PORT: ["/.well-known/oauth-protected-resource/mcp"],
    AUTHORIZATION_SERVER_PORT: issuer
  },
  "scratchpad/http-router/main.ts": { PORT: ["/health", "/items"], AUTHORIZATION_SERVER_PORT: issuer },
  "scratchpad/http-api/main.ts": { PORT: ["/health", "/items"], AUTHORIZATION_SERVER_PORT: issuer },
  "scratchpad/current-user/main.ts": { PORT: ["/users/me"], AUTHORIZATION_SERVER_PORT: issuer },
  "scratchpad/optional/main.ts": { PORT: ["/greeting", "/articles"], AUTHORIZATION_SERVER_PORT: issuer },
  "scratchpad/several-issuers/main.ts": { PORT: ["/items"], AUTHORIZATION_SERVER_PORT: issuer, PARTNERS_PORT: issuer },
  "scratchpad/introspection/main.ts": { PORT: ["/items"], AUTHORIZATION_SERVER_PORT: issuer },
  "scratchpad/web-handler/main.ts": { PORT: ["/health", "/users/me"], AUTHORIZATION_SERVER_PORT: issuer },
  "scratchpad/fastapi-tutorial/main.ts": { PORT: ["/status/", "/docs", "/openapi.json"] },
  "scratchpad/observability/main.ts": {
    PORT: ["/users/me"],
    AUTHORIZATION_SERVER_PORT: issuer,
    COLLECTOR_PORT: ["/v1/traces"]
  },
  "test/promises/programs/serverFirst.ts": { PORT: ["/health", "/docs", "/openapi.json"] },
  "test/promises/programs/routesFirst.ts": { PORT: ["/health", "/docs", "/openapi.json"] },
  "test/promises/programs/testIssuer.ts": { PORT: issuer }
}

/** The status of a response, `ECONNREFUSED` if the port is not open, or the reason why there is no response. */
const request = (port: number, path: string): Promise<number | string> =>
  new Promise((resolve) => {
    const sent = get({ host: "127.0.0.1", port, path, agent: false, timeout: 5000 }, (response) => {
      response.resume()
      response.on("end", () => resolve(response.statusCode ?? 0))
      response.on("error", (error) => resolve(error.message))
    })
    sent.on("timeout", () => {
      resolve("no response in 5 seconds")
      sent.destroy()
    })
    sent.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })

const isAnswer = (outcome: number | string) => typeof outcome === "number"

describe("a program that starts", () => {
  it.live.each(Object.keys(programs))(
    "answers every request from the moment its port opens: %s",
    (file) =>
      Effect.gen(function* () {
        const ports = Object.entries(programs[file] ?? {})
        const env = yield* Effect.forEach(ports, ([name]) => Effect.map(freePort, (port) => [name, port] as const))
        const values = env.map(([name, port]) => [name, String(port)] as const)
        // The examples end after their walk-through, unless they serve.
        const program = yield* start(file, { ...Object.fromEntries(values), SERVE: "true" })
        const hammer = async (port: number, paths: ReadonlyArray<string>) => {
          const outcomes: Array<number | string> = []
          while (outcomes.filter(isAnswer).length < 200 && program.process.exitCode === null) {
            const some = Array.from({ length: 6 }, (_, index) => request(port, paths[index % paths.length] ?? "/"))
            outcomes.push(...(await Promise.all(some)))
          }
          return outcomes
        }
        const outcomes = yield* Effect.promise(() =>
          Promise.all(env.map(([, port], index) => hammer(port, ports[index]?.[1] ?? [])))
        )
        for (const found of outcomes) {
          // The port was closed at first. Nothing else but a response is allowed.
          assert.strictEqual(found[0], "ECONNREFUSED")
          assert.deepStrictEqual(
            new Set(found),
            new Set<number | string>(["ECONNREFUSED", ...found.filter(isAnswer)]),
            program.output.stderr
          )
          // A refusal is an answer, too.
          for (const status of found.filter(isAnswer)) assert.isBelow(status, 500)
        }
      }),
    60_000
  )

  it("is in the table above if it is an example with a server", () => {
    const listens = globSync("scratchpad/**/*.ts", { cwd: root })
      .filter((file) => {
        const text = readFileSync(join(root, file), "utf8")
        // Nobody knows a port of the operating system's choice before the program itself does.
        return /createServer|NodeHttpServer\.layer/.test(text) && !/port: 0|layerTest/.test(text)
      })
      .map((file) => `${dirname(file).split(sep).slice(0, 2).join("/")}/main.ts`)
      // The folder support has no program of its own.
      .filter((file) => existsSync(join(root, file)))
    assert.isNotEmpty(listens)
    // The servers of these examples have only the example itself as their client.
    const ownClients = ["cli", "fleet", "mcp-client", "step-up"].map((name) => `scratchpad/${name}/main.ts`)
    // This test kills programs, which would leave the Redis server behind. The example has a test of its own.
    ownClients.push("scratchpad/web-app/main.ts")
    for (const file of listens) if (!ownClients.includes(file)) assert.property(programs, file)
  })
})
