/** Effects that have ended already: what is known of them takes no step of a fiber. */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { freeze } from "./freeze.ts"

/** An exit that many requests get. It is frozen, since `Effect.exit` hands out the exit itself. */
export const frozenSuccess = <A>(value: A): Exit.Success<A> =>
  // Safe cast: `Exit.succeed` makes nothing else.
  Object.freeze(Exit.succeed(value)) as Exit.Success<A>

/** A failure that many requests get. It is frozen with its cause and its error. */
export const frozenFailure = <E>(error: E): Exit.Exit<never, E> => {
  const exit = Exit.fail(error)
  freezeFailure(exit)
  return exit
}

/** Freezes a failure with its cause and its error. */
export const freezeFailure = (exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isSuccess(exit)) return
  const { cause } = exit
  for (const reason of cause.reasons) {
    if (reason._tag === "Fail") freezeError(reason.error)
    Object.freeze(reason)
  }
  for (const part of [cause.reasons, cause, exit]) Object.freeze(part)
}

/** Freezes an error and what it holds, so that no request that gets it changes it for another one. */
export const freezeError = <E>(error: E): E => {
  if (typeof error === "object" && error !== null) freeze(Object.values(error))
  Object.freeze(error)
  return error
}

/** The exit of an effect that is one. */
export const exitOf = <A, E>(self: Effect.Effect<A, E>): Exit.Exit<A, E> | undefined =>
  Exit.isExit(self) ? (self as Exit.Exit<A, E>) : undefined

/** The error of an effect that has failed already. */
export const errorOf = <E>(self: Effect.Effect<unknown, E>): E | undefined => {
  const exit = exitOf(self)
  return exit === undefined ? undefined : Option.getOrUndefined(Exit.findErrorOption(exit))
}
