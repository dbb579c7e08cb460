import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import type { Algorithm, SymmetricAlgorithm } from "../verifier/keys/algorithms.ts"
import { address } from "./endpoints.ts"
import { make } from "./issuer.ts"
import type { Issuer, SigningKey, TestIssuerOptions } from "./issuerModel.ts"
import * as signingKey from "./signingKey.ts"

/**
 * An authorization server that tests control: it has real keys, publishes them, and mints tokens.
 *
 * **When to use**
 *
 * `TestIssuer.layer` for tests in process: nothing is sent over a network, and time is the test's. `TestIssuer.serve` where the app under test is
 * another process or brings its own `HttpClient`.
 *
 * **Details**
 *
 * | member | what |
 * |---|---|
 * | `issuer`, `audience`, `jwksUri`, `introspectionEndpoint`, `metadata` | what it says of itself |
 * | `mint` | a good token, but for what you change: claims, header, key, profile, lifetime |
 * | `mintOpaque`, `revoke` | a token that only introspection knows (RFC 7662), and the end of one |
 * | `mintRaw` | a token of any bytes, truly signed or not |
 * | `keys`, `currentKey`, `rotate`, `retire`, `publish` | the keys, and what is published of them |
 * | `respond` | an endpoint that is broken, slow, or unreachable |
 * | `requests` | what it was asked, and when |
 * | `reset` | back to how it was built |
 * | `app` | the issuer as an HTTP app |
 *
 * Times are read from the `Clock`, so `TestClock.adjust` expires tokens, keys that are kept, and outages. All but the keys' bits is the same in each
 * run; names of keys (`RS256-1`) and of tokens (`token-1`) too.
 *
 * **Gotchas**
 *
 * Mistakes of a test die: a key that does not exist, an `issuer` that is no https URL, a lifetime that is no duration.
 *
 * **Example** (An app, from a good token to an outage)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer } from "effect"
 * import { HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"
 * import { TestClock } from "effect/testing"
 * import { JwtVerifier, OAuth2 } from "effect-oauth2"
 * import { TestIssuer } from "effect-oauth2/testing"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://issuer.test/authorize",
 *   tokenUrl: "https://issuer.test/token",
 *   scopes: { "items:read": "Read your items" }
 * })
 *
 * const App = HttpRouter.add("GET", "/items", HttpServerResponse.jsonUnsafe([])).pipe(
 *   Layer.provide(auth.require("items:read").route.layer),
 *   Layer.provide(auth.layer),
 *   Layer.provide(JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" }))
 * )
 *
 * const program = Effect.gen(function* () {
 *   const issuer = yield* TestIssuer
 *   const clock = yield* Effect.context<never>()
 *   const app = HttpEffect.toWebHandler(yield* HttpRouter.toHttpEffect(App))
 *   const get = (token: string) =>
 *     Effect.promise(async () => {
 *       const headers = { authorization: `Bearer ${token}` }
 *       const response = await app(new Request("http://localhost/items", { headers }), clock)
 *       return response.status
 *     })
 *
 *   const token = yield* issuer.mint({ scopes: ["items:read"], lifetime: "5 minutes" })
 *   const good = yield* get(token)
 *
 *   yield* TestClock.adjust("6 minutes")
 *   const expired = yield* get(token)
 *
 *   yield* issuer.rotate()
 *   const rotated = yield* get(yield* issuer.mint({ scopes: ["items:read"] }))
 *
 *   yield* issuer.respond("jwks", "unreachable")
 *   yield* TestClock.adjust("2 hours")
 *   const outage = yield* get(yield* issuer.mint({ scopes: ["items:read"] }))
 *
 *   return [good, expired, rotated, outage]
 * })
 *
 * const layers = Layer.merge(TestIssuer.layer(), TestClock.layer())
 *
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layers))) // => [200, 401, 200, 503]
 * ```
 *
 * **Example** (A token that says more than it may)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Redacted } from "effect"
 * import { JwtVerifier, TokenVerifier } from "effect-oauth2"
 * import { TestIssuer } from "effect-oauth2/testing"
 *
 * const Issuer = TestIssuer.layer({ keys: ["ES256"] })
 * const Verifier = JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" })
 *
 * const program = Effect.gen(function* () {
 *   const issuer = yield* TestIssuer
 *   const verifier = yield* TokenVerifier
 *   const [header = "", , signature = ""] = (yield* issuer.mint()).split(".")
 *   const forged = yield* issuer.mintRaw({ header: { encoded: header }, payload: '{"sub":"admin"}', signature })
 *   const error = yield* Effect.flip(verifier.verify(Redacted.make(forged)))
 *   return String(error.message)
 * })
 *
 * const layers = Verifier.pipe(Layer.provideMerge(Issuer))
 *
 * await Effect.runPromise(Effect.provide(program, layers)) // => "The access token was refused: Signature"
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class TestIssuer extends Context.Service<TestIssuer, Issuer>()("effect-oauth2/testing/TestIssuer") {
  /**
   * The issuer, and an `HttpClient` that reaches it and nobody else.
   *
   * **Details**
   *
   * A path of the issuer's origin that is not an endpoint is a 404. A request to another origin fails with an `HttpClientError`
   * (`TransportError`). Both are in `requests`, as `"other"`.
   *
   * **Example** (Keys made once for many tests)
   *
   * ```ts
   * import { Effect, Layer } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const key = Effect.runPromise(TestIssuer.makeKey("rsa"))
   *
   * export const Issuer = Layer.unwrap(
   *   Effect.map(
   *     Effect.promise(() => key),
   *     (key) => TestIssuer.layer({ issuer: "https://login.example.com/tenant", keys: [key] })
   *   )
   * )
   * ```
   *
   * @since 0.1.0
   */
  static layer(options: TestIssuerOptions = {}): Layer.Layer<TestIssuer | HttpClient.HttpClient> {
    return Layer.effectContext(
      Effect.map(make(options), ({ client, issuer }) =>
        Context.make(TestIssuer, issuer).pipe(Context.add(HttpClient.HttpClient, client))
      )
    )
  }

  /**
   * The issuer on a server's socket, with the server's address as its identifier: `http://127.0.0.1:49152`.
   *
   * **Details**
   *
   * The server must be the issuer's own: whatever else it is asked for is a 404. A server that listens on every address is known by its loopback
   * address. Delays are waited for on the `Clock` in which the layer was built; a real client's timeouts know nothing of a `TestClock`.
   *
   * **Example** (With Node)
   *
   * ```ts import.meta.vitest
   * import { NodeHttpServer } from "@effect/platform-node"
   * import { Effect, Layer, Redacted } from "effect"
   * import { FetchHttpClient } from "effect/http"
   * import { JwtVerifier, TokenVerifier } from "effect-oauth2"
   * import { TestIssuer } from "effect-oauth2/testing"
   * import { createServer } from "node:http"
   *
   * const Issuer = TestIssuer.serve().pipe(Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
   *
   * const Verifier = Layer.unwrap(
   *   Effect.map(TestIssuer, ({ issuer }) => JwtVerifier.layer({ issuer, audience: "https://api.test" }))
   * ).pipe(Layer.provide(FetchHttpClient.layer))
   *
   * const program = Effect.gen(function* () {
   *   const token = yield* TestIssuer.use((issuer) => issuer.mint({ subject: "alice" }))
   *   const verified = yield* TokenVerifier.use((verifier) => verifier.verify(Redacted.make(token)))
   *   return verified.subject
   * })
   *
   * const layers = Verifier.pipe(Layer.provideMerge(Issuer))
   *
   * await Effect.runPromise(Effect.provide(program, layers)) // => "alice"
   * ```
   *
   * @since 0.1.0
   */
  static serve(options: Omit<TestIssuerOptions, "issuer"> = {}): Layer.Layer<TestIssuer, never, HttpServer.HttpServer> {
    return Layer.effect(
      TestIssuer,
      Effect.gen(function* () {
        const server = yield* HttpServer.HttpServer
        const { issuer } = yield* make({ ...options, issuer: yield* originOf(server.address) })
        yield* server.serve(issuer.app)
        return issuer
      })
    )
  }

  /**
   * The issuer's endpoints in a router of yours, at the paths that its identifier has: the address in the identifier must be the router's.
   *
   * **Example** (Beside an app)
   *
   * ```ts
   * import { NodeHttpServer } from "@effect/platform-node"
   * import { Layer } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { TestIssuer } from "effect-oauth2/testing"
   * import { createServer } from "node:http"
   *
   * const Health = HttpRouter.add("GET", "/health", HttpServerResponse.empty())
   *
   * export const Server = HttpRouter.serve(Layer.merge(Health, TestIssuer.routes)).pipe(
   *   Layer.provide(TestIssuer.layer({ issuer: "http://localhost:9000/issuer" })),
   *   Layer.provide(NodeHttpServer.layer(createServer, { port: 9000 }))
   * )
   * ```
   *
   * @since 0.1.0
   */
  static readonly routes: Layer.Layer<never, never, HttpRouter.HttpRouter | TestIssuer> = HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const { app, issuer } = yield* TestIssuer
      for (const [path, endpoint] of address(issuer).paths) {
        yield* router.add(endpoint === "introspection" ? "POST" : "GET", pattern(path), app)
      }
    })
  )

  /**
   * A new key pair.
   *
   * **Example** (Somebody else's key of the same name)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const issuer = yield* TestIssuer
   *   const { kid } = yield* issuer.currentKey
   *   const key = yield* TestIssuer.makeKey(kid, "ES256")
   *   const forged = yield* issuer.mint({ key })
   *   return forged.split(".").length
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer())) // => 3
   * ```
   *
   * @since 0.1.0
   */
  static makeKey(
    /** Its name, the header's `kid`. */
    kid: string,
    /** Default: `"RS256"`, of 2048 bits. */
    algorithm: Algorithm = "RS256"
  ): Effect.Effect<SigningKey> {
    return signingKey.makeKey(kid, algorithm)
  }

  /**
   * A secret that signs with HMAC: for the attack that takes a public key for a secret (RFC 8725 §2.1).
   *
   * **Example** (The public key as a secret)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const issuer = yield* TestIssuer
   *   const { jwk, kid } = yield* issuer.currentKey
   *   const secret = yield* TestIssuer.makeSecretKey(kid, JSON.stringify(jwk))
   *   const [header = ""] = (yield* issuer.mint({ key: secret })).split(".")
   *   return atob(header)
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer())) // => '{"alg":"HS256","kid":"RS256-1","typ":"at+jwt"}'
   * ```
   *
   * @since 0.1.0
   */
  static makeSecretKey(
    /** Its name, the header's `kid`. */
    kid: string,
    /** At least one byte; a text is taken as UTF-8. */
    secret: string | Uint8Array,
    /** Default: `"HS256"`. */
    algorithm: SymmetricAlgorithm = "HS256"
  ): Effect.Effect<SigningKey> {
    return signingKey.makeSecretKey(kid, secret, algorithm)
  }
}

const originOf = (address: NetAddress.SocketAddress): Effect.Effect<string> => {
  if (NetAddress.isUnixPathAddress(address)) return Effect.die(new Error("TestIssuer.serve: a Unix socket has no URL"))
  const ip = NetAddress.isUnspecified(address.address) ? NetAddress.ipv4Loopback : address.address
  return Effect.succeed(`http://${NetAddress.formatUrlHost(ip)}:${address.port}`)
}

// A colon starts a parameter of the router's.
const pattern = (path: string): `/${string}` => `/${path.slice(1).replaceAll(":", "::")}`
