/** Tests of `clientKey` and `signedResponses` with a real authorization server (the package `oidc-provider`). */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { type SecurityError, TokenIntrospection, TokenVerifier } from "effect-oauth2"
import * as jose from "jose"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Provider } from "oidc-provider"
import * as MemoryAdapter from "../../scratchpad/items-api/authorization-server/MemoryAdapter.ts"

const audience = "https://api.example.com"

const start = async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const [client, other, signing] = await Promise.all(
    (["ES256", "ES256", "PS256"] as const).map((alg) => jose.generateKeyPair(alg, { extractable: true }))
  )
  assert(client !== undefined && other !== undefined && signing !== undefined)
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "items-api",
        token_endpoint_auth_method: "private_key_jwt",
        token_endpoint_auth_signing_alg: "ES256",
        jwks: { keys: [{ ...(await jose.exportJWK(client.publicKey)), kid: "client-1", alg: "ES256" }] },
        introspection_signed_response_alg: "PS256",
        id_token_signed_response_alg: "PS256",
        grant_types: [],
        response_types: [],
        redirect_uris: []
      }
    ],
    adapter: MemoryAdapter.make(),
    jwks: { keys: [{ ...(await jose.exportJWK(signing.privateKey)), alg: "PS256", kid: "server-1" }] },
    cookies: { keys: ["a key for cookies"] },
    ttl: { AccessToken: 600, Grant: 600 },
    enabledJWA: { introspectionSigningAlgValues: ["PS256"], clientAuthSigningAlgValues: ["ES256"] },
    clientAuthMethods: ["private_key_jwt"],
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: () => true },
      jwtIntrospection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ audience, scope: "items:read", accessTokenFormat: "opaque" })
      }
    }
  })
  const problems: Array<string> = []
  provider.on("introspection.error", (_, error: Error) => problems.push(error.message))
  server.on("request", provider.callback())
  return {
    issuer,
    clientKey: client.privateKey,
    otherKey: other.privateKey,
    problems,
    grant: async () => {
      const registered = await provider.Client.find("items-api")
      assert(registered !== undefined)
      const grant = new provider.Grant({ accountId: "alice", clientId: "items-api" })
      grant.addResourceScope(audience, "items:read")
      const token = new provider.AccessToken({
        accountId: "alice",
        client: registered,
        grantId: await grant.save(),
        gty: "authorization_code",
        scope: "items:read",
        aud: audience
      })
      return token.save()
    },
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, "close")
    }
  }
}

describe("TokenIntrospection with oidc-provider", () => {
  const server = Effect.acquireRelease(Effect.promise(start), ({ close }) => Effect.promise(close))

  const verifierOf = (options: Parameters<typeof TokenIntrospection.layer>[0]) =>
    Effect.map(Layer.build(TokenIntrospection.layer(options).pipe(Layer.provide(FetchHttpClient.layer))), (context) =>
      TokenVerifier.useSync(
        ({ verify }) =>
          (token: string) =>
            verify(Redacted.make(token))
      ).pipe(Effect.provide(context), Effect.runSync)
    )

  for (const signedResponses of [true, false]) {
    it.live(`authenticates with a private key, and accepts ${signedResponses ? "signed responses" : "JSON"}`, () =>
      Effect.gen(function* () {
        const { clientKey, grant, issuer, problems } = yield* server
        const verify = yield* verifierOf({
          issuer,
          audience,
          clientId: "items-api",
          clientKey,
          clientKeyId: "client-1",
          signedResponses,
          cache: false
        })
        const token = yield* Effect.promise(grant)
        for (let i = 0; i < 3; i++) {
          const verified = yield* verify(token)
          assert.strictEqual(verified.subject, "alice")
          assert.deepStrictEqual([...verified.scopes], ["items:read"])
        }
        const refused: SecurityError.SecurityError = yield* Effect.flip(verify("unknown"))
        assert.strictEqual(refused._tag, "InvalidToken")
        assert.deepStrictEqual(problems, [])
      }).pipe(Effect.scoped)
    )
  }

  it.live("is an outage if the server does not know the private key", () =>
    Effect.gen(function* () {
      const { grant, issuer, otherKey } = yield* server
      const verify = yield* verifierOf({ issuer, audience, clientId: "items-api", clientKey: otherKey })
      const error = yield* Effect.flip(verify(yield* Effect.promise(grant)))
      assert.strictEqual(error._tag, "AuthorizationServerUnavailable")
    }).pipe(Effect.scoped)
  )
})
