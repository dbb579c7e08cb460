/**
 * Verifies the signatures of JWTs with `node:crypto` instead of jose.
 *
 * jose is the default and runs on every platform with Web Cryptography. On Node.js, OpenSSL does the arithmetic either
 * way. `node:crypto` reduces the overhead around it. Both accept the same algorithms, keys and tokens, and the tests of
 * verification run with both.
 *
 * @since 0.1.0
 */
/// <reference types="node" />
import * as Layer from "effect/Layer"
import { check } from "./jwt/nodeSignatures.ts"
import { Signatures } from "./jwt/signatures.ts"

/**
 * Layer that makes verifiers use `node:crypto`. Asymmetric signatures are verified in Node's thread pool.
 *
 * **When to use**
 *
 * Use on Node.js if your server receives many uncached tokens.
 *
 * **Example** (Verifying signatures on Node.js)
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
