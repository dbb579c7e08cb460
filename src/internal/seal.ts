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
interface Decision {
  readonly origin: Origin
}

const decisions = new WeakSet<Decision>()

export const decide = (origin: Origin): Decision => {
  const decision: Decision = { origin }
  decisions.add(decision)
  return decision
}

const LastDecision = Context.Reference<Decision | undefined>("effect-oauth2/Decision", {
  defaultValue: () => undefined
})

export { LastDecision as Decision, type Decision as Decided }

/** The decision in the context; what did not come of `decide` is none. */
export const last = (context: Context.Context<never>): Decision | undefined => {
  const decision = Context.get(context, LastDecision)
  return decision !== undefined && decisions.has(decision) ? decision : undefined
}
