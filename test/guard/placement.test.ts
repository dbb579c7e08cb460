/** Tests that a guard stays at its place with the verifier of its own app, or that the app does not start. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Ref, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { AccessToken, OAuth2, Requirement } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"

type App = Layer.Layer<never, never, HttpRouter.HttpRouter>

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "" } })

const under = (prefix: string) =>
  Layer.effect(
    HttpRouter.HttpRouter,
    Effect.map(HttpRouter.HttpRouter, (router) => router.prefixed(prefix))
  )

const verifiedBy = (...tokens: ReadonlyArray<string>) =>
  auth.layer(new Verifier(Object.fromEntries(tokens.map((token) => [token, ["a", "b"]]))).layer)

const subject = Effect.map(AccessToken, (token) => token.subject)

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("users")
    .add(HttpApiEndpoint.get("me", "/me", { success: Schema.String }))
    .middleware(auth.require("a"))
)

const Users = HttpApiBuilder.group(Api, "users", (handlers) => handlers.handle("me", () => subject))

const mount = (
  prefix: string,
  authentication: Layer.Layer<OAuth2.Authentication<"OAuth2">>,
  users: Layer.Layer<HttpApiGroup.Service<"api", "users">, never, OAuth2.Authentication<"OAuth2">> = Users
): App =>
  HttpApiBuilder.layer(Api).pipe(
    Layer.provide(users),
    Layer.provide(authentication),
    Layer.provide(under(prefix)),
    Layer.provide(HttpServer.layerServices)
  )

/** Returns why the app does not start. Returns `undefined` if the app starts. */
const refusal = (app: Layer.Layer<never, any, any>): Effect.Effect<string | undefined> =>
  Effect.map(Effect.exit(Effect.scoped(Layer.build(Layer.provide(app as App, HttpRouter.layer)))), (exit) => {
    if (Exit.isSuccess(exit)) return
    const defect = Cause.squash(exit.cause)
    assert.instanceOf(defect, TypeError)
    return defect.message
  })

const statuses = (app: App, requests: ReadonlyArray<readonly [path: string, token?: string]>) =>
  Effect.flatMap(serve(app), (send) =>
    Effect.forEach(requests, ([path, token]) => Effect.map(send(path, token), ({ status }) => status))
  )

describe("handlers that two apps share", () => {
  it.effect("accept the tokens of each app's own verifier", () =>
    Effect.gen(function* () {
      const apps = Layer.mergeAll(mount("/1", verifiedBy("one")), mount("/2", verifiedBy("two")))
      for (const app of [apps, OAuth2.secured(apps)]) {
        assert.deepStrictEqual(
          yield* statuses(app, [
            ["/1/me", "one"],
            ["/1/me", "two"],
            ["/1/me"],
            ["/2/me", "two"],
            ["/2/me", "one"],
            ["/2/me"]
          ]),
          [200, 401, 401, 200, 401, 401]
        )
      }
    })
  )

  it.effect("do not accept the test token of another app", () =>
    Effect.gen(function* () {
      const apps = Layer.mergeAll(mount("/demo", auth.layerTest({ scopes: ["a"] })), mount("/real", verifiedBy("one")))
      assert.deepStrictEqual(yield* statuses(apps, [["/demo/me"], ["/real/me"], ["/real/me", "one"]]), [200, 401, 200])
    })
  )

  it.effect("use their own verifier, even if outer apps have other verifiers", () =>
    Effect.gen(function* () {
      const strict = Layer.provide(Users, verifiedBy("strict"))
      const apps = Layer.mergeAll(mount("/1", verifiedBy("one"), strict), mount("/2", verifiedBy("two"), strict))
      assert.deepStrictEqual(
        yield* statuses(apps, [
          ["/1/me", "strict"],
          ["/1/me", "one"],
          ["/2/me", "strict"],
          ["/2/me", "two"]
        ]),
        [200, 401, 200, 401]
      )
    })
  )

  it.effect("are built once for each verifier", () =>
    Effect.gen(function* () {
      const built = yield* Ref.make(0)
      const counted = HttpApiBuilder.group(Api, "users", (handlers) =>
        Effect.as(
          Ref.update(built, (n) => n + 1),
          handlers.handle("me", () => subject)
        )
      )
      const one = verifiedBy("one")
      yield* serve(Layer.mergeAll(mount("/1", one, counted), mount("/2", one, counted)))
      assert.strictEqual(yield* Ref.get(built), 1)
      yield* serve(Layer.mergeAll(mount("/1", one, counted), mount("/2", verifiedBy("two"), counted)))
      assert.strictEqual(yield* Ref.get(built), 3)
    })
  )

  it.effect("share the services that need no authentication", () =>
    Effect.gen(function* () {
      class Database extends Context.Service<Database, number>()("test/Database") {}
      const built = yield* Ref.make(0)
      const live = Layer.effect(
        Database,
        Ref.updateAndGet(built, (n) => n + 1)
      )
      const merged = Layer.mergeAll(Users, live)
      yield* serve(Layer.mergeAll(mount("/1", verifiedBy("one"), merged), mount("/2", verifiedBy("two"), merged)))
      assert.strictEqual(yield* Ref.get(built), 1)
    })
  )

  it.effect("read the token of their own app in a Public endpoint", () =>
    Effect.gen(function* () {
      const Open = HttpApi.make("open").add(
        HttpApiGroup.make("open").add(
          HttpApiEndpoint.get("who", "/who", { success: Schema.String }).middleware(OAuth2.Public("a test"))
        )
      )
      const live = HttpApiBuilder.group(Open, "open", (handlers) =>
        handlers.handle("who", () => Effect.map(auth.authorizeOption, ({ _tag }) => _tag) as Effect.Effect<string>)
      )
      const at = (prefix: string, authentication: Layer.Layer<OAuth2.Authentication<"OAuth2">>) =>
        HttpApiBuilder.layer(Open).pipe(
          Layer.provide(live),
          Layer.provide(authentication),
          Layer.provide(under(prefix)),
          Layer.provide(HttpServer.layerServices)
        )
      const send = yield* serve(
        Layer.mergeAll(at("/1", auth.layerTest({ scopes: ["a"] })), at("/2", verifiedBy("two"))) as App
      )
      assert.strictEqual((yield* send("/1/who")).body, `"Some"`)
      assert.strictEqual((yield* send("/2/who")).body, `"None"`)
      assert.strictEqual((yield* send("/2/who", "one")).status, 401)
    })
  )
})

/** Checks that the route of each of two apps accepts the token of its own app, and refuses the other token. */
const assertOwnTokensOnly = Effect.fnUntraced(function* (
  at: (path: `/${string}`, token: string) => Layer.Layer<never, unknown, unknown>
) {
  assert.deepStrictEqual(
    yield* statuses(Layer.mergeAll(at("/1", "one"), at("/2", "two")) as App, [
      ["/1", "one"],
      ["/1", "two"],
      ["/2", "two"],
      ["/2", "one"]
    ]),
    [200, 401, 200, 401]
  )
})

describe("a combined middleware that two apps share", () => {
  const timing = HttpRouter.middleware((handler) => handler)
  const shared = timing.combine(auth.require("a").route)

  it.effect("accepts the tokens of each app's own verifier", () =>
    Effect.gen(function* () {
      const at = (path: `/${string}`, token: string) =>
        HttpRouter.add("GET", path, HttpServerResponse.text("in")).pipe(
          Layer.provide(shared.layer),
          Layer.provide(verifiedBy(token))
        )
      yield* assertOwnTokensOnly(at)
    })
  )

  it.effect("runs its checks with the services of each app", () =>
    Effect.gen(function* () {
      class Tenant extends Context.Service<Tenant, string>()("test/Tenant") {}
      const own = Requirement.check("own", (token) => Effect.map(Tenant, (tenant) => tenant === token.subject))
      const checked = timing.combine(auth.require("a", own).route)
      const one = verifiedBy("one", "two")
      const at = (path: `/${string}`, tenant: string) =>
        HttpRouter.add("GET", path, HttpServerResponse.text("in")).pipe(
          Layer.provide(checked.layer),
          Layer.provide(Layer.succeed(Tenant, tenant)),
          Layer.provide(one)
        )
      yield* assertOwnTokensOnly(at)
    })
  )
})

/** A middleware of routes without the types of what it wraps. */
const routeMiddleware = (apply: (handler: any) => any) =>
  HttpRouter.middleware(apply) as unknown as HttpRouter.Middleware<{
    provides: never
    handles: never
    error: never
    requires: never
    layerError: never
    layerRequires: never
  }>

/** Responds to every request with the first response. It must run only for authorized requests. */
class Keep {
  #response: unknown
  readonly apply = (handler: Effect.Effect<any, any, any>): Effect.Effect<any, any, any> =>
    Effect.suspend(() =>
      this.#response === undefined
        ? Effect.tap(handler, (response) => Effect.sync(() => (this.#response = response)))
        : Effect.succeed(this.#response)
    )
}

describe("one requirement at two places", () => {
  it.effect("protects both places of an HttpApi", () =>
    Effect.gen(function* () {
      class Cache extends HttpApiMiddleware.Service<Cache>()("test/Cache") {}
      const signedIn = auth.require("a")
      const endpoint = HttpApiEndpoint.get("list", "/list", { success: Schema.String }).middleware(signedIn)
      const Listed = HttpApi.make("listed")
        .add(HttpApiGroup.make("items").add(endpoint).middleware(Cache))
        .middleware(signedIn)
      const app = HttpApiBuilder.layer(Listed).pipe(
        Layer.provide(
          HttpApiBuilder.group(Listed, "items", (handlers) => handlers.handle("list", () => Effect.succeed("secret")))
        ),
        Layer.provide(Layer.sync(Cache, () => new Keep().apply)),
        Layer.provide(verifiedBy("one")),
        Layer.provide(HttpServer.layerServices)
      )
      assert.deepStrictEqual(yield* statuses(app, [["/list", "one"], ["/list"]]), [200, 401])
    })
  )

  it.effect("protects a route at both places, each with its own verifier", () =>
    Effect.gen(function* () {
      const signedIn = auth.require("a").route.layer
      const app = HttpRouter.add("GET", "/list", HttpServerResponse.text("secret")).pipe(
        Layer.provide(Layer.provide(signedIn, verifiedBy("both", "inner"))),
        Layer.provide(routeMiddleware(new Keep().apply).layer),
        Layer.provide(Layer.provide(signedIn, verifiedBy("both", "outer")))
      )
      assert.deepStrictEqual(
        yield* statuses(app as App, [
          ["/list", "inner"],
          ["/list", "outer"],
          ["/list", "both"],
          ["/list", "inner"]
        ]),
        [401, 401, 200, 401]
      )
    })
  )
})

describe("a middleware that is provided inside a requirement", () => {
  const list = HttpRouter.add("GET", "/list", HttpServerResponse.text("secret"))
  const timing = HttpRouter.middleware((handler) => handler)
  const signedIn = (routes: Layer.Layer<never, never, any>) => Layer.provide(routes, auth.require("a").route.layer)

  it.effect("does not run outside: the app does not start, and the message names the middleware", () =>
    Effect.gen(function* () {
      function cache(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, any, any>) {
        return handler
      }
      const combined = timing.combine(routeMiddleware(cache))
      const routes = list.pipe(Layer.provide(combined.layer), signedIn, Layer.provide(verifiedBy("one")))
      assert.strictEqual(
        yield* refusal(routes),
        `HttpRouter would run the middleware "cache" (number 2 of 2 that are combined) outside the requirement "a" of the scheme "OAuth2", although the program provides it inside. HttpRouter puts the members of a.combine(b) around all middleware that is not combined. Provide the members one by one, Layer.provide(a.layer), Layer.provide(b.layer), and then the requirement. Or combine the requirement too: a.combine(b).combine(requirement.route).`
      )
    })
  )

  it.effect("runs inside in each way that the message suggests", () =>
    Effect.gen(function* () {
      for (const around of [
        (routes: Layer.Layer<never, never, any>, keep: Keep) =>
          routes.pipe(Layer.provide(timing.layer), Layer.provide(routeMiddleware(keep.apply).layer), signedIn),
        (routes: Layer.Layer<never, never, any>, keep: Keep) =>
          routes.pipe(Layer.provide(timing.combine(routeMiddleware(keep.apply)).combine(auth.require("a").route).layer))
      ]) {
        const app = around(list, new Keep()).pipe(Layer.provide(verifiedBy("one")))
        assert.deepStrictEqual(yield* statuses(app as App, [["/list", "one"], ["/list"]]), [200, 401])
      }
    })
  )
})

describe("the layer of a requirement", () => {
  const signedIn = auth.require("a", "b").route.layer
  const started = (app: Layer.Layer<never, never, any>) => Effect.map(refusal(app), (why) => why ?? "started")

  it.effect("stops an app if it is provided to the handlers of an HttpApi", () =>
    Effect.gen(function* () {
      for (const users of [Layer.provide(Users, signedIn), Layer.provide(Layer.mergeAll(Users), signedIn)]) {
        assert.strictEqual(
          yield* refusal(mount("/1", verifiedBy("one"), users as typeof Users)),
          `The layer of the requirement "a", "b" of the scheme "OAuth2" is provided to handlers ("me"). Handlers do not apply a requirement, so the routes would lack the requirement. Apply it to HttpApiBuilder.layer, outside the handlers: HttpApiBuilder.layer(api).pipe(requirement). Or give the requirement to the endpoint, the group or the api: .middleware(requirement).`
        )
      }
    })
  )

  it.effect("stops an app if it is provided to the layer of a middleware", () =>
    Effect.gen(function* () {
      const timing = Layer.provide(HttpRouter.middleware((handler) => handler).layer, signedIn)
      const routes = HttpRouter.add("GET", "/", HttpServerResponse.text("in")).pipe(Layer.provide(timing))
      assert.strictEqual(
        yield* refusal(Layer.provide(routes, verifiedBy("one"))),
        `The layer of the requirement "a", "b" of the scheme "OAuth2" is provided to the layer of a middleware. A middleware does not apply a requirement, so the routes would lack the requirement. Apply both to the routes: routes.pipe(Layer.provide(middleware.layer), requirement).`
      )
    })
  )

  it.effect("lets an app start if a feature flag leaves out the routes", () =>
    Effect.gen(function* () {
      const admin = Layer.provide(Layer.unwrap(Effect.succeed(Layer.empty)), signedIn)
      const app = Layer.mergeAll(mount("/1", verifiedBy("one")), Layer.provide(admin, verifiedBy("one")))
      assert.strictEqual(yield* started(app), "started")
    })
  )

  it.effect("lets an app start if shared handlers have it at one mount only", () =>
    Effect.gen(function* () {
      const one = verifiedBy("one")
      const strict = Layer.provide(mount("/strict", one), Layer.provide(signedIn, one))
      const send = yield* serve(Layer.mergeAll(strict, mount("/plain", one)) as App)
      assert.strictEqual((yield* send("/plain/me", "one")).status, 200)
      assert.strictEqual((yield* send("/strict/me")).challenge, `Bearer`)
      assert.strictEqual((yield* send("/strict/me", "one")).status, 200)
    })
  )
})
