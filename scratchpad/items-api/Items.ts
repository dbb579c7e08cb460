/** The items, in memory. */
import { Context, Effect, Layer, Ref, Schema } from "effect"

export class Item extends Schema.Class<Item>("Item")({
  id: Schema.Number,
  name: Schema.String,
  owner: Schema.String
}) {}

export class Items extends Context.Service<
  Items,
  {
    readonly list: Effect.Effect<ReadonlyArray<Item>>
    readonly create: (name: string, owner: string) => Effect.Effect<Item>
  }
>()("items-api/Items") {
  static readonly layer = Layer.effect(
    Items,
    Effect.gen(function* () {
      const items = yield* Ref.make<ReadonlyArray<Item>>([])
      return Items.of({
        list: Ref.get(items),
        create: (name, owner) =>
          Ref.modify(items, (items) => {
            const item = new Item({ id: items.length + 1, name, owner })
            return [item, [...items, item]]
          })
      })
    })
  )
}
