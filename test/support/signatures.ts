/**
 * Replaces `src/verifier/jwt/signatures.ts` in the project "node:crypto" (`vitest.config.ts`). Only the default check
 * differs.
 */
import * as Context from "effect/Context"
import { check } from "../../src/verifier/jwt/nodeSignatures.ts"
import type { Check } from "../../src/verifier/jwt/signatures.ts"

export const Signatures = Context.Reference<Check>("effect-oauth2/Signatures", { defaultValue: () => check })
