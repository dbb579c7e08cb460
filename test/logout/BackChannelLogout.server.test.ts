/** Tests of `BackChannelLogout` with a real authorization server (the package `oidc-provider`), over sockets. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import * as BackChannelLogout from "effect-oauth2/BackChannelLogout"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import * as Revocations from "effect-oauth2/Revocations"
import * as Jose from "jose"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Provider } from "oidc-provider"
import * as MemoryAdapter from "../../scratchpad/items-api/authorization-server/MemoryAdapter.ts"
import { authorizationServer } from "../support/authorizationServer.ts"
import { eventually } from "../support/eventually.ts"
import { layerClient, missing, RedisServer } from "../support/redisServer.ts"

const audience = "https://api.example.com"

interface Registration {
  readonly clientId: string
  readonly logoutUri: string
}

/** A provider that issues JWTs for the API, and that sends logout tokens to the clients. */
const start = async (register: (issuer: string) => Promise<ReadonlyArray<Registration>>) => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { privateKey } = await Jose.generateKeyPair("ES256", { extractable: true })
  // The app finds the keys while it starts, so the provider answers before it knows its clients.
  const attached = Promise.withResolvers<ReturnType<Provider["callback"]>>()
  server.on("request", (request, response) => void attached.promise.then((handle) => handle(request, response)))
  const clients = await register(issuer)
  const provider = new Provider(issuer, {
    clients: clients.map(({ clientId, logoutUri }) => ({
      client_id: clientId,
      client_secret: `${clientId}-secret`,
      redirect_uris: ["https://app.example.com/callback"],
      id_token_signed_response_alg: "ES256" as const,
      backchannel_logout_uri: logoutUri,
      backchannel_logout_session_required: clientId === "with-session"
    })),
    adapter: MemoryAdapter.make(),
    jwks: { keys: [{ ...(await Jose.exportJWK(privateKey)), alg: "ES256" }] },
    cookies: { keys: ["a key for cookies"] },
    ttl: { AccessToken: 600, Grant: 600 },
    enabledJWA: { idTokenSigningAlgValues: ["ES256"] },
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    // The default refuses to send requests to this machine.
    fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined } as RequestInit),
    // As servers do that write the session into access tokens.
    extraTokenClaims: (_, token) => ("sessionUid" in token ? { sid: token.sessionUid } : undefined),
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          audience,
          scope: "items:read",
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } }
        })
      }
    }
  })
  attached.resolve(provider.callback())
  const clientOf = async (clientId: string) => {
    const client = await provider.Client.find(clientId)
    assert(client !== undefined)
    return client
  }
  return {
    issuer,
    grant: async (clientId: string, accountId: string, sessionUid: string) => {
      const client = await clientOf(clientId)
      const grant = new provider.Grant({ accountId, clientId })
      grant.addResourceScope(audience, "items:read")
      const grantId = await grant.save()
      const resourceServer = new provider.ResourceServer(audience, {
        audience,
        scope: "items:read",
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } }
      })
      const token = new provider.AccessToken({
        accountId,
        client,
        grantId,
        gty: "authorization_code",
        scope: "items:read",
        sessionUid,
        resourceServer
      })
      return token.save()
    },
    /** Sends a logout token to the client, and fails unless the response is a success. */
    logOut: async (clientId: string, accountId: string, sid: string) => {
      // The types of oidc-provider lack this method.
      const client = (await clientOf(clientId)) as unknown as {
        readonly backchannelLogout: (sub: string, sid: string) => Promise<void>
      }
      await client.backchannelLogout(accountId, sid)
    },
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, "close")
    }
  }
}

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: {} })

const memory = Layer.merge(Revocations.layerMemory(), ReplayStore.layerMemory())

/** Serves the API and its two logout routes. Returns the address. */
const serveApp = Effect.fnUntraced(function* (
  issuer: string,
  stores: Layer.Layer<Revocations.Revocations | ReplayStore, unknown> = memory
) {
  const Verifier = JwtVerifier.layer({ issuer, audience }).pipe(Revocations.enforce)
  const Routes = Layer.mergeAll(
    HttpRouter.add("GET", "/items", HttpServerResponse.empty()).pipe(
      auth.require(),
      Layer.provide(auth.layer(Verifier))
    ),
    BackChannelLogout.layer({ issuer, clientId: "with-session", path: "/logout/session" }),
    BackChannelLogout.layer({ issuer, clientId: "without-session", path: "/logout/subject" })
  ).pipe(Layer.provide(stores), Layer.provide(FetchHttpClient.layer))
  const context = yield* Layer.build(
    HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
    )
  )
  const { address } = Context.get(context, HttpServer.HttpServer)
  assert(address._tag === "InetAddressV4")
  return `http://127.0.0.1:${address.port}`
})

it.live("a logout at oidc-provider ends a session, or all tokens of a subject", () =>
  Effect.gen(function* () {
    const run = Effect.runPromiseWith(yield* Effect.context<Scope.Scope>())
    let app = ""
    const provider = yield* Effect.acquireRelease(
      Effect.promise(() =>
        start(async (issuer) => {
          app = await run(serveApp(issuer))
          return [
            { clientId: "with-session", logoutUri: `${app}/logout/session` },
            { clientId: "without-session", logoutUri: `${app}/logout/subject` }
          ]
        })
      ),
      ({ close }) => Effect.promise(close)
    )
    const statusWith = (token: string) =>
      Effect.promise(async () => {
        const response = await fetch(`${app}/items`, { headers: { authorization: `Bearer ${token}` } })
        return response.status
      })
    const [alice1, alice2, bob] = yield* Effect.promise(() =>
      Promise.all([
        provider.grant("with-session", "alice", "session-1"),
        provider.grant("with-session", "alice", "session-2"),
        provider.grant("without-session", "bob", "session-3")
      ])
    )
    const statuses = Effect.all([alice1, alice2, bob].map(statusWith))
    assert.deepStrictEqual(yield* statuses, [204, 204, 204])
    yield* Effect.promise(() => provider.logOut("with-session", "alice", "session-1"))
    assert.deepStrictEqual(yield* statuses, [401, 204, 204])
    yield* Effect.promise(() => provider.logOut("without-session", "bob", "unused"))
    assert.deepStrictEqual(yield* statuses, [401, 204, 401])
    // A session that no request has used.
    yield* Effect.promise(() => provider.logOut("with-session", "carol", "session-9"))
  }).pipe(Effect.scoped)
)

it.live.skipIf(missing)("a logout at oidc-provider reaches one process, and all processes refuse the session", () =>
  Effect.gen(function* () {
    const run = Effect.runPromiseWith(yield* Effect.context<Scope.Scope>())
    const redis = yield* RedisServer.make
    const timeout = { timeout: "5 seconds" } as const
    const stores = Layer.fresh(
      Layer.merge(
        Revocations.layerRedis({ ...timeout, localCopy: { maxAge: "1 second" } }),
        ReplayStore.layerRedis(timeout)
      )
    ).pipe(Layer.provide(layerClient(redis.port)))
    const apps: Array<string> = []
    const provider = yield* Effect.acquireRelease(
      Effect.promise(() =>
        start(async (issuer) => {
          for (let i = 0; i < 3; i++) apps.push(await run(serveApp(issuer, stores)))
          return [{ clientId: "with-session", logoutUri: `${apps[0]}/logout/session` }]
        })
      ),
      ({ close }) => Effect.promise(close)
    )
    const token = yield* Effect.promise(() => provider.grant("with-session", "alice", "session-1"))
    const other = yield* Effect.promise(() => provider.grant("with-session", "alice", "session-2"))
    const statusOf = (app: string, token: string) =>
      Effect.promise(async () => {
        const response = await fetch(`${app}/items`, { headers: { authorization: `Bearer ${token}` } })
        return response.status
      })
    for (const app of apps) {
      assert.strictEqual(yield* statusOf(app, token), 204)
      assert.strictEqual(yield* statusOf(app, other), 204)
    }
    yield* Effect.promise(() => provider.logOut("with-session", "alice", "session-1"))
    for (const app of apps) {
      yield* eventually(statusOf(app, token), (status) => status === 401)
      assert.strictEqual(yield* statusOf(app, other), 204)
    }
  }).pipe(Effect.scoped)
)
