/** Effects that have ended already: what is known of them takes no step of a fiber. */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"

/** The exit of an effect that is one. */
export const exitOf = <A, E>(self: Effect.Effect<A, E>): Exit.Exit<A, E> | undefined =>
  Exit.isExit(self) ? (self as Exit.Exit<A, E>) : undefined

/** The error of an effect that has failed already. */
export const errorOf = <E>(self: Effect.Effect<unknown, E>): E | undefined => {
  const exit = exitOf(self)
  return exit === undefined ? undefined : Option.getOrUndefined(Exit.findErrorOption(exit))
}
