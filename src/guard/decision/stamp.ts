/** The mark that a guard, or `Public`, leaves in a request's context: a sealed route runs only where it is. */
import * as Context from "effect/Context"
import type { Origin } from "../scheme/origin.ts"

/** That a guard has decided, or `Public`, and for which request. */
export class Stamp {
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

export const LastStamp = Context.Reference<Stamp | undefined>("effect-oauth2/Decision", {
  defaultValue: () => undefined
})

/** The decision in the context; what is not genuine is none. */
export const last = (context: Context.Context<never>): Stamp | undefined => {
  const decision = Context.get(context, LastStamp)
  return decision !== undefined && Stamp.isGenuine(decision) ? decision : undefined
}
