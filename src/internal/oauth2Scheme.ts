import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import { AccessToken, type VerifiedToken } from "../AccessToken.ts"
import { BearerToken } from "../BearerToken.ts"
import * as Challenge from "../Challenge.ts"
import type { Implications, OAuth2Scheme, Options, TestToken } from "../OAuth2.ts"
import type { SecurityError } from "../SecurityError.ts"
import { SecurityScopes } from "../SecurityScopes.ts"
import type { Item } from "../Requirement.ts"
import { TokenVerifier } from "../TokenVerifier.ts"
import * as authentication from "./authentication.ts"
import { Authenticator, TestAuthenticator } from "./authenticator.ts"
import { claimsDecoder, testClaims } from "./claimsDecoder.ts"
import * as definition from "./definition.ts"
import type { Flows } from "./definition.ts"
import * as demands from "./demand.ts"
import * as errorSchemas from "./errorSchemas.ts"
import * as expression from "./expression.ts"
import * as guard from "./guard.ts"
import * as implication from "./implication.ts"
import * as origin from "./origin.ts"
import * as proof from "./proof.ts"
import type { PublicEndpoint } from "./public.ts"
import * as requiredScopes from "./requiredScopes.ts"
import * as schemes from "./scheme.ts"
import { assertScopeTokens } from "./scope.ts"
import { type Authentication, make as makeRequirement } from "./securityRequirement.ts"

/** A scheme: what its options say, and how it guards. `constructor` is what was called, for the messages about mistakes. */
export const make = <
  const Name extends string,
  const Scopes extends Readonly<Record<string, string>>,
  const Implies extends Implications<keyof Scopes & string>,
  Claims extends object
>(
  constructor: string,
  name: Name,
  options: Options<Scopes, Implies, Claims>,
  flows: Flows,
  openIdConnectUrl?: string
): OAuth2Scheme<Name, keyof Scopes & string, Implies, Claims> => {
  type Scope = keyof Scopes & string
  type Self = OAuth2Scheme<Name, Scope, Implies, Claims>
  type Untyped = OAuth2Scheme<Name, Scope, Implies>

  const where = `${constructor}(${JSON.stringify(name)})`
  // OpenAPI 3.1 "Components Object": the keys are of this form.
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    throw new TypeError(`${where}: a scheme's name has one or more of A-Z a-z 0-9 . _ - (OpenAPI, Components Object).`)
  }
  const names = Object.keys(options.scopes)
  assertScopeTokens(where, names)
  const { realm = name, renderers = {}, responses = "fastapi" } = options
  if (!/^[\x20-\x7E]+$/.test(realm)) {
    throw new TypeError(`${where}: the realm has one or more printable ASCII characters (RFC 9110 §11.5).`)
  }

  const scheme = schemes.make(name, {
    definition: definition.make({ ...options, flows, openIdConnectUrl }),
    implication: implication.make(where, names, options.implies ?? {}),
    settings: (scopes) => ({ responses, realm, scopes, renderers }),
    errors: errorSchemas.make(responses, realm)
  })
  // Sound: the interface stands for the run-time service, which it does not show.
  const Service = scheme.service as unknown as Effect.Effect<schemes.Authentication, never, Authentication<Name>>

  const assertDeclared = (method: string, scopes: ReadonlyArray<string>) => {
    const unknown = scopes.find((scope) => !names.includes(scope))
    if (unknown === undefined) return
    const declared = names.map((scope) => JSON.stringify(scope)).join(", ")
    throw new TypeError(`${where}: ${method}(${JSON.stringify(unknown)}) is not declared; declared are ${declared}.`)
  }

  const demand = (method: string, items: ReadonlyArray<Item>, optional: boolean) => {
    const part = demands.part({ scheme, expression: expression.all(items.map(expression.ofItem)), optional })
    assertDeclared(method, expression.mentioned(part.expression))
    for (const check of expression.checks(part.expression)) {
      if (check.scheme === undefined || check.scheme === scheme) continue
      const [own, owner] = [check.name, check.scheme.name].map((name) => JSON.stringify(name))
      throw new TypeError(
        `${where}: ${method} was given the check ${own} of another scheme, ${owner}, whose claims it reads; make it with this scheme's own check, or with Requirement.check, which is for every scheme.`
      )
    }
    return [[part]]
  }

  /** What a token must have where no requirement asks for more than the scopes in force. */
  const bare = demands.part({ scheme, expression: expression.all([]), optional: false })

  const verify = (
    verified: ReturnType<Authenticator["fromToken"]>,
    required: ReadonlyArray<string>
  ): Effect.Effect<VerifiedToken, SecurityError> => {
    const settings = demands.settingsOf(bare, required)
    return Effect.matchEffect(verified, {
      onFailure: (error) => Effect.fail(Challenge.within(error, settings)),
      onSuccess: (token) =>
        Effect.flatMap(demands.decide(bare, required, token), (error): Effect.Effect<VerifiedToken, SecurityError> =>
          error === undefined ? Effect.succeed(token) : Effect.fail(Challenge.within(error, settings))
        )
    })
  }

  const required = Effect.map(SecurityScopes, (scopes) => requiredScopes.ofScheme(scopes, scheme))

  const authorize: Untyped["authorize"] = Effect.flatMap(
    Effect.all([Service, BearerToken, required]),
    ([{ authenticator }, token, required]) =>
      Effect.withFiber((fiber) => verify(authenticator.fromToken(token, fiber), required))
  )

  const authorizeOption: Untyped["authorizeOption"] = Effect.flatMap(
    Effect.all([Service, HttpServerRequest, required]),
    ([{ authenticator }, request, required]) =>
      Effect.withFiber((fiber) => {
        const credential = authenticator.fromRequest(request, fiber)
        if ("verified" in credential) return Effect.map(verify(credential.verified, required), Option.some)
        return credential._tag === "NotAuthenticated"
          ? Effect.succeedNone
          : Effect.fail(Challenge.within(credential, demands.settingsOf(bare, required)))
      })
  )

  // Fresh: one build may hold several apps, each with a verifier of its own; a layer that is remembered would guard all of them with the first.
  const layerOf = <R>(authentication: Effect.Effect<schemes.Authentication, never, R>) =>
    Layer.fresh(
      Layer.effect(scheme.service, authentication)
      // Sound: the key is that of every requirement of the scheme, and `Public` has a default.
    ) as unknown as Layer.Layer<Authentication<Name> | PublicEndpoint, never, R>

  const decode = options.claims && claimsDecoder(options.claims)
  const authentications = new WeakMap<TokenVerifier["Service"], schemes.Authentication>()

  /** One for each verifier, so that guards know that they ask the same. */
  const authenticationBy = (verifier: TokenVerifier["Service"]): schemes.Authentication => {
    const known = authentications.get(verifier) ?? authentication.make(scheme, new Authenticator(verifier, decode))
    authentications.set(verifier, known)
    return known
  }

  const testToken = ({ claims = {}, scopes = [], subject = "demo" }: TestToken<string>): VerifiedToken =>
    AccessToken.make({ subject, scopes, claims, issuer: "test", expiresAt: DateTime.makeUnsafe(8.64e15) })

  const proofOf = (verified: VerifiedToken) =>
    Layer.merge(
      Layer.succeed(AccessToken, verified),
      Layer.succeed(scheme.proof, new proof.Proof(scheme, origin.of(undefined), verified, verified.scopes))
    )

  const given = testClaims(options.claims, `layerTest or grant of ${JSON.stringify(name)}`)

  const layerTest = (token: TestToken<string> | "anonymous") =>
    layerOf(
      Effect.map(token === "anonymous" ? Effect.undefined : given(testToken(token)), (token) =>
        authentication.make(scheme, new TestAuthenticator(token))
      )
    )

  const grant = (token: TestToken<string>) => Layer.unwrap(Effect.map(given(testToken(token)), proofOf))

  const self = {
    name,
    scopes: options.scopes,
    description: options.description,
    flows,
    require: (...items: ReadonlyArray<Item>) => makeRequirement(demand("require", items, false)),
    optional: (...items: ReadonlyArray<Item>) => makeRequirement(demand("optional", items, true)),
    prove: (...items: ReadonlyArray<Item>) => {
      const own = demand("prove", items, false)
      return (self: Effect.Effect<unknown, unknown, unknown>) => guard.make(own, new Map(), self)
    },
    granted: (...scopes: ReadonlyArray<string>) => proof.all(scheme, scopes),
    grantedAny: (...scopes: ReadonlyArray<string>) => proof.any(scheme, scopes),
    accessToken: proof.all(scheme, []),
    check: (
      name: string,
      holds: (token: VerifiedToken) => Effect.Effect<boolean, unknown, unknown>,
      options?: { readonly error: Schema.Top }
    ) => expression.check(name, holds, options?.error, scheme),
    authorize,
    authorizeOption,
    withScopes: (...scopes: ReadonlyArray<string>) => {
      assertDeclared("withScopes", scopes)
      return Effect.updateService(SecurityScopes, (outer) => requiredScopes.extend(outer, scopes, scheme))
    },
    refuse: (error: SecurityError) =>
      Effect.flatMap(required, (required) => Effect.fail(Challenge.within(error, demands.settingsOf(bare, required)))),
    layer: layerOf(Effect.map(TokenVerifier, authenticationBy)),
    layerRequest: Layer.fresh(Layer.provideMerge(Layer.effect(AccessToken, authorize), BearerToken.layer)),
    layerTest,
    grant
  }
  // Sound: what the members prove is computed in types from the very items that make their demand.
  return self as unknown as Self
}
