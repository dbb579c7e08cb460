/** Tests of `TokenIntrospection` with a real authorization server (the package `oidc-provider`), over a socket. */
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import * as Persistence from "effect/persistence/Persistence"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import * as Revocations from "effect-oauth2/Revocations"
import * as SharedIntrospection from "effect-oauth2/SharedIntrospection"
import { SecurityError, TokenIntrospection, TokenVerifier } from "effect-oauth2"
import * as Jose from "jose"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Provider } from "oidc-provider"
import * as MemoryAdapter from "../../scratchpad/items-api/authorization-server/MemoryAdapter.ts"
import { eventually } from "../support/eventually.ts"
import { layerClient, missing, monitor, RedisServer } from "../support/redisServer.ts"

const audience = "https://api.example.com"

const clients = {
  api: { clientId: "items api", clientSecret: Redacted.make("a secret: & +%") },
  post: { clientId: "items-api", clientSecret: Redacted.make("a secret: & +%") },
  app: { clientId: "app", clientSecret: Redacted.make("another secret") }
}

interface Server {
  readonly issuer: string
  /** Issues a user's tokens, as in the authorization code grant. */
  readonly grant: (scope: string, audience?: string) => Promise<{ readonly access: string; readonly refresh: string }>
  /** Issues a token to the client itself (client credentials), over HTTP. */
  readonly ownToken: (scope: string) => Promise<string>
  /** Revokes a token (RFC 7009), over HTTP. */
  readonly revoke: (token: string) => Promise<void>
  /** Returns the number of introspection requests so far. */
  readonly introspections: () => number
  readonly close: () => Promise<void>
}

const start = async (): Promise<Server> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const registered = (client: { readonly clientId: string; readonly clientSecret: Redacted.Redacted }) => ({
    client_id: client.clientId,
    client_secret: Redacted.value(client.clientSecret),
    redirect_uris: [],
    response_types: []
  })
  const { privateKey } = await Jose.generateKeyPair("RS256", { extractable: true })
  const provider = new Provider(issuer, {
    clients: [
      { ...registered(clients.api), grant_types: [] },
      { ...registered(clients.post), grant_types: [], token_endpoint_auth_method: "client_secret_post" },
      { ...registered(clients.app), grant_types: ["client_credentials"], scope: "items:read" }
    ],
    adapter: MemoryAdapter.make(),
    jwks: { keys: [await Jose.exportJWK(privateKey)] },
    cookies: { keys: ["a key for cookies"] },
    ttl: { AccessToken: 600, ClientCredentials: 600, Grant: 600, RefreshToken: 600 },
    scopes: ["openid", "offline_access", "items:read", "me"],
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: (_, resource) => ({
          audience: resource,
          scope: "items:read me",
          accessTokenFormat: "opaque"
        })
      }
    }
  })
  let introspections = 0
  const handle = provider.callback()
  server.on("request", (request, response) => {
    if (request.url === "/token/introspection") introspections++
    void handle(request, response)
  })

  const post = async (path: string, form: Record<string, string>) => {
    const { clientId, clientSecret } = clients.app
    const response = await fetch(issuer + path, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${clientId}:${encodeURIComponent(Redacted.value(clientSecret))}`)}` },
      body: new URLSearchParams(form)
    })
    assert.strictEqual(response.status, 200, path)
    return response
  }

  return {
    issuer,
    grant: async (scope, resource = audience) => {
      const client = await provider.Client.find(clients.app.clientId)
      assert(client !== undefined)
      const grant = new provider.Grant({ accountId: "alice", clientId: client.clientId })
      grant.addResourceScope(resource, scope)
      const common = { accountId: "alice", client, grantId: await grant.save(), gty: "authorization_code", scope }
      const access = new provider.AccessToken({ ...common, aud: resource })
      const refresh = new provider.RefreshToken({ ...common, resource })
      return { access: await access.save(), refresh: await refresh.save() }
    },
    ownToken: async (scope) => {
      const response = await post("/token", { grant_type: "client_credentials", scope, resource: audience })
      const { access_token } = (await response.json()) as { readonly access_token: string }
      return access_token
    },
    revoke: async (token) => {
      await post("/token/revocation", { token })
    },
    introspections: () => introspections,
    close: async () => {
      if (!server.listening) return
      server.close()
      server.closeAllConnections()
      await once(server, "close")
    }
  }
}

class AuthorizationServer extends Context.Service<AuthorizationServer, Server>()("AuthorizationServer") {
  static readonly layer = Layer.effect(
    AuthorizationServer,
    Effect.acquireRelease(Effect.promise(start), ({ close }) => Effect.promise(close))
  )
}

const verifier = (more: Partial<TokenIntrospection.Policy & TokenIntrospection.ClientSecret> = {}) =>
  Layer.unwrap(
    Effect.map(AuthorizationServer, ({ issuer }) =>
      TokenIntrospection.layer({ issuer, audience, ...clients.api, ...more })
    )
  ).pipe(Layer.provide(FetchHttpClient.layer))

const verifyWith = (token: string, more?: Parameters<typeof verifier>[0]) =>
  TokenVerifier.use(({ verify }) => verify(Redacted.make(token))).pipe(Effect.provide(verifier(more)))

const errorOf = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.flip(self)

const grant = (scope: string, audience?: string) =>
  AuthorizationServer.use(({ grant }) => Effect.promise(() => grant(scope, audience)))

describe("TokenIntrospection, with a real authorization server", () => {
  layer(AuthorizationServer.layer, { excludeTestServices: true })((it) => {
    it.effect("discovers the endpoint and reads the introspection response", () =>
      Effect.gen(function* () {
        const { access } = yield* grant("items:read me")
        const token = yield* verifyWith(access)
        const { issuer } = yield* AuthorizationServer
        assert.deepStrictEqual(
          [token.subject, token.issuer, Array.from(token.scopes), token.audience],
          ["alice", issuer, ["items:read", "me"], [audience]]
        )
        assert.notInclude(access, ".", "the token must be opaque")
      })
    )

    it.effect("sends the client secret in the body if the client is registered for client_secret_post", () =>
      Effect.gen(function* () {
        const { access } = yield* grant("me")
        const verified = yield* verifyWith(access, { ...clients.post, authMethod: "client_secret_post" })
        assert.strictEqual(verified.subject, "alice")
      })
    )

    it.effect("refuses a refresh token, although it is active", () =>
      Effect.gen(function* () {
        const { refresh } = yield* grant("me")
        for (const setting of [audience, false] as const) {
          const error = yield* errorOf(verifyWith(refresh, { audience: setting }))
          assert.instanceOf(error, SecurityError.InvalidToken)
          assert.strictEqual(error.claim, "token_type")
        }
      })
    )

    it.effect("refuses a token for another API", () =>
      Effect.gen(function* () {
        const { access } = yield* grant("me", "https://other.example.com")
        const error = yield* errorOf(verifyWith(access))
        assert.instanceOf(error, SecurityError.InvalidToken)
        assert.strictEqual(error.claim, "aud")
        assert.strictEqual((yield* verifyWith(access, { audience: false })).subject, "alice")
      })
    )

    it.effect("accepts a client credentials token if subjectClaims contains client_id", () =>
      Effect.gen(function* () {
        const { ownToken } = yield* AuthorizationServer
        const token = yield* Effect.promise(() => ownToken("items:read"))
        const error = yield* errorOf(verifyWith(token))
        assert.instanceOf(error, SecurityError.InvalidToken)
        assert.strictEqual(error.claim, "sub")
        const verified = yield* verifyWith(token, { subjectClaims: ["sub", "client_id"] })
        assert.deepStrictEqual([verified.subject, Array.from(verified.scopes)], ["app", ["items:read"]])
      })
    )

    it.effect("refuses tokens that were revoked or never issued", () =>
      Effect.gen(function* () {
        const { revoke } = yield* AuthorizationServer
        const { access } = yield* grant("me")
        yield* Effect.promise(() => revoke(access))
        for (const token of [access, "never-issued", "a.b.c"]) {
          const error = yield* errorOf(verifyWith(token))
          assert.instanceOf(error, SecurityError.InvalidToken, token)
          assert.strictEqual(error.reason, "Rejected")
        }
      })
    )

    it.effect("fails with AuthorizationServerUnavailable if the client secret is wrong", () =>
      Effect.gen(function* () {
        const { access } = yield* grant("me")
        const error = yield* errorOf(verifyWith(access, { clientSecret: Redacted.make("wrong") }))
        assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
        assert.strictEqual(error.reason, "BadResponse")
      })
    )

    it.effect("fails with AuthorizationServerUnavailable if the server is gone", () =>
      Effect.gen(function* () {
        const { access } = yield* grant("me")
        const { close } = yield* AuthorizationServer
        yield* Effect.promise(close)
        const error = yield* errorOf(verifyWith(access))
        assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
        assert.strictEqual(error.reason, "Unreachable")
      }).pipe(Effect.provide(Layer.fresh(AuthorizationServer.layer)))
    )

    it.effect.skipIf(missing)(
      "two processes share an introspection over Redis, and both refuse after a revocation",
      () =>
        Effect.gen(function* () {
          const { introspections, issuer, revoke } = yield* AuthorizationServer
          const { access } = yield* grant("items:read")
          const token = Redacted.make(access)
          const redis = yield* RedisServer.make
          const recorded = yield* monitor(redis)
          const timeout = { timeout: "5 seconds" } as const
          const start = Effect.map(
            Layer.build(
              Layer.fresh(
                SharedIntrospection.layer({ issuer, audience, ...clients.api, ...timeout }).pipe(
                  Revocations.enforce,
                  Layer.provide(
                    Layer.mergeAll(
                      Persistence.layerBackingRedis,
                      ReplayStore.layerRedis(timeout),
                      Revocations.layerRedis({ ...timeout, localCopy: { maxAge: "1 second" } })
                    )
                  ),
                  Layer.provide(layerClient(redis.port)),
                  Layer.provide(FetchHttpClient.layer)
                )
              )
            ),
            (context) => Context.get(context, TokenVerifier)
          )
          const [first, second] = [yield* start, yield* start]
          const before = introspections()
          for (const process of [first, second, first]) {
            assert.strictEqual((yield* process.verify(token)).subject, "alice")
          }
          assert.strictEqual(introspections() - before, 1)
          // The server revokes the token, and one process learns of this.
          yield* Effect.promise(() => revoke(access))
          yield* first.invalidate(token)
          for (const process of [first, second]) {
            const exit = yield* eventually(Effect.exit(process.verify(token)), Exit.isFailure)
            assert.strictEqual((yield* Effect.flip(exit))._tag, "InvalidToken")
          }
          assert.notInclude(yield* recorded, access)
        }).pipe(Effect.scoped)
    )
  })
})
