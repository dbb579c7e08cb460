/**
 * Checks the signatures of JWTs with Node's own `node:crypto`, in place of jose: for servers that see many tokens for the first time.
 *
 * jose runs wherever Web Cryptography does, and is the default. On Node the same library (OpenSSL) does the arithmetic either way, and most of the time that
 * a signature takes besides is spent around it. Which algorithms, keys and tokens are accepted is the same: every test of verification, and every attack,
 * runs with both.
 *
 * @since 0.1.0
 */
/// <reference types="node" />
import * as Layer from "effect/Layer"
import { check } from "./jwt/nodeSignatures.ts"
import { Signatures } from "./jwt/signatures.ts"

/**
 * Verifiers that are built with it check signatures with `node:crypto`, asymmetric ones in Node's thread pool.
 *
 * **Example** (A verifier on Node)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { JwtVerifier } from "effect-oauth2"
 * import * as NodeSignatures from "effect-oauth2/NodeSignatures"
 *
 * export const Verifier = JwtVerifier.layer({
 *   issuer: "https://idp.example.com",
 *   audience: "https://api.example.com"
 * }).pipe(Layer.provide([FetchHttpClient.layer, NodeSignatures.layer]))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Layer.succeed(Signatures, check)
