/**
 * Expectations of this library about internals of Effect. Read these tests first if a new release of Effect fails. Each
 * module of `src/core/effect` has its tests here, in `addInPlace.test.ts`, or in `node.test.ts`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, References, Schema, Tracer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema
} from "effect/http-api"
import { extendEndpointMiddleware } from "../../../src/core/effect/endpointMiddleware.ts"
import { encodingOf, statusOf } from "../../../src/core/effect/errorSchema.ts"
import { extendMemoization } from "../../../src/core/effect/layerMemoization.ts"
import type { MiddlewareTypes } from "../../../src/core/effect/middlewareTypes.ts"
import { isDebugged, isObserved, isTraced } from "../../../src/core/effect/observed.ts"
import { appliedOrder, declaredOrder, groupsIn, middlewareIn, stacksIn } from "../../../src/core/effect/routeContext.ts"

/** Runs `use`, and then restores the method of the prototype that `use` replaced. */
const restoring = <A, E, R>(value: object, name: string, use: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => Object.getOwnPropertyDescriptor(Object.getPrototypeOf(value), name)!),
    () => use,
    (before) => Effect.sync(() => Object.defineProperty(Object.getPrototypeOf(value), name, before))
  )

describe("errorSchema", () => {
  it("reads the status and the encoding that an HttpApi uses for an error", () => {
    const plain = Schema.Struct({ why: Schema.String })
    assert.deepStrictEqual(
      [statusOf(plain), encodingOf(plain)],
      [500, { _tag: "Json", contentType: "application/json" }]
    )
    assert.strictEqual(statusOf(plain.pipe(HttpApiSchema.status(409))), 409)
    const text = Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/csv" }))
    assert.deepStrictEqual(encodingOf(text), { _tag: "Text", contentType: "text/csv" })
    assert.strictEqual(encodingOf(HttpApiSchema.Empty(402)), undefined)
    assert.strictEqual(statusOf(HttpApiSchema.Empty(402)), 402)
  })
})

describe("extendMemoization", () => {
  class Place extends Context.Service<Place, { readonly name: string }>()("test/Place") {}
  class Thing extends Context.Service<Thing, { readonly of: string; readonly given: number }>()("test/Thing") {}

  const extended = restoring(
    Layer.makeMemoMapUnsafe(),
    "getOrElseMemoize",
    Effect.gen(function* () {
      let built = 0
      extendMemoization<Place["Service"]>({
        building: (build) => build,
        placeOf: (services, context) =>
          Context.getOrUndefined(services, Thing) && Context.getOrUndefined(context, Place),
        difference: (place, context) => {
          const here = Context.getUnsafe(context, Place)
          return here === place ? undefined : [here]
        },
        provided: (services) => Context.add(services, Thing, { ...Context.getUnsafe(services, Thing), given: 1 })
      })
      const thing = Layer.effect(
        Thing,
        Effect.map(Place, ({ name }) => {
          built++
          return { of: name, given: 0 }
        })
      )
      const found: Array<string> = []
      const use = Layer.effectDiscard(Effect.map(Thing, ({ given, of }) => found.push(`${of}${given}`)))
      const [a, b] = [{ name: "a" }, { name: "b" }]
      const at = (place: { readonly name: string }) =>
        Layer.fresh(use).pipe(Layer.provide(thing), Layer.provide(Layer.succeed(Place, place)))
      yield* Effect.scoped(Layer.build(Layer.mergeAll(at(a), at(b), at(a), at(b))))
      // A fork of a memo map reuses the layers of its parent.
      yield* Effect.scoped(
        Layer.build(
          Layer.mergeAll(
            at(a),
            Layer.effectDiscard(
              Effect.flatMap(Effect.context<never>(), (context) => Effect.provide(Layer.build(at(b)), context))
            )
          )
        )
      )
      return { built, found }
    })
  )

  it.effect("builds a layer once for each place, with other services at each place", () =>
    Effect.gen(function* () {
      const { built, found } = yield* extended
      assert.deepStrictEqual(found.toSorted(), ["a1", "a1", "a1", "b1", "b1", "b1"])
      assert.strictEqual(built, 4)
    })
  )

  it("replaces a method that all memo maps share", () => {
    const map = Layer.makeMemoMapUnsafe()
    assert.isFalse(Object.hasOwn(map, "getOrElseMemoize"))
    assert.strictEqual(Object.getPrototypeOf(map), Object.getPrototypeOf(Layer.forkMemoMapUnsafe(map)))
  })
})

describe("extendEndpointMiddleware", () => {
  class First extends HttpApiMiddleware.Service<First>()("test/First") {}
  class Second extends HttpApiMiddleware.Service<Second>()("test/Second") {}
  class Copy extends HttpApiMiddleware.Service<Copy>()("test/Copy") {}
  const endpoint = HttpApiEndpoint.get("get", "/")

  it("is needed, because an endpoint keeps a repeated key at its inner place only", () => {
    const api = HttpApi.make("api")
      .add(HttpApiGroup.make("group").add(endpoint.middleware(First)).middleware(Second))
      .middleware(First)
    assert.deepStrictEqual(Array.from(api.groups.group.endpoints.get.middlewares), [First, Second])
  })

  it.effect("adds a copy of a key at the second place, also through a group and an api", () =>
    restoring(
      endpoint,
      "middleware",
      Effect.sync(() => {
        extendEndpointMiddleware((key) => ((key as unknown) === First ? Copy : undefined))
        const api = HttpApi.make("api")
          .add(HttpApiGroup.make("group").add(endpoint.middleware(First)).middleware(Second).middleware(Second))
          .middleware(First)
        assert.deepStrictEqual(Array.from(api.groups.group.endpoints.get.middlewares) as ReadonlyArray<unknown>, [
          First,
          Second,
          Copy
        ])
      })
    )
  )
})

describe("the context in which routes are added", () => {
  const ran: Array<string> = []
  const named = (name: string) => {
    const apply = (handler: Effect.Effect<HttpServerResponse.HttpServerResponse, any, any>) =>
      Effect.suspend(() => {
        ran.push(name)
        return handler
      })
    return HttpRouter.middleware(Object.defineProperty(apply, "name", { value: name })) as any
  }

  /** Records in `ran` the order in which middleware runs, and returns the context of the routes. */
  const observe = (around: (routes: any) => any) =>
    Effect.gen(function* () {
      let context: Context.Context<never> = Context.empty()
      const routes = Layer.effectDiscard(
        Effect.gen(function* () {
          context = yield* Effect.context<never>()
          yield* (yield* HttpRouter.HttpRouter).add("GET", "/", HttpServerResponse.empty())
        })
      )
      const { dispose, handler } = HttpRouter.toWebHandler(around(routes), { disableLogger: true })
      ran.length = 0
      yield* Effect.promise(() => handler(new Request("http://localhost/")))
      yield* Effect.promise(dispose)
      return context
    })

  const [a, b, c, d] = ["a", "b", "c", "d"].map(named)
  const ways: Record<string, (routes: any) => any> = {
    alone: (routes) => routes.pipe(Layer.provide(a.layer), Layer.provide(b.layer)),
    listed: (routes) => Layer.provide(routes, [a.layer, b.layer]),
    merged: (routes) => Layer.provide(routes, Layer.mergeAll(a.layer, b.layer)),
    combined: (routes) => Layer.provide(routes, a.combine(b).combine(c).layer),
    "combined, nested inside another": (routes) =>
      routes.pipe(Layer.provide(a.combine(b).layer), Layer.provide(c.layer), Layer.provide(d.layer)),
    "combined twice": (routes) => routes.pipe(Layer.provide(a.combine(b).layer), Layer.provide(c.combine(d).layer)),
    "one twice": (routes) => routes.pipe(Layer.provide(a.layer), Layer.provide(b.layer), Layer.provide(a.layer)),
    "one alone and combined": (routes) => routes.pipe(Layer.provide(a.combine(b).layer), Layer.provide(b.layer))
  }

  for (const [way, around] of Object.entries(ways)) {
    it.effect(`contains the order in which middleware runs: ${way}`, () =>
      Effect.gen(function* () {
        const stacks = stacksIn(yield* observe(around))
        assert.deepStrictEqual(
          appliedOrder(stacks).map(({ name }) => name),
          ran
        )
      })
    )
  }

  it.effect("contains the declared order, from which only combined middleware deviates", () =>
    Effect.gen(function* () {
      const orders: Record<string, string> = {
        alone: "ba",
        combined: "cba",
        "combined, nested inside another": "dcba",
        "combined twice": "dcba",
        "one twice": "ab"
      }
      for (const [way, order] of Object.entries(orders)) {
        const stacks = stacksIn(yield* observe(ways[way]!))
        assert.strictEqual(
          declaredOrder(stacks)
            .map(({ name }) => name)
            .join(""),
          order,
          way
        )
      }
    })
  )

  it.effect("is the context of the fiber that applies middleware: once for each route, innermost first", () =>
    Effect.gen(function* () {
      const applied: Array<string> = []
      const noting = (name: string) =>
        HttpRouter.middleware((handler) => {
          applied.push(`${name}${stacksIn(Fiber.getCurrent()?.context ?? Context.empty()).length}`)
          return handler
        })
      let added = ""
      const routes = Layer.effectDiscard(
        Effect.gen(function* () {
          const router = yield* HttpRouter.HttpRouter
          const context = yield* Effect.context<never>()
          Effect.runSyncWith(context)(router.add("GET", "/", HttpServerResponse.empty()))
          added = applied.join()
        })
      )
      const { dispose, handler } = HttpRouter.toWebHandler(
        routes.pipe(Layer.provide(noting("inner").layer), Layer.provide(noting("outer").layer)),
        { disableLogger: true }
      )
      for (const _ of [1, 2]) yield* Effect.promise(() => handler(new Request("http://localhost/")))
      yield* Effect.promise(dispose)
      assert.strictEqual(added, "inner2,outer2")
      assert.strictEqual(applied.join(), added)
    })
  )

  it.effect("contains the function of a middleware that is not in a stack yet", () =>
    Effect.gen(function* () {
      const context = yield* Effect.scoped(Layer.build(a.layerFn as Layer.Layer<never>))
      assert.deepStrictEqual(
        middlewareIn(context).map(({ name }) => name),
        ["a"]
      )
    })
  )

  it.effect("contains the routes of a group, and its handlers in the same order", () =>
    Effect.gen(function* () {
      const Api = HttpApi.make("api").add(
        HttpApiGroup.make("group").add(HttpApiEndpoint.get("one", "/one"), HttpApiEndpoint.get("two", "/two"))
      )
      const context = yield* Effect.scoped(
        Layer.build(
          HttpApiBuilder.group(Api, "group", (handlers) =>
            handlers.handle("two", () => Effect.void).handle("one", () => Effect.void)
          ) as unknown as Layer.Layer<never>
        )
      )
      const [group] = groupsIn(context)
      assert.deepStrictEqual(Array.from(group!.handlers.keys()), ["two", "one"])
      assert.deepStrictEqual(
        group!.routes.map((route) => (route as HttpRouter.Route<never, never>).path),
        ["/two", "/one"]
      )
    })
  )
})

describe("the identifier of a middleware", () => {
  const Errors = [Schema.String, Schema.Number] as const
  class Key extends Context.Service<
    MiddlewareTypes<"provided", "required", typeof Errors>,
    HttpApiMiddleware.HttpApiMiddleware<"provided", typeof Errors, "required">
  >()("test/Key") {}
  type Id = Context.Service.Identifier<typeof Key>

  it("contains the types that the middleware provides, requires and fails with", () => {
    const provides: "provided" extends HttpApiMiddleware.Provides<Id> ? true : never = true
    const requires: "required" extends HttpApiMiddleware.Requires<Id> ? true : never = true
    const fails: string | number extends HttpApiMiddleware.Error<Id> ? true : never = true
    const others: [
      HttpApiMiddleware.Provides<Id>,
      HttpApiMiddleware.Requires<Id>,
      HttpApiMiddleware.Error<Id>
    ] extends ["provided", "required", string | number]
      ? true
      : never = true
    const isIdentifier: Id extends HttpApiMiddleware.AnyId ? true : never = true
    assert.isTrue(provides && requires && fails && others && isIdentifier)
  })
})

describe("observation of a fiber", () => {
  const observe = Effect.withFiber((fiber) =>
    Effect.succeed({ debugged: isDebugged(fiber), observed: isObserved(fiber), traced: isTraced(fiber) })
  )
  const tracer = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })

  it("is off by default", () => {
    assert.deepStrictEqual(Effect.runSync(observe), { debugged: false, observed: false, traced: false })
  })

  it("includes spans if a tracer other than Effect's own is provided", () => {
    const traced = { debugged: false, observed: true, traced: true }
    assert.deepStrictEqual(Effect.runSync(Effect.withTracer(observe, tracer)), traced)
    assert.deepStrictEqual(Effect.runSync(Effect.withTracer(Effect.andThen(Effect.void, observe), tracer)), traced)
    assert.isFalse(Effect.runSync(Effect.withTracer(observe, Tracer.nativeTracer)).traced)
  })

  it("includes debug logs if the minimum level is Debug or lower", () => {
    for (const level of ["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"] as const) {
      const { debugged, observed } = Effect.runSync(Effect.provideService(observe, References.MinimumLogLevel, level))
      assert.strictEqual(debugged, ["All", "Trace", "Debug"].includes(level), level)
      assert.strictEqual(observed, debugged, level)
    }
  })
})
