/** Reads and maps JSON of which nothing is known, such as an OpenAPI document. */
import { isReadonlyObject } from "effect/Predicate"

/** An object in JSON: no array, and not `null`. */
export type Json = Readonly<Record<string, unknown>>

/** The object's members, or those of an empty one where the value is no object. */
export const membersOf = (value: unknown): Json => (isReadonlyObject(value) ? value : {})

/** A member of an object; anything else has none. */
export const field = (value: unknown, name: string): unknown =>
  isReadonlyObject(value) && Object.hasOwn(value, name) ? value[name] : undefined

export const mapValues = (object: unknown, f: (value: unknown, key: string) => unknown): Json =>
  Object.fromEntries(Object.entries(membersOf(object)).map(([key, value]) => [key, f(value, key)]))
