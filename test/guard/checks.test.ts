/** Tests where checks run: at the place of their requirement, with its services, before inner middleware. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { Headers, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { AccessToken, BearerToken, OAuth2, Requirement } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"
import { fromContext } from "../support/contextVerifier.ts"

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "" } })
const other = OAuth2.authorizationCode("Other", { ...authorizationServer, scopes: { a: "" } })

const tokens = () =>
  new Verifier({ alice: ["a", "b"], bob: ["a", "b"], carol: ["a", "b"], weak: ["b"], none: [] }).layer

/** The owner of the requested room. `undefined` unless middleware provides it. */
const Room = Context.Reference<string | undefined>("test/Room", { defaultValue: () => undefined })

const ownRoom = Requirement.check("room", ({ subject }) =>
  Effect.map(Room, (room) => room === undefined || room === subject)
)

const ofRequest = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-room"])

class RoomOfRequest extends HttpApiMiddleware.Service<RoomOfRequest>()("test/RoomOfRequest") {}
class Between extends HttpApiMiddleware.Service<Between>()("test/Between") {}

const roomOfRequest = Layer.succeed(RoomOfRequest, (handler) =>
  Effect.flatMap(ofRequest, (room) => Effect.provideService(handler, Room, room))
)

const handler = Effect.map(Room, (room) => `the room of ${room}`)

const endpoint = HttpApiEndpoint.get("get", "/", { success: Schema.String })

describe("a check of an HttpApi", () => {
  const inner = endpoint.middleware(auth.require("b", ownRoom)).middleware(RoomOfRequest)
  for (const [name, of] of Object.entries({
    alone: inner,
    "with an outer requirement": inner.middleware(auth.require("a")),
    "with requirements of another scheme around it": endpoint
      .middleware(other.require("a"))
      .middleware(auth.require("b", ownRoom))
      .middleware(other.require())
      .middleware(RoomOfRequest)
      .middleware(auth.require("a")),
    "with two outer requirements": inner.middleware(auth.require("a")).middleware(Between).middleware(auth.require("b"))
  })) {
    it.effect(`uses the services of the middleware that wraps its requirement: ${name}`, () =>
      Effect.gen(function* () {
        const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(of))
        const send = yield* serve(
          HttpApiBuilder.layer(Api).pipe(
            Layer.provide(HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => handler))),
            Layer.provide([HttpServer.layerServices, roomOfRequest, Layer.succeed(Between, (handler) => handler)]),
            Layer.provide([auth.layer(fromContext), other.layer(fromContext)]),
            Layer.provide(tokens())
          )
        )
        const status = (token: string, room: string) =>
          Effect.map(send("/", token, { headers: { "x-room": room } }), ({ status }) => status)
        assert.strictEqual(yield* status("alice", "alice"), 200)
        assert.strictEqual(yield* status("alice", "bob"), 401)
        assert.strictEqual(yield* status("bob", "alice"), 401)
        assert.strictEqual((yield* send("/")).status, 401)
        const { challenge } = yield* send("/", "none")
        assert.include(challenge, name === "alone" ? `scope="b"` : name.includes("two") ? `scope="b a"` : `scope="a b"`)
      })
    )
  }

  it.effect("may need a service of middleware between its requirement and the outermost one", () =>
    Effect.gen(function* () {
      class Tenant extends Context.Service<Tenant, string>()("test/Tenant") {}
      class TenantOfRequest extends HttpApiMiddleware.Service<TenantOfRequest, { provides: Tenant }>()(
        "test/TenantOfRequest"
      ) {}
      const own = Requirement.check("tenant", ({ subject }) => Effect.map(Tenant, (tenant) => tenant === subject))
      const Api = HttpApi.make("api")
        .add(
          HttpApiGroup.make("group").add(
            endpoint.middleware(auth.require(own)).middleware(TenantOfRequest).middleware(auth.require("a"))
          )
        )
        .pipe(OAuth2.secured)
      const send = yield* serve(
        HttpApiBuilder.layer(Api).pipe(
          Layer.provide(HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => Tenant))),
          Layer.provide([
            HttpServer.layerServices,
            Layer.succeed(TenantOfRequest, (handler) =>
              Effect.flatMap(ofRequest, (tenant = "") => Effect.provideService(handler, Tenant, tenant))
            )
          ]),
          Layer.provide(auth.layer(tokens()))
        )
      )
      for (const [room, status] of [
        ["alice", 200],
        ["bob", 401]
      ] as const) {
        assert.strictEqual((yield* send("/", "alice", { headers: { "x-room": room } })).status, status)
      }
    })
  )

  it.effect("runs after outer middleware and before inner middleware", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const note = (event: string, result = true) =>
        Effect.sync(() => {
          events.push(event)
          return result
        })
      const check = (name: string) => Requirement.check(name, ({ subject }) => note(name, subject !== name))
      const Api = HttpApi.make("api").add(
        HttpApiGroup.make("group").add(
          endpoint
            .middleware(auth.require(check("inner")))
            .middleware(Between)
            .middleware(auth.require("a", check("outer")))
        )
      )
      const send = yield* serve(
        HttpApiBuilder.layer(Api).pipe(
          Layer.provide(
            HttpApiBuilder.group(Api, "group", (handlers) =>
              handlers.handle("get", () => Effect.as(note("handler"), ""))
            )
          ),
          Layer.provide([
            HttpServer.layerServices,
            Layer.succeed(Between, (handler) => Effect.andThen(note("between"), handler))
          ]),
          Layer.provide(auth.layer(new Verifier({ alice: ["a"], inner: ["a"], outer: ["a"], weak: [] }).layer))
        )
      )
      for (const [token, expected] of [
        ["alice", ["outer", "between", "inner", "handler"]],
        ["inner", ["outer", "between", "inner"]],
        ["outer", ["outer"]],
        ["weak", []]
      ] as const) {
        events.length = 0
        yield* send("/", token)
        assert.deepStrictEqual(events, Array.from(expected), token)
      }
    })
  )

  const others: Readonly<
    Record<string, (request: HttpServerRequest.HttpServerRequest, token: string) => HttpServerRequest.HttpServerRequest>
  > = {
    "brings other credentials": (request, token) =>
      request.modify({ headers: Headers.set(request.headers, "authorization", `Bearer ${token}`) }),
    "makes another request": (_, token) =>
      HttpServerRequest.fromWeb(new Request("http://localhost/", { headers: { authorization: `Bearer ${token}` } }))
  }

  for (const [what, change] of Object.entries(others)) {
    it.effect(`runs on the token of the changed request if middleware ${what}`, () =>
      Effect.gen(function* () {
        const good = Requirement.check("good", ({ subject }) => Effect.succeed(subject !== "bob"))
        const Api = HttpApi.make("api").add(
          HttpApiGroup.make("group").add(
            endpoint.middleware(auth.require("a")).middleware(Between).middleware(auth.require(good))
          )
        )
        const send = yield* serve(
          HttpApiBuilder.layer(Api).pipe(
            Layer.provide(
              HttpApiBuilder.group(Api, "group", (handlers) =>
                handlers.handle("get", () => Effect.map(AccessToken, ({ subject }) => subject))
              )
            ),
            Layer.provide([
              HttpServer.layerServices,
              Layer.succeed(Between, (handler) =>
                Effect.updateService(handler, HttpServerRequest.HttpServerRequest, (request) =>
                  change(request, request.headers["x-token"] ?? "alice")
                )
              )
            ]),
            Layer.provide(auth.layer(tokens()))
          )
        )
        const ask = (token: string) => send("/", "alice", { headers: { "x-token": token } })
        assert.strictEqual((yield* ask("bob")).status, 401)
        assert.strictEqual((yield* ask("weak")).status, 401)
        assert.strictEqual((yield* send("/", "bob", { headers: { "x-token": "alice" } })).status, 401)
        assert.strictEqual((yield* ask("alice")).body, '"alice"')
        assert.strictEqual((yield* ask("carol")).body, '"carol"')
      })
    )
  }

  it.effect("is not skipped if middleware removes the services that outer guards provide", () =>
    Effect.gen(function* () {
      const Api = HttpApi.make("api").add(
        HttpApiGroup.make("group").add(
          endpoint.middleware(auth.require(ownRoom)).middleware(Between).middleware(auth.require("a"))
        )
      )
      const send = yield* serve(
        HttpApiBuilder.layer(Api).pipe(
          Layer.provide(HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => handler))),
          Layer.provide([
            HttpServer.layerServices,
            Layer.effect(
              Between,
              Effect.map(
                Effect.context<never>(),
                (context) => (handler) =>
                  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
                    Effect.updateContext(handler, () =>
                      Context.merge(context, Context.make(HttpServerRequest.HttpServerRequest, request))
                    )
                  )
              )
            )
          ]),
          Layer.provide(auth.layer(tokens()))
        )
      )
      assert.strictEqual((yield* send("/", "alice")).status, 500)
      assert.strictEqual((yield* send("/", "weak")).status, 401)
    })
  )
})

describe("a check of HttpRouter", () => {
  class Allowed extends Context.Service<Allowed, string>()("test/Allowed") {}
  const allowed = Requirement.check("allowed", ({ subject }) => Effect.map(Allowed, (name) => name === subject))
  const Route = HttpRouter.add("GET", "/", HttpServerResponse.empty()).pipe(
    Layer.provide(Layer.provide(auth.require(allowed).route.layer, Layer.succeed(Allowed, "alice")))
  )

  for (const [name, App, subject] of [
    ["of the requirement's layer if the request has none", Route, "alice"],
    ["of the request if both have one", Route.pipe(HttpRouter.provideRequest(Layer.succeed(Allowed, "bob"))), "bob"]
  ] as const) {
    it.effect(`uses the service ${name}`, () =>
      Effect.gen(function* () {
        const send = yield* serve(App.pipe(Layer.provide(auth.layer(tokens()))))
        for (const token of ["alice", "bob"]) {
          assert.strictEqual((yield* send("/", token)).status, token === subject ? 204 : 401, token)
        }
      })
    )
  }
})

describe("an HttpApi that does not apply requirements like Effect 4.1", () => {
  const [inner, outer] = [auth.require(ownRoom), auth.require("a", ownRoom)]
  const guarded = endpoint.middleware(inner).middleware(Between).middleware(outer)
  const group = { identifier: "group" }
  type Apply = (handler: Effect.Effect<unknown>, options: object) => Effect.Effect<unknown>

  for (const [name, between] of Object.entries({
    "with other middleware in between": (handler: Effect.Effect<unknown>) => Effect.andThen(Effect.void, handler),
    "without other middleware": (handler: Effect.Effect<unknown>) => handler
  })) {
    it.effect(`refuses every request if each requirement gets other options, ${name}`, () =>
      Effect.gen(function* () {
        const scheme = yield* Layer.build(auth.layer(tokens()))
        const apply = Context.getUnsafe(scheme, inner as unknown as Context.Key<never, Apply>)
        const handler = Effect.succeed("in")
        const guard = apply(between(apply(handler, { endpoint: guarded, group })), { endpoint: guarded, group })
        const request = HttpServerRequest.fromWeb(
          new Request("http://localhost/", { headers: { authorization: "Bearer alice" } })
        )
        const exit = yield* Effect.exit(Effect.provideService(guard, HttpServerRequest.HttpServerRequest, request))
        assert.strictEqual(exit._tag, "Failure")
      })
    )
  }

  it.effect("throws if it applies more requirements than the endpoint has", () =>
    Effect.gen(function* () {
      const scheme = yield* Layer.build(auth.layer(tokens()))
      const apply = Context.getUnsafe(scheme, inner as unknown as Context.Key<never, Apply>)
      const options = { endpoint: guarded, group }
      const handler = apply(apply(Effect.void, options), options)
      assert.throws(() => apply(handler, options), /does not have/)
    })
  )
})

/** Hides the services and errors of a program in the types. The server responds to every failure. */
const route = (program: Effect.Effect<string, unknown, unknown>, layer: Layer.Layer<OAuth2.Authentication<"OAuth2">>) =>
  HttpRouter.add(
    "GET",
    "/",
    Effect.provide(
      Effect.map(program, HttpServerResponse.text),
      layer
    ) as Effect.Effect<HttpServerResponse.HttpServerResponse>
  )

describe("a check of auth.prove", () => {
  const owner = auth.prove(ownRoom)
  const read = owner(handler)
  const nested = owner(Effect.provideService(read, Room, "bob")).pipe(Effect.provideService(Room, "alice"))

  it.effect("runs again when nested inside itself, with and without a request", () =>
    Effect.gen(function* () {
      const layer = auth.layer(tokens())
      const send = yield* serve(route(nested, layer))
      assert.strictEqual((yield* send("/", "alice")).status, 401)
      const error = yield* Effect.flip(Effect.provide(nested, [BearerToken.layerTest("alice"), layer]))
      assert.strictEqual(error._tag, "FailedCheck")
    })
  )

  it.effect("runs again if its result may have changed", () =>
    Effect.gen(function* () {
      let isOpen = true
      const open = auth.prove(Requirement.check("open", () => Effect.sync(() => isOpen)))
      const close = Effect.sync(() => void (isOpen = false))
      const program = open(Effect.andThen(close, open(Effect.succeed("in"))))
      const send = yield* serve(route(program, auth.layer(tokens())))
      assert.strictEqual((yield* send("/", "alice")).status, 401)
    })
  )
})
