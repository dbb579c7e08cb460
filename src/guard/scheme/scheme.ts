/** A scheme as all other modules know it, without the types of its scopes. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as Challenge from "../../core/Challenge.ts"
import type { Definition } from "./securitySchemeObject.ts"
import type { Authenticator } from "../../verifier/request/authenticator.ts"
import type { ErrorSchemasByTag } from "./errorSchemas.ts"
import type { Implication } from "./implication.ts"
import type { Proof } from "../decision/proof.ts"

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

export const make = (
  name: string,
  options: Pick<Scheme, "definition" | "implication" | "settings" | "errors">
): Scheme => ({
  name,
  ...options,
  service: Context.Service<unknown, Authentication>(`effect-oauth2/OAuth2/${name}`),
  proof: Context.Reference<Proof | undefined>(`effect-oauth2/OAuth2/${name}/Proof`, { defaultValue: () => undefined })
})
