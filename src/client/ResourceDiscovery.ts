/**
 * Finds the authorization server of an API from the URL of the API (RFC 9728, RFC 8414).
 *
 * **When to use**
 *
 * Use if your program does not know the authorization server, as clients of the Model Context Protocol (MCP) do not.
 * `ResourceClient` uses this module, and also gets and sends the tokens.
 *
 * **Details**
 *
 * 1. The metadata of the API is at `resource_metadata` of the challenge. Without a challenge, it is at the well-known
 *    URL with the path of the API, or else at the well-known URL of the origin.
 * 2. Its `resource` must be the URL of the API, code point by code point. The document of the origin may name the origin.
 * 3. The metadata of the authorization server must name the issuer that the API named.
 *
 * The requests follow no redirect, and read at most 64 KiB. All addresses need https, except for loopback and
 * `httpHosts`. A document from the network must not name an address of this machine or its link.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { toMillis } from "../core/duration.ts"
import type { Json } from "../core/lib/json.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { NeedsHttpClient } from "../core/missing.ts"
import { nearness } from "../core/nearness.ts"
import { parse } from "../core/receivedChallenges.ts"
import { refuseOption } from "../core/refuseOption.ts"
import { metadataUrl, wellKnown } from "../core/resourceIdentifier.ts"
import { isScopeToken } from "../core/scope.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { isSecure, parseHttpUrl, requireHttpHosts, requireIssuer, requireSecureUrl } from "../core/url.ts"
import { Failure } from "../verifier/authorizationServer/failure.ts"
import { makeReader, readDocument } from "../verifier/authorizationServer/http.ts"
import { isMissing, readMetadata } from "../verifier/authorizationServer/metadata.ts"
import { DiscoveryFailed } from "./ClientError.ts"

/**
 * Options for `discover`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** URL of the API, as its users write it. It is the resource identifier, too (RFC 9728 §1.2). */
  readonly resource: string
  /** `WWW-Authenticate` header of a response of the API. Default: none, which uses the well-known URLs. */
  readonly challenge?: string | undefined
  /**
   * Chooses the issuer. Return `undefined` to accept none of them. Default: the first one.
   *
   * **Example** (Accepting only the issuer of your company)
   *
   * ```ts
   * import type { ResourceDiscovery } from "effect-oauth2/client"
   *
   * export const select: ResourceDiscovery.Options["select"] = (issuers) =>
   *   issuers.find((issuer) => issuer === "https://idp.example.com")
   * ```
   */
  readonly select?: (issuers: ReadonlyArray<string>) => string | undefined
  /**
   * If the API has no metadata, its own origin is the authorization server, as in the revision 2025-03-26 of MCP.
   * Without metadata of that server, its endpoints are `/authorize`, `/token` and `/register`.
   *
   * @default false
   */
  readonly originFallback?: boolean
  /** Hosts that plain `http` may reach, such as `["items:8080"]` inside a container network. Default: none. */
  readonly httpHosts?: ReadonlyArray<string>
  /** Time limit of each request. Default: 10 seconds. */
  readonly timeout?: Duration.Input
}

/**
 * An authorization server. Its members fit into the options of the sources and sign-ins.
 *
 * @category models
 * @since 0.1.0
 */
export interface AuthorizationServer {
  readonly issuer: string
  /** Metadata of the authorization server (RFC 8414 §2). */
  readonly metadata: Readonly<Record<string, unknown>>
}

/**
 * What an API says about itself, and its authorization server.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProtectedResource {
  /** Identifier of the API, for the parameter `resource` (RFC 8707). */
  readonly resource: string
  /**
   * Scopes to ask for: those of the challenge, or else `scopes_supported` of the API. Empty if neither names scopes,
   * which means to ask for none.
   */
  readonly scopes: ReadonlyArray<string>
  /**
   * `true` if the API takes tokens that are bound to a key (RFC 9449): its challenge has the scheme `DPoP`, or its
   * metadata requires such tokens.
   */
  readonly dpop: boolean
  /** Metadata of the API (RFC 9728 §2). Empty if `originFallback` was used. */
  readonly metadata: Readonly<Record<string, unknown>>
  readonly server: AuthorizationServer
}

const maxBytes = 64 * 1024
const day = 86_400_000

/**
 * Finds the authorization server of an API.
 *
 * **Example** (Finding the issuer of an MCP server)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ResourceDiscovery } from "effect-oauth2/client"
 *
 * export const issuer = Effect.map(
 *   ResourceDiscovery.discover({ resource: "https://mcp.example.com/mcp" }),
 *   ({ server }) => server.issuer
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const discover = (
  given: Options
): Effect.Effect<ProtectedResource, ConfigurationError | DiscoveryFailed, NeedsHttpClient> =>
  Effect.gen(function* () {
    const options = ownProperties(given)
    const { challenge = "", originFallback = false, resource } = options
    const httpHosts = yield* requireHttpHosts(options.httpHosts)
    const resourceUrl = yield* requireSecureUrl("resource", resource, httpHosts)
    if (resource.includes("#")) return yield* refuseOption("resource", "must have no fragment (RFC 9728 §1.2)")
    const timeout = toMillis(options.timeout ?? "10 seconds")
    if (!(timeout > 0 && timeout <= day)) {
      return yield* refuseOption("timeout", 'must be a duration between 0 and 1 day, such as "10 seconds"')
    }
    const reader = yield* makeReader(maxBytes)

    const failed = (reason: DiscoveryFailed["reason"]) => Effect.fail(new DiscoveryFailed({ resource, reason }))
    const limited = <A>(self: Effect.Effect<A, Failure>): Effect.Effect<A, Failure> =>
      Effect.timeoutOrElse(self, { duration: timeout, orElse: () => Effect.fail(new Failure("Timeout")) })
    const explained = ({ reason }: Failure) => failed(reason === "Unspecified" ? "BadResponse" : reason)
    const documentAt = (url: URL) => limited(readDocument(reader, "metadata", url, "application/json"))

    const safe = (text: string): Effect.Effect<URL, DiscoveryFailed> => {
      const url = parseHttpUrl(text)
      // Server-side request forgery: an API on the network must not direct requests to this machine.
      return url === undefined || !isSecure(url, httpHosts) || nearness(url) > nearness(resourceUrl)
        ? failed("BadResponse")
        : Effect.succeed(url)
    }

    const challenges = parse(challenge).filter(({ scheme }) => scheme === "bearer" || scheme === "dpop")
    const named = challenges.flatMap(({ parameters }) => parameters.get("resource_metadata") ?? [])[0]
    const isDpop = challenges.some(({ scheme }) => scheme === "dpop")
    const wanted = challenges.flatMap(({ parameters }) => parameters.get("scope")?.split(" ") ?? [])

    const { origin } = resourceUrl
    const atOrigin = new URL(wellKnown, origin)
    const candidates = named === undefined ? [new URL(metadataUrl(resource)), atOrigin] : [yield* safe(named)]

    const found = yield* candidates
      .reduce<Effect.Effect<{ readonly url: URL; readonly json: Json }, Failure>>(
        (before, url) =>
          Effect.catch(before, (failure) =>
            isMissing(failure) ? Effect.map(documentAt(url), ({ json }) => ({ url, json })) : Effect.fail(failure)
          ),
        Effect.fail(new Failure("BadResponse"))
      )
      .pipe(Effect.catch((failure) => (isMissing(failure) ? Effect.undefined : explained(failure))))

    if (found === undefined) {
      if (!originFallback || named !== undefined) return yield* failed("NotFound")
      const metadata = yield* documentAt(new URL("/.well-known/oauth-authorization-server", origin)).pipe(
        Effect.map(({ json }) => json),
        Effect.catch((failure) => (isMissing(failure) ? Effect.succeed(withoutMetadata(origin)) : explained(failure)))
      )
      const issuer = metadata["issuer"]
      // No document names the issuer that is expected, so the server must at least be the origin of the API.
      if (typeof issuer !== "string" || parseHttpUrl(issuer)?.origin !== origin) return yield* failed("IssuerMismatch")
      return { resource, scopes: scopesIn(wanted), dpop: isDpop, metadata: {}, server: { issuer, metadata } }
    }

    const { json, url } = found
    const identifier = json["resource"]
    const isOrigin = identifier === origin || identifier === `${origin}/`
    if (identifier !== resource && !(isOrigin && url.href === atOrigin.href)) return yield* failed("ResourceMismatch")
    const issuers = strings(json["authorization_servers"])
    const issuer = options.select === undefined ? issuers[0] : options.select(issuers)
    if (issuer === undefined || !issuers.includes(issuer)) return yield* failed("NoAuthorizationServer")
    const issuerUrl = yield* Effect.catch(requireIssuer("issuer", issuer, httpHosts), () => failed("BadResponse"))
    if (nearness(issuerUrl) > nearness(resourceUrl)) return yield* failed("BadResponse")
    const { json: metadata } = yield* Effect.catch(
      limited(readMetadata(reader, issuerUrl, issuer, httpHosts)),
      explained
    )
    return {
      resource: identifier,
      scopes: scopesIn(wanted.length > 0 ? wanted : strings(json["scopes_supported"])),
      dpop: isDpop || json["dpop_bound_access_tokens_required"] === true,
      metadata: json,
      server: { issuer, metadata }
    }
  })

/** The endpoints of a server without metadata (MCP 2025-03-26, which requires PKCE). */
const withoutMetadata = (origin: string): Json => ({
  issuer: origin,
  authorization_endpoint: `${origin}/authorize`,
  token_endpoint: `${origin}/token`,
  registration_endpoint: `${origin}/register`,
  response_types_supported: ["code"],
  code_challenge_methods_supported: ["S256"]
})

const strings = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value) ? value.filter((item) => typeof item === "string") : []

const scopesIn = (words: ReadonlyArray<string>): ReadonlyArray<string> =>
  Array.from(new Set(words.filter((word) => isScopeToken(word))))
