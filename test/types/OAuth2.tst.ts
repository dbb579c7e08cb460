import { Effect, Layer, type Redacted } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import {
  AccessToken,
  BearerToken,
  type Challenge,
  OAuth2,
  OptionalAccessToken,
  type SecurityError,
  SecurityScopes,
  type TokenVerifier,
  type VerifiedToken
} from "effect-oauth2"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { describe, expect, test } from "tstyche"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  scopes: { "items:read": "Read your items", "items:write": "Modify your items" }
})

type Auth = OAuth2.Authentication<"OAuth2">

describe("a scheme", () => {
  test("knows its name and its scopes as literals", () => {
    expect(auth).type.toBeAssignableTo<OAuth2.OAuth2Scheme<"OAuth2", "items:read" | "items:write">>()
    expect(auth.name).type.toBe<"OAuth2">()
  })

  test("takes only declared scopes, and the message lists them", () => {
    expect(auth.require).type.toBeCallableWith("items:read", "items:write")
    expect(auth.require).type.toBeCallableWith()
    // @ts-expect-error Argument of type '"items:delete"' is not assignable to parameter of type 'Item<"items:read" | "items:write">'.
    auth.require("items:delete")
    // @ts-expect-error Argument of type '"items:delete"' is not assignable to parameter of type 'Item<"items:read" | "items:write">'.
    auth.optional("items:delete")
  })

  test("says what its effects and layers need, and how they fail", () => {
    expect(auth.authorize).type.toBe<Effect.Effect<VerifiedToken, SecurityError.SecurityError, BearerToken | Auth>>()
    expect(auth.layer).type.toBe<Layer.Layer<Auth | OAuth2.PublicEndpoint, never, TokenVerifier>>()
    expect(auth.layerRequest).type.toBe<
      Layer.Layer<BearerToken | AccessToken, SecurityError.SecurityError, HttpServerRequest | Auth>
    >()
  })

  test("does not serve another scheme", () => {
    const other = OAuth2.authorizationCode("Other", { authorizationUrl: "", tokenUrl: "", scopes: {} })
    expect(other.layer).type.not.toBeAssignableTo<typeof auth.layer>()
  })
})

describe("a route", () => {
  const whoAmI = Effect.map(AccessToken, (token) => HttpServerResponse.text(token.subject))
  const greeting = Effect.map(OptionalAccessToken, (token) => HttpServerResponse.text(token._tag))

  test("that requires a token discharges the access token", () => {
    const app = HttpRouter.add("GET", "/", whoAmI).pipe(Layer.provide(auth.require("items:read").route.layer))
    expect(app).type.toBeAssignableTo<
      Layer.Layer<
        never,
        never,
        HttpRouter.HttpRouter | Auth | HttpRouter.Request.From<"Error", SecurityError.SecurityError>
      >
    >()
  })

  test("without a requirement does not", () => {
    const app = HttpRouter.add("GET", "/", whoAmI)
    expect(app).type.not.toBeAssignableTo<Layer.Layer<never, never, HttpRouter.HttpRouter>>()
  })

  test("that takes anonymous requests has no access token to rely on", () => {
    const optional = Layer.provide(auth.optional("items:read").route.layer)
    const open = HttpRouter.add("GET", "/", whoAmI).pipe(optional)
    expect(open).type.not.toBeAssignableTo<
      Layer.Layer<
        never,
        never,
        HttpRouter.HttpRouter | Auth | HttpRouter.Request.From<"Error", SecurityError.SecurityError>
      >
    >()
    expect(HttpRouter.add("GET", "/", greeting).pipe(optional)).type.toBeAssignableTo<
      Layer.Layer<
        never,
        never,
        HttpRouter.HttpRouter | Auth | HttpRouter.Request.From<"Error", SecurityError.SecurityError>
      >
    >()
  })
})

describe("BearerToken", () => {
  test("is a redacted string that a request gives or refuses to give", () => {
    expect<BearerToken["Service"]>().type.toBe<Redacted.Redacted>()
    expect(BearerToken.layer).type.toBe<
      Layer.Layer<BearerToken, SecurityError.NotAuthenticated | SecurityError.InvalidRequest, HttpServerRequest>
    >()
    expect(BearerToken.layerTest("x")).type.toBe<Layer.Layer<BearerToken>>()
  })
})

describe("SecurityScopes", () => {
  test("adds nothing to what an effect needs", () => {
    expect(SecurityScopes.require("a")(Effect.succeed(1))).type.toBe<Effect.Effect<number>>()
    expect(Effect.map(SecurityScopes, (required) => required.scopeStr)).type.toBe<Effect.Effect<string>>()
  })
})

describe("Challenge", () => {
  test("gives each renderer its own error", () => {
    expect<NonNullable<Challenge.Renderers["InvalidToken"]>>().type.toBe<
      (error: SecurityError.InvalidToken) => HttpServerResponse.HttpServerResponse
    >()
  })
})
