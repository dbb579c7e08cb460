/** Defines a scheme and its proofs for internal modules, without the types of the scopes. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type { Reporter } from "./decisionLog.ts"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type * as Challenge from "../../core/Challenge.ts"
import type { CredentialSource } from "../../core/credentialSource.ts"
import type { SessionSource } from "../../core/sessionCookie.ts"
import type { Call } from "../../core/effect/rpc.ts"
import type { Definition } from "./securitySchemeObject.ts"
import * as invalidations from "../../verifier/cache/invalidations.ts"
import type { Authenticator } from "../../verifier/request/authenticator.ts"
import type { CertificateChecker } from "../../verifier/mutualTls/checker.ts"
import type { DpopSupport } from "../../verifier/dpop/registered.ts"
import type { ErrorSchemasByTag } from "./errorSchemas.ts"
import type { Implication } from "./implication.ts"
import * as Origin from "./origin.ts"

/** The support of a scheme for tokens that are bound to a key (DPoP). */
export interface SchemeDpop extends DpopSupport {
  /** `true` if the scheme accepts only tokens with a proof, and no tokens that are bound to a certificate alone. */
  readonly isRequired: boolean
}

/** The support of a scheme for tokens that are bound to a certificate (mutual TLS). */
export interface SchemeMutualTls {
  readonly checker: CertificateChecker
  /** `true` if the scheme accepts only bound tokens. They may be bound to a key if the scheme also supports DPoP. */
  readonly isRequired: boolean
}

/** A security scheme as guards use it. */
export interface Scheme {
  readonly name: string
  /** The scheme's Security Scheme Object in OpenAPI. */
  readonly definition: Definition
  readonly implication: Implication
  /** The place of the credential in a request. `undefined`: a bearer token in the `Authorization` header. */
  readonly source: CredentialSource | undefined
  /** Support for tokens that are bound to a key. `undefined`: such tokens are refused. */
  readonly dpop: SchemeDpop | undefined
  /** Support for tokens that are bound to a certificate. `undefined`: such tokens are refused. */
  readonly mutualTls: SchemeMutualTls | undefined
  /** Returns `true` if no user can authenticate for a token. */
  readonly isMachine: (token: VerifiedToken) => boolean
  /** The session cookie, if the scheme accepts sessions of browsers. */
  readonly session: SessionSource | undefined
  readonly settings: (scopes: ReadonlyArray<string>) => Challenge.Settings
  /** The schemas with which an `HttpApi` declares the scheme's errors. */
  readonly errors: ErrorSchemasByTag
  /** The key of the scheme's `Authentication`. Every requirement of the scheme has this key. */
  readonly service: Context.Service<unknown, Authentication>
  /** The proof for the current request. */
  readonly proof: Context.Reference<Proof | undefined>
  /** Holds the token of the current request if its authentication is optional. It proves no scope. */
  readonly optionalProof: Context.Reference<Proof | undefined>
}

/** The run-time value of `Authentication`: the middleware that `HttpApi` and `effect/rpc` call, with its authenticator. */
export interface Authentication {
  (
    handler: Effect.Effect<unknown, unknown, unknown>,
    options: { readonly endpoint: HttpApiEndpoint.Top; readonly group: { readonly identifier: string } } | Call
  ): Effect.Effect<unknown, unknown, unknown>
  readonly scheme: Scheme
  readonly authenticator: Authenticator
  readonly reporter: Reporter
}

/** The authentications of a request whose requirements do not ask for any. */
export const noAuthentications: ReadonlySet<string> = new Set()

/** What a request without templates has computed. */
export const noneFilled: ReadonlyMap<string, ReadonlyArray<string>> = new Map()

/**
 * Proves that this scheme verified a token with these scopes for a request. Only the guard and
 * `auth.layerTestGranted` create proofs.
 */
export class Proof {
  // A look-alike object must not pass as a proof: only this constructor sets the private field.
  readonly #genuine = true
  readonly scheme: Scheme
  readonly origin: Origin.Origin
  readonly token: VerifiedToken
  /** The scopes that a requirement mentions and the token has. The token may have more scopes. */
  readonly scopes: ReadonlySet<string>
  /** The scopes that the request has computed, by their templates. */
  readonly filled: ReadonlyMap<string, ReadonlyArray<string>>
  /** The names of the user's authentications that a requirement has accepted. */
  readonly authentications: ReadonlySet<string>
  /** The token as the client sent it. `undefined` in a test without a request. */
  readonly credential: Redacted.Redacted | undefined
  /** The number of invalidations before the proof. */
  readonly invalidations = invalidations.soFar()

  constructor(
    scheme: Scheme,
    origin: Origin.Origin,
    token: VerifiedToken,
    scopes: ReadonlySet<string>,
    credential?: Redacted.Redacted,
    filled: ReadonlyMap<string, ReadonlyArray<string>> = noneFilled,
    authentications: ReadonlySet<string> = noAuthentications
  ) {
    this.scheme = scheme
    this.origin = origin
    this.token = token
    this.scopes = scopes
    this.filled = filled
    this.credential = credential
    this.authentications = authentications
  }

  /** Returns the proof in the context, if it is for this request. */
  static find(
    context: Context.Context<never>,
    scheme: Scheme,
    origin: Origin.Origin,
    key: "proof" | "optionalProof" = "proof"
  ): Proof | undefined {
    const proof = Proof.ofAnyRequest(context, scheme, key)
    return proof !== undefined && Origin.same(proof.origin, origin) ? proof : undefined
  }

  static ofAnyRequest(
    context: Context.Context<never>,
    scheme: Scheme,
    key: "proof" | "optionalProof" = "proof"
  ): Proof | undefined {
    // A program may put any value there.
    const proof: unknown = Context.get(context, scheme[key])
    const isGenuine = typeof proof === "object" && proof !== null && #genuine in proof && proof.#genuine
    return isGenuine && proof.scheme === scheme ? proof : undefined
  }
}

export const make = (
  name: string,
  options: Pick<
    Scheme,
    "definition" | "dpop" | "implication" | "source" | "session" | "isMachine" | "mutualTls" | "settings" | "errors"
  >
): Scheme => ({
  name,
  ...options,
  service: Context.Service<unknown, Authentication>(`effect-oauth2/OAuth2/${name}`),
  proof: Context.Reference<Proof | undefined>(`effect-oauth2/OAuth2/${name}/Proof`, { defaultValue: () => undefined }),
  optionalProof: Context.Reference<Proof | undefined>(`effect-oauth2/OAuth2/${name}/OptionalProof`, {
    defaultValue: () => undefined
  })
})
