/** FastAPI's `dependency_overrides` as another layer. The override gets the same required scopes as the original. */
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { SecurityScopes } from "effect-oauth2"

class User extends Context.Service<
  User,
  { readonly get: Effect.Effect<{ readonly user: string; readonly scopes: ReadonlyArray<string> }> }
>()("test/overrides/User") {}

class Data extends Context.Service<Data, { readonly get: Effect.Effect<ReadonlyArray<number>> }>()(
  "test/overrides/Data"
) {}

const user = (user: string) =>
  Layer.succeed(User, { get: Effect.map(SecurityScopes, ({ scopes }) => ({ user, scopes })) })

const data = (...data: ReadonlyArray<number>) => Layer.succeed(Data, { get: Effect.succeed(data) })

const make = (services: Layer.Layer<User | Data>) =>
  HttpRouter.add(
    "GET",
    "/user",
    Effect.gen(function* () {
      const user = yield* (yield* User).get.pipe(SecurityScopes.require("foo", "bar"))
      return HttpServerResponse.jsonUnsafe({ ...user, data: yield* (yield* Data).get })
    })
  ).pipe(HttpRouter.provideRequest(services))

export const App = make(Layer.mergeAll(user("john"), data(1, 2, 3)))
export const OverrideData = make(Layer.mergeAll(user("john"), data(3, 4, 5)))
export const OverrideSecurity = make(Layer.mergeAll(user("alice"), data(1, 2, 3)))
