// Schemes and helper types for the type tests.
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { OAuth2, type SecurityError, TokenVerifier } from "effect-oauth2"

const endpoints = {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token"
}

export const auth = OAuth2.authorizationCode("OAuth2", {
  ...endpoints,
  scopes: { "items:read": "Read your items", "items:write": "Modify your items", me: "Read your profile" }
})
export const implying = OAuth2.authorizationCode("Implying", {
  ...endpoints,
  scopes: { "items:read": "Read your items", "items:write": "Modify your items", admin: "Everything" },
  implies: { admin: ["items:write"], "items:write": ["items:read"] }
})
export const partners = OAuth2.authorizationCode("Partners", {
  ...endpoints,
  scopes: { "items:read": "The catalogue" }
})

// GrantsOf<typeof auth.require("me")> -> OAuth2.Granted<"OAuth2", "me">
export type GrantsOf<R extends OAuth2.SecurityRequirementTypes<unknown, never, unknown, unknown>> = Extract<
  Parameters<R["~effect-oauth2/SecurityRequirement"]["provides"]>[0],
  { readonly "~effect-oauth2/Granted": unknown }
>

/** Verifier for `auth.layer`: the `TokenVerifier` of the context. */
export const fromContext: Layer.Layer<TokenVerifier, never, TokenVerifier> = Layer.effect(TokenVerifier, TokenVerifier)

// NeedsGrant<"me"> -> OAuth2.Missing<"A handler needs the scope `me` …"> & OAuth2.Granted<"OAuth2", "me">
export type NeedsGrant<Scope extends string, Name extends string = "OAuth2"> = Scope extends string
  ? OAuth2.Missing<`A handler needs the scope \`${Scope}\` of the scheme \`${Name}\`, but no requirement around it proves this. Use auth.require.`> &
      OAuth2.Granted<Name, Scope>
  : never

export type NeedsToken<Name extends string> =
  OAuth2.Missing<`A handler needs a token of the scheme \`${Name}\`, but no requirement around it proves this. Use auth.require.`> &
    OAuth2.Verified<Name>

export type NeedsScheme<Name extends string> = Name extends string
  ? OAuth2.Missing<`the layer of the scheme \`${Name}\`: auth.layer(JwtVerifier.layer({ … })) in a server, auth.client(source) in a client`> &
      OAuth2.Authentication<Name>
  : never

export type Grant<Scope extends string> = OAuth2.Granted<"OAuth2", Scope>

/** Returns a route that runs the effect. */
export const get = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  HttpRouter.add("GET", "/", Effect.as(effect, HttpServerResponse.empty()))

/** Layer of a route whose grants are proven by requirements of the named schemes. */
export type Guarded<Name extends string = "OAuth2"> = Layer.Layer<
  never,
  never,
  | HttpRouter.HttpRouter
  | (Name extends string ? OAuth2.Authentication<Name> : never)
  | HttpRouter.Request.From<"Error", SecurityError.SecurityError>
>

/** A condition that the compiler cannot evaluate. */
export declare const condition: boolean
