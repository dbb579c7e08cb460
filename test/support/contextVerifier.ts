/**
 * Verifier for `auth.layer`: the `TokenVerifier` of the context, so that a test provides the verifier outside. It is not
 * memoized, because one build may contain several apps with different verifiers.
 */
import * as Layer from "effect/Layer"
import { TokenVerifier } from "../../src/verifier/TokenVerifier.ts"

export const fromContext: Layer.Layer<TokenVerifier, never, TokenVerifier> = Layer.fresh(
  Layer.effect(TokenVerifier, TokenVerifier)
)
