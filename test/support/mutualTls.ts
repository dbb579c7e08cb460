/** Serves an API over TLS, and sends requests with client certificates. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import { OAuth2, Requirement } from "effect-oauth2"
import * as http2 from "node:http2"
import * as https from "node:https"
import type * as tls from "node:tls"
import { selfSigned, type TestCertificate } from "./certificates.ts"
import { Verifier } from "./dpopApp.ts"

type Options = Omit<Parameters<typeof OAuth2.bearer<"Api", { readonly read: string }>>[1], "scopes">

/** Options of the scheme. */
export const schemeOf = (options: Options) => OAuth2.bearer("Api", { scopes: { read: "Read" }, ...options })

const ok = Effect.succeed(HttpServerResponse.text("ok"))

/** The routes of the API: `/items`, and `/bound`, which requires a bound token if the scheme accepts one. */
export const routesOf = (auth: ReturnType<typeof schemeOf>) =>
  Layer.mergeAll(
    HttpRouter.add("GET", "/items", ok).pipe(auth.require("read")),
    HttpRouter.add("GET", "/bound", ok).pipe(
      auth.dpop === undefined && auth.mutualTls === undefined
        ? auth.require("read")
        : auth.require("read", Requirement.senderConstrained)
    )
  ).pipe(Layer.provide(auth.layer(Verifier)))

const server = selfSigned()

/** Serves the routes over TLS, for HTTP/1.1 and HTTP/2. Clients may send a certificate of their own. */
export const serve = <E, R>(routes: Layer.Layer<never, E, R>, options: tls.TlsOptions = {}) =>
  HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
    Layer.provideMerge(
      NodeHttpServer.layer(
        () =>
          http2.createSecureServer({
            ...server,
            allowHTTP1: true,
            requestCert: true,
            rejectUnauthorized: false,
            ...options
          }),
        { port: 0 }
      )
    )
  )

export const port = Effect.map(HttpServer.HttpServer, ({ address }) =>
  NetAddress.isInetAddress(address) ? address.port : 0
)

/** The response to a request. */
export interface Answer {
  readonly status: number
  readonly challenge: string | undefined
  /** The raw headers and the body. */
  readonly text: string
  readonly isResumed: boolean
  /** The session of the connection, for the next one. */
  readonly session: Buffer | undefined
}

interface Request {
  readonly token: string
  readonly path?: string
  readonly certificate?: TestCertificate
  readonly headers?: Readonly<Record<string, string | ReadonlyArray<string>>>
  readonly tls?: tls.ConnectionOptions
}

/** Sends a request over a new connection with HTTP/1.1. */
export const get = ({
  certificate,
  headers,
  path = "/items",
  tls,
  token
}: Request): Effect.Effect<Answer, Error, HttpServer.HttpServer> =>
  Effect.flatMap(port, (port) =>
    Effect.callback<Answer, Error>((resume) => {
      let session: Buffer | undefined
      const request = https.get(
        {
          port,
          path,
          agent: false,
          rejectUnauthorized: false,
          ALPNProtocols: ["http/1.1"],
          ...(certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key }),
          ...tls,
          // Safe cast: Node sends each value of an array in its own line.
          headers: { authorization: `Bearer ${token}`, ...(headers as Record<string, string>) }
        },
        (response) => {
          const socket = response.socket as tls.TLSSocket
          let body = ""
          response.setEncoding("utf8")
          response.on("data", (chunk: string) => (body += chunk))
          response.on("end", () =>
            resume(
              Effect.succeed({
                status: response.statusCode ?? 0,
                challenge: response.headers["www-authenticate"],
                text: [...response.rawHeaders, body].join("\n"),
                isResumed: socket.isSessionReused(),
                session: session ?? socket.getSession()
              })
            )
          )
        }
      )
      request.on("socket", (socket) =>
        socket.on("session", (given: Buffer) => {
          session = given
        })
      )
      request.on("error", (error) => resume(Effect.fail(error)))
    })
  )

/** Sends a request over a new connection with HTTP/2. */
export const requestOverHttp2 = ({
  certificate,
  headers,
  path = "/items",
  tls,
  token
}: Request): Effect.Effect<Answer, Error, HttpServer.HttpServer> =>
  Effect.flatMap(port, (port) =>
    Effect.callback<Answer, Error>((resume) => {
      const session = http2.connect(`https://localhost:${port}`, {
        rejectUnauthorized: false,
        ...(certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key }),
        ...tls
      })
      // The proxy of the socket hides some members, so the socket itself tells about its TLS session.
      let socket: tls.TLSSocket | undefined
      let ticket: Buffer | undefined
      session.on("connect", (_, given) => {
        socket = given as tls.TLSSocket
        socket.on("session", (received: Buffer) => {
          ticket = received
        })
      })
      session.on("error", (error) => resume(Effect.fail(error)))
      const stream = session.request({
        ":path": path,
        authorization: `Bearer ${token}`,
        ...(headers as Record<string, string>)
      })
      stream.on("response", (received) => {
        let body = ""
        stream.setEncoding("utf8")
        stream.on("data", (chunk: string) => (body += chunk))
        stream.on("end", () => {
          const answer = {
            status: received[":status"] ?? 0,
            challenge: received["www-authenticate"],
            text: JSON.stringify(received) + body,
            isResumed: socket?.isSessionReused() === true,
            session: ticket ?? socket?.getSession()
          }
          session.destroy()
          resume(Effect.succeed(answer))
        })
      })
      stream.end()
    })
  )

/** Sends a request over a new connection with HTTP/2, and returns the status. */
export const getOverHttp2 = (request: Request) => Effect.map(requestOverHttp2(request), ({ status }) => status)
