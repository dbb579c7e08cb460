// No token, secret, code or proof appears in logs, in spans, or in errors.
import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Logger, Redacted, References, Tracer } from "effect"
import { HttpClient, HttpServerResponse } from "effect/http"
import {
  AuthorizedClient,
  ClientAuthentication,
  ClientCredentials,
  DeviceAuthorization,
  RefreshToken,
  TokenSource,
  TokenStore
} from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import { issuer, test } from "../support/testIssuers.ts"
import { clientId, signIn } from "./support.ts"

const secret = "the secret of worker"

const withoutBigInts = (_: string, value: unknown) => (typeof value === "bigint" ? String(value) : value)

describe("a client", () => {
  test("shows no token in logs, spans and errors", () =>
    Effect.gen(function* () {
      const written: Array<unknown> = []
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const grant = yield* signIn()
      const secrets = new Set([secret])
      const api = HttpClient.make((request) => {
        secrets.add((request.headers["authorization"] ?? "").replace(/^\w+ /, ""))
        if (request.headers["dpop"] !== undefined) secrets.add(request.headers["dpop"])
        return Effect.succeed(
          HttpServerResponse.toClientResponse(HttpServerResponse.empty({ status: 401 }), { request })
        )
      })
      const algorithm = { name: "ECDSA", namedCurve: "P-256" }
      const dpop = yield* Effect.promise(() => crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]))
      const call = (source: TokenSource["Service"]) =>
        Effect.gen(function* () {
          const token = yield* source.get()
          yield* Effect.logInfo("token", token, source)
          const client = yield* AuthorizedClient.make({ origins: ["https://api.test"] })
          yield* client.get("https://api.test/items")
        }).pipe(Effect.provideService(TokenSource, source), Effect.provideService(HttpClient.HttpClient, api))
      const program = Effect.gen(function* () {
        const authentication = ClientAuthentication.secret(Redacted.make(secret))
        for (const options of [{}, { dpop }]) {
          yield* call(yield* ClientCredentials.make({ issuer, clientId: "worker", authentication, ...options }))
        }
        const store = yield* TokenStore
        yield* store.write(grant, undefined)
        const source = yield* RefreshToken.make({ issuer, clientId, authentication: ClientAuthentication.none })
        yield* call(source)
        yield* TestClock.adjust("10 minutes")
        yield* call(source)
        yield* Effect.logInfo("grant", yield* store.read)
        const device = yield* DeviceAuthorization.start({ issuer, clientId, authentication: ClientAuthentication.none })
        secrets.add("device-1")
        yield* Effect.logInfo(device)
        const { respond } = yield* TestIssuer
        yield* respond("token", {
          status: 400,
          body: JSON.stringify({ error: "invalid_client", error_description: secret })
        })
        yield* source.forget(yield* source.get())
        const exit = yield* Effect.exit(source.get())
        written.push(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", exit)
      }).pipe(
        Effect.withSpan("program"),
        Effect.provide(TokenStore.layerMemory),
        Effect.provideService(Tracer.Tracer, tracer),
        Effect.provideService(References.MinimumLogLevel, "All"),
        Effect.provide(
          Layer.mergeAll(Logger.layer([Logger.make((options) => written.push(options.message, options.cause))]))
        )
      )
      yield* program
      for (const { parameters } of yield* TestIssuer.use(({ requests }) => requests)) {
        if (parameters?.["refresh_token"] !== undefined) secrets.add(parameters["refresh_token"])
      }
      secrets.add(Redacted.value(grant.accessToken))
      assert.isAtLeast(secrets.size, 6)
      assert.isAtLeast(spans.length, 4)
      const described = spans.map(({ attributes, name, status }) => [name, [...attributes], status])
      const text = [written, described]
        .map((value) => inspect(value, { depth: 12 }) + JSON.stringify(value, withoutBigInts))
        .join("\n")
      for (const value of secrets) assert.notInclude(text, value)
    }))
})
