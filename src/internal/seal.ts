import * as Context from "effect/Context"
import type { Origin } from "./origin.ts"

/**
 * What a sealed route needs: that a requirement or `Public` stands around it. `Route` is its method and path.
 *
 * @category services
 * @since 0.1.0
 */
export interface Seal<out Route extends string> {
  readonly "~effect-oauth2/Seal": Route
}

/** That a guard has decided, or `Public`, and for which request. */
export class Decision {
  // What this constructor has not made is none, however alike it looks: it lacks the private name.
  readonly #genuine = true
  readonly origin: Origin

  constructor(origin: Origin) {
    this.origin = origin
  }

  static isGenuine(value: unknown): boolean {
    return typeof value === "object" && value !== null && #genuine in value && value.#genuine
  }
}

export const LastDecision = Context.Reference<Decision | undefined>("effect-oauth2/Decision", {
  defaultValue: () => undefined
})

/** The decision in the context; what is not genuine is none. */
export const last = (context: Context.Context<never>): Decision | undefined => {
  const decision = Context.get(context, LastDecision)
  return decision !== undefined && Decision.isGenuine(decision) ? decision : undefined
}
