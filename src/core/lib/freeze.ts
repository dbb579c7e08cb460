/** Freezes values that several requests share. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { GrantedScopes } from "./grantedScopes.ts"

const perValue = 32
const perDateTime = 128

const prototypeOf = (value: object): unknown => Object.getPrototypeOf(value)

const sample = DateTime.makeUnsafe(0)
const dateTime = prototypeOf(sample)
const keysOfDateTime = Reflect.ownKeys(sample).length

// Objects with these prototypes hold all their state in properties. Objects of other classes may have private fields,
// or internal slots such as those of a `Date`, and `Object.freeze` does not freeze these. `None` is one object for the
// whole program, and Effect never writes to it.
const prototypes: ReadonlySet<unknown> = new Set([
  null,
  Object.prototype,
  Array.prototype,
  dateTime,
  prototypeOf(Duration.zero),
  prototypeOf(Option.none()),
  prototypeOf(Option.some(0))
])

/** Returns `true` if `Object.freeze` makes the object immutable. Objects in its properties do not count. */
export const isData = (value: object): boolean => prototypes.has(prototypeOf(value))

export const isDateTime = (value: object): value is DateTime.Utc => prototypeOf(value) === dateTime

/**
 * Freezes a value and everything inside it that is data (`isData`). Returns an estimate of its size in bytes, or
 * `Infinity` if a part is still mutable.
 */
export const freeze = (value: object): number => {
  // `measure` adds nested objects while the loop below runs. A recursion could overflow the stack.
  const objects = new Set([value])
  let bytes = 0
  const measure = (member: unknown): void => {
    bytes += perValue
    if (typeof member === "string") bytes += member.length
    else if (typeof member === "object" && member !== null) objects.add(member)
    else if (typeof member === "function") bytes = Infinity
  }
  const freezeData = (object: object): void => {
    // `ownKeys` includes symbols and non-enumerable properties.
    for (const key of Reflect.ownKeys(object)) {
      const { get, value } = Reflect.getOwnPropertyDescriptor(object, key) ?? {}
      measure(key)
      // A getter may return another value each time. It counts as a function (mutable) and is not called.
      measure(get ?? value)
    }
    Object.freeze(object)
  }
  try {
    for (const object of objects) {
      if (isDateTime(object) && freezeDateTime(object)) bytes += perDateTime
      else if (isData(object)) freezeData(object)
      else if (GrantedScopes.is(object)) object.forEach(measure)
      else bytes = Infinity
    }
    return bytes
  } catch {
    // A proxy can throw from each of these operations.
    return Infinity
  }
}

/**
 * Computes the parts of a date. Otherwise, Effect writes them into the date on first use, which throws after freezing.
 * Returns `false` if the date has members besides those of every date.
 */
const freezeDateTime = (date: DateTime.Utc): boolean => {
  Object.freeze(DateTime.toPartsUtc(date))
  Object.freeze(date)
  return Reflect.ownKeys(date).length === keysOfDateTime
}
