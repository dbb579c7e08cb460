import * as Context from "effect/Context"

/**
 * What a sealed route needs: that a requirement or `Public` stands around it. `Route` is its method and path.
 *
 * @category services
 * @since 0.1.0
 */
export interface Seal<out Route extends string> {
  readonly "~effect-oauth2/Seal": Route
}

/** The request that a guard or `Public` has decided about: what a sealed route looks for. */
export const Decided = Context.Reference<object | undefined>("effect-oauth2/Decided", { defaultValue: () => undefined })
