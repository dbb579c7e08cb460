// Tokens of another API for the user of a request: RFC 8693, and the on-behalf-of grant of Entra.
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Redacted, type Scope } from "effect"
import { HttpClient, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2, TokenVerifier } from "effect-oauth2"
import {
  AuthorizedClient,
  ClientAuthentication,
  type ClientToken,
  TokenExchange,
  TokenSource
} from "effect-oauth2/client"
import { TestIssuer, type TestIssuerOptions } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as Jose from "jose"
import { settle } from "../support/settle.ts"
import { issuer, layerOf } from "../support/testIssuers.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: `${issuer}/authorize`,
  tokenUrl: `${issuer}/token`,
  scopes: { "items:read": "Read your items" }
})

const secret = "the secret of orders"
const registration = {
  issuer,
  clientId: "orders",
  authentication: ClientAuthentication.secret(Redacted.make(secret)),
  subject: auth.credential
}
const Verifier = JwtVerifier.layer({ issuer, audience: "https://api.test" })

type Env = TestIssuer | HttpClient.HttpClient | TokenVerifier | OAuth2.Authentication<"OAuth2"> | Scope.Scope

const test = (name: string, body: () => Effect.Effect<void, unknown, Env>, options: TestIssuerOptions = {}) =>
  it.effect(name, () =>
    Effect.provide(
      body(),
      Layer.merge(auth.layer(Verifier), Verifier).pipe(
        Layer.provideMerge(layerOf({ clients: [{ clientId: "orders", clientSecret: secret }], ...options }))
      )
    )
  )

const requests = Effect.map(
  TestIssuer.use(({ requests }) => requests),
  (all) => all.filter(({ endpoint }) => endpoint === "token").map(({ parameters }) => parameters)
)
const count = Effect.map(requests, (all) => all.length)
const claimsOf = ({ value }: ClientToken) => Jose.decodeJwt(Redacted.value(value))
const textOf = ({ value }: ClientToken) => Redacted.value(value)

const messageOf = (exit: Exit.Exit<unknown, unknown>) => (Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "")

/** Runs an effect as a handler of a request with the token. */
const as = (token: string) => auth.proveToken(Redacted.make(token), "items:read")

const mint = (subject: string, lifetime: "5 minutes" | "1 hour" = "1 hour") =>
  TestIssuer.use((issuer) => issuer.mint({ subject, scopes: ["items:read"], lifetime }))

describe("an exchange of tokens", () => {
  test("returns a token of the other API for the user of the request", () =>
    Effect.gen(function* () {
      const { get } = yield* TokenExchange.make({
        ...registration,
        audience: "https://stock.test",
        scopes: ["stock:read"]
      })
      const token = yield* mint("alice")
      const exchanged = yield* as(token)(get())
      assert.deepInclude(claimsOf(exchanged), { sub: "alice", aud: "https://stock.test", act: { sub: "orders" } })
      assert.deepStrictEqual(Array.from(exchanged.scopes), ["stock:read"])
      assert.deepInclude((yield* requests)[0], {
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token: token,
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
        audience: "https://stock.test",
        scope: "stock:read"
      })
    }))

  test("asks once for each token of a user and each set of scopes", () =>
    Effect.gen(function* () {
      const { get } = yield* TokenExchange.make(registration)
      const [alice, session2, bob] = [yield* mint("alice"), yield* mint("alice"), yield* mint("bob")]
      const [first] = yield* Effect.all([as(alice)(get()), as(alice)(get())], { concurrency: 2 })
      assert.strictEqual(textOf(yield* as(alice)(get())), textOf(first))
      assert.strictEqual(yield* count, 1)
      // Another session of the same user may have other rights.
      assert.notStrictEqual(textOf(yield* as(session2)(get())), textOf(first))
      assert.strictEqual(claimsOf(yield* as(bob)(get())).sub, "bob")
      yield* as(alice)(get({ scopes: ["stock:write"] }))
      assert.strictEqual(yield* count, 4)
    }))

  test("returns no token that outlives the token of the user", () =>
    Effect.gen(function* () {
      const { get } = yield* TokenExchange.make(registration)
      const token = yield* mint("alice", "5 minutes")
      const exchanged = yield* as(token)(get())
      assert.strictEqual(exchanged.expiresAt, 300_000)
      assert.strictEqual(claimsOf(exchanged).exp, 600)
      assert.strictEqual((yield* as(yield* mint("bob"))(get())).expiresAt, 600_000)
      // The verifier tolerates clocks that differ. The exchange does not.
      yield* TestClock.adjust("301 seconds")
      const error = yield* Effect.flip(as(token)(get()))
      assert.deepInclude(error, { _tag: "ReauthenticationRequired", error: "expired_token" })
      assert.strictEqual(yield* count, 2)
    }))

  test("does not use a token any more after its user's token was invalidated", () =>
    Effect.gen(function* () {
      const { get } = yield* TokenExchange.make(registration)
      const [alice, bob] = [yield* mint("alice"), yield* mint("bob")]
      const first = yield* as(alice)(get())
      const other = yield* as(bob)(get())
      yield* TokenVerifier.invalidate(Redacted.make(alice))
      assert.notStrictEqual(textOf(yield* as(alice)(get())), textOf(first))
      assert.strictEqual(textOf(yield* as(bob)(get())), textOf(other))
      assert.strictEqual(yield* count, 3)
    }))

  test("does not use a token whose request began before the invalidation", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { get } = yield* TokenExchange.make(registration)
      const alice = yield* mint("alice")
      yield* respond("token", { delay: "2 seconds" })
      const fiber = yield* Effect.forkChild(as(alice)(get()))
      while ((yield* count) === 0) yield* settle
      yield* TokenVerifier.invalidate(Redacted.make(alice))
      yield* respond("token", "normal")
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(yield* count, 2)
    }))

  test("bounds the cached tokens", () =>
    Effect.gen(function* () {
      const { get } = yield* TokenExchange.make(registration)
      const token = yield* mint("alice")
      for (let number = 0; number <= 1000; number++) yield* as(token)(get({ scopes: [`s${number}`] }))
      yield* as(token)(get({ scopes: ["s0"] }))
      assert.strictEqual(yield* count, 1002)
    }))

  const wrongTypes: ReadonlyArray<readonly [string, unknown]> = [
    ["has no issued_token_type", undefined],
    ["has a refresh token", "urn:ietf:params:oauth:token-type:refresh_token"],
    ["has an ID token", "urn:ietf:params:oauth:token-type:id_token"]
  ]
  for (const [name, type] of wrongTypes) {
    test(`refuses a response that ${name}`, () =>
      Effect.gen(function* () {
        const { respond } = yield* TestIssuer
        const { get } = yield* TokenExchange.make(registration)
        const body = { access_token: "text", token_type: "N_A", expires_in: 60, issued_token_type: type }
        yield* respond("token", { body: JSON.stringify(body) })
        const error = yield* Effect.flip(as(yield* mint("alice"))(get()))
        assert.deepInclude(error, { _tag: "TokenUnavailable", reason: "BadResponse" })
      }))
  }

  test("gives its tokens to an authorized client", () =>
    Effect.gen(function* () {
      const { source } = yield* TokenExchange.make({ ...registration, resource: "https://stock.test" })
      const seen: Array<string | undefined> = []
      const api = HttpClient.make((request) => {
        seen.push(request.headers["authorization"])
        return Effect.succeed(HttpServerResponse.toClientResponse(HttpServerResponse.empty(), { request }))
      })
      const request = Effect.gen(function* () {
        const client = yield* AuthorizedClient.make({ origins: ["https://stock.test"] })
        yield* client.get("https://stock.test/items")
        return yield* Effect.flatMap(TokenSource, ({ get }) => get())
      }).pipe(Effect.provideServiceEffect(TokenSource, source), Effect.provideService(HttpClient.HttpClient, api))
      const token = yield* as(yield* mint("alice"))(request)
      assert.deepStrictEqual(seen, [`Bearer ${textOf(token)}`])
    }))

  test("is not needed to forward the user's own token, which goes only to the origins that are named for it", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const api = HttpClient.make((request, url) => {
        seen.push(`${url.origin} ${request.headers["authorization"] ?? "-"}`)
        return Effect.succeed(HttpServerResponse.toClientResponse(HttpServerResponse.empty(), { request }))
      })
      const own = Effect.map(auth.credential, ({ token }) => TokenSource.fromToken(token))
      const request = Effect.gen(function* () {
        const client = yield* AuthorizedClient.make({ origins: ["https://replica.test"] })
        yield* client.get("https://replica.test/items")
        yield* client.get("https://stock.test/items")
      }).pipe(Effect.provideServiceEffect(TokenSource, own), Effect.provideService(HttpClient.HttpClient, api))
      const token = yield* mint("alice")
      yield* as(token)(request)
      assert.deepStrictEqual(seen, [`https://replica.test Bearer ${token}`, "https://stock.test -"])
      assert.strictEqual(yield* count, 0)
    }))

  test("accepts only a credential that a scheme has verified", () =>
    Effect.gen(function* () {
      const forged = { token: Redacted.make("text"), expiresAt: Infinity } as never
      const { get } = yield* TokenExchange.make({ ...registration, subject: Effect.succeed(forged) })
      const exit = yield* Effect.exit(get())
      assert.include(messageOf(exit), "subject must be auth.credential of a scheme")
      const error = yield* Effect.flip(TokenExchange.make({ ...registration, subject: forged }))
      assert.deepInclude(error, { _tag: "ConfigurationError", setting: "subject" })
      assert.strictEqual(yield* count, 0)
    }))

  it.effect("has no credential in tests without a request", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(
        Effect.provide(auth.credential, auth.layerTestGranted({ scopes: ["items:read"] }))
      )
      assert.include(messageOf(exit), "has no credential, because it is from a layer for tests")
    })
  )
})

describe("the on-behalf-of grant", () => {
  test("sends the user's token as the assertion", () =>
    Effect.gen(function* () {
      const { get } = yield* TokenExchange.onBehalfOf({ ...registration, scopes: ["api://stock/.default"] })
      const token = yield* mint("alice")
      assert.deepInclude(claimsOf(yield* as(token)(get())), { sub: "alice" })
      assert.deepInclude((yield* requests)[0], {
        grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
        assertion: token,
        requested_token_use: "on_behalf_of",
        scope: "api://stock/.default"
      })
    }))

  test("fails with the claims that conditional access wants", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { get } = yield* TokenExchange.onBehalfOf(registration)
      const claims = '{"access_token":{"polids":{"essential":true,"values":["9ab03e19"]}}}'
      const body = { error: "interaction_required", error_description: "AADSTS50079", suberror: "basic_action", claims }
      yield* respond("token", { status: 400, body: JSON.stringify(body) })
      const error = yield* Effect.flip(as(yield* mint("alice"))(get()))
      assert.deepInclude(error, { _tag: "ReauthenticationRequired", error: "interaction_required", claims })
    }))

  test("is refused for an app without a user", () =>
    Effect.gen(function* () {
      const { get } = yield* TokenExchange.onBehalfOf(registration)
      const token = yield* TestIssuer.use((issuer) =>
        issuer.mint({ subject: "app", scopes: ["items:read"], claims: { client_id: "app" } })
      )
      const error = yield* Effect.flip(as(token)(get()))
      assert.deepInclude(error, { _tag: "ReauthenticationRequired", error: "invalid_grant" })
    }))
})
