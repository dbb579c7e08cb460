/**
 * Protects servers of the Model Context Protocol (MCP): the endpoint with `protect`, and tools, resources and prompts
 * with `require`.
 *
 * **Details**
 *
 * The module follows the MCP authorization specification of 2026-07-28 for `McpServer` of `effect/ai`.
 *
 * | request | response |
 * |---|---|
 * | without a valid token | 401, `Bearer …, scope="…", resource_metadata="…"` |
 * | calls a tool without its scopes | 403, `Bearer error="insufficient_scope", scope="…", resource_metadata="…"` |
 * | malformed credentials | 400, `Bearer error="invalid_request", …` |
 *
 * The statuses are those of RFC 6750, whatever the option `responses` of the scheme is.
 *
 * **Example** (Protecting a server and one of its tools)
 *
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"
 * import { OAuth2 } from "effect-oauth2"
 * import * as Mcp from "effect-oauth2/Mcp"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { mcp: "Use the server", "files:write": "Change your files" },
 *   resource: "https://api.example.com/mcp"
 * })
 *
 * const writing = Mcp.require(auth.require("files:write"))
 *
 * const Files = Toolkit.make(Tool.make("write", { success: Schema.String, dependencies: [writing.grant] }))
 *
 * const Tools = McpServer.toolkit(Files).pipe(
 *   Layer.provide(Files.toLayer({ write: () => Effect.map(auth.granted("files:write"), ({ subject }) => subject) })),
 *   Layer.provide(writing.layer)
 * )
 *
 * export const Server = McpServer.layerHttp({
 *   name: "files",
 *   version: "1.0.0",
 *   path: "/mcp",
 *   protocols: [McpProtocol.v2026_07_28, McpProtocol.v2025_11_25],
 *   registrations: Tools
 * }).pipe(Mcp.protect(auth, { require: ["mcp"], authorizationServers: ["https://idp.example.com"] }))
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as McpSchema from "effect/ai/McpSchema"
import type * as McpServer from "effect/ai/McpServer"
import type * as Effect from "effect/Effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import { ownProperties } from "../core/lib/ownProperties.ts"
import * as resourceIdentifier from "../core/resourceIdentifier.ts"
import { assertScopeTokens } from "../core/scope.ts"
import type { ConfigurationError, InvalidToken } from "../core/SecurityError.ts"
import type { Item } from "../guard/requirement/item.ts"
import * as registry from "../guard/requirement/registry.ts"
import type {
  Authenticated,
  NeedsAuthentication,
  NeedsRoutes,
  Seal,
  SecurityRequirement
} from "../guard/middleware/securityRequirement.ts"
import type { Grants, OAuth2Scheme } from "../oauth2/oauth2Scheme.ts"
import type * as ResourceMetadata from "../resource/ResourceMetadata.ts"
import * as served from "../resource/served.ts"
import * as endpoint from "./endpoint.ts"
import * as requirements from "./requirement.ts"

/**
 * Options for `protect`. The options of the metadata have the meaning that they have for `ResourceMetadata.layer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  Scope extends string,
  Name extends string,
  Items extends ReadonlyArray<Item<Scope, Name>>
> extends Omit<ResourceMetadata.Options, "scheme"> {
  /** The scopes and requirements of every request. Default: none, so every valid token may list the tools. */
  readonly require?: Items
  /**
   * Scopes that the challenge of a 401 response names in addition to `require`. A client then requests these scopes at
   * the first log-in, and meets fewer 403 responses. Default: none.
   */
  readonly initialScopes?: ReadonlyArray<NoInfer<Scope>>
  /**
   * Origins whose pages may call the server, such as `"https://inspector.example.com"`. Requests with another `Origin`
   * get 403 without a challenge, before their token is read. Pass the same list to `McpServer.layerHttp`. Default: none.
   */
  readonly allowedOrigins?: ReadonlyArray<string>
}

/**
 * Protects all routes of an MCP server with a scheme, and serves the metadata of its resource.
 *
 * **Details**
 *
 * - Every request needs a valid token that satisfies `require`. Tools can use `AccessToken`, `auth.token`, and
 *   `auth.granted` with these scopes.
 * - The metadata document is served as `ResourceMetadata.layer` serves it. Its `resource` is the option, or that of the
 *   scheme.
 * - A session belongs to the issuer and the subject of the token that began it. For every other user, and after a
 *   restart, the session does not exist: 404.
 * - A batch with several calls is refused before any of them runs: 400. One response has one status, so a client could
 *   not tell which call lacks which scope. Only the protocol 2025-03-26 has batches.
 * - The header `Mcp-Name` does not matter. `require` decides about the tool that runs.
 * - A streamed response ends when its token expires or is invalidated. Its last event is a JSON-RPC error with the code
 *   `-32001`. The tool is interrupted. A response without a stream is sent, also if its token expires meanwhile.
 * - Preflight requests of allowed origins need no token. Their pages can read the challenge.
 *
 * Throws a `TypeError` if the scheme and the options have no `resource`, or if an option is invalid. The layer fails
 * with the `ConfigurationError` of `ResourceMetadata.layer`.
 *
 * **Gotchas**
 *
 * - Set `audience` of the verifier to the audience of this server. MCP forbids servers to accept tokens for others.
 * - Use a scheme of bearer tokens. MCP clients send tokens only in the `Authorization` header.
 *
 * **Example** (Listing scopes that the first log-in requests)
 *
 * ```ts
 * import { McpProtocol, McpServer } from "effect/ai"
 * import { auth } from "./auth.ts"
 * import * as Mcp from "effect-oauth2/Mcp"
 *
 * export const Server = McpServer.layerHttp({
 *   name: "items",
 *   version: "1.0.0",
 *   path: "/mcp",
 *   protocols: [McpProtocol.v2026_07_28]
 * }).pipe(
 *   Mcp.protect(auth, {
 *     resource: "https://api.example.com/mcp",
 *     authorizationServers: ["https://idp.example.com"],
 *     require: ["me"],
 *     initialScopes: ["items:read"]
 *   })
 * )
 * ```
 *
 * @see {@link require} for single tools, resources and prompts
 * @category combinators
 * @since 0.1.0
 */
export const protect = <
  const Name extends string,
  Scope extends string,
  Implies,
  Claims extends object,
  const Items extends ReadonlyArray<Item<Scope, Name>> = readonly []
>(
  auth: OAuth2Scheme<Name, Scope, Implies, Claims>,
  options: Options<Scope, Name, Items>
) => {
  const {
    allowedOrigins = [],
    initialScopes = [],
    require: items,
    resource = auth.resource,
    ...rest
  } = ownProperties(options)
  // A rest object inherits from Object.prototype.
  const metadata = ownProperties(rest)
  const problem = resourceIdentifier.problemOf(resource)
  if (resource === undefined || problem !== undefined) {
    throw new TypeError(
      `Mcp.protect: resource ${problem ?? "is missing"}. Pass the option resource to Mcp.protect or to the constructor of the scheme.`
    )
  }
  assertScopeTokens("Mcp.protect: initialScopes", initialScopes)
  const invalid = allowedOrigins.find((origin) => !URL.canParse(origin) || new URL(origin).origin !== origin)
  if (invalid !== undefined) {
    throw new TypeError(
      `Mcp.protect: allowedOrigins has ${JSON.stringify(invalid)}, which is not an origin. Write it as https://app.example.com, without a path.`
    )
  }
  const requirement = auth.require(...(items ?? []))
  const scopes = metadata.scopes ?? Object.keys(auth.scopes).filter((name) => name !== "offline_access")
  const Metadata = served.layer(ownProperties({ ...metadata, resource, scopes }))
  const details = { resourceMetadata: resourceIdentifier.metadataUrl(resource), initialScopes }
  return <A, E, R>(
    server: Layer.Layer<A, E, R>
  ): Layer.Layer<
    A,
    E | ConfigurationError,
    | Exclude<
        R,
        HttpRouter.Request.From<"Requires", Authenticated<Name> | Grants<Name, Item.AllOf<Items>> | Seal<string>>
      >
    | HttpRouter.Request.From<"Error", Item.Error<Items[number]>>
    | NeedsAuthentication<Name>
    | Exclude<Item.Services<Items[number]>, HttpRouter.Provided>
    | NeedsRoutes<R>
    | HttpRouter.HttpRouter
  > =>
    // Safe casts: the requirement provides the services that it takes out of the type, and the proof that `expiry` needs.
    Layer.merge(
      endpoint.protect(
        server,
        { apply: requirement, expiry: auth.expiry as Effect.Effect<never, InvalidToken> },
        details,
        new Set(allowedOrigins)
      ) as Layer.Layer<A, E>,
      Metadata
    )
}

/**
 * Middleware of an MCP server that applies a requirement to registrations.
 *
 * @category models
 * @since 0.1.0
 */
export interface McpRequirement<Name extends string, Provides, R> extends McpServer.Middleware<{
  provides: Provides
  error: McpSchema.McpErrorBase
  requires: never
  layerError: never
  layerRequires: NeedsAuthentication<Name> | Exclude<R, HttpRouter.Provided>
}> {
  /** The services that the requirement provides, for the `dependencies` of a tool. */
  readonly grant: Context.Key<Provides, never>
}

/**
 * Creates MCP middleware that applies a requirement to tools, resources and prompts.
 *
 * **Details**
 *
 * Provide `layer` to registrations, or `layerGlobal` to the server. Nested and combined requirements are decided
 * together, before the tool runs. If the token lacks a scope:
 *
 * - the HTTP status is 403, and one challenge names all scopes that the operation needs, including those of the endpoint
 * - the JSON-RPC error has the code `-32003`, and its message lists these scopes for models and people
 * - a requirement of `OAuth2.either` has a challenge for each alternative
 *
 * If a token is missing or invalid, the response is 401 with the code `-32001`. If the authorization server is
 * unavailable, the response is 503 with the code `-32004`.
 *
 * The requirement covers calls, reads, prompts and completions. It does not cover lists, so protect the endpoint with
 * `protect`. With `hideFromLists: true`, lists contain the registration only for tokens that may use it. A call of a
 * hidden tool is refused with its scopes, so clients can request them.
 *
 * Add `grant` to the `dependencies` of a tool. Its handlers can then use `auth.granted`, and the toolkit does not compile
 * without `layer`.
 *
 * Servers without HTTP, such as `McpServer.layerStdio`, have no request with a token. The token is the `BearerToken` that
 * you provide to `layer`. Without it, every call is refused.
 *
 * **Gotchas**
 *
 * - Combine as `requirement.combine(custom)`. `custom.combine(requirement)` is built once for all servers of a program, so
 *   each of them would use the verifier of the first server.
 * - The middleware must be able to set the status. If other middleware outside it sends a notification first, the
 *   response has already begun with 200. The tool still does not run.
 * - A check inside a running tool cannot change the status. Write the check as part of the requirement.
 *
 * **Example** (Protecting a resource, and a tool that is listed only for its users)
 *
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { McpServer, Tool, Toolkit } from "effect/ai"
 * import { auth } from "./auth.ts"
 * import * as Mcp from "effect-oauth2/Mcp"
 *
 * const reading = Mcp.require(auth.require("items:read"))
 * const writing = Mcp.require(auth.require("items:write"), { hideFromLists: true })
 *
 * const Items = McpServer.resource({
 *   uri: "items://all",
 *   name: "items",
 *   content: Effect.map(auth.granted("items:read"), ({ subject }) => `items of ${subject}`)
 * }).pipe(Layer.provide(reading.layer))
 *
 * const Tools = Toolkit.make(Tool.make("clear", { success: Schema.Void, dependencies: [reading.grant, writing.grant] }))
 *
 * const Clear = McpServer.toolkit(Tools).pipe(
 *   Layer.provide(Tools.toLayer({ clear: () => Effect.asVoid(auth.granted("items:read", "items:write")) })),
 *   Layer.provide(writing.combine(reading).layer)
 * )
 *
 * export const Registrations = Layer.merge(Items, Clear)
 * ```
 *
 * @see {@link protect} for the endpoint
 * @category constructors
 * @since 0.1.0
 */
export const require = <Name extends string, Provides, E extends McpSchema.McpErrorBase, R>(
  requirement: SecurityRequirement<Name, Provides, E, R>,
  options: {
    /** `true` leaves the registration out of lists for tokens that may not use it. Default: `false`. */
    readonly hideFromLists?: boolean
  } = {}
): McpRequirement<Name, Provides, R> => {
  const policy = registry.policyOfKey(requirement)
  if (policy === undefined) {
    throw new TypeError(
      "Mcp.require: the argument is not a requirement. Pass the result of auth.require, auth.optional or OAuth2.either."
    )
  }
  const { hideFromLists = false } = ownProperties(options)
  const grant = Context.Service<Provides, never>("effect-oauth2/Mcp/Grant")
  // Safe cast: the guard provides the services that the requirement states, and `grant` is never looked up.
  return Object.assign(requirements.make(policy, hideFromLists), { grant }) as never
}
