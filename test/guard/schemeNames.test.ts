/** An app with two different schemes of one name does not start. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Scope } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { BearerToken, OAuth2 } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { serve } from "../support/web.ts"

const make = () => OAuth2.authorizationCode("Twin", { ...authorizationServer, scopes: { a: "" } })
const [one, two] = [make(), make()]
const [layerOne, layerTwo] = [one.layerTest({ scopes: ["a"] }), two.layerTest({ scopes: ["a"] })]

type App = Layer.Layer<never, any, any>

const message = /^Two different schemes of one app are named "Twin"\./

/** Returns the message of the defect that stops an app at start-up. Returns `undefined` if the app starts. */
const refusal = (app: App): Effect.Effect<string | undefined> =>
  Effect.map(
    Effect.exit(Effect.scoped(HttpRouter.toHttpEffect(app) as Effect.Effect<unknown, never, Scope.Scope>)),
    (exit) => {
      if (Exit.isSuccess(exit)) return
      const defect = Cause.squash(exit.cause)
      assert.instanceOf(defect, TypeError)
      return defect.message
    }
  )

const route = (path: HttpRouter.PathInput) => HttpRouter.add("GET", path, HttpServerResponse.text("in"))
const endpoint = (name: string) => HttpApiEndpoint.get(name, `/${name}`)

// The types of the groups differ, and the tests use only the values.
const apiOf = (...groups: ReadonlyArray<unknown>) => HttpApi.make("api").add(...(groups as [HttpApiGroup.Top]))

/** Serves an api whose groups are built inside the given layers. */
const served = (api: HttpApi.Top, layers: Readonly<Record<string, Layer.Layer<any, never, never>>>): App => {
  const groups = Object.entries(layers).map(([name, layer]) =>
    HttpApiBuilder.group(
      api as never,
      name as never,
      ((handlers: any) => handlers.handle(name, () => Effect.void)) as never
    ).pipe(Layer.provide(layer))
  )
  return HttpApiBuilder.layer(api as never).pipe(
    Layer.provide(groups as never),
    Layer.provide(HttpServer.layerServices)
  ) as App
}

const group = (name: string, requirement: OAuth2.SecurityRequirement<"Twin", any>) =>
  HttpApiGroup.make(name).add(endpoint(name).middleware(requirement))

const prefixed = (prefix: string) =>
  Layer.provide(
    Layer.effect(
      HttpRouter.HttpRouter,
      Effect.map(HttpRouter.HttpRouter, (router) => router.prefixed(prefix))
    )
  )

const cases: Readonly<Record<string, App>> = {
  "on routes, each with its layer": Layer.mergeAll(
    route("/1").pipe(one.require("a"), Layer.provide(layerOne)),
    route("/2").pipe(two.require("a"), Layer.provide(layerTwo))
  ),
  "on routes with different prefixes": Layer.mergeAll(
    route("/1").pipe(one.require("a"), Layer.provide(layerOne), prefixed("/one")),
    route("/2").pipe(two.require("a"), Layer.provide(layerTwo), prefixed("/two"))
  ),
  "on routes of OAuth2.secured": Layer.mergeAll(
    route("/1").pipe(one.require("a"), Layer.provide(layerOne), OAuth2.secured),
    route("/2").pipe(two.require("a"), Layer.provide(layerTwo), OAuth2.secured)
  ),
  "on one route": route("/").pipe(two.require("a"), Layer.provide(layerTwo), one.require("a"), Layer.provide(layerOne)),
  "on a route with the layer of the other": route("/").pipe(one.require("a"), Layer.provide(layerTwo as never)),
  "on a route with two layers": route("/").pipe(one.optional("a"), Layer.provide([layerOne, layerTwo])),
  "on the groups of an api, each with its layer": served(apiOf(group("x", one.require()), group("y", two.require())), {
    x: layerOne,
    y: layerTwo
  }),
  "on an endpoint with the layer of the other": served(apiOf(group("x", one.require())), { x: layerTwo }),
  "on one endpoint": served(
    apiOf(HttpApiGroup.make("x").add(endpoint("x").middleware(one.require()).middleware(two.require()))),
    { x: layerOne }
  ),
  "on a route and an endpoint": Layer.mergeAll(
    route("/1").pipe(one.require("a"), Layer.provide(layerOne)),
    served(apiOf(group("x", two.require())), { x: layerTwo })
  )
}

describe("two different schemes of one name", () => {
  for (const [where, app] of Object.entries(cases)) {
    it.effect(`stop the program at start-up ${where}`, () =>
      Effect.map(refusal(app), (found) => {
        assert.match(found ?? "The app has started.", message)
      })
    )
  }

  it.effect("stop the program at start-up if handlers of an api are built before its router", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const api = apiOf(group("x", one.require()), group("y", two.require()))
        const handlers = (name: string, layer: Layer.Layer<any, never, never>) =>
          HttpApiBuilder.group(
            api as never,
            name as never,
            ((handlers: any) => handlers.handle(name, () => Effect.void)) as never
          ).pipe(Layer.provide(layer))
        const built = yield* Layer.build(
          Layer.merge(handlers("x", layerOne), handlers("y", layerTwo)).pipe(Layer.provide(HttpServer.layerServices))
        )
        const app = HttpApiBuilder.layer(api as never).pipe(
          Layer.provide(Layer.succeedContext(built)),
          Layer.provide(HttpServer.layerServices)
        ) as App
        assert.match((yield* refusal(app)) ?? "The app has started.", message)
      })
    )
  )

  it("throw in OAuth2.either, in OAuth2.secured of an api, and in a document", () => {
    const either = OAuth2.either as (...of: ReadonlyArray<unknown>) => unknown
    assert.throws(() => either(one.require(), two.require()), TypeError, message)
    const api = apiOf(group("x", one.require()), group("y", two.require()))
    assert.throws(() => OAuth2.secured(api as never), TypeError, message)
    assert.throws(() => OAuth2.openApi(api as never), TypeError, `"Twin"`)
  })

  it.effect("do not authorize for each other without routes", () =>
    Effect.gen(function* () {
      for (const program of [one.authorize, Effect.void.pipe(one.prove()), one.authorizeOption]) {
        const exit = yield* Effect.exit(
          Effect.provide(program as Effect.Effect<unknown>, [BearerToken.layerTest("token"), layerTwo])
        )
        assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), '"Twin"')
        assert.isTrue(Exit.isFailure(exit) && exit.cause.reasons.every(({ _tag }) => _tag === "Die"))
      }
    })
  )

  it.effect("may be in two apps of one process", () =>
    Effect.gen(function* () {
      const [first, second] = [
        yield* serve(route("/").pipe(one.require("a"), Layer.provide(layerOne))),
        yield* serve(route("/").pipe(two.require("a"), Layer.provide(layerTwo)))
      ]
      assert.deepStrictEqual([(yield* first("/")).status, (yield* second("/")).status], [200, 200])
    })
  )

  it.effect("are not one scheme that an app uses several times", () =>
    Effect.gen(function* () {
      const app = Layer.mergeAll(
        route("/1").pipe(one.require("a"), Layer.provide(layerOne)),
        route("/2").pipe(one.require(), one.optional("a"), Layer.provide(one.layerTest("anonymous"))),
        served(apiOf(group("x", one.require()), group("y", OAuth2.either(one.require("a"), one.require()))), {
          x: layerOne,
          y: layerOne
        })
      )
      assert.isUndefined(yield* refusal(app))
    })
  )

  it.effect("are not recognized by an object that looks like a layer's service", () =>
    Effect.gen(function* () {
      const stub = Context.makeUnsafe(new Map([["effect-oauth2/OAuth2/Twin", { scheme: two }]]))
      const app = route("/").pipe(one.require("a"), Layer.provide(Layer.succeedContext(stub)))
      assert.isUndefined(yield* refusal(app))
    })
  )
})
