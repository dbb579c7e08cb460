/** The program under test: a domain service that requires a scope, and its routes. */
import { Context, Effect, Layer, Ref } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { OAuth2 } from "effect-oauth2"

export const issuer = "https://issuer.test"
export const audience = "https://api.test"

export const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: `${issuer}/authorize`,
  tokenUrl: `${issuer}/token`,
  scopes: { "items:read": "Read the items", "items:write": "Add items" },
  responses: "rfc6750"
})

export interface Item {
  readonly name: string
  readonly owner: string
}

export class Items extends Context.Service<
  Items,
  {
    readonly list: Effect.Effect<ReadonlyArray<Item>>
    /** The type states what a caller must have proven. */
    readonly add: (name: string) => Effect.Effect<Item, never, OAuth2.Granted<"OAuth2", "items:write">>
  }
>()("testing/Items") {
  static readonly layer = Layer.effect(
    Items,
    Effect.map(Ref.make<ReadonlyArray<Item>>([]), (items) => ({
      list: Ref.get(items),
      add: Effect.fn("Items.add")(function* (name) {
        const { subject } = yield* auth.granted("items:write")
        const item = { name, owner: subject }
        yield* Ref.update(items, (items) => [...items, item])
        return item
      })
    }))
  )
}

const List = HttpRouter.add(
  "GET",
  "/items",
  Effect.map(
    Items.use(({ list }) => list),
    (items) => HttpServerResponse.jsonUnsafe(items)
  )
)

const Create = HttpRouter.add(
  "POST",
  "/items",
  Effect.map(
    Items.use(({ add }) => add("A pen")),
    (item) => HttpServerResponse.jsonUnsafe(item, { status: 201 })
  )
).pipe(auth.require("items:write"))

/** The app, which needs a server and authentication. */
export const App = HttpRouter.serve(Layer.mergeAll(List, Create).pipe(auth.require("items:read"), OAuth2.secured), {
  disableLogger: true,
  disableListenLog: true
}).pipe(Layer.provide(Items.layer))
