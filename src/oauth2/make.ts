/** Creates a scheme: validates its options and assembles its members. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import { isReadonlyObject } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import type { VerifiedToken } from "../core/AccessToken.ts"
import type * as Challenge from "../core/Challenge.ts"
import type { CredentialSource } from "../core/credentialSource.ts"
import * as message from "../core/message.ts"
import type { Options } from "./options.ts"
import type { Item } from "../guard/requirement/item.ts"
import * as requirements from "../guard/requirement/item.ts"
import { SecurityScopes } from "../core/SecurityScopes.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
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
import type { OAuth2Scheme } from "./oauth2Scheme.ts"
import * as schemes from "../guard/scheme/scheme.ts"
import * as schemeLayers from "./layers.ts"
import * as layerClient from "./layerClient.ts"
import { assertScopeTokens } from "../core/scope.ts"
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

const assertFlows = (where: string, flows: Flows): void => {
  for (const [name, flow] of Object.entries(flows)) {
    if (!Object.hasOwn(required, name)) {
      throw new TypeError(
        `${where}: flows names the unknown flow ${JSON.stringify(name)}. Use ${Object.keys(required).join(", ")}.`
      )
    }
    const none = Object.fromEntries(required[name as keyof Flows].map((field) => [field, undefined]))
    assertUrls(where, { ...none, ...flow })
  }
}

/** Accepts relative URLs, because documents contain URLs unchanged and clients resolve them. */
const assertUrls = (where: string, urls: Readonly<Record<string, unknown>>): void => {
  for (const [name, url] of Object.entries(urls)) {
    if (typeof url === "string" && /^\S+$/.test(url)) continue
    throw new TypeError(`${where}: ${name} must be a URL, absolute or relative, without white space.`)
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

/** Creates a scheme. Error messages begin with `constructor`, the name of the called function. */
export const make = <
  const Name extends string,
  const Scopes extends Readonly<Record<string, string>>,
  const Implies extends Implications<keyof Scopes & string>,
  Claims extends object
>(
  constructor: string,
  name: Name,
  options: Options<Scopes, Implies, Claims>,
  kind: Kind
): OAuth2Scheme<Name, keyof Scopes & string, Implies, Claims> => {
  const where = `${constructor}(${JSON.stringify(name)})`
  if (!isReadonlyObject(options.scopes)) {
    throw new TypeError(`${where}: scopes must be an object that maps each scope to a description.`)
  }
  const names = Object.keys(options.scopes)
  const { realm = name, renderers = {}, responses = "fastapi" } = options
  const { authScheme = "Bearer", definition, flows = {}, openIdConnectUrl, source } = ownProperties(kind)
  install()
  assertName(where, name)
  assertScopeTokens(where, names)
  assertRealm(where, realm)
  if (responses !== "fastapi" && responses !== "rfc6750") {
    throw new TypeError(`${where}: responses must be "fastapi" or "rfc6750".`)
  }
  assertFlows(where, flows)
  assertUrls(where, {
    // A scheme without flows needs the URL of OpenID Connect Discovery.
    ...(definition === undefined && Object.keys(flows).length === 0 ? { openIdConnectUrl } : undefined),
    ...Struct.pick(options, ["oauth2MetadataUrl"])
  })

  const scheme = schemes.make(name, {
    source,
    definition: securitySchemeObject.make(ownProperties({ ...options, flows, openIdConnectUrl, definition })),
    implication: implication.make(where, names, options.implies ?? {}),
    // Frozen, because the errors of many requests share the list.
    settings: (scopes) => ({ responses, realm, scopes: Object.freeze(scopes), renderers, authScheme }),
    errors: errorSchemas.make(responses, realm, authScheme)
  })

  const assertDeclared = (method: string, scopes: ReadonlyArray<string>) => {
    const unknown = scopes.find((scope) => !names.includes(scope))
    if (unknown === undefined) return
    const declared = names.map((scope) => JSON.stringify(scope)).join(", ")
    throw new TypeError(
      `${where}: ${method} names the scope ${JSON.stringify(unknown)}, which is not declared. Declared scopes are ${declared}.`
    )
  }

  const policy = (method: string, items: ReadonlyArray<Item>, optional: boolean) => {
    const part = policies.part({
      scheme,
      expression: expression.all(items.map(requirements.ofItem)),
      optional,
      lookups: []
    })
    assertDeclared(method, expression.mentioned(part.expression))
    assertOwnChecks(where, method, part)
    return [[part]]
  }

  const self = {
    name,
    scopes: options.scopes,
    description: options.description,
    flows,
    errors: scheme.errors,
    require: (...items: ReadonlyArray<Item>) => makeRequirement(policy("require", items, false)),
    optional: (...items: ReadonlyArray<Item>) => makeRequirement(policy("optional", items, true)),
    prove: (...items: ReadonlyArray<Item>) => {
      const own = policy("prove", items, false)
      return (self: Effect.Effect<unknown, unknown, unknown>) => guard.make(own, new Map(), self)
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
    granted: (...scopes: ReadonlyArray<string>) => proof.all(scheme, scopes),
    grantedAny: (...scopes: ReadonlyArray<string>) => proof.any(scheme, scopes),
    token: proof.all(scheme, []),
    expiry: proof.expiry(scheme),
    optionalToken: proof.optional(scheme),
    check: (
      name: string,
      holds: (token: VerifiedToken) => Effect.Effect<boolean, unknown, unknown>,
      options?: { readonly error: Schema.Top }
    ) => requirements.check(name, holds, options, scheme),
    ...authorize.make(scheme),
    ...schemeLayers.make(scheme, options.claims),
    layerClient: layerClient.make(scheme),
    withScopes: (...scopes: ReadonlyArray<string>) => {
      assertDeclared("withScopes", scopes)
      return Effect.updateService(SecurityScopes, (outer) => requiredScopes.extend(outer, scopes, scheme))
    }
  }
  // Safe cast: types and policies are computed from the same items. The layers provide the services that requirements
  // need, and `Public` has a default.
  return self as unknown as OAuth2Scheme<Name, keyof Scopes & string, Implies, Claims>
}
