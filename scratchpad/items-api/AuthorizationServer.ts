/**
 * A real OAuth 2.1 and OpenID Connect authorization server on this machine, built with the package `oidc-provider`.
 *
 * The demos and the end-to-end tests use it. It issues access tokens for one API: JWTs (RFC 9068), or opaque tokens
 * for introspection (RFC 7662). `items-cli` uses the client credentials grant. `items-docs`, `items-web` and `mcp-client`
 * use the authorization code grant with PKCE. All keys, sessions and grants are in memory.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Effect, Layer, Schema } from "effect"
import * as jose from "jose"
import { randomBytes } from "node:crypto"
import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import {
  type ClientMetadata,
  type Configuration,
  errors,
  interactionPolicy,
  type KoaContextWithOIDC,
  Provider
} from "oidc-provider"
import * as MemoryAdapter from "./authorization-server/MemoryAdapter.ts"
import type * as Html from "./Html.ts"
import * as Pages from "./authorization-server/Pages.ts"
import * as SignIn from "./authorization-server/SignIn.ts"

export interface Options {
  /** Port on 127.0.0.1. `0` selects a free port. */
  readonly port: number
  /** Identifier of the API: the `aud` claim of access tokens. */
  readonly audience: string
  /** Redirect URIs of `items-docs`. */
  readonly redirectUris: ReadonlyArray<string>
  /** Browser origins that may call the token and userinfo endpoints. */
  readonly origins: ReadonlyArray<string>
  /** Scopes of the API. Default: those of the Items API. */
  readonly scopes?: ReadonlyArray<string>
  /** Origin of the web page, whose client is `items-web`. Default: none, so the client is not registered. */
  readonly webOrigin?: string
  /** Redirect URIs of `mcp-client`. Default: none, so the client is not registered. */
  readonly mcpRedirectUris?: ReadonlyArray<string>
  /** Default: `jwt`. With `opaque`, the server has endpoints for introspection and revocation, and the client `items-api`. */
  readonly accessTokens?: "jwt" | "opaque"
  /** Other clients, with the names of their settings in RFC 7591. Default: none. */
  readonly otherClients?: ReadonlyArray<ClientMetadata>
}

/**
 * The registered clients: three programs with a secret, and two clients that cannot keep a secret. `items-api` is the API
 * itself, which introspects tokens. `items-web` is its web page. `mcp-client` gets no refresh tokens, so that it asks the user for additional scopes.
 */
export const clients = {
  api: { clientId: "items-api", clientSecret: "items-api-secret" },
  cli: { clientId: "items-cli", clientSecret: "items-cli-secret" },
  docs: { clientId: "items-docs" },
  web: { clientId: "items-web", clientSecret: "items-web-secret" },
  mcp: { clientId: "mcp-client" }
} as const

/** Name of a user to whom the server grants no scope of the API. */
export const guest = "guest"

export class AuthorizationServer extends Context.Service<
  AuthorizationServer,
  {
    /** Issuer identifier, such as `http://127.0.0.1:3001`. The discovery document has all other URLs. */
    readonly issuer: string
  }
>()("items-api/AuthorizationServer") {
  static readonly layer = (options: Options): Layer.Layer<AuthorizationServer, PortUnavailable> =>
    Layer.effect(
      AuthorizationServer,
      Effect.gen(function* () {
        const signingKey = yield* makeSigningKey
        // The issuer contains the port, so the server must listen before the provider exists. Requests wait for it.
        const attached = Promise.withResolvers<RequestListener>()
        const server = yield* listen(options.port, (request, response) => {
          void attached.promise.then((handle) => handle(request, response))
        })
        const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

        const provider = new Provider(issuer, configuration(options, signingKey))
        const log = Effect.runForkWith(yield* Effect.context())
        provider.on("server_error", (_, error) => log(Effect.logError(error)))
        provider.on("backchannel.error", (_, error) => log(Effect.logError(error)))
        // Without this handler, Koa prints uncaught errors, such as a connection that the browser closed.
        provider.onerror = (error) => log(Effect.logDebug(error))

        const oidc = provider.callback()
        const signIn = yield* NodeHttpServer.makeHandler(SignIn.handler(provider), { scope: yield* Effect.scope })
        attached.resolve((request, response) =>
          request.url?.startsWith(SignIn.path) ? signIn(request, response) : oidc(request, response)
        )
        return { issuer }
      })
    )
}

/** The server cannot listen on the port, usually because another program does. */
export class PortUnavailable extends Schema.TaggedError<PortUnavailable>()("PortUnavailable", {
  port: Schema.Number,
  /** Environment variable that sets the port. */
  setting: Schema.String,
  /** Code of the system error, such as `EADDRINUSE` or `EACCES`. */
  code: Schema.String
}) {
  override get message() {
    return this.code === "EADDRINUSE"
      ? `Port ${this.port} is in use. Stop the program that listens on it, or set ${this.setting} to another port.`
      : `The program cannot listen on port ${this.port} (${this.code}). Set ${this.setting} to another port.`
  }
}

const makeSigningKey = Effect.promise(async (): Promise<jose.JWK> => {
  const { privateKey } = await jose.generateKeyPair("RS256", { extractable: true })
  return { ...(await jose.exportJWK(privateKey)), alg: "RS256", use: "sig" }
})

const listen = (port: number, handle: RequestListener) =>
  Effect.acquireRelease(
    Effect.callback<Server, PortUnavailable>((resume) => {
      const server = createServer(handle)
      server.on("error", (error: NodeJS.ErrnoException) =>
        resume(
          Effect.fail(
            new PortUnavailable({ port, setting: "AUTHORIZATION_SERVER_PORT", code: error.code ?? error.name })
          )
        )
      )
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        // Closes idle connections, and waits for requests in progress.
        server.close(() => resume(Effect.void))
        server.on("request", (_, response) => response.setHeader("connection", "close"))
      }).pipe(Effect.timeoutOption("2 seconds"), Effect.andThen(Effect.sync(() => server.closeAllConnections())))
  )

const itemsScopes = ["items:read", "items:write", "me"]
const oidcScopes = ["openid", "offline_access"]

const minutes = (count: number) => count * 60
const days = (count: number) => minutes(count * 24 * 60)

const configuration = (
  { accessTokens = "jwt", mcpRedirectUris = [], scopes: apiScopes = itemsScopes, ...options }: Options,
  signingKey: jose.JWK
): Configuration => ({
  adapter: MemoryAdapter.make(),
  jwks: { keys: [signingKey] },
  cookies: { keys: [randomBytes(32).toString("base64url")] },
  scopes: [...oidcScopes, ...apiScopes],
  responseTypes: ["code"],
  pkce: { required: () => true },
  clients: [
    {
      client_id: clients.cli.clientId,
      client_secret: clients.cli.clientSecret,
      grant_types: ["client_credentials"],
      response_types: [],
      redirect_uris: [],
      scope: apiScopes.join(" ")
    },
    {
      client_id: clients.docs.clientId,
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      redirect_uris: [...options.redirectUris]
    },
    ...(options.webOrigin === undefined
      ? []
      : [
          {
            client_id: clients.web.clientId,
            client_secret: clients.web.clientSecret,
            grant_types: ["authorization_code", "refresh_token"],
            response_types: ["code" as const],
            redirect_uris: [`${options.webOrigin}/callback`],
            post_logout_redirect_uris: [`${options.webOrigin}/logout/callback`]
          }
        ]),
    ...(accessTokens === "jwt"
      ? []
      : [
          {
            client_id: clients.api.clientId,
            client_secret: clients.api.clientSecret,
            grant_types: [],
            response_types: [],
            redirect_uris: []
          }
        ]),
    ...(mcpRedirectUris.length === 0
      ? []
      : [
          {
            client_id: clients.mcp.clientId,
            token_endpoint_auth_method: "none" as const,
            application_type: "native" as const,
            grant_types: ["authorization_code"],
            response_types: ["code" as const],
            redirect_uris: [...mcpRedirectUris]
          }
        ]),
    ...(options.otherClients ?? [])
  ],
  clientBasedCORS: (_, origin) => options.origins.includes(origin),
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  interactions: { policy: signInOnly(), url: (_, interaction) => `${SignIn.path}${interaction.uid}` },
  loadExistingGrant: grantRequestedScopes,
  // Does not require offline_access, for which OpenID Connect requires a consent page (prompt=consent).
  issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
  expiresWithSession: () => false,
  // oidc-provider sends no logout tokens to this machine, where the clients are, unless the dispatcher is the default one.
  fetch: (url, options) =>
    fetch(url, { ...options, signal: AbortSignal.timeout(10_000), dispatcher: undefined } as RequestInit),
  renderError: (ctx, { error, error_description }) => send(ctx, Pages.error(error, error_description)),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: {
      enabled: accessTokens === "opaque",
      allowedPolicy: (_, client) => client.clientId === clients.api.clientId
    },
    revocation: {
      enabled: accessTokens === "opaque",
      allowedPolicy: (_, client, token) => token.clientId === client.clientId
    },
    rpInitiatedLogout: {
      enabled: true,
      // oidc-provider has compared the URI with the registered ones.
      logoutSource: (ctx, form) =>
        send(ctx, Pages.logout(form, ctx.oidc.session?.state?.["postLogoutRedirectUri"] as string | undefined)),
      postLogoutSuccessSource: (ctx) => send(ctx, Pages.loggedOut)
    },
    backchannelLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      // If a sign-in requests no scope of the API, its token is for the userinfo endpoint. All other tokens are for the
      // API.
      defaultResource: ({ oidc }) => (isSignIn(oidc.requestParamScopes) ? undefined : options.audience),
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => {
        if (resource !== options.audience) throw new errors.InvalidTarget()
        return {
          audience: options.audience,
          scope: apiScopes.join(" "),
          accessTokenFormat: accessTokens,
          jwt: { sign: { alg: "RS256" } }
        }
      }
    }
  },
  // In seconds. oidc-provider prints a notice for each missing value.
  ttl: {
    AccessToken: minutes(10),
    ClientCredentials: minutes(10),
    AuthorizationCode: minutes(1),
    IdToken: minutes(10),
    Interaction: minutes(10),
    RefreshToken: days(1),
    Session: days(1),
    Grant: days(1)
  }
})

const isSignIn = (scopes: ReadonlySet<string>) => scopes.size > 0 && [...scopes].every((_) => oidcScopes.includes(_))

/** Removes the consent page, also for `prompt=consent`, because both clients belong to this program. */
const signInOnly = () => {
  const policy = interactionPolicy.base()
  policy.get("consent")?.checks.clear()
  return policy
}

/** Grants all requested scopes, because there is no consent page. The guest gets no scope of the API. */
const grantRequestedScopes = async ({ oidc }: KoaContextWithOIDC) => {
  const grant = new oidc.provider.Grant({
    accountId: oidc.session?.accountId,
    clientId: oidc.client?.clientId
  })
  grant.addOIDCScope([...oidc.requestParamOIDCScopes].join(" "))
  const servers = oidc.session?.accountId === guest ? {} : (oidc.resourceServers ?? {})
  for (const [resource, { scopes }] of Object.entries(servers)) {
    grant.addResourceScope(resource, [...oidc.requestParamScopes].filter((scope) => scopes.has(scope)).join(" "))
  }
  await grant.save()
  return grant
}

const send = (ctx: KoaContextWithOIDC, page: Html.Page) => {
  ctx.set(page.headers)
  ctx.body = page.body
}
