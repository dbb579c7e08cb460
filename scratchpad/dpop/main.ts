/**
 * Tokens that cannot be stolen (DPoP, RFC 9449): a real authorization server, an API that requires nonces, and a client.
 *
 * Run `npm run example -- dpop`. The program needs no network, and ends itself.
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import { Dpop, JwtVerifier, OAuth2, Requirement } from "effect-oauth2"
import * as oauth from "oauth4webapi"
import { randomBytes } from "node:crypto"
import { createServer } from "node:http"
import { AuthorizationServer, clients } from "../items-api/AuthorizationServer.ts"

const audience = "urn:example:items"

const auth = OAuth2.clientCredentials("Items", {
  tokenUrl: "/token",
  scopes: { "items:read": "Read your items", "items:write": "Modify your items" },
  // Behind a proxy, set `origin` to the URL that clients use.
  dpop: Dpop.make({ nonces: true })
})

const subject = Effect.map(auth.token, ({ confirmation, subject }) =>
  HttpServerResponse.jsonUnsafe({ subject, key: confirmation?.jkt })
)

/** `/items` accepts bearer tokens, too. `/payments` accepts only tokens that are bound to a key. */
const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/items", subject).pipe(auth.require("items:read")),
  HttpRouter.add("POST", "/payments", subject).pipe(auth.require("items:write", Requirement.senderConstrained))
)

/** All processes of the API need the same secret. */
const Nonces = Layer.unwrap(
  Effect.map(
    Config.Redacted("DPOP_NONCE_SECRET").pipe(Config.withDefault(Redacted.make(randomBytes(32).toString("base64url")))),
    (secret) => Dpop.layerNonces({ secrets: [secret] })
  )
)

const Verifier = Layer.unwrap(Effect.map(AuthorizationServer, ({ issuer }) => JwtVerifier.layer({ issuer, audience })))

const Api = HttpRouter.serve(Routes.pipe(Layer.provide(auth.layer(Verifier)), Layer.provide(Nonces)), {
  disableLogger: true,
  disableListenLog: true
}).pipe(
  Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
  Layer.provideMerge(
    AuthorizationServer.layer({ port: 0, audience, redirectUris: [], origins: [], scopes: Object.keys(auth.scopes) })
  ),
  Layer.provide(FetchHttpClient.layer)
)

const insecure = { [oauth.allowInsecureRequests]: true }

/** A client that makes proofs. oauth4webapi remembers the nonce of each server. */
const client = Effect.gen(function* () {
  const { issuer } = yield* AuthorizationServer
  const { address } = yield* HttpServer.HttpServer
  const port = NetAddress.isInetAddress(address) ? address.port : 0
  const at = (path: string) => new URL(`http://127.0.0.1:${port}${path}`)
  const registered: oauth.Client = { client_id: clients.cli.clientId }
  const secret = oauth.ClientSecretBasic(clients.cli.clientSecret)

  const server = yield* Effect.promise(async () =>
    oauth.processDiscoveryResponse(new URL(issuer), await oauth.discoveryRequest(new URL(issuer), insecure))
  )
  const keys = yield* Effect.promise(() => oauth.generateKeyPair("ES256"))
  const DPoP = oauth.DPoP(registered, keys)

  const grant = (options: object) =>
    Effect.promise(async () => {
      const parameters = new URLSearchParams({ scope: "items:read items:write", resource: audience })
      const response = await oauth.clientCredentialsGrantRequest(server, registered, secret, parameters, {
        ...insecure,
        ...options
      })
      return oauth.processClientCredentialsResponse(server, registered, response)
    })

  /** Calls the API. The first answer asks for a nonce, and the second request has it. */
  const call = (token: string, method: string, path: string, dpop: oauth.DPoPHandle) =>
    Effect.promise(async () => {
      const send = (): Promise<Response> =>
        oauth
          .protectedResourceRequest(token, method, at(path), new Headers(), null, { ...insecure, DPoP: dpop })
          .catch((error: unknown) => {
            if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error
            return oauth.isDPoPNonceError(error) && remaining-- > 0 ? send() : error.response
          })
      let remaining = 1
      return send()
    })

  const bound = yield* grant({ DPoP })
  yield* Console.log(`The authorization server issues a token of the type ${bound.token_type}.`)

  const items = yield* call(bound.access_token, "GET", "/items", DPoP)
  yield* Console.log(`GET /items with a proof: ${items.status}`)
  const payment = yield* call(bound.access_token, "POST", "/payments", DPoP)
  yield* Console.log(`POST /payments with a proof: ${payment.status}`)

  // A thief has the token, but not the key.
  const asBearer = yield* Effect.promise(() =>
    fetch(at("/items"), { headers: { authorization: `Bearer ${bound.access_token}` } })
  )
  yield* Console.log(`GET /items with the stolen token as Bearer: ${asBearer.status}`)
  const thief = oauth.DPoP(registered, yield* Effect.promise(() => oauth.generateKeyPair("ES256")))
  const stolen = yield* call(bound.access_token, "GET", "/items", thief)
  yield* Console.log(`GET /items with the stolen token and another key: ${stolen.status}`)

  const bearer = yield* grant({})
  const plain = (path: string, method: string) =>
    Effect.promise(() => fetch(at(path), { method, headers: { authorization: `Bearer ${bearer.access_token}` } }))
  yield* Console.log(`GET /items with a bearer token: ${(yield* plain("/items", "GET")).status}`)
  const refused = yield* plain("/payments", "POST")
  yield* Console.log(`POST /payments with a bearer token: ${refused.status}`)
  yield* Console.log(`WWW-Authenticate: ${refused.headers.get("www-authenticate")}`)
})

client.pipe(Effect.provide(Api), NodeRuntime.runMain)
