/** Records reads from `Object.prototype`, and pollutes it. */
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root: object = Object.prototype

/** Returns a descriptor without a prototype, so that it inherits nothing from a polluted `Object.prototype`. */
const bare = <A extends object>(descriptor: A): A => Object.assign(Object.create(null), descriptor) as A

/**
 * Names whose presence alone changes a program. For example, a descriptor with `get` and `value` is invalid, and Effect
 * looks for some members of a schema with `in`. These names cannot be watched together with the others.
 */
const present: ReadonlyArray<string> = [
  "get",
  "set",
  "value",
  "writable",
  "flip",
  "extract",
  "front",
  "~effect/rpc/RpcSchema/StreamSchema"
]

const sources = new URL("../../src/", import.meta.url)

/** Every word and every quoted text of the sources. */
export const names: ReadonlySet<string> = new Set(
  globSync("**/*.ts", { cwd: fileURLToPath(sources) }).flatMap((file) => {
    const source = readFileSync(new URL(file, sources), "utf8")
    const texts = Array.from(source.matchAll(/["'`]([^"'`\n]*)["'`]/g), ([, text = ""]) => text)
    // An assignment to `__proto__` would set a prototype.
    return [...(source.match(/[\w$]+/g) ?? []), ...texts, "-1", "isOpenToAll"].filter((name) => name !== "__proto__")
  })
)

/** Names that are polluted for every program, even if it does not read them. */
export const always: ReadonlyArray<string> = [
  ...present,
  ...Array.from(names).filter((name) => Object.hasOwn(root, name))
]

const watched = Array.from(names).filter((name) => !always.includes(name))

/** The places that read each name. */
export type Readers = ReadonlyMap<string, ReadonlySet<string>>

/**
 * Returns the reads of this library. Array destructuring reads `return` from the iterator, so `return` does not count.
 */
export const ofLibrary = (readers: Readers): ReadonlyArray<string> =>
  Array.from(readers).flatMap(([name, places]) =>
    Array.from(places)
      .filter((place) => name !== "return" && place.includes(sources.href))
      .map((place) => `${name} ${place.trim()}`)
  )

const placeOfReader = (): string => {
  const limit = Error.stackTraceLimit
  const holder: { readonly stack?: string } = bare({})
  Error.stackTraceLimit = 3
  Error.captureStackTrace(holder)
  Error.stackTraceLimit = limit
  // The first two lines are this function and the getter.
  return holder.stack?.split("\n")[3] ?? ""
}

interface Read<A> {
  readonly result: A
  readonly readers: Readers
}

/**
 * Records which names each part of `body` reads from `Object.prototype`. Each name is a getter there that returns
 * `undefined`, as if the property did not exist. A name that no code reads there has no effect, whatever its value.
 */
export const watching = async <B>(
  body: (readersOf: <A>(part: () => Promise<A>) => Promise<Read<A>>) => Promise<B>
): Promise<B> => {
  let readers = new Map<string, Set<string>>()
  for (const name of watched) {
    const get = () => {
      const places = readers.get(name) ?? new Set()
      readers.set(name, places.add(placeOfReader()))
      return undefined
    }
    const set = function (this: object, value: unknown) {
      Object.defineProperty(this, name, bare({ value, writable: true, enumerable: true, configurable: true }))
    }
    Object.defineProperty(root, name, bare({ get, set, enumerable: false, configurable: true }))
  }
  try {
    return await body(async (part) => {
      readers = new Map()
      return { result: await part(), readers }
    })
  } finally {
    for (const name of watched) Reflect.deleteProperty(root, name)
  }
}

export interface Value {
  readonly what: string
  readonly value: unknown
}

/** Runs `body` once for each value, while every object inherits the property with this value. */
export const polluted = async (
  name: string,
  values: ReadonlyArray<Value>,
  body: (what: string) => Promise<void>
): Promise<void> => {
  const before = Object.getOwnPropertyDescriptor(root, name)
  const during = { value: undefined, writable: true, enumerable: true, configurable: true }
  Object.defineProperty(root, name, bare(during))
  try {
    // No array destructuring here, because `return` may be polluted.
    for (const { value, what } of values) {
      Reflect.set(root, name, value)
      await body(`${name} = ${what}`)
    }
  } finally {
    if (before === undefined) Reflect.deleteProperty(root, name)
    else Object.defineProperty(root, name, bare(before))
  }
}
