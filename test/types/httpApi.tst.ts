// The types of grants in an HttpApi: what handlers need, and which requirements prove it.
import { Context, Effect, Layer, Schema } from "effect"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClient } from "effect/http/HttpClient"
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { AccessToken, OAuth2, OptionalAccessToken, Requirement, type SecurityError } from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { auth, type Grant } from "./support.ts"

const write = Effect.asVoid(auth.granted("items:write"))

const remove = HttpApiEndpoint.delete("remove", "/items")
const api = <Group extends HttpApiGroup.Constraint>(group: Group) => HttpApi.make("api").add(group)
const open = api(HttpApiGroup.make("items").add(remove))

type ServicesOf<T> = Layer.Services<T extends Layer.Layer<never, never, unknown> ? T : never>

describe("a requirement proves a grant", () => {
  test("on the endpoint", () => {
    const Api = api(HttpApiGroup.make("items").add(remove.middleware(auth.require("items:write"))))
    const Items = HttpApiBuilder.group(Api, "items", (h) => h.handle("remove", () => write)).pipe(OAuth2.secured)
    expect(Layer.provide(Items, auth.layerTest({}))).type.toBe<Layer.Layer<HttpApiGroup.Service<"api", "items">>>()
  })

  test("on the group", () => {
    const Api = api(HttpApiGroup.make("items").add(remove).middleware(auth.require("items:write")))
    const Items = OAuth2.secured(HttpApiBuilder.group(Api, "items", (h) => h.handle("remove", () => write)))
    expect(Layer.provide(Items, auth.layerTest({}))).type.toBe<Layer.Layer<HttpApiGroup.Service<"api", "items">>>()
  })

  test("on the api", () => {
    const Api = open.middleware(auth.require("items:write"))
    const Items = HttpApiBuilder.group(Api, "items", (h) => OAuth2.secured(h.handle("remove", () => write)))
    expect(Layer.provide(Items, auth.layerTest({}))).type.toBe<Layer.Layer<HttpApiGroup.Service<"api", "items">>>()
  })

  test("together with the requirements of group and api", () => {
    const Api = api(
      HttpApiGroup.make("items")
        .add(remove.middleware(auth.require("items:write")))
        .middleware(auth.require("items:read"))
    ).middleware(auth.require("me"))
    const all = Effect.asVoid(auth.granted("items:read", "items:write", "me"))
    const Items = HttpApiBuilder.group(Api, "items", (h) => h.handleAll({ remove: () => all }).pipe(OAuth2.secured))
    expect(Layer.provide(Items, auth.layerTest({}))).type.toBe<Layer.Layer<HttpApiGroup.Service<"api", "items">>>()
  })
})

describe("a grant that no requirement proves does not compile", () => {
  const Read = api(HttpApiGroup.make("items").add(remove).middleware(auth.require("items:read")))

  test("in a layer of handlers", () => {
    const Items = HttpApiBuilder.group(open, "items", (h) => h.handle("remove", () => write))
    expect<ServicesOf<typeof Items>>().type.not.toBe<never>()
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(Items)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    Items.pipe(OAuth2.secured)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    HttpApiBuilder.group(open, "items", (h) => h.handle("remove", () => write)).pipe(OAuth2.secured)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    HttpApiBuilder.group(Read, "items", (h) => h.handle("remove", () => write)).pipe(OAuth2.secured)
  })

  test("in the handlers of one group", () => {
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    HttpApiBuilder.group(Read, "items", (h) => OAuth2.secured(h.handle("remove", () => write)))
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    HttpApiBuilder.group(Read, "items", (h) => h.handle("remove", () => write).pipe(OAuth2.secured))
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    HttpApiBuilder.group(Read, "items", (h) => h.handleAll({ remove: () => write }).pipe(OAuth2.secured))
  })

  test("in handlers that are built by an effect", () => {
    const Items = HttpApiBuilder.group(
      Read,
      "items",
      Effect.fn(function* (h) {
        yield* Effect.void
        return h.handle("remove", () => write)
      })
    )
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    Items.pipe(OAuth2.secured)
  })

  test("in a service that a handler calls", () => {
    class Items extends Context.Service<Items, { readonly clear: Effect.Effect<void, never, Grant<"items:write">> }>()(
      "test/Items"
    ) {}
    class Shop extends Context.Service<Shop, { readonly close: Effect.Effect<void, never, Grant<"items:write">> }>()(
      "test/Shop"
    ) {
      static readonly layer = Layer.effect(
        Shop,
        Effect.map(Items, (items) => ({ close: items.clear }))
      )
    }
    const close = Effect.flatMap(Shop, (shop) => shop.close)
    const Handlers = HttpApiBuilder.group(Read, "items", (h) => h.handle("remove", () => close)).pipe(
      Layer.provide(Shop.layer)
    )
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    Handlers.pipe(OAuth2.secured)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(Handlers)
  })

  test("if another endpoint of the group has the requirement", () => {
    const Api = api(
      HttpApiGroup.make("items").add(
        remove,
        HttpApiEndpoint.delete("clear", "/all").middleware(auth.require("items:write"))
      )
    )
    HttpApiBuilder.group(Api, "items", (h) =>
      // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
      h.handleAll({ remove: () => write, clear: () => write }).pipe(OAuth2.secured)
    )
    HttpApiBuilder.group(Api, "items", (h) =>
      h.handleAll({ remove: () => Effect.void, clear: () => write }).pipe(OAuth2.secured)
    )
  })

  test("if the endpoint was added after the group's requirement", () => {
    const Api = api(HttpApiGroup.make("items").middleware(auth.require("items:write")).add(remove))
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    HttpApiBuilder.group(Api, "items", (h) => h.handle("remove", () => write)).pipe(OAuth2.secured)
  })

  test("if the requirement is Requirement.any, which proves only grantedAny", () => {
    const Any = api(
      HttpApiGroup.make("items")
        .add(remove)
        .middleware(auth.require(Requirement.any("items:write", "me")))
    )
    const any = Effect.asVoid(auth.grantedAny("items:write", "me"))
    HttpApiBuilder.group(Any, "items", (h) => h.handle("remove", () => any).pipe(OAuth2.secured))
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    HttpApiBuilder.group(Any, "items", (h) => h.handle("remove", () => write).pipe(OAuth2.secured))
  })
})

describe("the token", () => {
  const token = Effect.asVoid(AccessToken)

  test("is available if the endpoint has a requirement", () => {
    const Api = open.middleware(auth.require())
    const Items = HttpApiBuilder.group(Api, "items", (h) => h.handle("remove", () => token))
    expect(Layer.provide(Items, auth.layerTest({}))).type.toBe<Layer.Layer<HttpApiGroup.Service<"api", "items">>>()
  })

  test("is optional if the requirement is optional", () => {
    const Api = open.middleware(auth.optional("me"))
    const Optional = HttpApiBuilder.group(Api, "items", (h) =>
      h.handle("remove", () => Effect.asVoid(OptionalAccessToken))
    )
    expect(Layer.provide(Optional, auth.layerTest({}))).type.toBe<Layer.Layer<HttpApiGroup.Service<"api", "items">>>()
    const Items = HttpApiBuilder.group(Api, "items", (h) => h.handle("remove", () => token))
    expect(Layer.provide(Items, auth.layerTest({}))).type.not.toBeAssignableTo<
      Layer.Layer<HttpApiGroup.Service<"api", "items">>
    >()
  })
})

describe("a check's errors and services", () => {
  class Suspended extends Schema.TaggedError<Suspended>()("Suspended", {}, { httpApiStatus: 403 }) {}
  class Users extends Context.Service<Users, { readonly active: Effect.Effect<boolean, Suspended> }>()("test/Users") {}
  const active = Requirement.check("active", () => Effect.flatMap(Users, (users) => users.active), { error: Suspended })
  const endpoint = remove.middleware(auth.require("items:write", active))
  const Api = api(HttpApiGroup.make("items").add(endpoint))

  test("are in the type of the endpoint", () => {
    expect<HttpApiEndpoint.MiddlewareError<typeof endpoint>>().type.toBe<SecurityError.SecurityError | Suspended>()
  })

  test("are in the type of the client", () => {
    type Client = HttpApiClient.ForApi<typeof Api>
    expect<Effect.Error<ReturnType<Client["items"]["remove"]>>>().type.toBeAssignableFrom<
      SecurityError.SecurityError | Suspended
    >()
    expect<Effect.Error<ReturnType<Client["items"]["remove"]>>>().type.not.toBeAssignableFrom<"AnotherError">()
    expect<
      Extract<Effect.Error<ReturnType<Client["items"]["remove"]>>, { readonly _tag: "Suspended" }>
    >().type.toBe<Suspended>()
    expect<Effect.Services<ReturnType<Client["items"]["remove"]>>>().type.toBe<never>()
    const client = Effect.provide(HttpApiClient.make(Api), auth.client("anonymous"))
    expect(client).type.toBe<Effect.Effect<Client, never, HttpClient>>()
    expect<HttpClientError>().type.toBeAssignableTo<Effect.Error<ReturnType<Client["items"]["remove"]>>>()
  })

  test("are services of the layer of handlers", () => {
    const Items = HttpApiBuilder.group(Api, "items", (h) => h.handle("remove", () => write)).pipe(OAuth2.secured)
    type Served = Layer.Layer<HttpApiGroup.Service<"api", "items">>
    const served = Layer.provide(Items, auth.layerTest({}))
    expect<Layer.Services<typeof served>>().type.toBe<Users>()
    expect(Layer.provide(served, Layer.succeed(Users, { active: Effect.succeed(true) }))).type.toBe<Served>()
  })
})
