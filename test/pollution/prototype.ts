/** Watches what is read from `Object.prototype`, and writes to it. */
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** What every object inherits from. */
const root: object = Object.prototype

/** A descriptor is an object, too: it inherits nothing. */
const bare = <A extends object>(descriptor: A): A => Object.assign(Object.create(null), descriptor) as A

/**
 * Names whose mere presence changes a program: a descriptor with `get` and `value` is none, and Effect looks for some members of a schema with `in`. They
 * cannot be watched together with all others.
 */
const present: ReadonlyArray<string> = ["get", "set", "value", "writable", "flip", "extract", "front"]

const sources = new URL("../../src/", import.meta.url)

/** Every word of the sources, and every text between quotation marks. */
export const names: ReadonlySet<string> = new Set(
  globSync("**/*.ts", { cwd: fileURLToPath(sources) }).flatMap((file) => {
    const source = readFileSync(new URL(file, sources), "utf8")
    const texts = Array.from(source.matchAll(/["'`]([^"'`\n]*)["'`]/g), ([, text = ""]) => text)
    // To set it is to set a prototype.
    return [...(source.match(/[\w$]+/g) ?? []), ...texts, "-1", "isOpenToAll"].filter((name) => name !== "__proto__")
  })
)

/** Names that are tried whoever reads them. */
export const always: ReadonlyArray<string> = [
  ...present,
  ...Array.from(names).filter((name) => Object.hasOwn(root, name))
]

const watched = Array.from(names).filter((name) => !always.includes(name))

/** Where a name is read, by the name. */
export type Readers = ReadonlyMap<string, ReadonlySet<string>>

/** The reads of this library. Where a list is taken apart, the language asks its iterator for `return`. */
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
  // This function and the getter are the first two.
  return holder.stack?.split("\n")[3] ?? ""
}

interface Read<A> {
  readonly result: A
  readonly readers: Readers
}

/**
 * Tells who reads what from `Object.prototype`, of the parts of `body`. Each name is a property there, which says `undefined` as if there was none. A name
 * that nobody reads there can have any value: it changes nothing.
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

/** Gives every object a property, with each of the values after the other, while `body` runs. */
export const polluted = async (
  name: string,
  values: ReadonlyArray<Value>,
  body: (what: string) => Promise<void>
): Promise<void> => {
  const before = Object.getOwnPropertyDescriptor(root, name)
  const during = { value: undefined, writable: true, enumerable: true, configurable: true }
  Object.defineProperty(root, name, bare(during))
  try {
    // No list is taken apart while `return` is polluted.
    for (const { value, what } of values) {
      Reflect.set(root, name, value)
      await body(`${name} = ${what}`)
    }
  } finally {
    if (before === undefined) Reflect.deleteProperty(root, name)
    else Object.defineProperty(root, name, bare(before))
  }
}
