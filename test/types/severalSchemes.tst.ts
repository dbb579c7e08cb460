// The types of several schemes in one app: schemes stay separate, and OAuth2.either combines them.
import { Effect, Layer } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { AccessToken, OAuth2, OptionalAccessToken } from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { auth, get, type Grant, type GrantsOf, type Guarded, partners, fromContext } from "./support.ts"

describe("two schemes", () => {
  test("do not share a layer", () => {
    expect(partners.layer(fromContext)).type.not.toBeAssignableTo<typeof auth.layer>()
    expect<OAuth2.Authentication<"Partners">>().type.not.toBeAssignableTo<OAuth2.Authentication<"OAuth2">>()
  })

  test("do not share grants", () => {
    expect<OAuth2.Granted<"Partners", "items:read">>().type.not.toBeAssignableTo<Grant<"items:read">>()
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(auth.granted("items:read")).pipe(partners.require("items:read"), OAuth2.secured)
    const app = get(partners.granted("items:read"))
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `Partners`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(Layer.provide(app, auth.require("items:read").route.layer))
  })

  test("need both layers if a route has requirements of both", () => {
    const app = get(Effect.andThen(auth.granted("me"), partners.granted("items:read"))).pipe(
      auth.require("me"),
      partners.require("items:read"),
      OAuth2.secured
    )
    expect(app).type.toBeAssignableTo<Guarded<"OAuth2" | "Partners">>()
    expect(app).type.not.toBeAssignableTo<Guarded>()
    expect(app).type.not.toBeAssignableTo<Guarded<"Partners">>()
  })
})

describe("OAuth2.either", () => {
  const one = OAuth2.either(auth.require("me"), partners.require("items:read"))

  test("needs the layers of both schemes", () => {
    const app = get(AccessToken).pipe(one)
    expect(app).type.toBeAssignableTo<Guarded<"OAuth2" | "Partners">>()
    expect(app).type.not.toBeAssignableTo<Guarded>()
    expect(app).type.not.toBeAssignableTo<Guarded<"Partners">>()
  })

  test("needs the layers of both schemes in an HttpApi", () => {
    const Api = HttpApi.make("api")
      .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items").middleware(one)))
      .pipe(OAuth2.secured)
    const Items = HttpApiBuilder.group(Api, "items", (h) => h.handle("list", () => Effect.asVoid(AccessToken)))
    type Served = Layer.Layer<HttpApiGroup.Service<"api", "items">>
    expect(Layer.provide(Items, [auth.layerTest({}), partners.layerTest({})])).type.toBe<Served>()
    expect(Layer.provide(Items, auth.layerTest({}))).type.not.toBeAssignableTo<Served>()
    expect(Layer.provide(Items, partners.layerTest({}))).type.not.toBeAssignableTo<Served>()
  })

  test("does not prove a grant that only one alternative proves", () => {
    expect<GrantsOf<typeof one>>().type.toBe<never>()
    // @ts-expect-error A handler needs the scope `me` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(auth.granted("me")).pipe(one, OAuth2.secured)
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `Partners`, but no requirement around it proves this. Use auth.require.
    get(partners.granted("items:read")).pipe(one, OAuth2.secured)
  })

  test("provides the token, which is optional if an alternative is optional", () => {
    expect(get(AccessToken).pipe(one)).type.toBeAssignableTo<Guarded<"OAuth2" | "Partners">>()
    const optional = OAuth2.either(auth.require("me"), partners.optional())
    expect(get(OptionalAccessToken).pipe(optional)).type.toBeAssignableTo<Guarded<"OAuth2" | "Partners">>()
    expect(get(AccessToken).pipe(optional)).type.not.toBeAssignableTo<Guarded<"OAuth2" | "Partners">>()
  })

  test("accepts another either as an alternative", () => {
    const nested = OAuth2.either(one, auth.require("items:read"))
    expect(get(AccessToken).pipe(nested)).type.toBeAssignableTo<Guarded<"OAuth2" | "Partners">>()
    expect<GrantsOf<typeof nested>>().type.toBe<never>()
  })

  test("accepts one or more requirements, and nothing else", () => {
    // @ts-expect-error Expected at least 1 arguments, but got 0.
    OAuth2.either()
    // @ts-expect-error is not assignable to parameter of type
    OAuth2.either(auth.require("me"), OAuth2.Public("why not"))
  })
})
