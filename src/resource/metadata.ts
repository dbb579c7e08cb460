/** Validates the options of the metadata, and creates the document (RFC 9728 §2). */
import * as Effect from "effect/Effect"
import type { Json } from "../core/lib/json.ts"
import { own, ownProperties } from "../core/lib/ownProperties.ts"
import { refuseOption } from "../core/refuseOption.ts"
import * as resourceIdentifier from "../core/resourceIdentifier.ts"
import { isScopeToken } from "../core/scope.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import { requireIssuer, requireSecureUrl } from "../core/url.ts"

/** The options without the times and paths of the response. `ResourceMetadata.Options` describes them. */
export interface Description {
  readonly scheme?: {
    readonly name: string
    readonly scopes: Readonly<Record<string, string>>
    readonly resource: string | undefined
    readonly dpop?: { readonly algorithms: ReadonlyArray<string>; readonly isRequired: boolean } | undefined
    readonly mutualTls?: object | undefined
  }
  readonly resource?: string
  readonly authorizationServers: ReadonlyArray<string>
  readonly scopes?: ReadonlyArray<string>
  readonly name?: string
  readonly documentation?: string
  readonly policy?: string
  readonly termsOfService?: string
  readonly members?: Readonly<Record<string, unknown>>
}

/**
 * Metadata of a protected resource (RFC 9728 §2).
 *
 * @category models
 * @since 0.1.0
 */
export interface Document {
  readonly resource: string
  readonly authorization_servers: ReadonlyArray<string>
  readonly bearer_methods_supported: ReadonlyArray<string>
  readonly scopes_supported?: ReadonlyArray<string>
  readonly resource_name?: string
  readonly resource_documentation?: string
  readonly resource_policy_uri?: string
  readonly resource_tos_uri?: string
  readonly [member: string]: unknown
}

/** Members that have their own option or a fixed value. */
const reserved: Readonly<Record<string, string>> = {
  resource: "Use the option resource.",
  authorization_servers: "Use the option authorizationServers.",
  scopes_supported: "Use the option scopes.",
  bearer_methods_supported: "The library accepts tokens only in the Authorization header.",
  resource_name: "Use the option name.",
  resource_documentation: "Use the option documentation.",
  resource_policy_uri: "Use the option policy.",
  resource_tos_uri: "Use the option termsOfService.",
  signed_metadata: "The library does not sign metadata."
}

/** Returns the identifier of the options, or of their scheme. */
const resourceOf = ({ resource, scheme: given }: Description): Effect.Effect<string, ConfigurationError> => {
  const scheme = given && ownProperties(given)
  if (scheme !== undefined && scheme.resource === undefined) {
    return refuseOption(
      "scheme",
      `has no resource, so its challenges would not name this document. Pass resource to the constructor of the scheme ${JSON.stringify(scheme.name)}`
    )
  }
  if (scheme !== undefined && resource !== undefined && resource !== scheme.resource) {
    return refuseOption(
      "resource",
      `must be ${JSON.stringify(scheme.resource)}, the resource of the scheme ${JSON.stringify(scheme.name)}, because its challenges name the document of that resource. Leave the option out`
    )
  }
  const identifier = resource ?? scheme?.resource
  const problem = resourceIdentifier.problemOf(identifier)
  return identifier === undefined || problem !== undefined
    ? refuseOption("resource", problem ?? "is missing")
    : Effect.succeed(identifier)
}

const scopesOf = ({ scheme, scopes }: Description): Effect.Effect<ReadonlyArray<string>, ConfigurationError> => {
  if (scopes === undefined) {
    // A refresh token is a matter of the client and the authorization server, not of the API.
    return Effect.succeed(Object.keys(scheme?.scopes ?? {}).filter((name) => name !== "offline_access"))
  }
  return Array.isArray(scopes) && scopes.every(isScopeToken)
    ? Effect.succeed(scopes)
    : refuseOption("scopes", "must be a list of scope tokens (RFC 6749 §3.3)")
}

/** Returns the members about bound tokens (RFC 9728 §2). */
const bindingsOf = ({ scheme }: Description): Json => {
  const dpop = scheme && own(scheme, "dpop")
  const mutualTls = scheme && own(scheme, "mutualTls")
  return {
    dpop_signing_alg_values_supported: own(dpop, "algorithms"),
    dpop_bound_access_tokens_required: own(dpop, "isRequired") === true ? true : undefined,
    tls_client_certificate_bound_access_tokens: typeof mutualTls === "object" && mutualTls !== null ? true : undefined
  }
}

const isEmpty = (value: unknown): boolean => value === undefined || (Array.isArray(value) && value.length === 0)

/** Returns the members that have a value. RFC 9728 §3.2 forbids members without one. */
const withValues = (members: Json): Json =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => !isEmpty(value)))

export const make = Effect.fnUntraced(function* (options: Description) {
  const resource = yield* resourceOf(options)
  const { authorizationServers } = options
  if (!Array.isArray(authorizationServers) || authorizationServers.length === 0) {
    return yield* refuseOption("authorizationServers", "must be a list of at least one issuer")
  }
  for (const issuer of authorizationServers) yield* requireIssuer("authorizationServers", issuer)
  const scopes = yield* scopesOf(options)
  for (const option of ["documentation", "policy", "termsOfService"] as const) {
    const value = options[option]
    if (value !== undefined) yield* requireSecureUrl(option, value)
  }
  const { name } = options
  if (name !== undefined && (typeof name !== "string" || name.trim() === "")) {
    return yield* refuseOption("name", "must be a text that is not empty")
  }
  const members = ownProperties(options.members ?? {})
  for (const member of Object.keys(members)) {
    const instead = Object.hasOwn(reserved, member) ? reserved[member] : undefined
    if (instead !== undefined) return yield* refuseOption(`members.${member}`, `cannot be set. ${instead}`)
  }
  const document: Document = {
    resource,
    authorization_servers: [...authorizationServers],
    bearer_methods_supported: ["header"],
    ...withValues({
      scopes_supported: [...scopes],
      resource_name: name,
      resource_documentation: options.documentation,
      resource_policy_uri: options.policy,
      resource_tos_uri: options.termsOfService,
      ...bindingsOf(options),
      ...members
    })
  }
  return document
})
