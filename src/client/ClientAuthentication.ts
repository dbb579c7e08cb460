/**
 * How a client proves at the token endpoint who it is (RFC 6749 §2.3).
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { ownProperties } from "../core/lib/ownProperties.ts"

/**
 * The credential of a client.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientAuthentication =
  | {
      readonly _tag: "Secret"
      readonly secret: Redacted.Redacted
      readonly method: "client_secret_basic" | "client_secret_post"
    }
  | {
      readonly _tag: "SecretFrom"
      readonly secret: Effect.Effect<Redacted.Redacted, unknown>
      readonly method: "client_secret_basic" | "client_secret_post"
    }
  | { readonly _tag: "PrivateKeyJwt"; readonly key: CryptoKey; readonly kid: string | undefined }
  | {
      readonly _tag: "Assertion"
      readonly assertion: Effect.Effect<Redacted.Redacted, unknown>
      readonly type: string
    }
  | { readonly _tag: "Tls" }
  | { readonly _tag: "None" }

/**
 * A secret, sent in the `Authorization` header or in the body.
 *
 * **Example** (Sending the secret in the body)
 *
 * ```ts import.meta.vitest
 * import { Redacted } from "effect"
 * import { ClientAuthentication } from "effect-oauth2/client"
 *
 * ClientAuthentication.secret(Redacted.make("secret"), "client_secret_post")._tag // => "Secret"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const secret = (
  secret: Redacted.Redacted,
  /** How the secret is sent (RFC 6749 §2.3.1). Default: `"client_secret_basic"`. */
  method: "client_secret_basic" | "client_secret_post" = "client_secret_basic"
): ClientAuthentication => ({ _tag: "Secret", secret, method })

/**
 * A secret that an effect returns for each request, such as one that is rotated, or the signed secret that Apple wants.
 *
 * **Details**
 *
 * A line break at the end is removed. If the effect fails, the token request fails with `TokenUnavailable` and
 * `Credential`.
 *
 * **Example** (Reading a secret that another process rotates)
 *
 * ```ts
 * import { Effect, FileSystem, Redacted } from "effect"
 * import { ClientAuthentication } from "effect-oauth2/client"
 *
 * export const authentication = Effect.map(FileSystem.FileSystem, (files) =>
 *   ClientAuthentication.secretFrom(Effect.map(files.readFileString("/run/secrets/client"), Redacted.make))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const secretFrom = (
  secret: Effect.Effect<Redacted.Redacted, unknown>,
  /** How the secret is sent (RFC 6749 §2.3.1). Default: `"client_secret_basic"`. */
  method: "client_secret_basic" | "client_secret_post" = "client_secret_basic"
): ClientAuthentication => ({ _tag: "SecretFrom", secret, method })

/**
 * An assertion that the client signs with its private key (RFC 7523 §2.2). Its audience is the issuer, and it is valid
 * for 60 seconds.
 *
 * **Example** (Signing with an ES256 key)
 *
 * ```ts import.meta.vitest
 * import { ClientAuthentication } from "effect-oauth2/client"
 *
 * const algorithm = { name: "ECDSA", namedCurve: "P-256" }
 * const { privateKey } = await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"])
 *
 * ClientAuthentication.privateKeyJwt(privateKey, { kid: "2026-11" })._tag // => "PrivateKeyJwt"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const privateKeyJwt = (
  /** A private key with the usage `"sign"`. */
  key: CryptoKey,
  /** `kid` of the key at the authorization server. Default: none. */
  options: { readonly kid?: string } = {}
): ClientAuthentication => ({ _tag: "PrivateKeyJwt", key, kid: options.kid })

/**
 * An assertion that something else signs (RFC 7523 §2.2), such as the token of a Kubernetes service account, of GitHub
 * Actions or of SPIFFE. The effect runs for each token request, so it returns a file that was rotated.
 *
 * **Details**
 *
 * White space around the assertion is removed. If the effect fails, the token request fails with `TokenUnavailable` and
 * `Credential`.
 *
 * **Example** (Reading the token that Kubernetes mounts)
 *
 * ```ts
 * import { Effect, FileSystem, Redacted } from "effect"
 * import { ClientAuthentication } from "effect-oauth2/client"
 *
 * export const authentication = Effect.map(FileSystem.FileSystem, (files) =>
 *   ClientAuthentication.assertion(Effect.map(files.readFileString("/var/run/secrets/tokens/idp"), Redacted.make))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const assertion = (
  assertion: Effect.Effect<Redacted.Redacted, unknown>,
  options: {
    /** `client_assertion_type`. Some servers want another one for SPIFFE. Default: the type of RFC 7523. */
    readonly type?: string
  } = {}
): ClientAuthentication => ({
  _tag: "Assertion",
  assertion,
  type: ownProperties(options).type ?? "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
})

/**
 * The client certificate of the TLS connection (RFC 8705 §2). The `HttpClient` must present the certificate. The token
 * request has the `client_id` and no secret.
 *
 * **Details**
 *
 * The endpoints are those of `mtls_endpoint_aliases` in the metadata, if it has them (RFC 8705 §5). The option `tokenUrl`
 * takes precedence.
 *
 * **Example** (Presenting a certificate with Node)
 *
 * ```ts
 * import { NodeHttpClient } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { ClientAuthentication, ClientCredentials } from "effect-oauth2/client"
 * import { readFileSync } from "node:fs"
 *
 * export const Source = ClientCredentials.layer({
 *   issuer: "https://idp.example.com",
 *   clientId: "worker",
 *   authentication: ClientAuthentication.tls
 * }).pipe(
 *   Layer.provide(
 *     NodeHttpClient.layerUndiciOptions({
 *       connect: { cert: readFileSync("worker.crt"), key: readFileSync("worker.key") }
 *     })
 *   )
 * )
 * ```
 *
 * **Example** (Authenticating by the connection)
 *
 * ```ts import.meta.vitest
 * import { ClientAuthentication } from "effect-oauth2/client"
 *
 * ClientAuthentication.tls._tag // => "Tls"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const tls: ClientAuthentication = { _tag: "Tls" }

/**
 * No credential: a public client, such as an app on the user's machine. It sends its `client_id` only.
 *
 * **Example** (Getting tokens on a device)
 *
 * ```ts import.meta.vitest
 * import { ClientAuthentication } from "effect-oauth2/client"
 *
 * ClientAuthentication.none._tag // => "None"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const none: ClientAuthentication = { _tag: "None" }
