/**
 * Gives the client an identifier at an authorization server that it did not know before.
 *
 * **Details**
 *
 * The first way that the options and the authorization server support is used:
 *
 * 1. a client that you registered beforehand for this issuer (`clients`)
 * 2. a client ID metadata document: the client identifier is the URL of a document that you serve (`document`)
 * 3. dynamic client registration (RFC 7591), once for each issuer (`register`)
 *
 * A client identifier and its credential belong to one issuer. They are never sent to another one.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { HttpClient } from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import * as oauth from "oauth4webapi"
import { own, ownProperties } from "../core/lib/ownProperties.ts"
import { httpClient, type NeedsHttpClient } from "../core/missing.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as ClientAuthentication from "./ClientAuthentication.ts"
import { RegistrationFailed, type TokenError } from "./ClientError.ts"
import type { Registration } from "./protocol/options.ts"
import * as tokenEndpoint from "./protocol/tokenEndpoint.ts"
import type { AuthorizationServer } from "./ResourceDiscovery.ts"

/**
 * Metadata of a client (RFC 7591 §2).
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientMetadata {
  /** Name that the authorization server shows to the user. */
  readonly name: string
  /**
   * Redirect URIs. `http://127.0.0.1/callback` without a port stands for every port of the machine (RFC 8252 §7.3). Give
   * `LoopbackLogin` fixed `ports`, and name them here, if your authorization servers compare ports.
   */
  readonly redirectUris: readonly [string, ...ReadonlyArray<string>]
  /**
   * Grant types.
   *
   * @default ["authorization_code", "refresh_token"]
   */
  readonly grantTypes?: ReadonlyArray<string>
  /** Kind of application (OpenID Connect Dynamic Client Registration 1.0 §2). Default: `"native"`. */
  readonly applicationType?: "native" | "web"
  /** Other members, such as `client_uri`, `logo_uri` or `scope`. Default: none. */
  readonly members?: Readonly<Record<string, unknown>>
}

/**
 * A client that an authorization server has registered.
 *
 * @category models
 * @since 0.1.0
 */
export interface RegisteredClient {
  readonly clientId: string
  /** `undefined` for a public client. */
  readonly secret: Redacted.Redacted | undefined
  /** How the client authenticates at the token endpoint. */
  readonly method: "client_secret_basic" | "client_secret_post" | "none"
  /** Time at which the secret ends, in milliseconds since 1970. */
  readonly expiresAt: number
}

/**
 * Stores the registered clients. A program that stores refresh tokens also stores the client that got them.
 *
 * **Example** (Storing the clients in the memory of the process)
 *
 * ```ts
 * import { Effect, Option } from "effect"
 * import type { ClientRegistration } from "effect-oauth2/client"
 *
 * const clients = new Map<string, ClientRegistration.RegisteredClient>()
 *
 * export const store: ClientRegistration.RegistrationStore = {
 *   read: (issuer) => Effect.sync(() => Option.fromUndefinedOr(clients.get(issuer))),
 *   write: (issuer, client) => Effect.sync(() => clients.set(issuer, client))
 * }
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface RegistrationStore {
  /** Returns the client of an issuer. */
  readonly read: (issuer: string) => Effect.Effect<Option.Option<RegisteredClient>, unknown>
  /** Stores the client of an issuer. The client may have a secret. */
  readonly write: (issuer: string, client: RegisteredClient) => Effect.Effect<unknown, unknown>
}

/**
 * Options for `make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<Registration, "httpHosts" | "timeout"> {
  /**
   * Clients that you registered beforehand, by their issuer. A secret is sent with the method that the authorization
   * server supports.
   *
   * @default {}
   */
  readonly clients?: Readonly<
    Record<
      string,
      {
        readonly clientId: string
        readonly authentication: ClientAuthentication.ClientAuthentication | Redacted.Redacted
      }
    >
  >
  /**
   * Client ID metadata document that you serve (draft-ietf-oauth-client-id-metadata-document): an https URL with a path.
   * Default: none.
   */
  readonly document?: {
    readonly url: string
    /** Credential of the client, such as `ClientAuthentication.privateKeyJwt`. Default: `ClientAuthentication.none`. */
    readonly authentication?: ClientAuthentication.ClientAuthentication
  }
  /** Metadata for dynamic client registration. Default: none, which registers no client. */
  readonly register?: ClientMetadata
  /** Token that an authorization server wants for a registration (RFC 7591 §3), by its issuer. Default: none. */
  readonly initialAccessTokens?: Readonly<Record<string, Redacted.Redacted>>
  /** Store of the registered clients. Default: the memory of the process. */
  readonly store?: RegistrationStore
}

/**
 * Registrations of one client.
 *
 * **Example** (Getting the client identifier at a server)
 *
 * ```ts
 * import { Effect } from "effect"
 * import type { ClientRegistration, ResourceDiscovery } from "effect-oauth2/client"
 *
 * export const clientIdAt = (
 *   registrations: ClientRegistration.ClientRegistrations,
 *   server: ResourceDiscovery.AuthorizationServer
 * ) => Effect.map(registrations.get(server), ({ clientId }) => clientId)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientRegistrations {
  /** Returns the registration at an authorization server, for the options of the sources and sign-ins. */
  readonly get: (server: AuthorizationServer) => Effect.Effect<Registration, RegistrationFailed | TokenError>
}

/**
 * Returns a client ID metadata document. Serve it as JSON at its URL.
 *
 * **Example** (Serving the document of a command)
 *
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { ClientRegistration } from "effect-oauth2/client"
 *
 * const document = ClientRegistration.metadataDocument("https://items.example.com/client.json", {
 *   name: "Items",
 *   redirectUris: ["http://127.0.0.1/callback"]
 * })
 *
 * export const Document = HttpRouter.add("GET", "/client.json", HttpServerResponse.jsonUnsafe(document))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const metadataDocument = (url: string, metadata: ClientMetadata): Readonly<Record<string, unknown>> => {
  if (!isDocumentUrl(url)) {
    throw new TypeError(
      "ClientRegistration.metadataDocument: the url is not the https URL of a document. Pass the URL where you serve the document, such as https://items.example.com/client.json."
    )
  }
  const { application_type: _, ...members } = membersOf(ownProperties(metadata), "none")
  return { client_id: url, ...members }
}

// Servers compare the URL with `client_id` in the document, so it must be normalized already.
const isDocumentUrl = (text: string): boolean =>
  /^https:\/\/[^/?#@\\\s]+\/[^?#\\\s]+$/.test(text) && URL.parse(text)?.href === text

const membersOf = (metadata: ClientMetadata, method: string) => {
  const { applicationType = "native", grantTypes, members, name, redirectUris } = metadata
  return {
    ...members,
    client_name: name,
    redirect_uris: Array.from(redirectUris),
    grant_types: Array.from(grantTypes ?? ["authorization_code", "refresh_token"]),
    response_types: ["code"],
    application_type: applicationType,
    token_endpoint_auth_method: method
  }
}

type Method = RegisteredClient["method"]

/** In the order of preference: a client on the machine of its user cannot keep a secret (RFC 8252 §8.5). */
const methods: ReadonlyArray<Method> = ["none", "client_secret_basic", "client_secret_post"]

const isMethod = (value: unknown): value is Method => methods.some((method) => method === value)

const methodsOf = ({ metadata }: AuthorizationServer): ReadonlyArray<unknown> => {
  const supported = own(metadata, "token_endpoint_auth_methods_supported")
  // RFC 8414 §2
  return Array.isArray(supported) ? supported : ["client_secret_basic"]
}

/**
 * Returns the authentication by a secret, with a method that the authorization server supports (RFC 8414 §2).
 *
 * **Example** (Choosing the method)
 *
 * ```ts import.meta.vitest
 * import { Redacted } from "effect"
 * import { ClientRegistration } from "effect-oauth2/client"
 *
 * const server = {
 *   issuer: "https://idp.example.com",
 *   metadata: { token_endpoint_auth_methods_supported: ["client_secret_post"] }
 * }
 * const authentication = ClientRegistration.secretFor(server, Redacted.make("secret"))
 *
 * authentication._tag === "Secret" && authentication.method // => "client_secret_post"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const secretFor = (
  server: AuthorizationServer,
  secret: Redacted.Redacted
): ClientAuthentication.ClientAuthentication => {
  const supported = methodsOf(server)
  const isPostOnly = supported.includes("client_secret_post") && !supported.includes("client_secret_basic")
  return ClientAuthentication.secret(secret, isPostOnly ? "client_secret_post" : "client_secret_basic")
}

/**
 * Makes the registrations of a client.
 *
 * **Example** (Registering a command wherever its users sign in)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ClientRegistration, ResourceDiscovery } from "effect-oauth2/client"
 *
 * export const registration = Effect.gen(function* () {
 *   const registrations = yield* ClientRegistration.make({
 *     document: { url: "https://items.example.com/client.json" },
 *     register: { name: "Items", redirectUris: ["http://127.0.0.1/callback"] }
 *   })
 *   const { server } = yield* ResourceDiscovery.discover({ resource: "https://mcp.example.com/mcp" })
 *   return yield* registrations.get(server)
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (given: Options): Effect.Effect<ClientRegistrations, ConfigurationError, NeedsHttpClient> =>
  Effect.gen(function* () {
    const options = ownProperties(given)
    const { clients = {}, initialAccessTokens = {}, register, store = inMemory() } = options
    const document = options.document && ownProperties(options.document)
    if (document !== undefined && !isDocumentUrl(document.url)) {
      return yield* refuseOption(
        "document.url",
        "must be an https URL with a path, and without query, fragment, credentials and dot segments"
      )
    }
    const client = yield* httpClient
    // One registration at a time, so that concurrent requests do not register the client twice.
    const semaphore = yield* Semaphore.make(1)
    const shared = ownProperties({
      ...(options.httpHosts !== undefined && { httpHosts: options.httpHosts }),
      ...(options.timeout !== undefined && { timeout: options.timeout })
    })

    const registerAt = Effect.fnUntraced(function* (server: AuthorizationServer, metadata: ClientMetadata) {
      const { issuer } = server
      const failed = (reason: RegistrationFailed["reason"], error?: string) =>
        Effect.fail(new RegistrationFailed({ issuer, reason, ...(error !== undefined && { error }) }))
      const supported = methodsOf(server)
      const wanted = methods.find((method) => supported.includes(method))
      if (wanted === undefined || typeof own(server.metadata, "registration_endpoint") !== "string") {
        return yield* failed("Unsupported")
      }
      const endpoint = yield* tokenEndpoint
        .make(
          // The request for a registration names no client.
          { ...shared, ...server, clientId: "unregistered", authentication: ClientAuthentication.none },
          { adapted: "registration_endpoint", adapt: withExpiration }
        )
        .pipe(Effect.catchTag("ConfigurationError", () => failed("BadResponse")))
      const token = own(initialAccessTokens, issuer) as Redacted.Redacted | undefined
      const now = yield* Clock.currentTimeMillis
      const answer = yield* endpoint
        .call("registration_endpoint", async ({ options, server }) =>
          oauth.processDynamicClientRegistrationResponse(
            await oauth.dynamicClientRegistrationRequest(
              server,
              membersOf(metadata, wanted) as Partial<oauth.Client>,
              // Safe cast: the function that sends a request reads its body as text.
              {
                ...options,
                ...(token !== undefined && { initialAccessToken: Redacted.value(token) })
              } as unknown as oauth.DynamicClientRegistrationRequestOptions
            )
          )
        )
        .pipe(
          Effect.catchTags({
            TokenRefused: ({ error }) => failed("Refused", error),
            ReauthenticationRequired: ({ error }) => failed("Refused", error)
          })
        )
      const {
        client_secret: secret,
        client_secret_expires_at: ends,
        token_endpoint_auth_method: method = wanted
      } = answer
      // The server may register another method than the one that the client asked for (RFC 7591 §3.2.1).
      if (!isMethod(method) || (method !== "none" && typeof secret !== "string")) return yield* failed("BadResponse")
      const registered: RegisteredClient = {
        clientId: answer.client_id,
        secret: method !== "none" && typeof secret === "string" ? Redacted.make(secret) : undefined,
        method,
        expiresAt: typeof ends === "number" && ends > 0 ? Math.max(ends * 1000, now) : Infinity
      }
      yield* Effect.catch(store.write(issuer, registered), () => failed("Store"))
      return registered
    })

    const get: ClientRegistrations["get"] = (server) =>
      Effect.gen(function* () {
        const { issuer, metadata } = server
        const base = { ...shared, issuer, metadata }
        const preregistered = own(clients, issuer) as (typeof clients)[string] | undefined
        if (preregistered !== undefined) {
          const { authentication, clientId } = preregistered
          return {
            ...base,
            clientId,
            authentication: Redacted.isRedacted(authentication) ? secretFor(server, authentication) : authentication
          }
        }
        if (document !== undefined && own(metadata, "client_id_metadata_document_supported") === true) {
          const { authentication = ClientAuthentication.none, url } = document
          return { ...base, clientId: url, authentication }
        }
        if (register === undefined) {
          return yield* Effect.fail(new RegistrationFailed({ issuer, reason: "Unsupported" }))
        }
        const now = yield* Clock.currentTimeMillis
        const stored = yield* Effect.mapError(
          store.read(issuer),
          () => new RegistrationFailed({ issuer, reason: "Store" })
        )
        const found = Option.filter(stored, ({ expiresAt }) => expiresAt > now)
        const { clientId, method, secret } = Option.isSome(found)
          ? found.value
          : yield* registerAt(server, ownProperties(register))
        return {
          ...base,
          clientId,
          authentication:
            secret === undefined || method === "none"
              ? ClientAuthentication.none
              : ClientAuthentication.secret(secret, method)
        }
      }).pipe(semaphore.withPermits(1), Effect.provideService(HttpClient, client))

    return { get }
  })

const inMemory = (): RegistrationStore => {
  const clients = new Map<string, RegisteredClient>()
  return {
    read: (issuer) => Effect.sync(() => Option.fromUndefinedOr(clients.get(issuer))),
    write: (issuer, client) => Effect.sync(() => clients.set(issuer, client))
  }
}

/** Many servers leave out `client_secret_expires_at`, which RFC 7591 §3.2.1 requires. The secret then does not end. */
const withExpiration = (response: tokenEndpoint.RawResponse): tokenEndpoint.RawResponse => {
  try {
    const json: unknown = JSON.parse(response.text)
    return own(json, "client_secret") === undefined || own(json, "client_secret_expires_at") !== undefined
      ? response
      : { ...response, text: JSON.stringify({ ...(json as object), client_secret_expires_at: 0 }) }
  } catch {
    return response
  }
}
