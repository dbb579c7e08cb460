/** Installs the extensions of Effect that guards need. */
import { extendEndpointMiddleware } from "../../core/effect/endpointMiddleware.ts"
import { extendMemoization } from "../../core/effect/layerMemoization.ts"
import { copyOfKey } from "../requirement/registry.ts"
import { memoization } from "./placement.ts"

let isInstalled = false

/**
 * Extends Effect once. Every scheme calls this function, and no guard exists before its scheme. Imports have no side
 * effect.
 */
export const install = (): void => {
  if (isInstalled) return
  extendMemoization(memoization)
  extendEndpointMiddleware(copyOfKey)
  isInstalled = true
}
