/** Reads and maps JSON of unknown shape, such as an OpenAPI document. */
import { isReadonlyObject } from "effect/Predicate"

/** A JSON object. Arrays and `null` do not count. */
export type Json = Readonly<Record<string, unknown>>

/** Returns the value if it is an object, and an empty object otherwise. */
export const membersOf = (value: unknown): Json => (isReadonlyObject(value) ? value : {})

/** Returns an own member of an object, or `undefined` for everything else. */
export const field = (value: unknown, name: string): unknown =>
  isReadonlyObject(value) && Object.hasOwn(value, name) ? value[name] : undefined

export const mapValues = (object: unknown, f: (value: unknown, key: string) => unknown): Json =>
  Object.fromEntries(Object.entries(membersOf(object)).map(([key, value]) => [key, f(value, key)]))
