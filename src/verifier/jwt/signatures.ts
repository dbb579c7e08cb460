/** Chooses what verifies signatures: `node:crypto` on Node, and jose elsewhere. */
import * as Context from "effect/Context"
import type { SignatureCheck } from "./check.ts"
import * as jose from "./joseSignatures.ts"
import * as node from "./nodeSignatures.ts"

const makeDefault = (): SignatureCheck => {
  const modules = node.isNode() ? node.nodeModules() : undefined
  return modules === undefined ? jose.check : node.make(modules)
}

/** Reference to the function that verifies signatures. */
export const Signatures = Context.Reference<SignatureCheck>("effect-oauth2/Signatures", { defaultValue: makeDefault })
