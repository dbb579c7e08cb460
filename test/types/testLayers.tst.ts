// The types of the layers for tests: `grant` proves scopes to domain code, `layerTest` replaces the layer of a scheme.
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { AccessToken, BearerToken, OAuth2 } from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { auth, get, type Grant, type Guarded, implying, partners, type NeedsGrant } from "./support.ts"

describe("auth.layerTestGranted", () => {
  test("proves the token's scopes to domain code", () => {
    expect(auth.layerTestGranted({ scopes: ["items:read", "me"] })).type.toBe<
      Layer.Layer<AccessToken | OAuth2.Verified<"OAuth2"> | Grant<"items:read"> | Grant<"me">>
    >()
    const owner = Effect.map(auth.granted("items:read"), (token) => token.subject)
    expect(Effect.provide(owner, auth.layerTestGranted({ scopes: ["items:read"] }))).type.toBe<Effect.Effect<string>>()
    expect(Effect.provide(owner, auth.layerTestGranted({ scopes: ["me"] }))).type.toBe<
      Effect.Effect<string, never, NeedsGrant<"items:read">>
    >()
  })

  test("proves no scope without scopes", () => {
    expect(auth.layerTestGranted({})).type.toBe<Layer.Layer<AccessToken | OAuth2.Verified<"OAuth2">>>()
    expect(auth.layerTestGranted({ subject: "demo" })).type.toBe<Layer.Layer<AccessToken | OAuth2.Verified<"OAuth2">>>()
  })

  test("proves the scopes that its scopes imply", () => {
    const read = Effect.asVoid(implying.granted("items:read"))
    expect(Effect.provide(read, implying.layerTestGranted({ scopes: ["admin"] }))).type.toBe<Effect.Effect<void>>()
  })

  test("proves nothing for another scheme", () => {
    const catalogue = Effect.asVoid(partners.granted("items:read"))
    expect(Effect.provide(catalogue, auth.layerTestGranted({ scopes: ["items:read"] }))).type.toBe<
      Effect.Effect<void, never, NeedsGrant<"items:read", "Partners">>
    >()
  })

  test("does not replace the requirement of a route", () => {
    const app = get(auth.granted("me"))
    // @ts-expect-error A handler needs the scope `me` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    app.pipe(Layer.provide(auth.layerTestGranted({ scopes: ["me"] })), OAuth2.secured)
    // @ts-expect-error A handler needs the scope `me` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(Layer.provide(app, auth.layerTestGranted({ scopes: ["me"] })))
  })
})

describe("BearerToken.layerTest", () => {
  test("proves no scope", () => {
    const app = get(auth.granted("me")).pipe(HttpRouter.provideRequest(BearerToken.layerTest("stub")))
    // @ts-expect-error A handler needs the scope `me` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    app.pipe(OAuth2.secured)
  })
})

describe("auth.layerTest", () => {
  test("replaces auth.layer and needs no verifier", () => {
    const layer = auth.layerTest({ subject: "demo", scopes: ["me"], claims: { tenant: "t1" } })
    expect(layer).type.toBe<Layer.Layer<OAuth2.Authentication<"OAuth2"> | OAuth2.PublicEndpoint>>()
    const app = get(auth.granted("me")).pipe(auth.require("me"))
    expect(app).type.toBeAssignableTo<Guarded>()
    expect(Layer.provide(app, layer)).type.toBeAssignableTo<Guarded<never>>()
  })

  test("proves nothing without a requirement", () => {
    const app = get(auth.granted("me"))
    // @ts-expect-error A handler needs the scope `me` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    app.pipe(Layer.provide(auth.layerTest({ scopes: ["me"] })), OAuth2.secured)
  })
})
