/** Deliberate differences from FastAPI that responses show. `fastapi` is the token that FastAPI extracts. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as accumulation from "./apps/accumulation.ts"
import * as code from "./apps/oauth2_authorization_code_bearer.ts"
import * as optional from "./apps/oauth2_optional.ts"
import * as subDependency from "./apps/security_scopes_sub_dependency.ts"
import { assertJson, assertUnauthorized, get, json, send, serve } from "./Wire.ts"

const lax = [
  { what: "an empty token", fields: ["Bearer"], fastapi: "" },
  { what: "an empty token after a space", fields: ["Bearer "], fastapi: "" },
  { what: "a token with inner spaces", fields: ["Bearer a b"], fastapi: "a b" },
  { what: "a token with quotes", fields: ['Bearer "a"'], fastapi: '"a"' },
  { what: "a token outside ASCII", fields: ["Bearer t\u00F8ken"], fastapi: "t\u00F8ken" },
  { what: "a token with padding inside", fields: ["Bearer a=b"], fastapi: "a=b" },
  { what: "a list of credentials", fields: ["Bearer a, Basic b"], fastapi: "a, Basic b" },
  { what: "two tokens in two headers", fields: ["Bearer a", "Bearer b"], fastapi: "a" },
  { what: "one token in two headers", fields: ["Bearer a", "Bearer a"], fastapi: "a" },
  { what: "a token, then other credentials", fields: ["Bearer a", "Basic b"], fastapi: "a" },
  { what: "a header over the length limit", fields: [`Bearer ${"a".repeat(8192)}`], fastapi: "a".repeat(8192) }
]

const getWith = (path: string, fields: ReadonlyArray<string>) =>
  send("GET", path, { headers: fields.map((value) => ["Authorization", value] as const) })

describe("credentials that FastAPI accepts completely or in part", () => {
  const servers = {
    "are refused by a requirement": { path: "/items/", server: serve(code.App) },
    "are not extracted": { path: "/items/", server: serve(code.Extracted) },
    "are refused by authentication as a layer": { path: "/items/", server: serve(code.Layered) },
    "are refused, not treated as anonymous, if authentication is optional": {
      path: "/users/me",
      server: serve(optional.App)
    },
    "are refused, not treated as anonymous, if the token is optional": {
      path: "/users/me",
      server: serve(optional.Extracted)
    }
  }
  for (const [name, { path, server }] of Object.entries(servers)) {
    layer(server)(name, (it) => {
      it.effect.each(lax)("$what", ({ fields }) =>
        Effect.gen(function* () {
          assertUnauthorized(yield* getWith(path, fields), "Not authenticated", "Bearer")
        })
      )
    })
  }
})

layer(serve(optional.App))("optional authentication", (it) => {
  it.effect(
    "treats a request with credentials of another scheme as anonymous; FastAPI's OAuth2 returns the header",
    () =>
      Effect.gen(function* () {
        assertJson(yield* get("/users/me", "Other footokenbar"), 200, { msg: "Create an account first" })
      })
  )

  it.effect("returns the subject of the token; FastAPI's OAuth2 returns the header", () =>
    Effect.gen(function* () {
      assertJson(yield* get("/users/me", "Bearer footokenbar"), 200, { username: "footokenbar" })
    })
  )
})

const trace: Array<string> = []

layer(serve(accumulation.make((what) => trace.push(what))))("a request", (it) => {
  it.effect("is refused before its JSON is parsed; FastAPI responds with 422", () =>
    Effect.gen(function* () {
      const headers = [["Content-Type", "application/json"]] as const
      assertUnauthorized(
        yield* send("POST", "/group/items/1", { headers, body: '{"name":' }),
        "Not authenticated",
        "Bearer"
      )
    })
  )

  it.effect("has its token verified once under three requirements; FastAPI runs the guard once per set of scopes", () =>
    Effect.gen(function* () {
      for (const token of ["with.app.group.route", "with.app", "bad"]) {
        trace.length = 0
        yield* get("/group/route", `Bearer ${token}`)
        assert.deepStrictEqual(trace, ["verify"])
      }
    })
  )

  it.effect("has its token verified even if another request in progress has the same token", () =>
    Effect.gen(function* () {
      trace.length = 0
      yield* Effect.all([get("/group", "Bearer with.app.group"), get("/group", "Bearer with.app.group")], {
        concurrency: 2
      })
      assert.deepStrictEqual(trace, ["verify", "verify"])
    })
  )

  it.effect("gives the handler the required scopes of the route; FastAPI's endpoint function gets none", () =>
    Effect.gen(function* () {
      const answer = yield* get("/group", "Bearer with.app.group")
      assert.deepStrictEqual(json(answer), { scopes: ["app", "group"], scopeStr: "app group" })
    })
  )
})

const calls = subDependency.noCalls()

layer(serve(subDependency.guarded(calls)))("a guard under two sets of scopes", (it) => {
  it.effect("runs once per set, and the token is verified once; FastAPI verifies it once per set", () =>
    Effect.gen(function* () {
      const answer = yield* get("/", "Bearer with.me.items")
      const current = (user: string, ...scopes: ReadonlyArray<string>) => ({ user, scopes, db_session: "db_session_1" })
      assertJson(answer, 200, {
        user_me: { user_me: "user_me_1", current_user: current("user_1", "me") },
        user_items: {
          user_items: "user_items_1",
          user_me: { user_me: "user_me_2", current_user: current("user_2", "items", "me") }
        }
      })
      assert.deepStrictEqual(calls, { session: 1, currentUser: 2, userMe: 2, userItems: 1, verified: 1 })
    })
  )

  it.effect("names the scopes of the failed set in its challenge", () =>
    Effect.gen(function* () {
      const detail = "Not enough permissions"
      assertUnauthorized(yield* get("/", "Bearer with.items"), detail, 'Bearer scope="me"')
      assertUnauthorized(yield* get("/", "Bearer with.me"), detail, 'Bearer scope="items me"')
    })
  )
})
