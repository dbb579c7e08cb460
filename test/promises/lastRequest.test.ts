/** Requests in progress and idle connections when a program gets SIGTERM. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { freePort, start } from "../support/program.ts"

/** A connection that collects what the server sends. */
interface Connection {
  readonly socket: Socket
  readonly received: () => string
  readonly ended: Promise<unknown>
  readonly waitFor: (text: string) => Promise<void>
}

const open = async (port: number): Promise<Connection> => {
  const socket = connect(port, "127.0.0.1")
  let received = ""
  socket.setEncoding("utf8").on("data", (text: string) => (received += text))
  const ended = new Promise((resolve) => socket.on("close", resolve))
  await once(socket, "connect")
  return {
    socket,
    received: () => received,
    ended,
    waitFor: async (text) => {
      while (!received.includes(text)) await once(socket, "data")
    }
  }
}

const requestOf = (path: string) => `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`

/** A connection that the client keeps open after a response. */
const openIdle = async (port: number): Promise<Connection> => {
  const connection = await open(port)
  connection.socket.write(requestOf("/health"))
  await connection.waitFor("\r\n\r\n")
  return connection
}

const waitUntilOpen = async (port: number): Promise<void> => {
  try {
    ;(await open(port)).socket.destroy()
  } catch {
    await waitUntilOpen(port)
  }
}

/** The client closes nothing itself: the server ends each connection. */
const stop = async (
  port: number,
  program: NodeJS.Process["pid"],
  begin: (connection: Connection, index: number) => Promise<void>
) => {
  const idle = await Promise.all(Array.from({ length: 3 }, () => openIdle(port)))
  const inProgress = await Promise.all(Array.from({ length: 3 }, () => open(port)))
  await Promise.all(inProgress.map(begin))
  const idleEnd = Promise.all(idle.map(({ ended }) => ended))
  process.kill(program, "SIGTERM")
  // The idle connections end while the requests are still in progress.
  await idleEnd
  assert.deepStrictEqual(
    inProgress.map(({ socket }) => socket.closed),
    inProgress.map(() => false)
  )
  return inProgress
}

// Windows has no signals: it ends a program at once.
describe.skipIf(process.platform === "win32")("a program that gets SIGTERM", () => {
  it.live(
    "in the documented form answers the requests in progress, closes idle connections, and ends",
    () =>
      Effect.gen(function* () {
        const port = yield* freePort
        const program = yield* start("test/promises/programs/routesFirst.ts", { PORT: String(port) })
        const responses = yield* Effect.promise(async () => {
          await waitUntilOpen(port)
          const paths = ["/slow", "/fails", "/slow"]
          const inProgress = await stop(port, program.process.pid ?? 0, async ({ socket }, index) => {
            await new Promise<void>((resolve) => socket.write(requestOf(paths[index] ?? "/"), () => resolve()))
            // The server has read the request when it answers another one that was sent later.
            await openIdle(port).then(({ socket }) => socket.destroy())
          })
          await Promise.all(inProgress.map(({ ended }) => ended))
          return inProgress.map(({ received }) => received())
        })
        assert.deepStrictEqual(
          responses.map((response) => response.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length)),
          ["200", "500", "200"]
        )
        for (const response of responses) assert.match(response, /^connection: close\r$/im)
        assert.match(responses[0] ?? "", /\r\n\r\nslow$/)
        assert.strictEqual(yield* program.ended, 130)
        assert.strictEqual(program.output.stderr, "")
      }),
    60_000
  )

  it.live(
    "as the Items API answers the requests in progress, closes idle connections, and ends",
    () =>
      Effect.gen(function* () {
        const port = yield* freePort
        const authorizationServerPort = yield* freePort
        const program = yield* start("scratchpad/items-api/main.ts", {
          PORT: String(port),
          AUTHORIZATION_SERVER_PORT: String(authorizationServerPort)
        })
        yield* program.waitFor("Ctrl-C ends the program.")
        const body = JSON.stringify({ name: "sent slowly" })
        const responses = yield* Effect.promise(async () => {
          const token = await fetch(`http://127.0.0.1:${authorizationServerPort}/token`, {
            method: "POST",
            headers: { authorization: `Basic ${btoa("items-cli:items-cli-secret")}` },
            body: new URLSearchParams({ grant_type: "client_credentials", scope: "items:read items:write" })
          })
          const { access_token } = (await token.json()) as { readonly access_token: string }
          // `100 Continue` says that the server has read the head of the request and waits for the body.
          const head = [
            "POST /items HTTP/1.1",
            "host: 127.0.0.1",
            `authorization: Bearer ${access_token}`,
            "content-type: application/json",
            `content-length: ${body.length}`,
            "expect: 100-continue",
            "\r\n"
          ].join("\r\n")
          const inProgress = await stop(port, program.process.pid ?? 0, async (connection) => {
            connection.socket.write(head)
            await connection.waitFor("100 Continue\r\n\r\n")
          })
          for (const { socket } of inProgress) socket.write(body)
          await Promise.all(inProgress.map(({ ended }) => ended))
          return inProgress.map(({ received }) => received())
        })
        assert.lengthOf(responses, 3)
        for (const response of responses) {
          assert.match(response, /HTTP\/1\.1 201 Created\r\n/)
          assert.match(response, /^connection: close\r$/im)
          assert.include(response, "sent slowly")
        }
        assert.strictEqual(yield* program.ended, 130)
        assert.strictEqual(program.output.stderr, "")
      }),
    60_000
  )
})
