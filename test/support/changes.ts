/** Tries every way to change a value that a request received, and prints what a program can observe of it. */
import { Cause, DateTime, Redacted } from "effect"

const isObject = (value: unknown): value is object =>
  (typeof value === "object" && value !== null) || typeof value === "function"

const attempt = <A>(f: () => A): A | undefined => {
  try {
    return f()
  } catch {
    return undefined
  }
}

/** Returns the own members of a value, and the values that its iterators and callbacks return. */
const reachableFrom = (value: object): ReadonlyArray<unknown> => {
  const reached: Array<unknown> = Reflect.ownKeys(value).map((key) => attempt(() => Reflect.get(value, key)))
  attempt(() => reached.push(...(value as Iterable<unknown>)))
  attempt(() => (value as ReadonlySet<unknown>).forEach((...given: ReadonlyArray<unknown>) => reached.push(...given)))
  if (DateTime.isDateTime(value)) reached.push(DateTime.toParts(value), DateTime.toPartsUtc(value))
  return reached
}

const prototypesOf = (value: object): ReadonlyArray<object> => {
  const prototype = Reflect.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype ? [] : [prototype, ...prototypesOf(prototype)]
}

/** Built-in methods that change internal slots. Each is called on every object. */
const builtInChanges: ReadonlyArray<(value: any) => unknown> = [
  (value) => Set.prototype.add.call(value, "admin"),
  (value) => Set.prototype.clear.call(value),
  (value) => Map.prototype.set.call(value, "admin", "admin"),
  (value) => Map.prototype.clear.call(value),
  (value) => Date.prototype.setTime.call(value, 4_000_000_000_000),
  (value) => Array.prototype.push.call(value, "admin"),
  (value) => Array.prototype.reverse.call(value),
  (value) => Uint8Array.prototype.fill.call(value, 255),
  (value) => Redacted.isRedacted(value) && Redacted.wipeUnsafe(value)
]

const changeMembers = (value: object): void => {
  for (const key of [...Reflect.ownKeys(value), "admin", Symbol("admin"), "__proto__"]) {
    attempt(() => Reflect.set(value, key, "changed"))
    attempt(() => Reflect.defineProperty(value, key, { value: "changed" }))
    attempt(() => Reflect.defineProperty(value, key, { get: () => "changed" }))
    attempt(() => Reflect.deleteProperty(value, key))
  }
}

const callMethods = (value: object): void => {
  for (const prototype of prototypesOf(value)) {
    for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (key === "constructor") continue
      attempt(() => property.set?.call(value, "https://changed.test/"))
      attempt(() => typeof property.value === "function" && Reflect.apply(property.value, value, ["admin", "admin"]))
    }
  }
  for (const call of builtInChanges) attempt(() => call(value))
}

/** Values that Effect shares among all programs. Changing them would break other tests. */
const sharedByEffect: ReadonlyArray<unknown> = Cause.fail("").reasons.map(({ annotations }) => annotations)

/** Changes a value, and every value reachable from it that is not in `seen`, in every way. */
export const change = (root: unknown, seen = new Set<object>()): void => {
  const visit = (value: unknown): void => {
    if (!isObject(value) || seen.has(value) || sharedByEffect.includes(value)) return
    seen.add(value)
    // Read the members before the changes break the value.
    const reached = reachableFrom(value)
    reached.forEach(visit)
    callMethods(value)
    changeMembers(value)
    attempt(() => Reflect.setPrototypeOf(value, { admin: true }))
    attempt(() => Reflect.setPrototypeOf(value, null))
  }
  // Thousands of attempts throw, and stack traces are slow.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  visit(root)
  Error.stackTraceLimit = stackTraceLimit
}

/** Prints everything that a program can observe of a value. */
export const seenOf = (value: unknown, path: ReadonlyArray<object> = []): string => {
  if (!isObject(value)) return `${typeof value} ${String(value)}`
  if (path.includes(value)) return `circle ${path.indexOf(value)}`
  const see = (member: unknown) => seenOf(member, [...path, value])
  const prototype = Reflect.getPrototypeOf(value)
  const members = Reflect.ownKeys(value).map((key) => `${String(key)}: ${see(attempt(() => Reflect.get(value, key)))}`)
  const getters = prototype === null ? [] : gettersOf(value, prototype).map(see)
  return [
    prototype === null ? "no prototype" : prototype.constructor.name,
    attempt(() => [...(value as Iterable<unknown>)].map(see).join()),
    attempt(() => String(attempt(() => (value as Date).getTime()))),
    attempt(() => typeof value === "function" && see(Reflect.apply(value, undefined, []))),
    attempt(() => Redacted.isRedacted(value) && see(Redacted.value(value))),
    attempt(() => DateTime.isDateTime(value) && DateTime.formatIso(value) + see(DateTime.toPartsUtc(value))),
    attempt(() => ["a", "admin"].map((name) => (value as Set<unknown>).has(name)).join()),
    attempt(() => JSON.stringify(value)),
    ...members.toSorted(),
    ...getters
  ].join("; ")
}

const gettersOf = (value: object, prototype: object): ReadonlyArray<unknown> =>
  prototype === Object.prototype
    ? []
    : Object.values(Object.getOwnPropertyDescriptors(prototype)).flatMap((property) =>
        property.get === undefined ? [] : [attempt((): unknown => property.get?.call(value))]
      )
