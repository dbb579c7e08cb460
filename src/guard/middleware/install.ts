/** Puts into place, once, what guards need of Effect: see the modules that are called here. */
import { extendEndpointMiddleware } from "../../core/effect/endpointMiddleware.ts"
import { extendMemoization } from "../../core/effect/layerMemoization.ts"
import { copyOfKey } from "../requirement/registry.ts"
import { memoization } from "./placement.ts"

let isInstalled = false

/** Extends Effect when the first scheme is made, which is before any layer or endpoint can hold a guard. An import alone changes nothing. */
export const install = (): void => {
  if (isInstalled) return
  extendMemoization(memoization)
  extendEndpointMiddleware(copyOfKey)
  isInstalled = true
}
