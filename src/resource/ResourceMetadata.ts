/**
 * Protected resource metadata (RFC 9728): tells clients which authorization servers issue tokens for an API.
 *
 * **When to use**
 *
 * Use if clients do not know the authorization server of your API beforehand. Clients of the Model Context Protocol
 * (MCP) need this metadata.
 *
 * **Details**
 *
 * 1. A client calls the API without a token. The challenge of the 401 response has `resource_metadata="…"`.
 * 2. The client requests that URL, and finds the authorization servers and the scopes of the API.
 * 3. The client logs in there, and calls the API with a token.
 *
 * **Example** (Serving the metadata of an API)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OAuth2 } from "effect-oauth2"
 * import * as ResourceMetadata from "effect-oauth2/ResourceMetadata"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "files:read": "Read your files" },
 *   responses: "rfc6750",
 *   resource: "https://api.example.com/files"
 * })
 *
 * export const Routes = Layer.mergeAll(
 *   HttpRouter.add("GET", "/files", HttpServerResponse.jsonUnsafe([])).pipe(auth.require("files:read")),
 *   // GET /.well-known/oauth-protected-resource/files
 *   ResourceMetadata.layer({ scheme: auth, authorizationServers: ["https://idp.example.com"] })
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as Layer from "effect/Layer"
import { ownProperties } from "../core/lib/ownProperties.ts"
import * as resourceIdentifier from "../core/resourceIdentifier.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as metadata from "./metadata.ts"
import * as served from "./served.ts"

export type { Document } from "./metadata.ts"

/**
 * The members of a security scheme that describe its API.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scheme {
  readonly name: string
  readonly scopes: Readonly<Record<string, string>>
  readonly resource: string | undefined
  /** The support for bound tokens, for `dpop_signing_alg_values_supported` and `dpop_bound_access_tokens_required`. Default: none. */
  readonly dpop?: { readonly algorithms: ReadonlyArray<string>; readonly isRequired: boolean } | undefined
  /** The support for certificates, for `tls_client_certificate_bound_access_tokens`. Default: none. */
  readonly mutualTls?: object | undefined
}

/**
 * Options for `layer` and `make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The scheme that protects the API. Gives the defaults of `resource` and `scopes`. The scheme must have the option
   * `resource`. Default: none.
   */
  readonly scheme?: Scheme
  /**
   * The identifier of the API (RFC 9728 §1.2): an https URL without a fragment, or an http URL on loopback. Clients
   * compare it character by character, so nothing is normalized. Default: the `resource` of the scheme.
   */
  readonly resource?: string
  /** The issuers that tokens of the API come from (RFC 8414 §2). At least one. */
  readonly authorizationServers: ReadonlyArray<string>
  /**
   * The scopes to publish. MCP clients request all of them if the challenge names none, so list what basic use needs.
   * Default: the declared scopes of the scheme without `offline_access`, which clients must request of their own.
   */
  readonly scopes?: ReadonlyArray<string>
  /** The name of the API for people. Default: none. */
  readonly name?: string
  /** The URL of the documentation for developers. Default: none. */
  readonly documentation?: string
  /** The URL of the rules for the use of data. Default: none. */
  readonly policy?: string
  /** The URL of the terms of service. Default: none. */
  readonly termsOfService?: string
  /**
   * Other members of the document, such as `"resource_name#it"` or `resource_signing_alg_values_supported`. Members without
   * a value are left out. Default: none.
   */
  readonly members?: Readonly<Record<string, unknown>>
  /** The time for which clients may cache the document, from 0 seconds to 1 year. Default: 1 hour. */
  readonly maxAge?: Duration.Input
  /**
   * `true` also serves the document without the path of the identifier, for MCP clients that request only
   * `/.well-known/oauth-protected-resource`. Strict clients refuse that copy, because its `resource` has a path. One API
   * of a server can use this. Default: `false`.
   */
  readonly atRoot?: boolean
}

/**
 * Returns the URL of an API's metadata, which has the well-known path between the host and the path of the identifier.
 *
 * **Details**
 *
 * Throws a `TypeError` if the identifier is not valid.
 *
 * **Example** (Deriving the URL)
 *
 * ```ts import.meta.vitest
 * import * as ResourceMetadata from "effect-oauth2/ResourceMetadata"
 *
 * ResourceMetadata.url("https://api.example.com/mcp") // => "https://api.example.com/.well-known/oauth-protected-resource/mcp"
 * ResourceMetadata.url("https://api.example.com") // => "https://api.example.com/.well-known/oauth-protected-resource"
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const url = (resource: string): string => {
  const problem = resourceIdentifier.problemOf(resource)
  if (problem !== undefined) throw new TypeError(`ResourceMetadata.url: resource ${problem}.`)
  return resourceIdentifier.metadataUrl(resource)
}

/**
 * Creates the metadata document of an API, to serve it in another way than `layer` does.
 *
 * **Details**
 *
 * Fails with the `ConfigurationError` that `layer` fails with.
 *
 * **Example** (Creating a document)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import * as ResourceMetadata from "effect-oauth2/ResourceMetadata"
 *
 * const document = ResourceMetadata.make({
 *   resource: "https://api.example.com/files",
 *   authorizationServers: ["https://idp.example.com"],
 *   scopes: ["files:read"]
 * })
 *
 * Effect.runSync(document).scopes_supported // => ["files:read"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<metadata.Document, ConfigurationError> =>
  Effect.suspend(() => metadata.make(ownProperties(options)))

/**
 * Adds the metadata document of an API to the `HttpRouter`.
 *
 * **Details**
 *
 * - `GET` and `HEAD` return the document, without authentication. Pages of every origin may read it (CORS), and may send
 *   additional headers.
 * - The path of the document is that of `url`.
 * - The route is a public route for `OAuth2.secured`. OpenAPI documents do not contain the route.
 *
 * The layer fails at start-up with a `ConfigurationError`:
 *
 * | `setting` | cause |
 * |---|---|
 * | name of an option | the option is missing or invalid, or contradicts the scheme |
 * | `"resource"` | another route has the path of the document |
 *
 * **Gotchas**
 *
 * - Do not apply a requirement to this layer. Clients read the document before they have a token.
 * - Provide the layer to the router of the host. A router with a prefix would serve the document at another path.
 * - The document does not restrict tokens. Set `audience` of the verifier to the audience of this API.
 *
 * **Example** (Describing an API in more detail)
 *
 * ```ts
 * import * as ResourceMetadata from "effect-oauth2/ResourceMetadata"
 *
 * export const Metadata = ResourceMetadata.layer({
 *   resource: "https://api.example.com",
 *   authorizationServers: ["https://idp.example.com"],
 *   scopes: ["files:read"],
 *   name: "Files",
 *   documentation: "https://docs.example.com/files",
 *   members: { "resource_name#it": "Documenti" }
 * })
 * ```
 *
 * @see {@link make} for the document alone
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, ConfigurationError, HttpRouter.HttpRouter> =>
  served.layer(ownProperties(options))
