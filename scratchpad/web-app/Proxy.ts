/** Passes requests on to the processes of the app. In production, this is your load balancer. */
import { Effect } from "effect"
import { type IncomingMessage, request as send, type Server, type ServerResponse } from "node:http"
import { host } from "../support/Addresses.ts"
import { PortUnavailable } from "../items-api/AuthorizationServer.ts"

export interface Target {
  /** Name of the process, which the response header `x-process` shows. */
  readonly name: string
  readonly address: string
}

const fail = (outgoing: ServerResponse, status: number): void => {
  outgoing.writeHead(status, { "content-type": "text/plain" }).end("The app does not respond at the moment.")
}

type AnyServer = Pick<Server, "on" | "once" | "listen" | "close" | "closeAllConnections">

/** Serves on a port. `choose` returns the process for a request. */
export const serve = (server: AnyServer, port: number, choose: (request: IncomingMessage) => Target | undefined) => {
  server.on("request", (incoming, outgoing) => {
    const target = choose(incoming)
    if (target === undefined) return fail(outgoing, 503)
    const { hostname, port } = new URL(target.address)
    const { method, rawHeaders, url } = incoming
    // The headers go on unchanged, so the app sees the Host that the browser has opened.
    const forwarded = send({ hostname, port, method, path: url, headers: rawHeaders }, (response) => {
      outgoing.writeHead(response.statusCode ?? 502, [...response.rawHeaders, "x-process", target.name])
      response.pipe(outgoing)
    })
    forwarded.on("error", () => (outgoing.headersSent ? outgoing.destroy() : fail(outgoing, 502)))
    outgoing.on("close", () => forwarded.destroy())
    incoming.pipe(forwarded)
  })
  return listen(server, port)
}

export const listen = (server: AnyServer, port: number) =>
  Effect.acquireRelease(
    Effect.callback<void, PortUnavailable>((resume) => {
      server.once("error", (error: NodeJS.ErrnoException) =>
        resume(Effect.fail(new PortUnavailable({ port, setting: "PORT", code: error.code ?? error.name })))
      )
      server.listen(port, host, () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )

/** Chooses each process in turn. */
export const roundRobin = (targets: () => ReadonlyArray<Target>) => {
  let requests = 0
  return () => targets().at(requests++ % targets().length)
}
