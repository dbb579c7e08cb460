import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { type Login, type Sessions, SessionVerifier } from "effect-oauth2/login"
import { describe, expect, test } from "tstyche"
import type { TokenVerifier } from "effect-oauth2"

const flow = { authorizationUrl: "https://idp.test/authorize", tokenUrl: "https://idp.test/token" }
const scopes = { "items:read": "", "items:write": "" }
const bearer = OAuth2.authorizationCode("OAuth2", { ...flow, scopes })
const either = OAuth2.authorizationCode("OAuth2", { ...flow, scopes, session: {} })
const only = OAuth2.session("OAuth2", { scopes })

type Needs<L> = L extends Layer.Layer<infer _A, infer _E, infer R> ? R : never

describe("schemes with a session", () => {
  test("have requirements of the same types as schemes without one", () => {
    expect(either.require("items:read")).type.toBe(bearer.require("items:read"))
    expect(only.require("items:read")).type.toBe(bearer.require("items:read"))
    expect(either.optional()).type.toBe(bearer.optional())
    expect(either.granted("items:write")).type.toBe(bearer.granted("items:write"))
  })

  test("prove scopes to handlers, and only these", () => {
    const item = only.granted("items:write").pipe(Effect.as(HttpServerResponse.empty()))
    const route = HttpRouter.add("GET", "/", item)
    const proven = route.pipe(only.require("items:write"))
    const unproven = route.pipe(only.require("items:read"))
    expect<Needs<typeof proven>>().type.not.toBeAssignableFrom<
      HttpRouter.Request<"Requires", OAuth2.Granted<"OAuth2", "items:write">>
    >()
    expect<Needs<typeof unproven>>().type.not.toBe<Needs<typeof proven>>()
  })

  test("refuse undeclared scopes and unknown options", () => {
    expect(only.require).type.not.toBeCallableWith("items:delete")
    expect(OAuth2.session).type.toBeCallableWith("Users", { cookie: "sid", csrfHeader: false, login: false })
    expect(OAuth2.session).type.not.toBeCallableWith("Users", { csrfHeader: true })
    expect(OAuth2.session).type.not.toBeCallableWith("Users", { session: {} })
    expect(OAuth2.bearer).type.toBeCallableWith("Bearer", { session: { login: "/sign-in" } })
    expect(OAuth2.apiKey).type.not.toBeCallableWith("Key", { in: "header", name: "x", session: {} })
    expect(OAuth2.basic).type.not.toBeCallableWith("Basic", { session: {} })
  })

  test("protect an HttpApi, which OAuth2.secured accepts", () => {
    const Api = HttpApi.make("api").add(
      HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items").middleware(either.require("items:read")))
    )
    expect(OAuth2.secured).type.toBeCallableWith(Api)
  })
})

describe("SessionVerifier", () => {
  const jwts = JwtVerifier.layerKeySet({ issuer: "https://idp.test", audience: "https://api.test" })
  test("needs the login that renews access tokens, or the store of sessions", () => {
    const tokens = jwts.pipe(SessionVerifier.accessTokens)
    expect<Login>().type.toBeAssignableTo<Needs<typeof tokens>>()
    expect<Sessions>().type.not.toBeAssignableTo<Needs<typeof tokens>>()
    const identities = jwts.pipe(SessionVerifier.identities({ scopes: () => [] }))
    expect<Sessions>().type.toBeAssignableTo<Needs<typeof identities>>()
    expect(SessionVerifier.layer({ scopes: () => [] })).type.toBe<Layer.Layer<TokenVerifier, never, Sessions>>()
  })

  test("needs the services of the function that returns the scopes, which must not fail", () => {
    interface Roles {
      readonly roles: unique symbol
    }
    const roles: Effect.Effect<ReadonlyArray<string>, never, Roles> = Effect.succeed([])
    expect(SessionVerifier.layer({ scopes: () => roles })).type.toBe<
      Layer.Layer<TokenVerifier, never, Roles | Sessions>
    >()
    expect(SessionVerifier.layer).type.not.toBeCallableWith({ scopes: () => Effect.fail("unreachable") })
    expect(SessionVerifier.layer).type.not.toBeCallableWith({})
  })
})
