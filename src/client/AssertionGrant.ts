/**
 * Gets tokens for an assertion that another issuer has signed (RFC 7523 §2.1).
 *
 * **When to use**
 *
 * | the assertion | use |
 * |---|---|
 * | the token of a workload, such as of a Kubernetes service account, for a server that federates workloads | `make` |
 * | an identity assertion (ID-JAG) of the company's identity provider, for the server of another app | `identityAssertion`, then `make` |
 *
 * The assertion is the grant here. In `ClientAuthentication.assertion` it is the credential of the client.
 *
 * **Details**
 *
 * The cache, the renewal and the failures are those of `ClientCredentials`. Each token request asks for an assertion. If
 * the authorization server refuses the assertion, `get` fails with `ReauthenticationRequired`.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { NeedsHttpClient } from "../core/missing.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import type { Renewal } from "./cache/options.ts"
import { type TokenError, TokenUnavailable } from "./ClientError.ts"
import type { Registration } from "./protocol/options.ts"
import * as tokenEndpoint from "./protocol/tokenEndpoint.ts"
import * as tokensByScopes from "./cache/tokensByScopes.ts"
import { TokenSource } from "./TokenSource.ts"

/**
 * Options for `make`.
 *
 * **Example** (Reading the token that Kubernetes mounts)
 *
 * ```ts
 * import { Effect, FileSystem, Redacted } from "effect"
 * import type { AssertionGrant } from "effect-oauth2/client"
 *
 * export const assertionIn = (files: FileSystem.FileSystem): AssertionGrant.Options["assertion"] =>
 *   Effect.map(Effect.orDie(files.readFileString("/var/run/secrets/tokens/idp")), Redacted.make)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Registration, Renewal {
  /** Returns the assertion, a JWT whose audience is the authorization server. Runs for each token request. */
  readonly assertion: Effect.Effect<Redacted.Redacted, TokenError>
  /** Scopes to ask for. Default: none, which lets the authorization server choose. */
  readonly scopes?: ReadonlyArray<string>
  /** API that the token is for (RFC 8707). Default: none. */
  readonly resource?: string
  /** Other parameters of the token request. Default: none. */
  readonly parameters?: Readonly<Record<string, string>>
}

/**
 * Makes a source. It ends with the scope.
 *
 * **Example** (Using the token of a workload)
 *
 * ```ts
 * import { Effect, FileSystem, Redacted } from "effect"
 * import { AssertionGrant, ClientAuthentication } from "effect-oauth2/client"
 *
 * export const source = Effect.gen(function* () {
 *   const files = yield* FileSystem.FileSystem
 *   return yield* AssertionGrant.make({
 *     issuer: "https://idp.example.com",
 *     clientId: "orders",
 *     authentication: ClientAuthentication.none,
 *     assertion: Effect.map(Effect.orDie(files.readFileString("/var/run/secrets/tokens/idp")), Redacted.make)
 *   })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options
): Effect.Effect<TokenSource["Service"], ConfigurationError, NeedsHttpClient | Scope.Scope> =>
  tokensByScopes.make(
    options,
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    Effect.map(ownProperties(options).assertion, (assertion) => ({ assertion: Redacted.value(assertion) }))
  )

/**
 * Layer that provides the source as `TokenSource`.
 *
 * **Example** (Providing the source)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { AssertionGrant, ClientAuthentication } from "effect-oauth2/client"
 *
 * export const Source = AssertionGrant.layer({
 *   issuer: "https://idp.example.com",
 *   clientId: "orders",
 *   authentication: ClientAuthentication.none,
 *   assertion: Effect.succeed(Redacted.make("the token of the workload"))
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TokenSource, ConfigurationError, NeedsHttpClient> =>
  Layer.effect(TokenSource, make(options))

/**
 * Options for `identityAssertion`. The registration is that of the client at the identity provider.
 *
 * **Example** (Taking the ID token of a stored grant)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import type { AssertionGrant, StoredGrant } from "effect-oauth2/client"
 *
 * export const idTokenOf = ({ idToken }: StoredGrant): AssertionGrant.IdentityAssertionOptions["idToken"] =>
 *   Effect.succeed(idToken ?? Redacted.make(""))
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface IdentityAssertionOptions extends Registration {
  /** Returns the ID token of the user who signed in at the identity provider. Runs for each assertion. */
  readonly idToken: Effect.Effect<Redacted.Redacted, TokenError>
  /** Issuer of the authorization server that gets the assertion. */
  readonly audience: string
  /** API that the token is for (RFC 8707). Default: none. */
  readonly resource?: string
  /** Scopes to ask for. Default: none. */
  readonly scopes?: ReadonlyArray<string>
}

const identityAssertionType = "urn:ietf:params:oauth:token-type:id-jag"

/**
 * Makes the effect that exchanges the user's ID token for an identity assertion
 * (draft-ietf-oauth-identity-assertion-authz-grant).
 *
 * **Example** (Using an app of the company without another sign-in)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { AssertionGrant, ClientAuthentication } from "effect-oauth2/client"
 *
 * export const source = Effect.gen(function* () {
 *   const assertion = yield* AssertionGrant.identityAssertion({
 *     issuer: "https://login.company.example",
 *     clientId: "items-at-company",
 *     authentication: ClientAuthentication.none,
 *     idToken: Effect.succeed(Redacted.make("the ID token of the user")),
 *     audience: "https://idp.example.com"
 *   })
 *   return yield* AssertionGrant.make({
 *     issuer: "https://idp.example.com",
 *     clientId: "items",
 *     authentication: ClientAuthentication.secret(Redacted.make("the secret of items")),
 *     assertion
 *   })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const identityAssertion = (
  given: IdentityAssertionOptions
): Effect.Effect<Effect.Effect<Redacted.Redacted, TokenError>, ConfigurationError, NeedsHttpClient> =>
  Effect.gen(function* () {
    const options = ownProperties(given)
    const { audience, idToken, issuer, resource, scopes = [] } = options
    const endpoint = yield* tokenEndpoint.make(options)
    return Effect.gen(function* () {
      const response = yield* endpoint.request("urn:ietf:params:oauth:grant-type:token-exchange", {
        subject_token: Redacted.value(yield* idToken),
        subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
        requested_token_type: identityAssertionType,
        audience,
        ...(resource !== undefined && { resource }),
        ...(scopes.length > 0 && { scope: scopes.join(" ") })
      })
      // Another type of token, such as an access token of the provider, must not reach the other server.
      if (response.issuedTokenType !== identityAssertionType) {
        const retryAfter = Duration.seconds(1)
        return yield* Effect.fail(new TokenUnavailable({ issuer, reason: "BadResponse", retryAfter }))
      }
      return response.accessToken
    })
  })
