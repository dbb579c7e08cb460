/** Values that may have to be waited for: what is there at once takes no step of a fiber. */
import * as Effect from "effect/Effect"

/** A value, or an effect that gives it, where it has to be waited for. The value itself is never an effect. */
export type ValueOrEffect<A> = A | Effect.Effect<A>

export const toEffect = <A>(self: ValueOrEffect<A>): Effect.Effect<A> =>
  Effect.isEffect(self) ? self : Effect.succeed(self)

/** Goes on at once where the value is there. */
export const andThen = <A, B>(self: ValueOrEffect<A>, f: (value: A) => ValueOrEffect<B>): ValueOrEffect<B> =>
  Effect.isEffect(self) ? Effect.flatMap(self, (value) => toEffect(f(value))) : f(self)
