/** One dependency under two sets of scopes. The names in the response contain the number of the call. */
import { Context, Effect, Layer, type Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { OAuth2, SecurityScopes } from "effect-oauth2"
import { scopesInToken } from "./tokens.ts"
import { fromContext } from "../../support/contextVerifier.ts"

class Session extends Context.Service<Session, string>()("test/sub_dependency/Session") {}

interface Calls {
  session: number
  currentUser: number
  userMe: number
  userItems: number
  verified: number
}

export const noCalls = (): Calls => ({ session: 0, currentUser: 0, userMe: 0, userItems: 0, verified: 0 })

/** Creates the app. Its guard `currentUser` runs `check` first. */
const make = <E, R>(calls: Calls, check: Effect.Effect<unknown, E, R>) => {
  const session = Layer.effect(
    Session,
    Effect.sync(() => `db_session_${++calls.session}`)
  )
  const currentUser = Effect.gen(function* () {
    const { scopes } = yield* SecurityScopes
    yield* check
    return { user: `user_${++calls.currentUser}`, scopes, db_session: yield* Session }
  })
  const userMe = Effect.gen(function* () {
    const current_user = yield* currentUser.pipe(SecurityScopes.require("me"))
    return { user_me: `user_me_${++calls.userMe}`, current_user }
  })
  const userItems = Effect.gen(function* () {
    const user_me = yield* userMe
    return { user_items: `user_items_${++calls.userItems}`, user_me }
  })
  const handler = Effect.all({ user_me: userMe, user_items: userItems.pipe(SecurityScopes.require("items")) })
  return HttpRouter.add(
    "GET",
    "/",
    Effect.map(handler, (body: Schema.Json) => HttpServerResponse.jsonUnsafe(body)).pipe(
      Effect.provide(Layer.fresh(session))
    )
  )
}

/** FastAPI's app, which does not read the token. */
export const open = () => make(noCalls(), Effect.void)

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "authorize",
  tokenUrl: "token",
  scopes: { me: "Read your profile", items: "Read your items" }
})

/** The app with a guard that verifies the token. */
export const guarded = (calls: Calls) =>
  make(calls, auth.authorize).pipe(
    auth.require(),
    HttpRouter.provideRequest(auth.layer(fromContext)),
    Layer.provide(auth.layer(fromContext)),
    Layer.provide(scopesInToken(() => calls.verified++))
  )
