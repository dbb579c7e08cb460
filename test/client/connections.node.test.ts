// Clients over real connections: certificates of clients, and redirects of a real fetch.
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpClient, HttpServerRequest, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import { AuthorizedClient, ClientAuthentication, ClientCredentials, TokenSource } from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import * as http from "node:http"
import * as https from "node:https"
import type * as tls from "node:tls"
import { selfSigned, type TestCertificate } from "../support/certificates.ts"

const server = selfSigned()
const worker = selfSigned("worker")
const stranger = selfSigned("stranger")

interface Seen {
  readonly port: "issuer" | "certificates"
  readonly path: string
  readonly certificate: string | undefined
  readonly authorization: string | undefined
}

/** An issuer over TLS. A second port accepts only connections with the certificate of the worker (RFC 8705 §5). */
const world = Effect.gen(function* () {
  const seen: Array<Seen> = []
  const listen = (options: tls.TlsOptions) =>
    NodeHttpServer.make(() => https.createServer({ ...server, ...options }), { port: 0, host: "127.0.0.1" })
  const open = yield* listen({})
  const certificates = yield* listen({ requestCert: true, rejectUnauthorized: true, ca: [worker.cert] })
  const originOf = ({ address }: typeof open) =>
    `https://localhost:${NetAddress.isUnixPathAddress(address) ? 0 : address.port}`
  const context = yield* Layer.build(
    TestIssuer.layer({
      issuer: originOf(open),
      keys: ["ES256"],
      metadata: {
        token_endpoint_auth_methods_supported: ["tls_client_auth"],
        mtls_endpoint_aliases: { token_endpoint: `${originOf(certificates)}/token` }
      }
    })
  )
  const { app, issuer, requests } = yield* Effect.provideContext(TestIssuer, context)
  const recorded = (port: Seen["port"]) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, source, url }) => {
      const socket = (source as http.IncomingMessage).socket as tls.TLSSocket
      const name = socket.getPeerCertificate().subject?.CN
      seen.push({
        port,
        path: url,
        certificate: Array.isArray(name) ? name[0] : name,
        authorization: headers["authorization"]
      })
      return app
    })
  yield* open.serve(recorded("issuer"))
  yield* certificates.serve(recorded("certificates"))
  return { issuer, requests, seen }
})

const clients: ReadonlyArray<readonly [string, (own?: TestCertificate) => Layer.Layer<HttpClient.HttpClient>]> = [
  [
    "undici",
    (own) =>
      NodeHttpClient.layerUndiciOptions({ connect: { ca: server.cert, cert: own?.cert, key: own?.key } as object })
  ],
  [
    "an https agent",
    (own) =>
      NodeHttpClient.layerNodeHttpNoAgent.pipe(
        Layer.provide(
          NodeHttpClient.layerAgentOptions({
            ca: server.cert,
            ...(own !== undefined && { cert: own.cert, key: own.key })
          })
        )
      )
  ]
]

describe("a client certificate", () => {
  for (const [name, layerOf] of clients) {
    it.live(`authenticates the client at the endpoint of mtls_endpoint_aliases: ${name}`, () =>
      Effect.gen(function* () {
        const { issuer, requests, seen } = yield* world
        const { get } = yield* ClientCredentials.make({
          issuer,
          clientId: "worker",
          authentication: ClientAuthentication.tls,
          scopes: ["items:read"]
        })
        assert.deepStrictEqual(Array.from((yield* get()).scopes), ["items:read"])
        assert.deepStrictEqual(seen, [
          {
            port: "issuer",
            path: "/.well-known/openid-configuration",
            certificate: undefined,
            authorization: undefined
          },
          { port: "certificates", path: "/token", certificate: "worker", authorization: undefined }
        ])
        const [, token] = yield* requests
        assert.deepStrictEqual(token?.parameters, {
          client_id: "worker",
          grant_type: "client_credentials",
          scope: "items:read"
        })
      }).pipe(Effect.provide(layerOf(worker)))
    )

    for (const [what, own] of [
      ["no certificate", undefined],
      ["the certificate of another client", stranger]
    ] as const) {
      it.live(`is required: ${name} with ${what}`, () =>
        Effect.gen(function* () {
          const { issuer, seen } = yield* world
          const { get } = yield* ClientCredentials.make({
            issuer,
            clientId: "worker",
            authentication: ClientAuthentication.tls
          })
          const error = yield* Effect.flip(get())
          assert.deepInclude(error, { _tag: "TokenUnavailable", reason: "Unreachable" })
          assert.deepStrictEqual(
            seen.map(({ port }) => port),
            ["issuer"]
          )
        }).pipe(Effect.provide(layerOf(own)))
      )
    }
  }
})

/** A server whose paths below `/to/` redirect to the rest of the path. Returns its origin and what it has received. */
const redirecting = Effect.gen(function* () {
  const seen: Array<string> = []
  const server = yield* NodeHttpServer.make(http.createServer, { port: 0, host: "127.0.0.1" })
  yield* server.serve(
    Effect.map(HttpServerRequest.HttpServerRequest, ({ headers, method, url }) => {
      seen.push(`${method} ${url.split("/").slice(0, 2).join("/")} ${headers["authorization"] ?? "-"}`)
      return url.startsWith("/to/")
        ? HttpServerResponse.redirect(decodeURIComponent(url.slice(4)), { status: 307 })
        : HttpServerResponse.text("here")
    })
  )
  const { address } = server
  return { origin: `http://127.0.0.1:${NetAddress.isUnixPathAddress(address) ? 0 : address.port}`, seen }
})

describe("a redirect of a real fetch", () => {
  it.live("of the token endpoint is not followed, so the secret stays", () =>
    Effect.gen(function* () {
      const [issuer, other] = [yield* redirecting, yield* redirecting]
      const { get } = yield* ClientCredentials.make({
        issuer: issuer.origin,
        tokenUrl: `${issuer.origin}/to/${encodeURIComponent(`${other.origin}/token`)}`,
        clientId: "worker",
        authentication: ClientAuthentication.secret(Redacted.make("secret"))
      })
      const error = yield* Effect.flip(get())
      assert.deepInclude(error, { _tag: "TokenUnavailable", reason: "BadResponse" })
      assert.strictEqual(issuer.seen.length, 1)
      assert.deepStrictEqual(other.seen, [])
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )

  it.live("of an API is not followed, and followRedirects drops the token at another port", () =>
    Effect.gen(function* () {
      const [api, other] = [yield* redirecting, yield* redirecting]
      const client = yield* AuthorizedClient.make({ origins: [api.origin] })
      const there = `${api.origin}/to/${encodeURIComponent(`${other.origin}/items`)}`
      assert.strictEqual((yield* client.get(there)).status, 307)
      assert.deepStrictEqual(other.seen, [])
      const following = HttpClient.followRedirects(client)
      assert.strictEqual(yield* (yield* following.get(there)).text, "here")
      assert.deepStrictEqual(other.seen, ["GET /items -"])
      yield* following.get(`${api.origin}/to/${encodeURIComponent("/items")}`)
      assert.deepStrictEqual(api.seen.slice(-2), ["GET /to Bearer token", "GET /items Bearer token"])
    }).pipe(
      Effect.provideService(TokenSource, TokenSource.fromToken(Redacted.make("token"))),
      Effect.provide(FetchHttpClient.layer)
    )
  )
})
