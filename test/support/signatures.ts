/** Replaces `src/verifier/jwt/signatures.ts` in the project "jose" (`vitest.config.ts`). Only the default differs. */
import * as Context from "effect/Context"
import type { SignatureCheck } from "../../src/verifier/jwt/check.ts"
import { check } from "../../src/verifier/jwt/joseSignatures.ts"

export const Signatures = Context.Reference<SignatureCheck>("effect-oauth2/Signatures", { defaultValue: () => check })
