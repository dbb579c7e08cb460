/** A dependency that two places need, inside and outside of a scope. As a layer, it runs once per request. */
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { SecurityScopes } from "effect-oauth2"

class Database extends Context.Service<Database, string>()("test/security_scopes/Database") {}

export const make = () => {
  let opened = 0
  const layer = Layer.effect(
    Database,
    Effect.sync(() => `db_${++opened}`)
  )
  const User = Context.Service<string>("test/security_scopes/User")
  const getUser = Layer.effect(User, SecurityScopes.require("read")(Effect.map(Database, (db) => `user of ${db}`)))
  return HttpRouter.add(
    "GET",
    "/",
    Effect.gen(function* () {
      yield* User
      return HttpServerResponse.jsonUnsafe({ db: yield* Database })
    }).pipe(Effect.provide(Layer.fresh(Layer.provideMerge(getUser, layer))))
  )
}
