/** Values that may have to be waited for: what is there at once takes no step of a fiber. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"

/** A value, or an effect that gives it, where it has to be waited for. The value itself is never an effect. */
export type Eventual<A> = A | Effect.Effect<A>

export const toEffect = <A>(self: Eventual<A>): Effect.Effect<A> =>
  Effect.isEffect(self) ? self : Effect.succeed(self)

/** Goes on at once where the value is there. */
export const andThen = <A, B>(self: Eventual<A>, f: (value: A) => Eventual<B>): Eventual<B> =>
  Effect.isEffect(self) ? Effect.flatMap(self, (value) => toEffect(f(value))) : f(self)

/** The exit of an effect that is one. */
export const exitOf = <A, E>(self: Effect.Effect<A, E>): Exit.Exit<A, E> | undefined =>
  Exit.isExit(self) ? (self as Exit.Exit<A, E>) : undefined

/** The error of an effect that has failed already. */
export const errorOf = <E>(self: Effect.Effect<unknown, E>): E | undefined => {
  const exit = exitOf(self)
  return exit === undefined ? undefined : Option.getOrUndefined(Exit.findErrorOption(exit))
}
