/** Makes immutable what several requests are given. */
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

// Objects with these prototypes have no state but their properties. An object of another class may have private fields, or internal slots as a `Date` has,
// which `Object.freeze` does not reach. `None` is one object for the whole program, and Effect never writes to it.
const prototypes: ReadonlySet<unknown> = new Set([
  null,
  Object.prototype,
  Array.prototype,
  dateTime,
  prototypeOf(Duration.zero),
  prototypeOf(Option.none()),
  prototypeOf(Option.some(0))
])

/** Returns `true` if `Object.freeze` makes the object immutable, but for the objects that its properties hold. */
export const isData = (value: object): boolean => prototypes.has(prototypeOf(value))

export const isDateTime = (value: object): value is DateTime.Utc => prototypeOf(value) === dateTime

/**
 * Freezes a value and all that it holds, as far as that is data (`isData`). Returns an estimate of its bytes, or `Infinity` if a part of it can still change.
 */
export const freeze = (value: object): number => {
  // A loop adds to the set while it goes through it. A recursion would end at the depth that the stack allows.
  const objects = new Set([value])
  let bytes = 0
  const measure = (member: unknown): void => {
    bytes += perValue
    if (typeof member === "string") bytes += member.length
    else if (typeof member === "object" && member !== null) objects.add(member)
    else if (typeof member === "function") bytes = Infinity
  }
  const freezeData = (object: object): void => {
    // Symbols and hidden properties hold values, too.
    for (const key of Reflect.ownKeys(object)) {
      const { get, value } = Reflect.getOwnPropertyDescriptor(object, key) ?? {}
      measure(key)
      // A getter may return another value each time. It counts as a function, and is not called.
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
    // A proxy may throw.
    return Infinity
  }
}

/**
 * Effect computes the parts of a date when they are first used, and writes them into the date. That would throw if the date were frozen without them. Returns
 * `false` if the date has members besides those of every date.
 */
const freezeDateTime = (date: DateTime.Utc): boolean => {
  Object.freeze(DateTime.toPartsUtc(date))
  Object.freeze(date)
  return Reflect.ownKeys(date).length === keysOfDateTime
}
