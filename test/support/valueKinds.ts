/** Claims of many kinds, each with its encoded form and the schema that decodes it. */
import { DateTime, Schema, SchemaTransformation } from "effect"

export interface Kind {
  readonly encoded: unknown
  readonly schema: Schema.Codec<any, any>
}

/** Counts how often a schema decodes. */
export const counting = ({ encoded, schema }: Kind): Kind & { readonly calls: () => number } => {
  let calls = 0
  const counted = made((value: unknown) => {
    calls++
    return value
  })
  return { encoded, schema: counted.schema.pipe(Schema.decodeTo(schema)), calls: () => calls }
}

const kind = (schema: Schema.Codec<any, any>, encoded: unknown): Kind => ({ schema, encoded })

/** Kind whose values are created by a function, a new value each time. */
const made = (make: (encoded: any) => unknown, encoded: unknown = "a"): Kind =>
  kind(
    Schema.Unknown.pipe(
      Schema.decodeTo(Schema.Unknown, SchemaTransformation.transform({ decode: make, encode: () => encoded }))
    ),
    encoded
  )

/** Has state that is not in a property. */
class Counter {
  #count = 1
  get count() {
    return this.#count
  }
  countUp() {
    this.#count++
  }
}

class Person extends Schema.Class<Person>("Person")({ name: Schema.String, since: Schema.DateFromString }) {
  #visits = 0
  get visits() {
    return this.#visits
  }
  visit() {
    this.#visits++
  }
}

class Tags extends Array<string> {}

const hidden = { city: "Berlin", roles: ["reader"] }

/** Kinds that are immutable after `Object.freeze`. */
export const immutable: ReadonlyArray<Kind> = [
  kind(Schema.String, "reader"),
  kind(Schema.Number, 1.5),
  kind(Schema.Boolean, true),
  kind(Schema.Null, null),
  kind(Schema.BigIntFromString, "12"),
  kind(Schema.Unknown, { roles: ["reader"], address: { city: "Berlin" } }),
  kind(Schema.Record(Schema.String, Schema.Unknown), JSON.parse('{"__proto__":{"admin":true},"a":{"__proto__":[1]}}')),
  kind(Schema.DateTimeUtcFromString, "2020-01-01T00:00:00.000Z"),
  kind(Schema.DurationFromMillis, 1500),
  kind(Schema.OptionFromNullOr(Schema.String), null),
  kind(Schema.OptionFromNullOr(Schema.Array(Schema.String)), ["reader"]),
  made(() => Object.assign(Object.create(null), structuredClone(hidden))),
  made(() => ({ [Symbol.for("hidden")]: structuredClone(hidden) })),
  made(() =>
    Object.defineProperty({}, "hidden", { value: structuredClone(hidden), configurable: true, writable: true })
  ),
  made(() => Object.assign(DateTime.makeUnsafe(0), structuredClone(hidden))),
  made(() => Symbol.for("reader")),
  made(() => {
    const self: Record<string, unknown> = structuredClone(hidden)
    return Object.assign(self, { self, list: [self] })
  })
]

export const accessors = made(() => {
  let role = "reader"
  return {
    get role() {
      return role
    },
    set role(value: string) {
      role = value
    }
  }
})

/** Kinds that stay mutable after `Object.freeze`. */
export const mutable: ReadonlyArray<Kind> = [
  kind(Schema.DateFromString, "2020-01-01T00:00:00.000Z"),
  kind(Schema.URLFromString, "https://reader.test/"),
  kind(Schema.Uint8ArrayFromBase64, "AQID"),
  kind(Schema.RedactedFromValue(Schema.String), "secret"),
  kind(Person, { name: "alice", since: "2020-01-01T00:00:00.000Z" }),
  made(() => new Counter()),
  made(() => Object.freeze(new Counter())),
  made((roles: Array<string>) => new Set(roles), ["reader"]),
  made((roles: Array<string>) => new Map([[roles[0], structuredClone(hidden)]]), ["reader"]),
  made(() => Tags.from(["reader"])),
  made(() => /reader/g),
  made(() => new Error("reader")),
  made(() => Object.assign(() => "reader", structuredClone(hidden))),
  accessors,
  made(() => ({ is: () => "reader" })),
  made(() => new Proxy(structuredClone(hidden), { getPrototypeOf: () => Date.prototype }))
]

/** Kind whose values throw when their keys are read. */
export const throwing = made(
  () =>
    new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error("The keys of this value must not be read.")
        }
      }
    )
)

const containers: ReadonlyArray<(of: ReadonlyArray<Kind>) => Kind> = [
  (of) =>
    kind(
      Schema.Struct(Object.fromEntries(of.map(({ schema }, i) => [`member${i}`, schema]))),
      Object.fromEntries(of.map(({ encoded }, i) => [`member${i}`, encoded]))
    ),
  (of) =>
    kind(
      Schema.Tuple(of.map(({ schema }) => schema)),
      of.map(({ encoded }) => encoded)
    ),
  ([of = leaf]) => kind(Schema.Array(of.schema), [of.encoded, of.encoded]),
  ([of = leaf]) => kind(Schema.OptionFromNullOr(of.schema), of.encoded),
  ([of = leaf]) => kind(Schema.mutable(Schema.Array(of.schema)), [of.encoded])
]

const leaf: Kind = kind(Schema.String, "leaf")

/** Builds a kind from numbers. Each number selects a leaf, or a container for the previous kinds. */
export const build = (codes: ReadonlyArray<number>, leaves: ReadonlyArray<Kind>): Kind => {
  const stack: Array<Kind> = []
  for (const code of codes) {
    const i = code % (leaves.length + containers.length)
    const container = containers[i - leaves.length]
    stack.push(container === undefined ? (leaves[i] ?? leaf) : container(stack.splice(-2)))
  }
  return (containers[0] ?? (() => leaf))(stack)
}
