/** A served app with `BearerToken`, and a client that writes its requests byte by byte. */
import { DateTime, Effect, Layer, Option, Redacted } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import { AccessToken, BearerToken, OAuth2, OptionalAccessToken, TokenVerifier } from "effect-oauth2"
import * as net from "node:net"
import { authorizationServer } from "./authorizationServer.ts"
import { fromContext } from "./contextVerifier.ts"

const flow = { ...authorizationServer, scopes: {} }
export const fastapi = OAuth2.authorizationCode("fastapi", flow)
const rfc6750 = OAuth2.authorizationCode("rfc6750", { ...flow, responses: "rfc6750" })

/** Accepts every token, and returns its text as the subject. */
export const verifierLayer = TokenVerifier.layer({
  verify: (bearer) =>
    Effect.succeed(
      AccessToken.make({
        subject: Redacted.value(bearer),
        scopes: [],
        issuer: "https://idp.example.com",
        expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
      })
    )
})

const subject = Effect.map(AccessToken, (accessToken) => HttpServerResponse.text(accessToken.subject))

export const Routes = Layer.mergeAll(
  HttpRouter.add(
    "*",
    "/layer",
    Effect.gen(function* () {
      yield* Effect.yieldNow
      return HttpServerResponse.text(Redacted.value(yield* BearerToken))
    }).pipe(Effect.provide(BearerToken.layer))
  ),
  HttpRouter.add("*", "/fastapi", subject).pipe(fastapi.require()),
  HttpRouter.add("*", "/rfc6750", subject).pipe(rfc6750.require()),
  HttpRouter.add(
    "*",
    "/optional",
    Effect.map(OptionalAccessToken, (accessToken) =>
      HttpServerResponse.text(
        Option.match(accessToken, { onNone: () => "anonymous", onSome: ({ subject }) => `user ${subject}` })
      )
    )
  ).pipe(fastapi.optional())
).pipe(Layer.provide([fastapi.layer(fromContext), rfc6750.layer(fromContext)]), Layer.provide(verifierLayer))

export const serve = { disableLogger: true, disableListenLog: true }

interface RawResponse {
  readonly status: number
  readonly headers: string
  readonly body: string
}

/** Writes the bytes to the server, and reads until the server closes the connection. */
export const send = (bytes: string): Effect.Effect<RawResponse, Error, HttpServer.HttpServer> =>
  Effect.flatMap(HttpServer.HttpServer, ({ address }) =>
    Effect.callback<RawResponse, Error>((resume) => {
      const port = NetAddress.isInetAddress(address) ? address.port : 0
      const socket = net.connect({ port, host: "127.0.0.1" }, () => socket.write(bytes, "latin1"))
      let received = ""
      socket.setEncoding("latin1")
      socket.on("data", (chunk: string) => (received += chunk))
      socket.on("error", (error) => resume(Effect.fail(error)))
      socket.on("close", () => {
        const end = received.indexOf("\r\n\r\n")
        resume(
          Effect.succeed({
            status: Number(received.split(" ")[1]),
            headers: received.slice(0, end).toLowerCase(),
            body: received.slice(end + 4)
          })
        )
      })
      return Effect.sync(() => socket.destroy())
    })
  )

/** Sends a GET request with these header lines. */
export const get = (path: string, ...lines: ReadonlyArray<string>) =>
  send(["GET " + path + " HTTP/1.1", "Host: localhost", "Connection: close", ...lines, "", ""].join("\r\n"))
