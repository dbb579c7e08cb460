/** Durations that are given as settings: from the environment, and past casts, they may be anything. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { ownProperties } from "./lib/ownProperties.ts"

const units = ["weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"]

/** What Effect takes for zero: not a number, and an object without a unit. */
const saysNothing = (input: unknown): boolean => {
  if (!Predicate.isObjectOrArray(input)) return Number.isNaN(input)
  if (Duration.isDuration(input)) return false
  const parts = Array.isArray(input) ? input : units.flatMap((unit) => Reflect.get(input, unit) ?? [])
  return parts.length === 0 || !parts.every((part) => typeof part === "number" && !Number.isNaN(part))
}

/** `{ seconds: 5 }` without the units that it inherits. */
const withOwnUnits = (input: Duration.Input): Duration.Input =>
  Predicate.isObject(input) && !Duration.isDuration(input) ? ownProperties(input) : input

/** In milliseconds; of what is no duration, `NaN`, which lies within no bounds. */
export const toMillis = (given: Duration.Input): number => {
  const input = withOwnUnits(given)
  return saysNothing(input)
    ? NaN
    : Option.match(Duration.fromInput(input), { onNone: () => NaN, onSome: (duration) => Duration.toMillis(duration) })
}
