/** Readable examples of compositions of layers. `compositions.test.ts` checks the same rules with random programs. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Schema } from "effect"
import { HttpEffect, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { OAuth2 } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { fromContext } from "../support/contextVerifier.ts"

const auth = OAuth2.authorizationCode("Users", { ...authorizationServer, scopes: { read: "", write: "" } })

// Some programs are mistakes that do not compile, so the types of layers end here.
type App = Layer.Layer<never, never, any>

const erase = (layer: unknown) => layer as App

// `erase` removes the types that `OAuth2.secured` checks at compile time. The check at start-up remains.
const secured = (app: App) => erase((OAuth2.secured as any)(app))

const provide = (app: unknown, ...layers: ReadonlyArray<unknown>): App => Layer.provide(erase(app), layers as [App])

/** Authentication that accepts the tokens with these names. Each token has both scopes. */
const accepting = (...names: ReadonlyArray<string>): App =>
  provide(
    auth.layer(fromContext),
    new Verifier(Object.fromEntries(names.map((name) => [name, ["read", "write"]]))).layer
  )

const stub = erase(auth.layerTest({ scopes: ["read", "write"] }))

/** Sends a request, and returns the status of the response. */
type Ask = (path: string, token?: string) => Effect.Effect<number>

const askOf =
  (handle: (request: Request) => Promise<Response>): Ask =>
  (path, token) =>
    Effect.promise(async () => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      return (await handle(new Request(`http://localhost${path}`, { headers }))).status
    })

/** Builds an app, as `HttpRouter.serve` does. */
const start = (app: App) =>
  Effect.map(HttpRouter.toHttpEffect(provide(app, HttpServer.layerServices)), (effect) =>
    askOf(HttpEffect.toWebHandler(effect as Effect.Effect<any>))
  )

/** Returns the message of the `TypeError` that stops the start of an app, or `undefined` if the app starts. */
const refusal = (app: App) =>
  Effect.map(Effect.exit(Effect.scoped(start(app))), (exit) => {
    if (Exit.isSuccess(exit)) return
    const defect = Cause.squash(exit.cause)
    assert.instanceOf(defect, TypeError)
    return defect.message
  })

const under = (prefix: string) =>
  Layer.effect(
    HttpRouter.HttpRouter,
    Effect.map(HttpRouter.HttpRouter, (router) => router.prefixed(prefix))
  )

const mount = (prefix: string, routes: App, authentication: App): App =>
  provide(provide(routes, authentication), under(prefix))

/** Mounts the first app under `/a` and the second app under `/b`, each with its own authentication. */
const twoMounts = (routes: () => App, [first, second] = [accepting("a"), accepting("b")] as const): App =>
  Layer.mergeAll(mount("/a", routes(), first), mount("/b", routes(), second))

type Answers = [none: number, a: number, b: number, inner: number]

/** Returns the status for a request without a token, and for the tokens `a`, `b` and `inner`. */
const answers = (ask: Ask, path: string) => Effect.all([ask(path), ask(path, "a"), ask(path, "b"), ask(path, "inner")])

const onlyForA: Answers = [401, 200, 401, 401]
const onlyForB: Answers = [401, 401, 200, 401]
const onlyForInner: Answers = [401, 401, 401, 200]
const forEveryone: Answers = [200, 200, 200, 200]

const secret = HttpServerResponse.text("secret")
const List = () => HttpRouter.add("GET", "/list", secret)

const get = <const Name extends string>(name: Name) => HttpApiEndpoint.get(name, `/${name}`, { success: Schema.String })

const Api = HttpApi.make("api")
  .add(HttpApiGroup.make("users").add(get("list")).middleware(auth.require("read")))
  .add(HttpApiGroup.make("opened").add(get("open").middleware(OAuth2.Public("visitors may look"))))
  .pipe(OAuth2.secured)

const Users = HttpApiBuilder.group(Api, "users", (handlers) => handlers.handle("list", () => Effect.succeed("secret")))

/** Handlers that respond with 200 if they find a token, and with 401 otherwise. */
const openedBy = (token: Effect.Effect<{ readonly _tag: string }, unknown, any>) =>
  HttpApiBuilder.group(Api, "opened", (handlers) =>
    handlers.handle("open", (() =>
      Effect.map(token, ({ _tag }) => (_tag === "Some" ? secret : HttpServerResponse.empty({ status: 401 })))) as any)
  )

const Opened = openedBy(auth.authorizeOption)
const Proving = openedBy(auth.prove()(Effect.succeedSome("proven")))

const api = (...handlers: ReadonlyArray<unknown>): App => provide(HttpApiBuilder.layer(Api), ...handlers)

class Database extends Context.Service<Database, { readonly builds: number }>()("test/Database") {}

/** A middleware that changes nothing. */
const plain = () => HttpRouter.middleware((handler) => handler)

describe("a layer that two apps share has the verifier of each app", () => {
  const requirement = auth.require("read")
  const combined = plain().combine(requirement.route)
  const nested = plain().combine(plain().combine(requirement.route))
  const reversed = requirement.route.combine(plain())
  const merged = Layer.mergeAll(requirement.route.layer, plain().layer)
  const handlers = Layer.mergeAll(Users, Opened)

  const ways: Readonly<Record<string, readonly [path: string, routes: () => App]>> = {
    "handlers of an HttpApi": ["/list", () => api(Users, Opened)],
    "handlers in a shared Layer.mergeAll": ["/list", () => api(handlers)],
    "handlers in Layer.fresh": ["/list", () => api(Layer.fresh(handlers))],
    "handlers of a Public endpoint that ask with auth.authorizeOption": ["/open", () => api(Users, Opened)],
    "handlers of a Public endpoint that ask with auth.prove": ["/open", () => api(Users, Proving)],
    "the layer of a requirement": ["/list", () => provide(List(), requirement.route.layer)],
    "a middleware that is combined with a requirement": ["/list", () => provide(List(), combined.layer)],
    "a requirement that is combined with a middleware": ["/list", () => provide(List(), reversed.layer)],
    "a middleware that is combined with a combined one": ["/list", () => provide(List(), nested.layer)],
    "a combined middleware in Layer.fresh": ["/list", () => provide(List(), Layer.fresh(combined.layer))],
    "a nested combined middleware in Layer.fresh": ["/list", () => provide(List(), Layer.fresh(nested.layer))],
    "a requirement in a shared Layer.mergeAll": ["/list", () => provide(List(), merged)]
  }

  for (const [way, [path, routes]] of Object.entries(ways)) {
    describe(way, () => {
      for (const isSealed of [false, true]) {
        it.effect(`in one router${isSealed ? ", under OAuth2.secured" : ""}`, () =>
          Effect.gen(function* () {
            const both = twoMounts(routes)
            const ask = yield* start(isSealed ? secured(both) : both)
            assert.deepStrictEqual(yield* answers(ask, `/a${path}`), onlyForA)
            assert.deepStrictEqual(yield* answers(ask, `/b${path}`), onlyForB)
          })
        )
      }

      it.effect("before and after a stub", () =>
        Effect.gen(function* () {
          const before = yield* start(twoMounts(routes, [accepting("a"), stub]))
          assert.deepStrictEqual(yield* answers(before, `/a${path}`), onlyForA)
          assert.deepStrictEqual(yield* answers(before, `/b${path}`), forEveryone)
          const after = yield* start(twoMounts(routes, [stub, accepting("b")]))
          assert.deepStrictEqual(yield* answers(after, `/a${path}`), forEveryone)
          assert.deepStrictEqual(yield* answers(after, `/b${path}`), onlyForB)
        })
      )

      it.effect("in a server that starts another server", () =>
        Effect.gen(function* () {
          let inner: Ask | undefined
          const server = Layer.effectDiscard(
            Effect.map(start(mount("/b", routes(), accepting("b"))), (ask) => {
              inner = ask
            })
          )
          const ask = yield* start(mount("/a", Layer.mergeAll(routes(), erase(server)), accepting("a")))
          assert.deepStrictEqual(yield* answers(ask, `/a${path}`), onlyForA)
          if (inner === undefined) throw new Error("The inner server does not run.")
          assert.deepStrictEqual(yield* answers(inner, `/b${path}`), onlyForB)
        })
      )

      it.effect("in two builds with one memo map", () =>
        Effect.gen(function* () {
          const memoMap = yield* Layer.makeMemoMap
          const build = (prefix: string, token: string) => {
            const app = provide(mount(prefix, routes(), accepting(token)), HttpServer.layerServices)
            return Effect.map(
              Effect.acquireRelease(
                Effect.sync(() => HttpRouter.toWebHandler(app, { memoMap, disableLogger: true })),
                ({ dispose }) => Effect.promise(dispose)
              ),
              ({ handler }) => askOf(handler as (request: Request) => Promise<Response>)
            )
          }
          const first = yield* build("/a", "a")
          assert.deepStrictEqual(yield* answers(first, `/a${path}`), onlyForA)
          const second = yield* build("/b", "b")
          assert.deepStrictEqual(yield* answers(second, `/b${path}`), onlyForB)
          assert.deepStrictEqual(yield* answers(first, `/a${path}`), onlyForA)
        })
      )

      it.effect("with authentications in contexts that were built before", () =>
        Effect.gen(function* () {
          const a = Layer.succeedContext(yield* Layer.build(accepting("a")))
          const b = Layer.succeedContext(yield* Layer.build(accepting("b")))
          const ask = yield* start(twoMounts(routes, [a, b]))
          assert.deepStrictEqual(yield* answers(ask, `/a${path}`), onlyForA)
          assert.deepStrictEqual(yield* answers(ask, `/b${path}`), onlyForB)
        })
      )

      // `Layer.build` adds its memo map to the context, and `combine` builds layers with the memo map of the context.
      it.effect("inside a context that was built before", () =>
        Effect.gen(function* () {
          const services = Layer.succeedContext(yield* Layer.build(Layer.succeed(Database, { builds: 1 })))
          const ask = yield* start(twoMounts(() => provide(routes(), services)))
          assert.deepStrictEqual(yield* answers(ask, `/a${path}`), onlyForA)
          assert.deepStrictEqual(yield* answers(ask, `/b${path}`), onlyForB)
        })
      )
    })
  }
})

describe("a layer that two apps share keeps a stricter verifier of its own", () => {
  const strict = accepting("inner")
  const requirement = auth.require("read")
  const shared: Readonly<Record<string, readonly [path: string, layer: App, routes: (layer: App) => App]>> = {
    "handlers of an HttpApi": ["/list", provide(Users, strict), (layer) => api(layer, Opened)],
    "handlers of a Public endpoint": ["/open", provide(Opened, strict), (layer) => api(layer, Users)],
    "the layer of a requirement": [
      "/list",
      provide(requirement.route.layer, strict),
      (layer) => provide(List(), layer)
    ],
    "a middleware that is combined with a requirement": [
      "/list",
      provide(plain().combine(requirement.route).layer, strict),
      (layer) => provide(List(), layer)
    ]
  }

  for (const [name, [path, layer, routes]] of Object.entries(shared)) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const ask = yield* start(twoMounts(() => routes(layer)))
        assert.deepStrictEqual(yield* answers(ask, `/a${path}`), onlyForInner)
        assert.deepStrictEqual(yield* answers(ask, `/b${path}`), onlyForInner)
      })
    )

    it.effect(`${name}, in a context that was built before`, () =>
      Effect.gen(function* () {
        const built = Layer.succeedContext(yield* Layer.build(provide(layer, HttpServer.layerServices)))
        const ask = yield* start(twoMounts(() => routes(built)))
        assert.deepStrictEqual(yield* answers(ask, `/a${path}`), onlyForInner)
        assert.deepStrictEqual(yield* answers(ask, `/b${path}`), onlyForInner)
      })
    )
  }
})

describe("one requirement at two places around routes", () => {
  const { route } = auth.require("read")

  it.effect("asks the verifier of each place", () =>
    Effect.gen(function* () {
      const inner = provide(route.layer, accepting("inner", "both"))
      const outer = provide(route.layer, accepting("a", "both"))
      const ask = yield* start(provide(provide(List(), inner), outer))
      assert.deepStrictEqual(yield* answers(ask, "/list"), [401, 401, 401, 401])
      assert.strictEqual(yield* ask("/list", "both"), 200)
    })
  )

  it.effect("guards a middleware between the places with the verifier of the outer place", () =>
    Effect.gen(function* () {
      let count = 0
      const counting = HttpRouter.middleware((handler) =>
        Effect.suspend(() => {
          count++
          return handler
        })
      )
      const inner = provide(route.layer, accepting("inner"))
      const outer = provide(route.layer, accepting("a"))
      const ask = yield* start(provide(provide(provide(List(), inner), counting.layer), outer))
      assert.deepStrictEqual(yield* answers(ask, "/list"), [401, 401, 401, 401])
      assert.strictEqual(count, 1, "only the request with the token of the outer verifier passes")
    })
  )
})

describe("a layer that two apps share is not built more often than needed", () => {
  const counted = () => {
    const count = { databases: 0, groups: 0 }
    const LiveDatabase = Layer.effect(
      Database,
      Effect.sync(() => ({ builds: ++count.databases }))
    )
    // The handlers refuse their second visitor, so a test sees whether two apps have the same handlers.
    const Counting = HttpApiBuilder.group(
      Api,
      "users",
      Effect.fnUntraced(function* (handlers) {
        yield* Database
        count.groups++
        let visitors = 0
        return handlers.handle("list", () =>
          Effect.sync(() => (++visitors === 1 ? secret : HttpServerResponse.empty({ status: 409 })))
        )
      })
    )
    return { count, handlers: Layer.mergeAll(provide(Counting, LiveDatabase), Opened, LiveDatabase) }
  }

  it.effect("with two verifiers, a database is built once", () =>
    Effect.gen(function* () {
      const { count, handlers } = counted()
      const ask = yield* start(twoMounts(() => api(handlers)))
      assert.strictEqual(yield* ask("/a/list", "a"), 200)
      assert.strictEqual(yield* ask("/b/list", "a"), 401)
      assert.strictEqual(yield* ask("/a/list", "b"), 401)
      assert.strictEqual(count.databases, 1)
    })
  )

  it.effect("with one verifier, handlers are built once and keep one state", () =>
    Effect.gen(function* () {
      const { count, handlers } = counted()
      const one = new Verifier({ a: ["read"] }).layer
      const ask = yield* start(
        twoMounts(() => api(handlers), [provide(auth.layer(fromContext), one), provide(auth.layer(fromContext), one)])
      )
      assert.strictEqual(yield* ask("/a/list", "a"), 200)
      assert.strictEqual(yield* ask("/b/list", "a"), 409)
      assert.deepStrictEqual(count, { databases: 1, groups: 1 })
    })
  )
})

describe("a healthy composition starts", () => {
  it.effect("a group without requirements is shared by two apps", () =>
    Effect.gen(function* () {
      const Health = HttpApi.make("health").add(HttpApiGroup.make("health").add(get("health")))
      const Live = HttpApiBuilder.group(Health, "health", (handlers) =>
        handlers.handle("health", () => Effect.succeed("ok"))
      )
      const ask = yield* start(twoMounts(() => provide(HttpApiBuilder.layer(Health), Live)))
      assert.deepStrictEqual(yield* answers(ask, "/a/health"), forEveryone)
      assert.deepStrictEqual(yield* answers(ask, "/b/health"), forEveryone)
    })
  )

  // Effect builds a layer once, so the routes may be missing at the second place.
  it.effect("a shared layer of routes has the verifier of each place where it appears", () =>
    Effect.gen(function* () {
      const routes = provide(List(), auth.require("read").route.layer)
      const ask = yield* start(twoMounts(() => routes))
      assert.deepStrictEqual(yield* answers(ask, "/a/list"), onlyForA)
      const second = yield* answers(ask, "/b/list")
      assert.deepStrictEqual(second, second.includes(404) ? [404, 404, 404, 404] : onlyForB)
    })
  )

  it.effect("a shared group has one more requirement at one place", () =>
    Effect.gen(function* () {
      const withWrite = auth.require("write").route.layer
      const readOnly = provide(auth.layer(fromContext), new Verifier({ a: ["read"] }).layer)
      for (const [first, second] of [
        [provide(api(Users, Opened), withWrite), api(Users, Opened)],
        [api(Users, Opened), provide(api(Users, Opened), withWrite)]
      ] as const) {
        const ask = yield* start(Layer.mergeAll(mount("/a", first, readOnly), mount("/b", second, readOnly)))
        const isFirst = (yield* ask("/a/list", "a")) === 401
        assert.strictEqual(yield* ask(isFirst ? "/b/list" : "/a/list", "a"), 200)
        assert.strictEqual(yield* ask(isFirst ? "/a/list" : "/b/list", "a"), 401)
      }
    })
  )

  const requirement = auth.require("read").route.layer
  const flagged: Readonly<Record<string, App>> = {
    "a flag that is read in the build leaves out routes": provide(
      Layer.unwrap(Effect.succeed(Layer.empty)),
      requirement
    ),
    "a condition leaves out routes": provide(Layer.empty, requirement),
    "a flag leaves out an api, and its handlers are built": provide(provide(Layer.empty, Users, Opened), requirement)
  }
  for (const [name, routes] of Object.entries(flagged)) {
    it.effect(`${name} inside a requirement`, () =>
      Effect.gen(function* () {
        const app = Layer.mergeAll(provide(List(), requirement), routes)
        const ask = yield* start(provide(app, accepting("a")))
        assert.deepStrictEqual(yield* answers(ask, "/list"), onlyForA)
        assert.isUndefined(yield* refusal(provide(secured(app), accepting("a"))))
        assert.isUndefined(yield* refusal(provide(routes, accepting("a"))))
      })
    )
  }

  it.effect("handlers are provided outside of a requirement that is around the routes", () =>
    Effect.gen(function* () {
      const routes = provide(HttpApiBuilder.layer(Api), auth.require("write").route.layer)
      const ask = yield* start(provide(provide(routes, Users, Opened), accepting("a")))
      assert.deepStrictEqual(yield* answers(ask, "/list"), onlyForA)
    })
  )

  it.effect("a requirement that is provided to handlers with provideMerge is around the routes", () =>
    Effect.gen(function* () {
      const handlers = Layer.provideMerge(erase(Layer.mergeAll(Users, Opened)), auth.require("write").route.layer)
      const ask = yield* start(provide(provide(HttpApiBuilder.layer(Api), handlers), accepting("a")))
      assert.deepStrictEqual(yield* answers(ask, "/list"), onlyForA)
      assert.deepStrictEqual(yield* answers(ask, "/open"), onlyForA, "the requirement is around Public, too")
    })
  )
})

/** Caches the first response, and responds with it to every later request. */
const keeping = () => {
  let kept: HttpServerResponse.HttpServerResponse | undefined
  return <E, R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
    Effect.suspend(() =>
      kept === undefined
        ? Effect.tap(handler, (response) =>
            Effect.sync(() => {
              if (response.status === 200) kept = response
            })
          )
        : Effect.succeed(kept)
    )
}

const keep = () => HttpRouter.middleware(keeping() as any)

/** Returns `true` if an app serves a cached response to a request without a token. */
const leaks = Effect.fnUntraced(function* (app: App) {
  const ask = yield* start(provide(app, accepting("a")))
  assert.strictEqual(yield* ask("/list"), 401)
  assert.strictEqual(yield* ask("/list", "a"), 200)
  return (yield* ask("/list")) !== 401
})

describe("a middleware that HttpRouter would apply outside of a requirement", () => {
  const { route } = auth.require("read")
  const wrong: Readonly<Record<string, () => App>> = {
    "is combined inside": () => provide(provide(List(), plain().combine(keep()).layer), route.layer),
    "is combined inside, around merged routes": () =>
      provide(Layer.mergeAll(provide(List(), plain().combine(keep()).layer)), route.layer),
    "is combined inside a list": () => provide(List(), route.layer, plain().combine(keep()).layer),
    "is combined inside, and the requirement is in a shorter chain": () =>
      provide(provide(List(), plain().combine(plain()).combine(keep()).layer), plain().combine(route).layer),
    "is in a nested chain with the requirement": () =>
      provide(List(), plain().combine(plain().combine(keep())).combine(route).layer),
    "is combined inside a server that the requirement is around": () => {
      const routes = provide(List(), plain().combine(keep()).layer)
      return provide(Layer.effectDiscard(start(provide(routes, accepting("a")))), route.layer)
    }
  }

  for (const [name, app] of Object.entries(wrong)) {
    for (const isSealed of [false, true]) {
      // The server has its own router, so OAuth2.secured around the server sees no route.
      if (isSealed && name.includes("server")) continue
      it.effect(`stops the start if it ${name}${isSealed ? ", under OAuth2.secured" : ""}`, () =>
        Effect.gen(function* () {
          const message = yield* refusal(provide(isSealed ? secured(app()) : app(), accepting("a")))
          assert.match(message ?? "the app starts", /combine/)
          assert.match(message ?? "the app starts", /outside/i)
        })
      )
    }
  }

  const right: Readonly<Record<string, () => App>> = {
    "is not combined": () => provide(provide(List(), keep().layer), route.layer),
    "is combined with the requirement last": () => provide(List(), plain().combine(keep()).combine(route).layer),
    "is combined inside a chain of the same length": () =>
      provide(provide(List(), plain().combine(keep()).layer), plain().combine(route).layer),
    "is in a list": () => provide(List(), route.layer, keep().layer),
    "is in Layer.mergeAll": () => provide(List(), Layer.mergeAll(route.layer, erase(keep().layer)))
  }
  for (const [name, app] of Object.entries(right)) {
    it.effect(`stays inside if it ${name}`, () =>
      Effect.gen(function* () {
        assert.isFalse(yield* leaks(app()))
      })
    )
  }

  it.effect("stays outside if it is declared outside", () =>
    Effect.gen(function* () {
      assert.isTrue(yield* leaks(provide(provide(List(), route.layer), plain().combine(keep()).layer)))
    })
  )
})

describe("one requirement at two places of an HttpApi guards at both", () => {
  class Keep extends HttpApiMiddleware.Service<Keep>()("test/Keep") {}
  const signedIn = auth.require("read")
  const group = HttpApiGroup.make("users")

  const apis = {
    "the endpoint and the api, with a middleware of the group between": HttpApi.make("api")
      .add(group.add(get("list").middleware(signedIn)).middleware(Keep))
      .middleware(signedIn),
    "the group and the api, with a middleware of the group between": HttpApi.make("api")
      .add(group.add(get("list")).middleware(signedIn).middleware(Keep))
      .middleware(signedIn),
    "the endpoint and the group, with a middleware of the endpoint between": HttpApi.make("api").add(
      group.add(get("list").middleware(signedIn).middleware(Keep)).middleware(signedIn)
    ),
    "all levels, with a middleware of the api between": HttpApi.make("api")
      .add(group.add(get("list").middleware(signedIn)).middleware(signedIn))
      .middleware(Keep)
      .middleware(signedIn)
  }

  for (const [name, Twice] of Object.entries(apis)) {
    for (const isSealed of [false, true]) {
      it.effect(`${name}${isSealed ? ", under OAuth2.secured" : ""}`, () =>
        Effect.gen(function* () {
          const Sealed = isSealed ? OAuth2.secured(Twice as any) : Twice
          const handlers = HttpApiBuilder.group(Sealed, "users", ((handlers: any) =>
            handlers.handle("list", () => Effect.succeed("secret"))) as any)
          const routes = provide(HttpApiBuilder.layer(Sealed), handlers)
          const app = provide(isSealed ? secured(routes) : routes, Layer.succeed(Keep, keeping()))
          assert.isFalse(yield* leaks(app))
        })
      )
    }
  }
})

describe("a requirement that is not around the routes", () => {
  const write = auth.require("write")
  const combined = plain().combine(write.route)
  const misplaced: Readonly<Record<string, () => App>> = {
    "is provided to handlers": () => api(provide(Users, write.route.layer), Opened),
    "is provided to merged handlers": () => api(provide(Layer.mergeAll(Users, Opened), write.route.layer)),
    "is combined, and provided to handlers": () => api(provide(Users, combined.layer), Opened),
    "is provided to handlers of a Public endpoint": () => api(Users, provide(Opened, write.route.layer)),
    "is provided to a middleware": () =>
      provide(provide(List(), provide(plain().layer, write.route.layer)), auth.require("read").route.layer),
    "is provided to a middleware of routes without a requirement": () =>
      provide(List(), provide(plain().layer, write.route.layer)),
    "is provided to another requirement": () =>
      provide(List(), provide(auth.require("read").route.layer, write.route.layer)),
    "is around another app": () => {
      const other = provide(List(), write.route.layer)
      return Layer.mergeAll(other, provide(api(provide(Users, write.route.layer), Opened), under("/other")))
    }
  }

  for (const [name, app] of Object.entries(misplaced)) {
    it.effect(`stops the start if it ${name}`, () =>
      Effect.gen(function* () {
        const message = (yield* refusal(provide(app(), accepting("a")))) ?? "the app starts"
        assert.match(message, /\bUsers\b/)
        assert.match(message, /\bwrite\b/)
      })
    )
  }

  it.effect("is right if it is around the routes, too", () =>
    Effect.gen(function* () {
      const routes = provide(api(provide(Users, write.route.layer), Opened), write.route.layer)
      const ask = yield* start(provide(routes, accepting("a")))
      assert.deepStrictEqual(yield* answers(ask, "/list"), onlyForA)
    })
  )
})
