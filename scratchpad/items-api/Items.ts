/** The items, in memory: domain code without HTTP, whose types state the required scopes. */
import { Context, Effect, Layer, Ref, Schema } from "effect"
import type { Auth, Granted } from "./Security.ts"

// A class would appear in the document under the name of its encoded form, ItemEncoded.
export const Item = Schema.Struct({
  id: Schema.Int,
  name: Schema.String,
  owner: Schema.String
}).annotate({ identifier: "Item" })

export type Item = typeof Item.Type

export class Items extends Context.Service<
  Items,
  {
    readonly list: Effect.Effect<ReadonlyArray<Item>, never, Granted<"items:read">>
    /** The items that the caller owns. */
    readonly own: Effect.Effect<ReadonlyArray<Item>, never, Granted<"items:read">>
    /** Creates an item that the caller owns. */
    readonly create: (name: string) => Effect.Effect<Item, never, Granted<"items:write">>
  }
>()("items-api/Items") {
  static readonly layer = (auth: Auth) =>
    Layer.effect(
      Items,
      Effect.gen(function* () {
        const items = yield* Ref.make<ReadonlyArray<Item>>([])
        return Items.of({
          list: Effect.andThen(auth.granted("items:read"), Ref.get(items)),
          own: Effect.gen(function* () {
            const { subject } = yield* auth.granted("items:read")
            return (yield* Ref.get(items)).filter(({ owner }) => owner === subject)
          }),
          create: Effect.fn("Items.create")(function* (name) {
            const { subject } = yield* auth.granted("items:write")
            return yield* Ref.modify(items, (items) => {
              const item: Item = { id: items.length + 1, name, owner: subject }
              return [item, [...items, item]]
            })
          })
        })
      })
    )
}
