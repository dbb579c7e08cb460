/** The `TestIssuer` service and its layers. */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import type { Algorithm, SymmetricAlgorithm } from "../verifier/keys/algorithms.ts"
import { address, allPlaces, methods } from "./endpoints.ts"
import { make } from "./issuer.ts"
import type { Issuer, SigningKey, TestIssuerOptions } from "./issuerModel.ts"
import * as signingKey from "./signingKey.ts"

/**
 * Authorization server that your tests control: it has real keys, publishes them, and mints tokens.
 *
 * **When to use**
 *
 * - Use `TestIssuer.layer` if app and test share a process. There is no network, and `TestClock` controls the time.
 * - Use `TestIssuer.serve` if the app runs in another process or has its own `HttpClient`.
 *
 * **Details**
 *
 * | member | purpose |
 * |---|---|
 * | `issuer`, `audience`, `jwksUri`, `introspectionEndpoint`, `metadata` | describe the issuer |
 * | `mint` | mints a valid token; options change claims, header, key, profile, lifetime |
 * | `mintOpaque`, `revoke` | mint and revoke a token for introspection (RFC 7662) |
 * | `mintRaw` | mints a token of any bytes |
 * | `endpoints`, `signIn`, `signOut` | give the URLs of authorization, tokens and logout, and choose who signs in |
 * | `approveDevice`, `denyDevice`, `mintLogoutToken` | decide about a device, and mint a logout token |
 * | `keys`, `currentKey`, `rotate`, `retire`, `publish` | read and change the keys and the key set |
 * | `respond` | makes an endpoint broken, slow, or unreachable |
 * | `requests` | lists the received requests |
 * | `reset` | restores the initial state |
 * | `app` | serves the issuer over HTTP |
 *
 * All times come from the `Clock`, so `TestClock.adjust` expires tokens and cached keys. Only key material is random:
 * the names of keys (`RS256-1`) and tokens (`token-1`) are the same in each run.
 *
 * **Gotchas**
 *
 * A mistake in a test is a defect: an unknown key name, an `issuer` that is not an https URL, an invalid duration.
 *
 * **Example** (Verifying a token until it expires and the issuer is down)
 *
 * ```ts import.meta.vitest
 * import { Effect, Layer, Redacted } from "effect"
 * import { TestClock } from "effect/testing"
 * import { JwtVerifier, TokenVerifier } from "effect-oauth2"
 * import { TestIssuer } from "effect-oauth2/testing"
 *
 * const program = Effect.gen(function* () {
 *   const { mint, respond } = yield* TestIssuer
 *   const { verify } = yield* TokenVerifier
 *   const outcome = (token: string) =>
 *     Effect.match(verify(Redacted.make(token)), { onFailure: ({ _tag }) => _tag, onSuccess: ({ subject }) => subject })
 *
 *   const token = yield* mint({ subject: "alice", lifetime: "5 minutes" })
 *   const valid = yield* outcome(token)
 *   yield* TestClock.adjust("6 minutes")
 *   const expired = yield* outcome(token)
 *   yield* respond("jwks", "unreachable")
 *   yield* TestClock.adjust("2 hours")
 *   return [valid, expired, yield* outcome(yield* mint())]
 * })
 *
 * const layers = JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" }).pipe(
 *   Layer.provideMerge(Layer.merge(TestIssuer.layer(), TestClock.layer()))
 * )
 *
 * await Effect.runPromise(
 *   Effect.provide(program, layers)
 * ) // => ["alice", "InvalidToken", "AuthorizationServerUnavailable"]
 * ```
 *
 * **Example** (Forging the payload of a token)
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
   * Layer that provides the issuer, and an `HttpClient` that reaches only the issuer.
   *
   * **Details**
   *
   * | request | result |
   * |---|---|
   * | an unknown path of the issuer | `404` |
   * | another origin | an `HttpClientError` with reason `TransportError` |
   *
   * `requests` lists both with the endpoint `"other"`.
   *
   * **Example** (Sharing a key between tests)
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
   * Layer that serves the issuer on an `HttpServer`. The identifier is the server's address: `http://127.0.0.1:49152`.
   *
   * **Details**
   *
   * The server serves only the issuer: every other path gets `404`. If the server listens on all addresses, the
   * identifier contains the loopback address.
   *
   * **Gotchas**
   *
   * Delays use the `Clock` of the layer. The timeouts of a real client do not follow a `TestClock`.
   *
   * **Example** (Serving the issuer with Node)
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
        // The server already listens, so requests must not wait in vain while the issuer generates its keys.
        const ready = yield* Deferred.make<Issuer>()
        yield* server.serve(Effect.flatMap(Deferred.await(ready), ({ app }) => app))
        const { issuer } = yield* make({ ...options, issuer: yield* originOf(server.address) })
        yield* Deferred.succeed(ready, issuer)
        return issuer
      })
    )
  }

  /**
   * Layer that adds the issuer's endpoints to your router. The host and port in the `issuer` option must be the
   * router's.
   *
   * **Example** (Serving the issuer next to an app)
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
   *   Layer.provide(NodeHttpServer.layer(createServer, { port: 9000 })),
   *   Layer.provide(TestIssuer.layer({ issuer: "http://localhost:9000/issuer" }))
   * )
   * ```
   *
   * @since 0.1.0
   */
  static readonly routes: Layer.Layer<never, never, HttpRouter.HttpRouter | TestIssuer> = HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const { app, issuer, jwksUri } = yield* TestIssuer
      for (const [path, endpoint] of address(issuer, allPlaces, new URL(jwksUri).pathname).paths) {
        // The router answers HEAD with the route of GET.
        for (const method of methods[endpoint]) if (method !== "HEAD") yield* router.add(method, routePath(path), app)
      }
    })
  )

  /**
   * Generates a key pair.
   *
   * **Example** (Signing with a foreign key of the same name)
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
    /** Name of the key: the `kid` of the token header. */
    kid: string,
    /** Signature algorithm. RSA keys have 2048 bits. Default: `"RS256"`. */
    algorithm: Algorithm = "RS256"
  ): Effect.Effect<SigningKey> {
    return signingKey.makeKey(kid, algorithm)
  }

  /**
   * Creates an HMAC key, for example to test the attack that uses a public key as a secret (RFC 8725 §2.1).
   *
   * **Example** (Signing with the public key as the secret)
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
    /** Name of the key: the `kid` of the token header. */
    kid: string,
    /** Secret of at least 1 byte. A string is encoded as UTF-8. */
    secret: string | Uint8Array,
    /** Signature algorithm. Default: `"HS256"`. */
    algorithm: SymmetricAlgorithm = "HS256"
  ): Effect.Effect<SigningKey> {
    return signingKey.makeSecretKey(kid, secret, algorithm)
  }
}

const originOf = (address: NetAddress.SocketAddress): Effect.Effect<string> => {
  if (NetAddress.isUnixPathAddress(address)) {
    const message = "TestIssuer.serve: the server listens on a Unix socket, which has no URL. Listen on a TCP port."
    return Effect.die(new Error(message))
  }
  const ip = NetAddress.isUnspecified(address.address) ? NetAddress.ipv4Loopback : address.address
  return Effect.succeed(`http://${NetAddress.formatUrlHost(ip)}:${address.port}`)
}

// Doubles colons, because a single colon starts a parameter of HttpRouter.
const routePath = (path: string): `/${string}` => `/${path.slice(1).replaceAll(":", "::")}`
