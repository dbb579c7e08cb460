/** Reads duration options. A value from the environment, or behind a cast, may have any type. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { ownProperties } from "./lib/ownProperties.ts"

const units = ["weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"]

/** Returns `true` for invalid input that Effect reads as zero, such as `NaN` or an object without a unit. */
const isReadAsZero = (input: unknown): boolean => {
  if (!Predicate.isObjectOrArray(input)) return Number.isNaN(input)
  if (Duration.isDuration(input)) return false
  const parts = Array.isArray(input) ? input : units.flatMap((unit) => Reflect.get(input, unit) ?? [])
  return parts.length === 0 || !parts.every((part) => typeof part === "number" && !Number.isNaN(part))
}

/** Copies an object of units, such as `{ seconds: 5 }`, without inherited units. */
const withOwnUnits = (input: Duration.Input): Duration.Input =>
  Predicate.isObject(input) && !Duration.isDuration(input) ? ownProperties(input) : input

/** Returns milliseconds, or `NaN` if the input is not a duration. `NaN` fails every bounds check. */
export const toMillis = (given: Duration.Input): number => {
  const input = withOwnUnits(given)
  return isReadAsZero(input)
    ? NaN
    : Option.match(Duration.fromInput(input), { onNone: () => NaN, onSome: (duration) => Duration.toMillis(duration) })
}
