// Spans and logs that a real exporter sends: no token, secret, code or proof is in them.
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Logger, Redacted, Scope } from "effect"
import {
  Headers,
  HttpClient,
  type HttpClientRequest,
  HttpMiddleware,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import { Otlp } from "effect/observability"
import {
  AuthorizedClient,
  ClientAuthentication,
  ClientCredentials,
  DeviceAuthorization,
  LoopbackLogin,
  RefreshToken,
  TokenSource,
  TokenStore
} from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import { createServer } from "node:http"

const issuer = "https://issuer.test"
const api = "https://api.test"
const secret = "the secret of worker"

/** An issuer, an API and a collector of OpenTelemetry, each with the requests that it has received. */
const world = Effect.gen(function* () {
  const context = yield* Layer.build(TestIssuer.layer({ keys: ["ES256"], dpopNonces: true }))
  const { app, approveDevice, endpoints, requests } = yield* Effect.provideContext(TestIssuer, context)
  const collected: Array<string> = []
  const seen: Array<HttpClientRequest.HttpClientRequest> = []
  const http = HttpClient.make((request, url) =>
    Effect.gen(function* () {
      seen.push(request)
      const respond = (response: HttpServerResponse.HttpServerResponse) =>
        HttpServerResponse.toClientResponse(response, { request })
      if (url.origin === api) {
        const isFirst = seen.filter((one) => one.url.startsWith(api)).length === 1
        const headers = { "www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": "the nonce of the api" }
        return respond(HttpServerResponse.empty(isFirst ? { status: 401, headers } : { status: 204 }))
      }
      const served = HttpServerRequest.fromClientRequest(request)
      return respond(yield* Effect.provideService(app, HttpServerRequest.HttpServerRequest, served))
    }).pipe(Effect.withTracerEnabled(false))
  )
  const collector = HttpClient.make((request) =>
    Effect.sync(() => {
      const { body } = request
      collected.push(body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : "")
      return HttpServerResponse.toClientResponse(HttpServerResponse.empty(), { request })
    })
  )
  const Exporter = Otlp.layerJson({ baseUrl: "https://collector.test", resource: { serviceName: "client" } }).pipe(
    Layer.provide(Layer.succeed(HttpClient.HttpClient, collector))
  )
  return { http, Exporter, collected, seen, requests, approveDevice, endpoints }
})

describe("the exporter of a program", () => {
  it.live("gets spans and logs without any token, secret, code, nonce or proof", () =>
    Effect.gen(function* () {
      const { approveDevice, collected, Exporter, http, requests, seen } = yield* world
      const secrets = new Set([secret, encodeURIComponent(secret), btoa(`worker:${secret}`)])
      const algorithm = { name: "ECDSA", namedCurve: "P-256" }
      const dpop = yield* Effect.promise(() => crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]))
      const exporting = yield* Scope.make()
      const exporter = yield* Layer.buildWithScope(Exporter, exporting)

      const call = (source: TokenSource["Service"]) =>
        Effect.gen(function* () {
          const client = yield* AuthorizedClient.make({ origins: [api] })
          yield* client.get(`${api}/items`)
          const token = yield* source.get()
          secrets.add(Redacted.value(token.value))
          yield* Effect.logInfo("The token of the source", token, source)
          yield* source.forget(token)
        }).pipe(Effect.provideService(TokenSource, source))

      const program = Effect.gen(function* () {
        yield* call(
          yield* ClientCredentials.make({
            issuer,
            clientId: "worker",
            authentication: ClientAuthentication.secret(Redacted.make(secret)),
            dpop
          })
        )
        yield* call(
          yield* ClientCredentials.make({
            issuer,
            clientId: "worker",
            authentication: ClientAuthentication.privateKeyJwt(dpop.privateKey)
          })
        )
        const registration = { issuer, clientId: "cli", authentication: ClientAuthentication.none }
        const shown = yield* Deferred.make<string>()
        const login = yield* Effect.forkChild(
          LoopbackLogin.signIn({
            ...registration,
            scopes: ["openid", "items:read"],
            listen: (port) => NodeHttpServer.make(createServer, { host: "127.0.0.1", port }),
            show: (url) => Deferred.succeed(shown, url)
          })
        )
        const redirect = yield* Effect.promise(async () => new URL(await Effect.runPromise(Deferred.await(shown))))
        const response = yield* http
          .get(redirect)
          .pipe(Effect.withTracerEnabled(false), Effect.provideService(HttpClient.TracerPropagationEnabled, false))
        const target = new URL(response.headers["location"] ?? "")
        for (const name of ["code", "state"]) secrets.add(target.searchParams.get(name) ?? assert.fail(name))
        yield* Effect.promise(() => fetch(target))
        const grant = yield* Fiber.join(login)
        yield* Effect.logInfo("The grant of the user", grant)
        const source = yield* RefreshToken.make(registration)
        yield* source.save(grant)
        yield* call(source)
        yield* call(source)
        yield* source.signOut
        const device = yield* DeviceAuthorization.start(registration)
        yield* approveDevice(device.userCode)
        yield* Effect.logInfo("The device", device)
        const failing = yield* ClientCredentials.make({
          issuer,
          clientId: "worker",
          authentication: ClientAuthentication.assertion(Effect.fail(secret))
        })
        const exit = yield* Effect.exit(failing.get())
        yield* Effect.logError("The request failed", Exit.isFailure(exit) ? exit.cause : Cause.empty)
      })
      yield* program.pipe(
        Effect.withSpan("program"),
        Effect.scoped,
        Effect.provide(TokenStore.layerMemory),
        Effect.provideService(HttpClient.HttpClient, http),
        Effect.provideService(HttpClient.TracerHeaderFilter, () => true),
        Effect.provideService(HttpMiddleware.TracerHeaderFilter, () => true),
        Effect.provideContext(exporter)
      )
      yield* Scope.close(exporting, Exit.void)

      const names = ["code", "code_verifier", "device_code", "refresh_token", "token", "client_assertion"]
      for (const { parameters = {} } of yield* requests) {
        for (const name of names) if (parameters[name] !== undefined) secrets.add(parameters[name])
      }
      for (const { headers } of seen) {
        for (const name of ["authorization", "dpop"]) {
          if (headers[name] !== undefined) secrets.add(headers[name].replace(/^\w+ /, ""))
        }
      }
      for (const nonce of ["the nonce of the api", "nonce-"]) secrets.add(nonce)
      const text = collected.join("\n")
      assert.isAtLeast(secrets.size, 14)
      // The spans of the requests are there, with their headers.
      for (const name of ["program", "http.request.header.authorization", `${api}/items`, `${issuer}/token`]) {
        assert.include(text, name)
      }
      assert.include(text, "The grant of the user")
      for (const value of secrets) assert.notInclude(text, value)

      // The issuer is another company, which the trace is not for.
      const traced = (request: HttpClientRequest.HttpClientRequest) =>
        Headers.has(request.headers, "traceparent") || Headers.has(request.headers, "b3")
      assert.deepStrictEqual(
        seen.filter((request) => request.url.startsWith(issuer) && traced(request)).map(({ url }) => url),
        []
      )
      assert.isTrue(seen.some((request) => request.url.startsWith(api) && traced(request)))
    }).pipe(Effect.provideService(Logger.CurrentLoggers, new Set()))
  )
})
