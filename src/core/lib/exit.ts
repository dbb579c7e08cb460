/**
 * Results that are available without waiting.
 *
 * The library has one type for a result that is available now or later: an `Effect`. If the result is available now,
 * the effect is an `Exit`. Functions that return such an effect compute it at once if they can, so that a cached token
 * takes no steps of a fiber. Callers continue with the combinators of Effect whose names end in `Eager`. These apply a
 * function to an `Exit` at once. Callers can also read the `Exit` with `exitOf`.
 */
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { freeze } from "./freeze.ts"

/** Returns the exit of an effect whose result is available now. */
export const exitOf = <A, E>(self: Effect.Effect<A, E>): Exit.Exit<A, E> | undefined =>
  // Safe cast: the effect is the exit.
  Exit.isExit(self) ? (self as Exit.Exit<A, E>) : undefined

/** Returns the error of an effect that has already failed. */
export const errorOf = <E>(self: Effect.Effect<unknown, E>): E | undefined => {
  const exit = exitOf(self)
  return exit === undefined ? undefined : Option.getOrUndefined(Exit.findErrorOption(exit))
}

/**
 * Returns a success that many requests get. It is frozen, because `Effect.exit` gives the exit itself to the program.
 */
export const frozenSuccess = <A>(value: A): Exit.Success<A> =>
  // Safe cast: `Exit.succeed` returns a success.
  Object.freeze(Exit.succeed(value)) as Exit.Success<A>

/** The two decisions that are available now. */
export const yes: Exit.Success<boolean> = frozenSuccess(true)
export const no: Exit.Success<boolean> = frozenSuccess(false)

/** The decision that only the user's authentication is missing. */
export const stepUp: Exit.Success<"StepUp"> = frozenSuccess("StepUp")

/** Returns a failure that many requests get. It is frozen with its cause and its error. */
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

/** Freezes an error and its members, so that no request can change it for another request. */
export const freezeError = <E>(error: E): E => {
  if (typeof error === "object" && error !== null) freeze(Object.values(error))
  Object.freeze(error)
  return error
}
