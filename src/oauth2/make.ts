/** Creates a scheme: validates its options and assembles its members. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import { isReadonlyObject } from "effect/Predicate"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import type { VerifiedToken } from "../core/AccessToken.ts"
import type * as Challenge from "../core/Challenge.ts"
import type { CredentialSource } from "../core/credentialSource.ts"
import { make as sessionSource, type SessionCookie } from "../core/sessionCookie.ts"
import * as message from "../core/message.ts"
import type { Options } from "./options.ts"
import type { Item } from "../guard/requirement/item.ts"
import * as requirements from "../guard/requirement/item.ts"
import { SecurityScopes } from "../core/SecurityScopes.ts"
import { own, ownProperties } from "../core/lib/ownProperties.ts"
import * as authorize from "./authorize.ts"
import * as policies from "../guard/requirement/policy.ts"
import * as errorSchemas from "../guard/scheme/errorSchemas.ts"
import * as expression from "../guard/requirement/expression.ts"
import * as guard from "../guard/decision/guard.ts"
import { install } from "../guard/middleware/install.ts"
import * as implication from "../guard/scheme/implication.ts"
import type { Implications } from "../guard/scheme/implication.ts"
import * as proof from "../guard/decision/proof.ts"
import * as requiredScopes from "../core/requiredScopes.ts"
import type { SchemeOf } from "./oauth2Scheme.ts"
import * as schemes from "../guard/scheme/scheme.ts"
import * as schemeLayers from "./layers.ts"
import * as client from "./client.ts"
import * as layerClient from "./layerClient.ts"
import { assertScopeTokens } from "../core/scope.ts"
import * as resourceIdentifier from "../core/resourceIdentifier.ts"
import { bindingsOf, descriptionOf } from "./bindings.ts"
import { assertSession } from "./sessionOptions.ts"
import { make as makeRequirement } from "../guard/middleware/securityRequirement.ts"
import * as securitySchemeObject from "../guard/scheme/securitySchemeObject.ts"
import type { Flows } from "../guard/scheme/securitySchemeObject.ts"

// The pattern of keys (OpenAPI 3.1, "Components Object").
const assertName = (where: string, name: string): void => {
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    throw new TypeError(
      `${where}: OpenAPI does not allow this name of a scheme (Components Object). Use one or more of the characters A-Z a-z 0-9 . _ -.`
    )
  }
}

const assertRealm = (where: string, realm: string): void => {
  if (!/^[\x20-\x7E]+$/.test(realm)) {
    throw new TypeError(`${where}: realm must be one or more printable ASCII characters (RFC 9110 §11.5).`)
  }
}

/** Properties that distinguish the kinds of schemes: the credential, and its description in documents. */
export interface Kind {
  readonly flows?: Flows
  /** Returns the flows when the scheme's layer is built. Replaces `flows`. */
  readonly lateFlows?: Effect.Effect<Flows, unknown>
  readonly openIdConnectUrl?: string
  /** The fields of the Security Scheme Object, for a scheme without OAuth flows. */
  readonly definition?: Readonly<Record<string, unknown>>
  /** Default: a bearer token in the `Authorization` header. */
  readonly source?: CredentialSource
  /** Default: `"Bearer"`. */
  readonly authScheme?: Challenge.AuthScheme
}

/** The required fields of each flow (OpenAPI, "OAuth Flow Object"). */
const required: Readonly<Record<keyof Flows, ReadonlyArray<string>>> = {
  authorizationCode: ["authorizationUrl", "tokenUrl"],
  clientCredentials: ["tokenUrl"],
  deviceAuthorization: ["deviceAuthorizationUrl", "tokenUrl"],
  password: ["tokenUrl"],
  implicit: ["authorizationUrl"]
}

const assertFlows = (where: string, flows: Flows, scopes: ReadonlyArray<string>): void => {
  for (const [name, flow] of Object.entries(flows)) {
    if (!Object.hasOwn(required, name)) {
      throw new TypeError(
        `${where}: flows names the unknown flow ${JSON.stringify(name)}. Use ${Object.keys(required).join(", ")}.`
      )
    }
    const none = Object.fromEntries(required[name as keyof Flows].map((field) => [field, undefined]))
    const { scopes: listed, ...urls } = ownProperties(flow as Readonly<Record<string, unknown>>)
    assertUrls(where, { ...none, ...urls })
    if (listed === undefined) continue
    const unknown: unknown = Array.isArray(listed) ? listed.find((scope) => !scopes.includes(scope)) : listed
    if (unknown === undefined) continue
    throw new TypeError(
      `${where}: the scopes of the flow ${name} must be an array of declared scopes, but name ${JSON.stringify(unknown)}.`
    )
  }
}

/** Accepts relative URLs, because documents contain URLs unchanged and clients resolve them. */
const assertUrls = (where: string, urls: Readonly<Record<string, unknown>>): void => {
  for (const [name, url] of Object.entries(urls)) {
    if (typeof url === "string" && /^\S+$/.test(url)) continue
    throw new TypeError(`${where}: ${name} must be a URL, absolute or relative, without white space.`)
  }
}

/** The flows of a scheme, which may depend on the program's configuration. */
class FlowsOf {
  readonly #where: string
  readonly #late: Effect.Effect<Flows, unknown> | undefined
  readonly #scopes: ReadonlyArray<string>
  #flows: Flows | undefined

  constructor(
    where: string,
    scopes: ReadonlyArray<string>,
    flows: Flows,
    late: Effect.Effect<Flows, unknown> | undefined
  ) {
    this.#where = where
    this.#scopes = scopes
    this.#late = late
    this.#flows = late === undefined ? flows : undefined
  }

  /** Reads the configuration. The scheme's layer runs this when it is built. */
  readonly resolved: Effect.Effect<void, unknown> = Effect.suspend(() =>
    this.#late === undefined
      ? Effect.void
      : Effect.map(this.#late, (flows) => {
          assertFlows(this.#where, flows, this.#scopes)
          this.#flows = flows
        })
  )

  /**
   * Returns the flows for a document. The flows of the layer are stored, because a document may be created while a
   * request is answered. The program's `ConfigProvider` is not in the context then. Without a layer, for example in a
   * script, the configuration is read here.
   */
  get current(): Flows {
    if (this.#flows !== undefined) return this.#flows
    const exit = Effect.runSyncExitWith(Fiber.getCurrent()?.context ?? Context.empty())(this.resolved)
    if (this.#flows !== undefined) return this.#flows
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    // An effect such as `Provider.discover` cannot end here. Its request is not left running.
    const isLate = Cause.isAsyncFiberError(error)
    if (isLate) error.fiber.interruptUnsafe()
    const orSet = isLate ? "." : `, or set the variables. ${String(error)}`
    throw new TypeError(
      `${this.#where}: the URLs of the provider option are not available. Build the scheme's layer before the document${orSet}`
    )
  }
}

/** Throws if a check belongs to another scheme. Its code expects claims that the other scheme's schema decoded. */
const assertOwnChecks = (where: string, method: string, { expression: self, scheme }: policies.Part): void => {
  const other = expression.checks(self).find((check) => check.scheme !== undefined && check.scheme !== scheme)
  if (other === undefined) return
  const [name, owner] = [other.name, other.scheme?.name].map((name) => JSON.stringify(name))
  throw new TypeError(
    `${where}: ${method} was given the check ${name}, which reads the claims of another scheme, ${owner}. Make the check with this scheme's own check method, or with Requirement.check.`
  )
}

/** In the client-credentials flow, the subject is the client (RFC 9068 §2.2). */
const isMachineByClaims = ({ claims, clientId, subject }: VerifiedToken): boolean =>
  Option.exists(clientId, (client) => subject === client || subject === `${client}@clients`) ||
  own(claims, "idtyp") === "app"

/** Creates a scheme. Error messages begin with `constructor`, the name of the called function. */
export const make = <
  const Name extends string,
  const Scopes extends Readonly<Record<string, string>>,
  const Implies extends Implications<keyof Scopes & string>,
  Claims extends object,
  const Wildcards extends boolean
>(
  constructor: string,
  name: Name,
  options: Options<Scopes, Implies, Claims, Wildcards>,
  kind: Kind
): SchemeOf<Name, keyof Scopes & string, Implies, Claims, Wildcards> => {
  const where = `${constructor}(${JSON.stringify(name)})`
  if (!isReadonlyObject(options.scopes)) {
    throw new TypeError(`${where}: scopes must be an object that maps each scope to a description.`)
  }
  const names = Object.keys(options.scopes)
  const bindings = bindingsOf(where, options)
  const { dpop, mutualTls } = bindings
  const {
    isMachine = isMachineByClaims,
    realm = name,
    renderers = {},
    resource,
    responses = dpop === undefined && mutualTls === undefined ? "fastapi" : "rfc6750"
  } = ownProperties(options)
  const { authScheme = "Bearer", definition, flows = {}, lateFlows, openIdConnectUrl, source } = ownProperties(kind)
  const flowsOf = new FlowsOf(where, names, flows, lateFlows)
  install()
  assertName(where, name)
  assertScopeTokens(where, names)
  assertRealm(where, realm)
  const problem = resource === undefined ? undefined : resourceIdentifier.problemOf(resource)
  if (problem !== undefined) throw new TypeError(`${where}: resource ${problem}.`)
  if (responses !== "fastapi" && responses !== "rfc6750") {
    throw new TypeError(`${where}: responses must be "fastapi" or "rfc6750".`)
  }
  if (options.wildcards !== undefined && typeof options.wildcards !== "boolean") {
    throw new TypeError(`${where}: wildcards must be true or false.`)
  }
  if (typeof isMachine !== "function") throw new TypeError(`${where}: isMachine must be a function of a token.`)
  assertFlows(where, flows, names)
  assertUrls(where, {
    // A scheme without flows needs the URL of OpenID Connect Discovery.
    ...(definition === undefined && lateFlows === undefined && Object.keys(flows).length === 0
      ? { openIdConnectUrl }
      : undefined),
    ...Struct.pick(options, ["oauth2MetadataUrl"])
  })

  const { session: sessionOptions } = ownProperties<{ readonly session?: SessionCookie }>(options)
  if (sessionOptions !== undefined) {
    if (!isReadonlyObject(sessionOptions)) throw new TypeError(`${where}: session must be an object of options.`)
    assertSession(where, ownProperties(sessionOptions))
  }
  const session = sessionOptions && sessionSource(ownProperties(sessionOptions), source === undefined)
  if (session !== undefined && (dpop?.isRequired === true || mutualTls?.isRequired === true)) {
    throw new TypeError(
      `${where}: session and senderConstrained: "required" exclude each other, because a cookie is not bound. Use senderConstrained: "accepted".`
    )
  }

  const form = ownProperties({
    responses,
    realm,
    authScheme: dpop?.isRequired === true ? "DPoP" : authScheme,
    ...(dpop === undefined ? {} : { algs: Object.freeze([...dpop.algorithms]) }),
    ...(dpop?.isRequired === false ? { otherSchemes: Object.freeze(["DPoP"] as const) } : {}),
    ...(resource === undefined ? {} : { resourceMetadata: resourceIdentifier.metadataUrl(resource) })
  })
  const scheme = schemes.make(name, {
    source,
    dpop,
    mutualTls,
    isMachine: (token) => {
      // Only `true` counts: a function of a JavaScript program may return another value, such as a promise.
      const result: unknown = isMachine(token)
      return result === true
    },
    session,
    definition: securitySchemeObject.make(
      ownProperties({
        ...options,
        ...descriptionOf(options.description, bindings),
        flows: () => flowsOf.current,
        openIdConnectUrl,
        // No bearer token helps a client of such a scheme.
        definition:
          definition !== undefined && dpop?.isRequired === true ? { type: "http", scheme: "DPoP" } : definition
      })
    ),
    implication: implication.make(where, names, options.implies ?? {}, options.wildcards ?? false),
    // Frozen, because the errors of many requests share the list.
    settings: (scopes) => ({
      ...form,
      scopes: Object.freeze(scopes),
      renderers,
      ...(session === undefined ? {} : { signIn: session.signIn })
    }),
    errors: errorSchemas.make({ ...form, scopes: [], renderers: {} })
  })

  const isTemplate = (scope: string) => scheme.implication.templates.has(scope)

  const assertRequirable = (method: string, scopes: ReadonlyArray<string>) => {
    const wildcard = options.wildcards === true ? scopes.find(implication.isWildcard) : undefined
    if (wildcard !== undefined) {
      throw new TypeError(
        `${where}: ${method} names the wildcard scope ${JSON.stringify(wildcard)}. Name the scopes that are needed, such as "read:items".`
      )
    }
    const unknown = scopes.find((scope) => !names.includes(scope))
    if (unknown === undefined) return
    const declared = names.map((scope) => JSON.stringify(scope)).join(", ")
    throw new TypeError(
      `${where}: ${method} names the scope ${JSON.stringify(unknown)}, which is not declared. Declared scopes are ${declared}.`
    )
  }

  /** A declared scope with placeholders takes the path parameters, unless it comes from `scopeOf`. */
  const computed = (leaf: expression.Expression): expression.Expression =>
    leaf._tag === "Scope" && isTemplate(leaf.scope) ? { _tag: "Template", scope: leaf.scope, values: undefined } : leaf

  const policy = (method: string, items: ReadonlyArray<Item>, optional: boolean) => {
    const given = expression.all(items.map(requirements.ofItem))
    assertRequirable(method, expression.mentioned(given))
    const part = policies.part({
      scheme,
      expression: expression.mapLeaves(given, computed),
      optional,
      lookups: []
    })
    assertOwnChecks(where, method, part)
    if (dpop === undefined && mutualTls === undefined && expression.mentionsConstraint(given)) {
      throw new TypeError(
        `${where}: ${method} was given Requirement.senderConstrained, but the scheme accepts no bound tokens. Set the option dpop: Dpop.make({ … }) or mutualTls: MutualTls.make({ … }).`
      )
    }
    return [[part]]
  }

  const self = {
    name,
    scopes: options.scopes,
    description: options.description,
    resource,
    dpop: dpop && Object.freeze({ algorithms: dpop.algorithms, isRequired: dpop.isRequired }),
    sessionCookie: session?.cookie,
    mutualTls: mutualTls && Object.freeze({ isRequired: mutualTls.isRequired }),
    get flows() {
      return flowsOf.current
    },
    errors: scheme.errors,
    require: (...items: ReadonlyArray<Item>) => makeRequirement(policy("require", items, false)),
    optional: (...items: ReadonlyArray<Item>) => makeRequirement(policy("optional", items, true)),
    prove: (...items: ReadonlyArray<Item>) => {
      const own = policy("prove", items, false)
      return (self: Effect.Effect<unknown, unknown, unknown>) => guard.make(own, new Map(), self, "prove")
    },
    proveToken: (token: Redacted.Redacted, ...items: ReadonlyArray<Item>) => {
      const own = policy("proveToken", items, false)
      return (self: Effect.Effect<unknown, unknown, unknown>) => {
        const guarded = guard.make(own, new Map(), self)
        return Effect.withFiber(({ context }) =>
          Effect.provideService(
            guarded,
            HttpServerRequest,
            message.ofToken(Context.getOrUndefined(context, HttpServerRequest), Redacted.value(token))
          )
        )
      }
    },
    granted: (...items: ReadonlyArray<Item>) => proof.all(scheme, items.map(requirements.ofItem)),
    grantedAny: (...scopes: ReadonlyArray<string>) => proof.any(scheme, scopes),
    token: proof.all(scheme, []),
    credential: proof.credential(scheme),
    expiry: proof.expiry(scheme),
    optionalToken: proof.optional(scheme),
    check: (
      name: string,
      holds: (token: VerifiedToken) => Effect.Effect<boolean, unknown, unknown>,
      options?: { readonly error: Schema.Top }
    ) => requirements.check(name, holds, options, scheme),
    scopeOf: (template: string, values: Effect.Effect<unknown>) => {
      assertRequirable("scopeOf", [template])
      if (isTemplate(template)) return requirements.scopeOf(template, values)
      throw new TypeError(
        `${where}: scopeOf names the scope ${JSON.stringify(template)}, which has no placeholder. Declare a scope such as "read:{org}".`
      )
    },
    ...authorize.make(scheme),
    ...schemeLayers.make(scheme, options.claims, flowsOf.resolved),
    client: client.make(scheme),
    layerClient: layerClient.make(scheme),
    withScopes: (...scopes: ReadonlyArray<string>) => {
      assertRequirable("withScopes", scopes)
      const template = scopes.find(isTemplate)
      if (template !== undefined) {
        throw new TypeError(
          `${where}: withScopes names the scope ${JSON.stringify(template)}, whose placeholders it cannot fill. Use auth.require or auth.prove.`
        )
      }
      return Effect.updateService(SecurityScopes, (outer) => requiredScopes.extend(outer, scopes, scheme))
    }
  }
  // Safe cast: types and policies are computed from the same items. The layers provide the services that requirements
  // need, and `Public` has a default.
  return self as unknown as SchemeOf<Name, keyof Scopes & string, Implies, Claims, Wildcards>
}
