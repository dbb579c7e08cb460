/**
 * Chooses what verifies the signatures of JWTs: `node:crypto` or jose.
 *
 * On Node.js, `node:crypto` is the default, because it has less overhead. Elsewhere, jose is the default: it runs on
 * every platform with Web Cryptography. Both accept the same algorithms, keys and tokens, and the tests of verification
 * run with both.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ConfigurationError } from "../core/SecurityError.ts"
import { make, nodeModules } from "./jwt/nodeSignatures.ts"
import * as jose from "./jwt/joseSignatures.ts"
import { Signatures } from "./jwt/signatures.ts"

/**
 * Layer that makes verifiers use jose.
 *
 * **When to use**
 *
 * Use on Node.js if only jose is approved for your program.
 *
 * **Example** (Verifying signatures with jose on Node.js)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { JwtVerifier, Signatures } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer({
 *   issuer: "https://idp.example.com",
 *   audience: "https://api.example.com"
 * }).pipe(Layer.provide([FetchHttpClient.layer, Signatures.layerJose]))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerJose: Layer.Layer<never> = Layer.succeed(Signatures, jose.check)

/**
 * Layer that makes verifiers use `node:crypto`. Asymmetric signatures are verified in Node's thread pool. On Node.js,
 * this is the default.
 *
 * **When to use**
 *
 * Use on Bun or Deno, which have `node:crypto`, too. Elsewhere, the layer fails with a `ConfigurationError`.
 *
 * **Example** (Verifying signatures with `node:crypto` on Bun)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { JwtVerifier, Signatures } from "effect-oauth2"
 *
 * export const Verifier = JwtVerifier.layer({
 *   issuer: "https://idp.example.com",
 *   audience: "https://api.example.com"
 * }).pipe(Layer.provide([FetchHttpClient.layer, Signatures.layerNode]))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNode: Layer.Layer<never, ConfigurationError> = Layer.effect(
  Signatures,
  Effect.suspend(() => {
    const modules = nodeModules()
    return modules === undefined
      ? Effect.fail(
          new ConfigurationError({
            setting: "Signatures.layerNode",
            message:
              "Signatures.layerNode: this runtime has no node:crypto (process.getBuiltinModule), or it cannot verify all signatures, as on Cloudflare Workers. Use Signatures.layerJose, or leave the layer out."
          })
        )
      : Effect.succeed(make(modules))
  })
)
