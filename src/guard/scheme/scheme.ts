/** A scheme as all other modules know it, without the types of its scopes; and what is proven to it. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type * as Challenge from "../../core/Challenge.ts"
import type { Definition } from "./securitySchemeObject.ts"
import type { Authenticator } from "../../verifier/request/authenticator.ts"
import type { ErrorSchemasByTag } from "./errorSchemas.ts"
import type { Implication } from "./implication.ts"
import * as Origin from "./origin.ts"

/** What a scheme is to the guard: how it answers, which scopes imply which, and where its services are. */
export interface Scheme {
  readonly name: string
  /** Its Security Scheme Object in OpenAPI. */
  readonly definition: Definition
  readonly implication: Implication
  readonly settings: (scopes: ReadonlyArray<string>) => Challenge.Settings
  /** Its errors as an `HttpApi` declares them. */
  readonly errors: ErrorSchemasByTag
  /** The key of its `Authentication`, which every requirement of the scheme shares. */
  readonly service: Context.Service<unknown, Authentication>
  /** What has been proven to it for the current request. */
  readonly proof: Context.Reference<Proof | undefined>
}

/** The run-time value of an `Authentication`: the middleware that `HttpApi` calls, which carries its authenticator. */
export interface Authentication {
  (
    handler: Effect.Effect<unknown, unknown, unknown>,
    options: { readonly endpoint: HttpApiEndpoint.Top }
  ): Effect.Effect<unknown, unknown, unknown>
  readonly scheme: Scheme
  readonly authenticator: Authenticator
}

/** That a token of this scheme was verified, with these scopes, for a request. Only the guard and `auth.grant` make one. */
export class Proof {
  // What this constructor has not made is no proof, however alike it looks: it lacks the private name.
  readonly #genuine = true
  readonly scheme: Scheme
  readonly origin: Origin.Origin
  readonly token: VerifiedToken
  /** Those that a requirement demanded and the token has: what the types know, not all that the token could do. */
  readonly scopes: ReadonlySet<string>

  constructor(scheme: Scheme, origin: Origin.Origin, token: VerifiedToken, scopes: ReadonlySet<string>) {
    this.scheme = scheme
    this.origin = origin
    this.token = token
    this.scopes = scopes
  }

  /** Returns the proof in the context, if it is for this request. */
  static find(context: Context.Context<never>, scheme: Scheme, origin: Origin.Origin): Proof | undefined {
    const proof = Proof.ofAnyRequest(context, scheme)
    return proof !== undefined && Origin.same(proof.origin, origin) ? proof : undefined
  }

  static ofAnyRequest(context: Context.Context<never>, scheme: Scheme): Proof | undefined {
    // A program may put any value there.
    const proof: unknown = Context.get(context, scheme.proof)
    const isGenuine = typeof proof === "object" && proof !== null && #genuine in proof && proof.#genuine
    return isGenuine && proof.scheme === scheme ? proof : undefined
  }
}

export const make = (
  name: string,
  options: Pick<Scheme, "definition" | "implication" | "settings" | "errors">
): Scheme => ({
  name,
  ...options,
  service: Context.Service<unknown, Authentication>(`effect-oauth2/OAuth2/${name}`),
  proof: Context.Reference<Proof | undefined>(`effect-oauth2/OAuth2/${name}/Proof`, { defaultValue: () => undefined })
})
