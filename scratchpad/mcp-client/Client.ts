/** A client that knows only the URL of an MCP server. Its user signs in when the server wants that. */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { McpClient, type McpProtocol } from "effect/ai"
import { ClientRegistration, LoopbackLogin, RefreshToken, ResourceClient, TokenStore } from "effect-oauth2/client"
import { createServer } from "node:http"

/** Servers may restrict a client to its redirect URIs. A URI without a port stands for every port. */
export const redirectUri = "http://127.0.0.1/callback"

export const metadata: ClientRegistration.ClientMetadata = {
  name: "MCP client of effect-oauth2",
  redirectUris: [redirectUri]
}

export interface User {
  /** Shows the URL of a sign-in. */
  readonly show: (url: string) => Effect.Effect<void>
  /** Opens the URL in the browser of the user, such as with `xdg-open`. */
  readonly open: (url: string) => Effect.Effect<unknown, unknown>
}

const makeKeys = Effect.promise(() =>
  crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"])
)

/** Signs the user in at the authorization server of the MCP server. Tokens and keys stay in memory. */
export const signIn = (registrations: ClientRegistration.ClientRegistrations, { open, show }: User) =>
  Effect.fnUntraced(
    function* ({ dpop, resource, scopes, server }: ResourceClient.Authorization) {
      const registration = {
        ...(yield* registrations.get(server)),
        ...(dpop && { dpop: yield* makeKeys })
      }
      const grant = yield* LoopbackLogin.signIn({
        ...registration,
        resource,
        scopes,
        requirePkce: true,
        listen: (port) => NodeHttpServer.make(createServer, { host: "127.0.0.1", port }),
        show,
        open
      })
      const source = yield* RefreshToken.make({ ...registration, parameters: { resource } })
      yield* source.save(grant)
      return source
    },
    Effect.provide(Layer.fresh(TokenStore.layerMemory))
  )

export interface Connection {
  readonly url: string
  readonly protocol: McpProtocol.ProtocolAdapter<McpClient.ProtocolVersion>
}

/** Layer that connects to the server. `authorize` gets the tokens. */
export const layer = <E, R>({ protocol, url }: Connection, authorize: ResourceClient.Options<E, R>["authorize"]) =>
  McpClient.layerHttp({ name: "effect-oauth2-client", version: "1.0.0", protocol, url }).pipe(
    Layer.provide(ResourceClient.layer({ resource: url, authorize, offlineAccess: true, originFallback: true }))
  )
