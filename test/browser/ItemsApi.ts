/** Starts the program of `npm start` on free ports, and a reverse proxy that serves it below a prefix. */
import { Context, Effect, Layer } from "effect"
import { createServer, request } from "node:http"
import { freePort, start } from "../support/program.ts"

const prefix = "/prefix"

/** Reverse proxy that removes the prefix from the path. The service cannot see the prefix. */
const proxy = (port: number, target: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer((incoming, outgoing) => {
        if (incoming.url?.startsWith(`${prefix}/`) !== true) return void outgoing.writeHead(404).end()
        const url = new URL(incoming.url.slice(prefix.length), target)
        const forwarded = request(url, { method: incoming.method, headers: incoming.headers }, (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
          answer.pipe(outgoing)
        })
        forwarded.on("error", () => outgoing.destroy())
        incoming.pipe(forwarded)
      })
      await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
      return server
    }),
    (server) =>
      Effect.promise(
        () =>
          new Promise((resolve) => {
            server.close(resolve)
            server.closeAllConnections()
          })
      )
  )

export class ItemsApi extends Context.Service<
  ItemsApi,
  {
    readonly api: string
    /** URL of the API with the other name of this machine, which browsers treat as another origin. */
    readonly localhost: string
    readonly issuer: string
    /** URL of the API behind the proxy. */
    readonly proxied: string
  }
>()("test/browser/ItemsApi") {
  /** Uses free ports. */
  static readonly layer = Layer.unwrap(
    Effect.map(Effect.all([freePort, freePort]), ([port, issuerPort]) => ItemsApi.layerOn(port, issuerPort))
  )

  static readonly layerOn = (port: number, issuerPort: number) =>
    Layer.effect(
      ItemsApi,
      Effect.gen(function* () {
        const proxyPort = yield* freePort
        const api = `http://127.0.0.1:${port}`
        const proxied = `http://127.0.0.1:${proxyPort}${prefix}`
        yield* proxy(proxyPort, api)
        const program = yield* start("scratchpad/items-api/main.ts", {
          PORT: String(port),
          AUTHORIZATION_SERVER_PORT: String(issuerPort),
          PUBLIC_URL: proxied
        })
        yield* program.waitFor("Ctrl-C ends the program.")
        return { api, localhost: `http://localhost:${port}`, proxied, issuer: `http://127.0.0.1:${issuerPort}` }
      })
    )
}
