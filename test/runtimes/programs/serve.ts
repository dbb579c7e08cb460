/** Serves a web handler with the server of the runtime, on a free port of the loopback interface. */

export type WebHandler = (request: Request) => Promise<Response>

interface OtherRuntimes {
  readonly Bun?: {
    readonly serve: (options: { hostname: string; port: number; fetch: WebHandler }) => { readonly port: number }
  }
  readonly Deno?: {
    readonly serve: (
      options: { hostname: string; port: number; onListen: () => void },
      handler: WebHandler
    ) => { readonly addr: { readonly port: number } }
  }
}

const hostname = "127.0.0.1"

/** Returns the origin of the server. */
export const serve = async (handler: WebHandler): Promise<string> => {
  const { Bun, Deno } = globalThis as OtherRuntimes
  const port =
    Bun !== undefined
      ? Bun.serve({ hostname, port: 0, fetch: handler }).port
      : Deno !== undefined
        ? Deno.serve({ hostname, port: 0, onListen: () => {} }, handler).addr.port
        : await serveOnNode(handler)
  return `http://${hostname}:${port}`
}

const serveOnNode = async (handler: WebHandler): Promise<number> => {
  const { createServer } = await import("node:http")
  const server = createServer((request, response) => {
    const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [name, String(value)])
    const answer = async () => {
      const chunks: Array<Uint8Array<ArrayBuffer>> = []
      for await (const chunk of request) chunks.push(new Uint8Array(chunk as Uint8Array))
      const { method = "GET" } = request
      const body = chunks.length === 0 ? null : new Blob(chunks)
      const result = await handler(new Request(`http://${hostname}${request.url}`, { method, headers, body }))
      response.writeHead(result.status, Object.fromEntries(result.headers))
      response.end(new Uint8Array(await result.arrayBuffer()))
    }
    void answer()
  })
  await new Promise<void>((resolve) => server.listen(0, hostname, resolve))
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}
