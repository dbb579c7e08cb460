// Certificate-bound tokens of a real authorization server (the package `oidc-provider`), with TLS on both sides.
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { JwtVerifier, MutualTls, OAuth2 } from "effect-oauth2"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as Jose from "jose"
import { once } from "node:events"
import * as https from "node:https"
import type { AddressInfo } from "node:net"
import type { TLSSocket } from "node:tls"
import { Provider } from "oidc-provider"
import * as MemoryAdapter from "../../scratchpad/items-api/authorization-server/MemoryAdapter.ts"
import { selfSigned, type TestCertificate } from "../support/certificates.ts"
import { get, getOverHttp2, serve } from "../support/mutualTls.ts"

const audience = "https://api.example.com"
const server = selfSigned()
const client = selfSigned("client")
const thief = selfSigned("client")

interface Body {
  readonly status: number
  readonly json: Readonly<Record<string, unknown>>
}

const request = (url: string, options: https.RequestOptions, body = ""): Promise<Body> =>
  new Promise((resolve, reject) => {
    const sent = https.request(url, { agent: false, ca: server.cert, ...options }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          json: JSON.parse(Buffer.concat(chunks).toString()) as Body["json"]
        })
      )
    })
    sent.on("error", reject)
    sent.end(body)
  })

const start = async () => {
  const socket = https.createServer({ ...server, requestCert: true, rejectUnauthorized: false })
  socket.listen(0, "localhost")
  await once(socket, "listening")
  const issuer = `https://localhost:${(socket.address() as AddressInfo).port}`
  const { privateKey } = await Jose.generateKeyPair("RS256", { extractable: true })
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "app",
        client_secret: "a secret of the client",
        redirect_uris: [],
        response_types: [],
        grant_types: ["client_credentials"],
        scope: "items:read",
        tls_client_certificate_bound_access_tokens: true
      }
    ],
    adapter: MemoryAdapter.make(),
    jwks: { keys: [await Jose.exportJWK(privateKey)] },
    cookies: { keys: ["a key for cookies"] },
    ttl: { ClientCredentials: 600 },
    scopes: ["items:read"],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: (ctx) => (ctx.req.socket as TLSSocket).getPeerX509Certificate()?.toString()
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: () => ({ audience, scope: "items:read", accessTokenFormat: "jwt" })
      }
    }
  })
  socket.on("request", provider.callback())
  return {
    issuer,
    /** Requests a token over a connection with the certificate. */
    token: (certificate: TestCertificate) =>
      request(
        `${issuer}/token`,
        {
          method: "POST",
          cert: certificate.cert,
          key: certificate.key,
          headers: {
            authorization: `Basic ${btoa("app:a%20secret%20of%20the%20client")}`,
            "content-type": "application/x-www-form-urlencoded"
          }
        },
        "grant_type=client_credentials&scope=items%3Aread"
      ),
    close: () =>
      new Promise<void>((resolve) => {
        socket.closeAllConnections()
        socket.close(() => resolve())
      })
  }
}

class Server extends Context.Service<Server, Awaited<ReturnType<typeof start>>>()("test/Server") {
  static readonly layer = Layer.effect(
    Server,
    Effect.acquireRelease(Effect.promise(start), ({ close }) => Effect.promise(close))
  )
}

/** A client of the verifier that trusts the certificate of the authorization server. */
const Trusting = Layer.succeed(FetchHttpClient.Fetch, async (input: Parameters<typeof fetch>[0]) => {
  const { json, status } = await request(input instanceof Request ? input.url : String(input), {})
  return Response.json(json, { status })
})

const Api = Layer.unwrap(
  Effect.map(Server, ({ issuer }) => {
    const auth = OAuth2.clientCredentials("Api", {
      tokenUrl: `${issuer}/token`,
      scopes: { "items:read": "Read the items" },
      mutualTls: MutualTls.make(),
      senderConstrained: "required"
    })
    return HttpRouter.add("GET", "/items", HttpServerResponse.text("ok")).pipe(
      auth.require("items:read"),
      Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience }))),
      Layer.provide([FetchHttpClient.layer, Trusting])
    )
  })
)

describe("a certificate-bound token of oidc-provider", () => {
  layer(serve(Api).pipe(Layer.provideMerge(Server.layer)), { excludeTestServices: true })((it) => {
    it.effect("is accepted with the certificate of its client, and refused with another one", () =>
      Effect.gen(function* () {
        const { token: requestToken } = yield* Server
        const { json, status } = yield* Effect.promise(() => requestToken(client))
        assert.strictEqual(status, 200, JSON.stringify(json))
        assert.strictEqual(json["token_type"], "Bearer")
        const token = String(json["access_token"])
        assert.hasAllKeys(Jose.decodeJwt(token)["cnf"], ["x5t#S256"])
        assert.strictEqual((yield* get({ token, certificate: client })).status, 200)
        assert.strictEqual(yield* getOverHttp2({ token, certificate: client }), 200)
        for (const stolen of [{ token, certificate: thief }, { token }]) {
          const { challenge, status } = yield* get(stolen)
          assert.deepStrictEqual([status, challenge], [401, 'Bearer error="invalid_token", scope="items:read"'])
          assert.strictEqual(yield* getOverHttp2(stolen), 401)
        }
      })
    )
  })
})
