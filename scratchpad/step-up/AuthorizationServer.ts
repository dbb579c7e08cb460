/**
 * A real authorization server that honors `acr_values` and `max_age`, built with the package `oidc-provider`.
 *
 * The user of the example signs in by opening the page: with a password, or with a second factor if the client asks for
 * the class `mfa`. The server writes `acr`, `amr` and `auth_time` into its access tokens (RFC 9068 §2.2.1).
 */
import { Context, Effect, Layer } from "effect"
import * as jose from "jose"
import { randomBytes } from "node:crypto"
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { type Configuration, errors, interactionPolicy, type KoaContextWithOIDC, Provider } from "oidc-provider"
import * as MemoryAdapter from "../items-api/authorization-server/MemoryAdapter.ts"

export const audience = "https://api.example.com"
export const clientId = "payments-cli"
export const redirectUri = "http://127.0.0.1/callback"
export const scopes = ["payments:read", "payments:write"]

export class AuthorizationServer extends Context.Service<AuthorizationServer, { readonly issuer: string }>()(
  "step-up/AuthorizationServer"
) {
  static readonly layer: Layer.Layer<AuthorizationServer> = Layer.effect(
    AuthorizationServer,
    Effect.gen(function* () {
      // The issuer contains the port, so the server must listen before the provider exists.
      const attached = Promise.withResolvers<RequestListener>()
      const server = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer((request, response) => {
            void attached.promise.then((handle) => handle(request, response))
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) =>
          Effect.sync(() => {
            server.close()
            server.closeAllConnections()
          })
      )
      const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const provider = new Provider(issuer, configuration(yield* signingKey))
      const oidc = provider.callback()
      attached.resolve((request, response) => {
        if (request.url?.startsWith("/interaction/") === true) void signIn(provider, request, response)
        else void oidc(request, response)
      })
      return { issuer }
    })
  )
}

const signingKey = Effect.promise(async (): Promise<jose.JWK> => {
  const { privateKey } = await jose.generateKeyPair("ES256", { extractable: true })
  return { ...(await jose.exportJWK(privateKey)), alg: "ES256", use: "sig" }
})

/** Returns the classes that the client asked for. */
const requestedClasses = (acrValues: unknown): ReadonlyArray<string> =>
  typeof acrValues === "string" ? acrValues.split(" ") : []

/** Signs the user in as strongly as the client asks. */
const signIn = async (provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const { params } = await provider.interactionDetails(request, response)
  const isStrong = requestedClasses(params["acr_values"]).includes("mfa")
  const login = { accountId: "alice", acr: isStrong ? "mfa" : "pwd", amr: isStrong ? ["pwd", "otp"] : ["pwd"] }
  await provider.interactionFinished(request, response, { login })
}

/** Asks the user to sign in again if the session is weaker than the client asks for (RFC 9470 §5). */
const policy = () => {
  const policy = interactionPolicy.base()
  policy.get("consent")?.checks.clear()
  policy.get("login")?.checks.add(
    new interactionPolicy.Check("acr_values", "the session has none of the requested classes", ({ oidc }) => {
      const classes = requestedClasses(oidc.params?.["acr_values"])
      return classes.length > 0 && !classes.includes(oidc.session?.acr ?? "")
    })
  )
  return policy
}

const configuration = (key: jose.JWK): Configuration => ({
  adapter: MemoryAdapter.make(),
  jwks: { keys: [key] },
  cookies: { keys: [randomBytes(32).toString("base64url")] },
  scopes: ["openid", "offline_access", ...scopes],
  acrValues: ["pwd", "mfa"],
  responseTypes: ["code"],
  pkce: { required: () => true },
  clients: [
    {
      client_id: clientId,
      token_endpoint_auth_method: "none",
      application_type: "native",
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      redirect_uris: [redirectUri],
      id_token_signed_response_alg: "ES256"
    }
  ],
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  interactions: { policy: policy(), url: (_, interaction) => `/interaction/${interaction.uid}` },
  loadExistingGrant: grantRequestedScopes,
  issueRefreshToken: () => true,
  // A refreshed token keeps the authentication of the code.
  extraTokenClaims: ({ oidc: { entities } }) => {
    const grant = entities.AuthorizationCode ?? entities.RefreshToken
    return grant === undefined ? undefined : { acr: grant["acr"], amr: grant["amr"], auth_time: grant["authTime"] }
  },
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => {
        if (resource !== audience) throw new errors.InvalidTarget()
        return {
          audience,
          scope: scopes.join(" "),
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } }
        }
      }
    }
  },
  ttl: {
    AccessToken: 600,
    AuthorizationCode: 60,
    IdToken: 600,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
    Grant: 3600
  }
})

/** Grants all requested scopes, because there is no consent page. */
const grantRequestedScopes = async ({ oidc }: KoaContextWithOIDC) => {
  const grant = new oidc.provider.Grant({ accountId: oidc.session?.accountId, clientId: oidc.client?.clientId })
  grant.addOIDCScope([...oidc.requestParamOIDCScopes].join(" "))
  for (const [resource, { scopes }] of Object.entries(oidc.resourceServers ?? {})) {
    grant.addResourceScope(resource, [...oidc.requestParamScopes].filter((scope) => scopes.has(scope)).join(" "))
  }
  await grant.save()
  return grant
}
