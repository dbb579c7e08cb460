/** Contexts that `addInPlace` changes equal contexts that Effect creates. */
import { assert, it } from "@effect/vitest"
import { Arbitrary, Context, Schema } from "effect"
import { addInPlace } from "../../../src/core/effect/addInPlace.ts"

const keys = ["a", "b", "c", "d"].map((name) => Context.Service<number>(`test/addInPlace/${name}`))
const Step = Schema.Struct({
  key: Schema.Literals([0, 1, 2, 3]),
  value: Schema.Int,
  read: Schema.Literals(["nothing", "all", "merged", "one"])
})

it.prop(
  "returns a context that equals the result of Context.add",
  {
    steps: Arbitrary.array(Arbitrary.schema(Step), { minLength: 1, maxLength: 20 }),
    own: Arbitrary.schema(Schema.Int)
  },
  ({ own, steps }) => {
    const base = Context.add(Context.empty(), keys[0]!, -1) as Context.Context<never>
    const first = Context.addUnsafe<never, never, number>(base, keys[1]!.key, own)
    const [before, flat] = [new Map(base.mapUnsafe), new Map(first.mapUnsafe)]
    let grown = Context.addUnsafe<never, never, number>(base, keys[1]!.key, own)
    let added = first
    for (const { key, read, value } of steps) {
      grown = addInPlace(grown, keys[key]!.key, value)
      added = Context.addUnsafe<never, never, number>(added, keys[key]!.key, value)
      if (read === "one") assert.strictEqual(Context.getOrUndefined(grown, keys[key]!), value)
      if (read === "all") assert.deepStrictEqual(new Map(grown.mapUnsafe), new Map(added.mapUnsafe))
      if (read === "merged") {
        const merged = Context.merge(Context.make(keys[3]!, 7), grown)
        assert.deepStrictEqual(
          new Map(merged.mapUnsafe),
          new Map(Context.merge(Context.make(keys[3]!, 7), added).mapUnsafe)
        )
      }
    }
    for (const key of keys) assert.strictEqual(Context.getOrUndefined(grown, key), Context.getOrUndefined(added, key))
    assert.deepStrictEqual(new Map(grown.mapUnsafe), new Map(added.mapUnsafe))
    // The contexts that it started from are unchanged.
    assert.deepStrictEqual([new Map(base.mapUnsafe), new Map(first.mapUnsafe)], [before, flat])
  },
  { arbitrary: { runs: 1000, seed: "grow" } }
)

// A failure after an upgrade of Effect means that addInPlace.ts must be adapted.
it("adds to the given context instead of creating a new one", () => {
  const own = Context.addUnsafe<never, never, number>(Context.empty(), keys[0]!.key, 1)
  assert.strictEqual(addInPlace(own, keys[1]!.key, 2), own)
})
