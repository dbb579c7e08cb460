// The types of OAuth2.secured and OAuth2.Public: unprotected endpoints and routes do not compile.
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSecurity
} from "effect/http-api"
import { OAuth2 } from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { auth, type Guarded, fromContext } from "./support.ts"

const list = HttpApiEndpoint.get("list", "/items")
const create = HttpApiEndpoint.post("create", "/items")
const health = HttpApiEndpoint.get("health", "/health")
const required = auth.require("items:read")
const open = OAuth2.Public("the load balancer has no credentials")
const items = HttpApiGroup.make("items")

describe("OAuth2.Public", () => {
  test("requires a reason", () => {
    // @ts-expect-error Expected 1 arguments, but got 0.
    OAuth2.Public()
    expect(open.reason).type.toBe<string>()
  })

  test("proves nothing to a handler", () => {
    expect<HttpApiMiddleware.Provides<OAuth2.PublicEndpoint>>().type.toBe<never>()
    const route = HttpRouter.add("GET", "/", Effect.as(auth.granted("me"), HttpServerResponse.empty()))
    // @ts-expect-error A handler needs the scope `me` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    route.pipe(open, OAuth2.secured)
  })
})

describe("OAuth2.secured accepts an api", () => {
  test("if every endpoint has a requirement or is Public", () => {
    const Api = HttpApi.make("api").add(items.add(list, create).middleware(required).add(health.middleware(open)))
    expect(OAuth2.secured(Api)).type.toBe<typeof Api>()
    expect(Api.pipe(OAuth2.secured)).type.toBe<typeof Api>()
  })

  test("whose requirement is on the endpoint, the group or the api", () => {
    OAuth2.secured(HttpApi.make("api").add(items.add(list.middleware(required))))
    OAuth2.secured(HttpApi.make("api").add(items.add(list).middleware(required)))
    OAuth2.secured(HttpApi.make("api").add(items.add(list)).middleware(required))
    HttpApi.make("api").add(items.add(list).middleware(auth.optional())).pipe(OAuth2.secured)
    HttpApi.make("api").add(items.add(list)).middleware(open).pipe(OAuth2.secured)
  })

  test("that is declared as classes", () => {
    class Items extends items.add(list, create).middleware(required) {}
    class Api extends HttpApi.make("api").add(Items).pipe(OAuth2.secured) {}
    expect(OAuth2.secured(Api)).type.toBe<typeof Api>()
  })
})

describe("a public endpoint inside of a requirement does not compile, and the message names the endpoint", () => {
  test("if the requirement is on the group, the api or the endpoint", () => {
    const group = items.add(list, health.middleware(open)).middleware(required)
    // @ts-expect-error The endpoint `health` is Public, but a requirement around it protects it. Add the endpoint after .middleware(), or remove OAuth2.Public.
    OAuth2.secured(HttpApi.make("api").add(group))
    const Api = HttpApi.make("api").add(items.add(health.middleware(open)))
    // @ts-expect-error The endpoint `health` is Public, but a requirement around it protects it. Add the endpoint after .middleware(), or remove OAuth2.Public.
    Api.middleware(auth.optional()).pipe(OAuth2.secured)
    // @ts-expect-error The endpoint `health` is Public, but a requirement around it protects it. Add the endpoint after .middleware(), or remove OAuth2.Public.
    OAuth2.secured(HttpApi.make("api").add(items.add(health.middleware(open).middleware(required))))
    const between = health.middleware(required).middleware(open).middleware(auth.require("me"))
    // @ts-expect-error The endpoint `health` is Public, but a requirement around it protects it. Add the endpoint after .middleware(), or remove OAuth2.Public.
    OAuth2.secured(HttpApi.make("api").add(items.add(between)))
  })
})

describe("OAuth2.secured accepts Public outside a requirement", () => {
  test("on the endpoint, the group and the api", () => {
    OAuth2.secured(HttpApi.make("api").add(items.add(health.middleware(required).middleware(open))))
    OAuth2.secured(HttpApi.make("api").add(items.add(list.middleware(required), health).middleware(open)))
    OAuth2.secured(
      HttpApi.make("api")
        .add(items.add(list.middleware(auth.optional()), health))
        .middleware(open)
    )
  })

  test("and handlers of such an api need only the layer of the scheme", () => {
    const Api = HttpApi.make("api").add(items.add(list.middleware(required).middleware(open)))
    const Group = HttpApiBuilder.group(Api, "items", (handlers) => handlers.handle("list", () => Effect.void))
    const provided = Group.pipe(Layer.provide(auth.layerTest("anonymous")))
    expect<Layer.Services<typeof provided>>().type.toBe<never>()
  })
})

describe("OAuth2.secured and middleware of Effect's HttpApiSecurity", () => {
  class ApiKey extends HttpApiMiddleware.Service<ApiKey>()("test/ApiKey", {
    security: { key: HttpApiSecurity.apiKey({ in: "header", key: "x-api-key" }) }
  }) {}
  class Several extends HttpApiMiddleware.Service<Several, { provides: OAuth2.Seal<"x"> }>()("test/Several", {
    error: Schema.String,
    security: { bearer: HttpApiSecurity.bearer, basic: HttpApiSecurity.basic }
  }) {}

  test("accepts an endpoint that the middleware protects", () => {
    OAuth2.secured(HttpApi.make("api").add(items.add(list.middleware(ApiKey), create.middleware(Several))))
    OAuth2.secured(HttpApi.make("api").add(items.add(list)).middleware(Several))
    OAuth2.secured(
      HttpApi.make("api").add(items.add(list.middleware(ApiKey).middleware(required), create.middleware(required)))
    )
  })

  test("refuses an endpoint with middleware without credentials", () => {
    class Log extends HttpApiMiddleware.Service<Log>()("test/Log", { error: Schema.String }) {}
    // @ts-expect-error The endpoint `list` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    OAuth2.secured(HttpApi.make("api").add(items.add(list.middleware(Log))))
    // @ts-expect-error The endpoint `create` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    OAuth2.secured(HttpApi.make("api").add(items.add(list.middleware(ApiKey), create)))
  })
})

describe("an unprotected endpoint does not compile, and the message names the endpoint", () => {
  test("in a direct call", () => {
    const Api = HttpApi.make("api").add(items.add(list))
    // @ts-expect-error The endpoint `list` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    OAuth2.secured(Api)
  })

  test("in a pipe", () => {
    // @ts-expect-error The endpoint `list` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    HttpApi.make("api").add(items.add(list)).pipe(OAuth2.secured)
  })

  test("if it was added after .middleware()", () => {
    const Api = HttpApi.make("api").add(items.add(list).middleware(required).add(create))
    // @ts-expect-error The endpoint `create` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    OAuth2.secured(Api)
    // @ts-expect-error The endpoint `create` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    Api.pipe(OAuth2.secured)
  })

  test("if its group was added after .middleware()", () => {
    const Api = HttpApi.make("api").add(items.add(list)).middleware(required).add(HttpApiGroup.make("ops").add(health))
    // @ts-expect-error The endpoint `health` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    OAuth2.secured(Api)
    // @ts-expect-error The endpoint `health` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    Api.pipe(OAuth2.secured)
  })

  test("if it came with another api", () => {
    const Other = HttpApi.make("other").add(HttpApiGroup.make("ops").add(health))
    const Api = HttpApi.make("api").add(items.add(list)).middleware(required).addHttpApi(Other)
    // @ts-expect-error The endpoint `health` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    Api.pipe(OAuth2.secured)
  })

  test("if it has another middleware", () => {
    class Log extends HttpApiMiddleware.Service<Log>()("test/Log") {}
    const Api = HttpApi.make("api").add(items.add(list.middleware(Log)))
    // @ts-expect-error The endpoint `list` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    Api.pipe(OAuth2.secured)
  })

  test("if it is declared as classes", () => {
    class Items extends items.add(list) {}
    class Api extends HttpApi.make("api").add(Items) {}
    // @ts-expect-error The endpoint `list` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    OAuth2.secured(Api)
  })

  test("if there are several, and the message names one", () => {
    const Api = HttpApi.make("api").add(items.add(list, create))
    // @ts-expect-error The endpoint `...` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    OAuth2.secured(Api)
    // @ts-expect-error The endpoint `...` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    Api.pipe(OAuth2.secured)
  })
})

describe("OAuth2.secured and a route", () => {
  const route = OAuth2.route("GET", "/items", Effect.succeed(HttpServerResponse.empty()))

  test("compile if a requirement or Public wraps the route", () => {
    expect(route.pipe(required, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(OAuth2.secured(Layer.provide(route, required.route.layer))).type.toBeAssignableTo<Guarded>()
    expect(route.pipe(required, open, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(route.pipe(open, OAuth2.secured)).type.toBe<Layer.Layer<never, never, HttpRouter.HttpRouter>>()
    const optional = auth.optional()
    expect(route.pipe(optional, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
  })

  test("do not compile otherwise, and the message names the route", () => {
    // @ts-expect-error The route `GET /items` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    OAuth2.secured(route)
    // @ts-expect-error The route `GET /items` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    route.pipe(OAuth2.secured)
    // @ts-expect-error The route `GET /items` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    route.pipe(Layer.provide(auth.layer(fromContext)), OAuth2.secured)
    const health = OAuth2.route("GET", "/health", Effect.succeed(HttpServerResponse.empty()))
    // @ts-expect-error The route `GET /health` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.
    route.pipe(required, Layer.merge(health), OAuth2.secured)
  })

  test("keep the unprotected route in the services of HttpRouter.serve without OAuth2.secured", () => {
    expect(route).type.not.toBeAssignableTo<Layer.Layer<never, never, HttpRouter.HttpRouter>>()
    const served = HttpRouter.serve(route)
    expect<Extract<Layer.Services<typeof served>, OAuth2.Seal<"GET /items">>>().type.toBe<
      OAuth2.Missing<"The route `GET /items` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public."> &
        OAuth2.Seal<"GET /items">
    >()
  })

  test("keep the scopes that the handler needs", () => {
    const granted = OAuth2.route("GET", "/", Effect.as(auth.granted("me"), HttpServerResponse.empty()))
    // @ts-expect-error A handler needs the scope `me` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    granted.pipe(required, OAuth2.secured, OAuth2.secured)
    expect(granted.pipe(auth.require("me"), OAuth2.secured, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
  })
})
