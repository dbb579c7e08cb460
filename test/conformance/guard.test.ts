/** Responses of the guard in FastAPI's tutorial 5. */
import { describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as tutorial005 from "./apps/tutorial005.ts"
import { assertJson, assertUnauthorized, get, serve } from "./Wire.ts"

const bearer = (claims: Record<string, unknown>) => Effect.map(tutorial005.sign(claims), (token) => `Bearer ${token}`)

const johndoe = { sub: "johndoe", exp: 1800 }

describe("the guard of FastAPI's tutorial", () => {
  layer(serve(tutorial005.App))((it) => {
    it.effect.each(["/status/", "/users/me/", "/users/me/items/"])(
      "names no scopes if the request has no token: %s",
      (path) =>
        Effect.gen(function* () {
          assertUnauthorized(yield* get(path), "Not authenticated", "Bearer")
          assertUnauthorized(yield* get(path, "Basic am9obmRvZTpzZWNyZXQ="), "Not authenticated", "Bearer")
        })
    )

    it.effect.each([
      { path: "/status/", challenge: "Bearer" },
      { path: "/users/me/", challenge: 'Bearer scope="me"' },
      { path: "/users/me/items/", challenge: 'Bearer scope="items me"' }
    ])("names the required scopes, outermost first, if the token is invalid: $path", ({ challenge, path }) =>
      Effect.gen(function* () {
        const detail = "Could not validate credentials"
        assertUnauthorized(yield* get(path, "Bearer nonsense"), detail, challenge)
        assertUnauthorized(yield* get(path, yield* bearer({ exp: 1800 })), detail, challenge)
        assertUnauthorized(
          yield* get(path, yield* bearer({ ...johndoe, sub: "nobody", scope: "me items" })),
          detail,
          challenge
        )
      })
    )

    it.effect.each([
      { path: "/users/me/", scope: undefined, challenge: 'Bearer scope="me"' },
      { path: "/users/me/", scope: "", challenge: 'Bearer scope="me"' },
      { path: "/users/me/", scope: "items", challenge: 'Bearer scope="me"' },
      { path: "/users/me/", scope: "ME mee", challenge: 'Bearer scope="me"' },
      { path: "/users/me/items/", scope: "me", challenge: 'Bearer scope="items me"' },
      { path: "/users/me/items/", scope: "items", challenge: 'Bearer scope="items me"' }
    ])("names all required scopes of $path if the token grants '$scope'", ({ challenge, path, scope }) =>
      Effect.gen(function* () {
        const token = yield* bearer(scope === undefined ? johndoe : { ...johndoe, scope })
        assertUnauthorized(yield* get(path, token), "Not enough permissions", challenge)
      })
    )

    it.effect("accepts every user if no scope is required", () =>
      Effect.gen(function* () {
        assertJson(yield* get("/status/", yield* bearer(johndoe)), 200, { status: "ok" })
        assertJson(yield* get("/status/", yield* bearer({ ...johndoe, sub: "alice" })), 200, { status: "ok" })
      })
    )

    it.effect("accepts a token with more scopes than required", () =>
      Effect.gen(function* () {
        const token = yield* bearer({ ...johndoe, scope: "other items me" })
        assertJson(yield* get("/users/me/items/", token), 200, [{ item_id: "Foo", owner: "johndoe" }])
      })
    )

    it.effect("checks the scopes before the app checks the user", () =>
      Effect.gen(function* () {
        const alice = { sub: "alice", exp: 1800 }
        assertJson(yield* get("/users/me/", yield* bearer({ ...alice, scope: "me" })), 400, { detail: "Inactive user" })
        assertUnauthorized(
          yield* get("/users/me/items/", yield* bearer({ ...alice, scope: "me" })),
          "Not enough permissions",
          'Bearer scope="items me"'
        )
      })
    )
  })

  layer(serve(tutorial005.App))((it) => {
    it.effect("refuses a token from its expiry time on", () =>
      Effect.gen(function* () {
        const token = yield* bearer({ sub: "johndoe", exp: 60 })
        yield* TestClock.setTime(59_999)
        assertJson(yield* get("/status/", token), 200, { status: "ok" })
        yield* TestClock.setTime(60_000)
        assertUnauthorized(yield* get("/status/", token), "Could not validate credentials", "Bearer")
      })
    )
  })
})
