/** `requirement.provide` adds a service to the handlers of routes and endpoints, after the whole decision. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Option, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { OAuth2, OptionalAccessToken, SecurityError } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  responses: "rfc6750",
  scopes: { me: "", write: "" }
})
const other = OAuth2.authorizationCode("Other", { ...authorizationServer, responses: "rfc6750", scopes: { x: "" } })

class Users extends Context.Service<Users, { readonly find: (id: string) => string | undefined }>()("test/Users") {}
class CurrentUser extends Context.Service<CurrentUser, string>()("test/CurrentUser") {}
class Tenant extends Context.Service<Tenant, string>()("test/Tenant") {}

/** Counts the look-ups. */
let lookups = 0

const currentUser = Effect.gen(function* () {
  lookups++
  const { subject } = yield* auth.token
  const name = (yield* Users).find(subject)
  return name ?? (yield* Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" })))
})

const signedIn = auth.require("me").provide(CurrentUser, currentUser)
const users = Layer.succeed(Users, { find: (id) => (id === "stranger" ? undefined : `the user ${id}`) })
const verifier = () =>
  new Verifier({ demo: ["me", "write"], reader: ["me"], stranger: ["me", "write"], none: [], partner: ["x"] }).layer

const Group = HttpApiGroup.make("group")
  .add(
    HttpApiEndpoint.get("read", "/api/user", { success: Schema.String }),
    HttpApiEndpoint.delete("remove", "/api/user", { success: Schema.String }).middleware(auth.require("write"))
  )
  .middleware(signedIn)
const Api = HttpApi.make("api").add(Group).pipe(OAuth2.secured)
const Handlers = HttpApiBuilder.group(Api, "group", (handlers) =>
  handlers.handleAll({ read: () => CurrentUser, remove: () => CurrentUser })
)

const text = Effect.map(CurrentUser, (name) => HttpServerResponse.jsonUnsafe(name))
const App = Layer.mergeAll(
  Layer.mergeAll(
    HttpRouter.add("GET", "/user", text),
    HttpRouter.add("DELETE", "/user", text).pipe(auth.require("write"))
  ).pipe(signedIn),
  HttpApiBuilder.layer(Api).pipe(Layer.provide(Handlers), Layer.provide(HttpServer.layerServices))
).pipe(OAuth2.secured, Layer.provide(users))

const started = Effect.suspend(() => serve(App.pipe(Layer.provide(auth.layer(verifier())))))

describe("requirement.provide", () => {
  for (const path of ["/user", "/api/user"]) {
    it.effect(`provides the service to handlers: ${path}`, () =>
      Effect.gen(function* () {
        const send = yield* started
        for (const method of ["GET", "DELETE"]) {
          const answer = yield* send(path, "demo", { method })
          assert.deepStrictEqual([answer.status, answer.body], [200, `"the user demo"`], method)
        }
      })
    )

    it.effect(`looks up once per request, and only after the whole decision: ${path}`, () =>
      Effect.gen(function* () {
        const send = yield* started
        lookups = 0
        yield* send(path, "demo", { method: "DELETE" })
        assert.strictEqual(lookups, 1)
        const refused = yield* send(path, "reader", { method: "DELETE" })
        assert.deepStrictEqual(
          [refused.status, refused.challenge],
          [403, `Bearer error="insufficient_scope", scope="me write"`]
        )
        yield* send(path, "none")
        yield* send(path, "unknown token")
        yield* send(path)
        assert.strictEqual(lookups, 1, "a refused request is not looked up")
      })
    )

    it.effect(`responds to a refusal of the look-up as the scheme does, with all scopes: ${path}`, () =>
      Effect.gen(function* () {
        const send = yield* started
        const [get, remove] = [yield* send(path, "stranger"), yield* send(path, "stranger", { method: "DELETE" })]
        assert.deepStrictEqual([get.status, get.challenge], [401, `Bearer error="invalid_token", scope="me"`])
        assert.deepStrictEqual(
          [remove.status, remove.challenge],
          [401, `Bearer error="invalid_token", scope="me write"`]
        )
      })
    )
  }

  it.effect("runs look-ups from the outside in, and a look-up can use the service of an earlier one", () =>
    Effect.gen(function* () {
      const both = signedIn.provide(
        Tenant,
        Effect.map(CurrentUser, (name) => `the tenant of ${name}`)
      )
      const handler = Effect.map(Tenant, (name) => HttpServerResponse.text(name))
      const send = yield* serve(
        HttpRouter.add("GET", "/", handler).pipe(both, Layer.provide([users, auth.layer(verifier())]))
      )
      assert.strictEqual((yield* send("/", "demo")).body, "the tenant of the user demo")
    })
  )

  it.effect("works with optional authentication", () =>
    Effect.gen(function* () {
      const visitor = auth
        .optional()
        .provide(
          CurrentUser,
          Effect.map(OptionalAccessToken, Option.match({ onNone: () => "nobody", onSome: ({ subject }) => subject }))
        )
      const send = yield* serve(HttpRouter.add("GET", "/", text).pipe(visitor, Layer.provide(auth.layer(verifier()))))
      assert.strictEqual((yield* send("/")).body, `"nobody"`)
      assert.strictEqual((yield* send("/", "demo")).body, `"demo"`)
      assert.strictEqual((yield* send("/", "wrong")).status, 401)
    })
  )

  it.effect("works with either, of both requirements and around them", () =>
    Effect.gen(function* () {
      const mine = auth.require("me").provide(
        CurrentUser,
        Effect.map(auth.token, ({ subject }) => `user ${subject}`)
      )
      const theirs = other.require("x").provide(
        CurrentUser,
        Effect.map(other.token, ({ subject }) => `partner ${subject}`)
      )
      const around = OAuth2.either(auth.require("me"), other.require("x")).provide(Tenant, Effect.succeed("t1"))
      const tokens = verifier()
      const send = yield* serve(
        Layer.mergeAll(
          HttpRouter.add("GET", "/each", text).pipe(OAuth2.either(mine, theirs)),
          HttpRouter.add("GET", "/around", Effect.map(Tenant, HttpServerResponse.text)).pipe(around)
        ).pipe(Layer.provide([auth.layer(tokens), other.layer(tokens)]))
      )
      assert.strictEqual((yield* send("/each", "demo")).body, `"user demo"`)
      assert.strictEqual((yield* send("/each", "partner")).body, `"partner partner"`)
      assert.strictEqual((yield* send("/around", "partner")).body, "t1")
      assert.strictEqual((yield* send("/around", "none")).status, 403)
    })
  )

  it.effect("works with scopes that the request computes, and with the proof of them", () =>
    Effect.gen(function* () {
      const scheme = OAuth2.authorizationCode("Templates", {
        ...authorizationServer,
        responses: "rfc6750",
        scopes: { "read:{org}": "Read an organization" }
      })
      const lookup = Effect.map(scheme.granted("read:{org}"), ({ subject }) => `${subject} may read`)
      const requirement = scheme.require("read:{org}").provide(CurrentUser, lookup)
      const TemplateApi = HttpApi.make("templates")
        .add(
          HttpApiGroup.make("group")
            .add(HttpApiEndpoint.get("get", "/api/:org", { params: { org: Schema.String }, success: Schema.String }))
            .middleware(requirement)
        )
        .pipe(OAuth2.secured)
      const send = yield* serve(
        Layer.mergeAll(
          HttpRouter.add("GET", "/routes/:org", text).pipe(requirement),
          HttpApiBuilder.layer(TemplateApi).pipe(
            Layer.provide(
              HttpApiBuilder.group(TemplateApi, "group", (handlers) => handlers.handle("get", () => CurrentUser))
            ),
            Layer.provide(HttpServer.layerServices)
          )
        ).pipe(
          OAuth2.secured,
          Layer.provide(scheme.layer(new Verifier({ acme: ["read:acme"], literal: ["read:{org}"] }).layer))
        )
      )
      for (const path of ["/routes/acme", "/api/acme"]) {
        assert.strictEqual((yield* send(path, "acme")).body, `"acme may read"`, path)
        const refused = yield* send(path, "literal")
        assert.deepStrictEqual(
          [refused.status, refused.challenge],
          [403, `Bearer error="insufficient_scope", scope="read:acme"`],
          path
        )
      }
      assert.strictEqual((yield* send("/routes/other", "acme")).status, 403)
      assert.strictEqual((yield* send("/api/other", "acme")).status, 403)
    })
  )

  it.effect("does not change the requirement itself", () =>
    Effect.gen(function* () {
      const plain = auth.require("me")
      plain.provide(CurrentUser, Effect.succeed("nobody"))
      const handler = Effect.map(Effect.serviceOption(CurrentUser), (user) =>
        HttpServerResponse.text(Option.getOrElse(user, () => "no service"))
      )
      const send = yield* serve(HttpRouter.add("GET", "/", handler).pipe(plain, Layer.provide(auth.layer(verifier()))))
      assert.strictEqual((yield* send("/", "demo")).body, "no service")
    })
  )

  it.effect("does not share the service between requests", () =>
    Effect.gen(function* () {
      const send = yield* started
      const answers = yield* Effect.all(
        Array.from({ length: 20 }, (_, i) => send("/user", i % 2 === 0 ? "demo" : "reader")),
        { concurrency: "unbounded" }
      )
      for (const [i, { body }] of answers.entries()) {
        assert.strictEqual(body, i % 2 === 0 ? `"the user demo"` : `"the user reader"`)
      }
    })
  )
})
