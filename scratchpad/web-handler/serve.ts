/** Serves a fetch handler with the server of the runtime: Bun, Deno, or `node:http`. */
import { Effect } from "effect"

export type Handler = (request: Request) => Promise<Response>

interface Address {
  readonly port: number
  readonly hostname: string
}

interface OtherRuntimes {
  readonly Bun?: {
    readonly serve: (options: Address & { readonly fetch: Handler }) => { readonly stop: () => Promise<void> }
  }
  readonly Deno?: {
    readonly serve: (
      options: Address & { readonly onListen: () => void },
      handler: Handler
    ) => { readonly shutdown: () => Promise<void> }
  }
}

const { Bun, Deno } = globalThis as OtherRuntimes

export const runtime = Bun !== undefined ? "Bun" : Deno !== undefined ? "Deno" : "Node"

/** Starts the server. Returns the function that stops it. */
const start = async (handler: Handler, address: Address): Promise<() => Promise<void>> => {
  if (Bun !== undefined) {
    const server = Bun.serve({ ...address, fetch: handler })
    return () => server.stop()
  }
  if (Deno !== undefined) {
    const server = Deno.serve({ ...address, onListen: () => {} }, handler)
    return () => server.shutdown()
  }
  return startOnNode(handler, address)
}

const startOnNode = async (handler: Handler, { hostname, port }: Address) => {
  const { createServer } = await import("node:http")
  const server = createServer((incoming, outgoing) => {
    const answer = async () => {
      const chunks: Array<Uint8Array<ArrayBuffer>> = []
      for await (const chunk of incoming) chunks.push(new Uint8Array(chunk as Uint8Array))
      const headers = Object.entries(incoming.headersDistinct).flatMap(([name, values = []]) =>
        values.map((value): [string, string] => [name, value])
      )
      const { method = "GET", url = "/" } = incoming
      const body = chunks.length === 0 ? null : new Blob(chunks)
      const response = await handler(new Request(`http://${hostname}:${port}${url}`, { method, headers, body }))
      outgoing.writeHead(response.status, Array.from(response.headers).flat())
      outgoing.end(new Uint8Array(await response.arrayBuffer()))
    }
    void answer()
  })
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, hostname, resolve))
  return () => new Promise<void>((resolve) => server.close(() => resolve()))
}

/** Serves the handler until the scope closes. */
export const serve = (handler: Handler, address: Address) =>
  Effect.acquireRelease(
    Effect.promise(() => start(handler, address)),
    (stop) => Effect.promise(stop)
  )
