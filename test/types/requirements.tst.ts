import { Data, Effect, type Layer, type Redacted, Schema } from "effect"
import {
  type AccessToken,
  BearerToken,
  type Challenge,
  OAuth2,
  Requirement,
  type SecurityError,
  SecurityScopes,
  type TokenVerifier,
  type VerifiedToken
} from "effect-oauth2"
import type { HttpRouter } from "effect/http"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import { describe, expect, test } from "tstyche"
import { auth, either, type Grant, type GrantsOf } from "./support.ts"

type Auth = OAuth2.Authentication<"OAuth2">

describe("a scheme", () => {
  test("knows its name and its scopes as literals", () => {
    expect(auth.name).type.toBe<"OAuth2">()
    expect(auth.scopes).type.toBe<Readonly<Record<"items:read" | "items:write" | "me", string>>>()
  })

  test("says what its effects and layers need, and how they fail", () => {
    expect(auth.authorize).type.toBe<Effect.Effect<VerifiedToken, SecurityError.SecurityError, BearerToken | Auth>>()
    expect(auth.layer).type.toBe<Layer.Layer<Auth | OAuth2.PublicEndpoint, never, TokenVerifier>>()
    expect(auth.layerRequest).type.toBe<
      Layer.Layer<BearerToken | AccessToken, SecurityError.SecurityError, HttpServerRequest | Auth>
    >()
  })

  test("implies declared scopes only", () => {
    const scheme = { authorizationUrl: "", tokenUrl: "", scopes: { a: "", b: "" } }
    // @ts-expect-error Type '"c"' is not assignable to type '"..." | "..."'.
    OAuth2.authorizationCode("Scheme", { ...scheme, implies: { a: ["c"] } })
  })
})

describe("an undeclared scope does not compile, and the message lists the declared ones", () => {
  test("in a requirement", () => {
    // @ts-expect-error '"items:delete"' is not assignable to parameter of type 'Item<..."items:read"..."items:write"...>'.
    auth.require("items:delete")
    // @ts-expect-error '"items:delete"' is not assignable to parameter of type 'Item<..."items:read"..."items:write"...>'.
    auth.require("items:read", "items:delete")
    // @ts-expect-error '"items:delete"' is not assignable to parameter of type 'Item<..."items:read"..."items:write"...>'.
    auth.optional("items:delete")
  })

  test("nested, however deeply", () => {
    // @ts-expect-error Type '"items:delete"' is not assignable to type '..."items:read" | "items:write"...'.
    auth.require(Requirement.all("items:delete"))
    // @ts-expect-error Type '"items:delete"' is not assignable to type '..."items:read" | "items:write"...'.
    auth.require(Requirement.any("items:read", Requirement.all("me", Requirement.any("items:delete"))))
  })

  test("in what a handler relies on", () => {
    // @ts-expect-error '"items:delete"' is not assignable to parameter of type '..."items:read" | "items:write"...'.
    auth.granted("items:delete")
    // @ts-expect-error '"items:delete"' is not assignable to parameter of type '..."items:read" | "items:write"...'.
    auth.grantedAny("items:delete")
  })

  test("in what a guard of one's own asks for", () => {
    // @ts-expect-error '"items:delete"' is not assignable to parameter of type '..."items:read" | "items:write"...'.
    auth.authorize.pipe(auth.withScopes("items:delete"))
  })

  test("in a token for tests", () => {
    // @ts-expect-error Type '"items:delete"' is not assignable to type '..."items:read" | "items:write"...'.
    auth.layerTest({ scopes: ["items:delete"] })
    // @ts-expect-error Type '"items:delete"' is not assignable to type '..."items:read" | "items:write"...'.
    auth.grant({ scopes: ["items:delete"] })
  })
})

describe("a requirement proves", () => {
  test("each of its scopes", () => {
    expect<GrantsOf<ReturnType<typeof auth.require<[]>>>>().type.toBe<never>()
    const one = auth.require("items:read")
    expect<GrantsOf<typeof one>>().type.toBe<Grant<"items:read">>()
    const two = auth.require("items:read", Requirement.all("items:write", "me"))
    expect<GrantsOf<typeof two>>().type.toBe<Grant<"items:read"> | Grant<"items:write"> | Grant<"me">>()
  })

  test("of alternatives, that one of them holds", () => {
    const any = auth.require("me", Requirement.any("items:read", "items:write"))
    expect<GrantsOf<typeof any>>().type.toBe<Grant<"me"> | Grant<"items:read" | "items:write">>()
    const only = auth.require(Requirement.any("me"))
    expect<GrantsOf<typeof only>>().type.toBe<Grant<"me">>()
  })

  test("of nested alternatives, what holds in each: one scope of every alternative", () => {
    const left = auth.require(Requirement.any(Requirement.all("items:read", "items:write"), "me"))
    expect<GrantsOf<typeof left>>().type.toBe<Grant<"items:read" | "me"> | Grant<"items:write" | "me">>()

    const both = auth.require(
      Requirement.any(Requirement.all("items:read", "items:write"), Requirement.all("items:write", "me"))
    )
    expect<GrantsOf<typeof both>>().type.toBe<
      | Grant<"items:read" | "items:write">
      | Grant<"items:read" | "me">
      | Grant<"items:write">
      | Grant<"items:write" | "me">
    >()

    const deep = auth.require(
      Requirement.any("items:read", Requirement.all("items:write", Requirement.any("me", "items:write")))
    )
    expect<GrantsOf<typeof deep>>().type.toBe<
      Grant<"items:read" | "items:write"> | Grant<"items:read" | "items:write" | "me">
    >()
  })

  test("nothing where an alternative demands no scope", () => {
    const free = auth.require(Requirement.any("me", Requirement.all()))
    expect<GrantsOf<typeof free>>().type.toBe<never>()
    const checked = auth.require(
      Requirement.any(
        "me",
        Requirement.check("ours", () => Effect.succeed(true))
      )
    )
    expect<GrantsOf<typeof checked>>().type.toBe<never>()
  })

  test("its scopes beside a check", () => {
    const checked = auth.require(
      "me",
      Requirement.check("ours", () => Effect.succeed(true))
    )
    expect<GrantsOf<typeof checked>>().type.toBe<Grant<"me">>()
  })

  test("nothing where it is optional", () => {
    const optional = auth.optional("me")
    expect<GrantsOf<typeof optional>>().type.toBe<never>()
  })
})

describe("what is not known for certain is not proven", () => {
  test("a scope in a variable of a union type is one of them", () => {
    const scope: "items:read" | "items:write" = either ? "items:read" : "items:write"
    const one = auth.require(scope)
    expect<GrantsOf<typeof one>>().type.toBe<Grant<"items:read" | "items:write">>()
  })

  test("a list of unknown length is nothing", () => {
    const scopes: ReadonlyArray<"items:read"> = []
    const spread = auth.require(...scopes)
    expect<GrantsOf<typeof spread>>().type.toBe<never>()
    const all = auth.require(Requirement.all(...scopes))
    expect<GrantsOf<typeof all>>().type.toBe<never>()
    const any = auth.require(Requirement.any("me", ...scopes))
    expect<GrantsOf<typeof any>>().type.toBe<never>()
  })
})

describe("a check", () => {
  class Suspended extends Schema.TaggedError<Suspended>()("Suspended", {}) {}
  class Unknown extends Data.TaggedError("Unknown") {}

  test("keeps its error and its services", () => {
    const check = Requirement.check("active", () => new Suspended() as Effect.Effect<boolean, Suspended, "Users">, {
      error: Suspended
    })
    expect(check).type.toBe<Requirement.Requirement<never, never, Suspended, "Users">>()
    expect(Requirement.any("me", Requirement.all(check))).type.toBe<
      Requirement.Requirement<"me", never, Suspended, "Users">
    >()
    const required = auth.require("me", check)
    expect<(typeof required)["~effect-oauth2/SecurityRequirement"]["error"]>().type.toBe<Suspended>()
    expect<(typeof required)["~effect-oauth2/SecurityRequirement"]["services"]>().type.toBe<"Users">()
  })

  test("fails with nothing that it gives no schema of", () => {
    // @ts-expect-error Type 'Suspended' is not assignable to type 'never'.
    Requirement.check("active", () => Effect.fail(new Suspended()))
    // @ts-expect-error Type 'Unknown' is not assignable to type 'Suspended'
    Requirement.check("active", () => Effect.fail(new Unknown()), { error: Suspended })
  })

  test("is given the verified token, and says yes or no", () => {
    Requirement.check("active", (token) => {
      expect(token).type.toBe<VerifiedToken>()
      return Effect.succeed(true)
    })
    // @ts-expect-error Type 'string' is not assignable to type 'boolean'.
    Requirement.check("active", (token) => Effect.succeed(token.subject))
  })
})

describe("no public type is any", () => {
  test("of a requirement, its route and its layer", () => {
    const required = auth.require("me")
    type Types = (typeof required)["~effect-oauth2/SecurityRequirement"]
    expect<Types["name"]>().type.toBe<"OAuth2">()
    expect<Parameters<Types["provides"]>[0]>().type.toBe<OAuth2.Authenticated<"OAuth2"> | Grant<"me">>()
    expect<Types["error"]>().type.toBe<never>()
    expect<Types["services"]>().type.toBe<never>()
    expect(required.route.layer).type.not.toBe<any>()
    expect<Layer.Success<typeof required.route.layer>>().type.not.toBe<any>()
    expect<Layer.Error<typeof required.route.layer>>().type.toBe<never>()
    expect<Layer.Services<typeof required.route.layer>>().type.toBe<
      Auth | HttpRouter.Request.From<"Error", SecurityError.SecurityError>
    >()
  })

  test("of what handlers rely on", () => {
    expect(auth.granted("me")).type.toBe<Effect.Effect<VerifiedToken, never, Grant<"me">>>()
    expect(auth.granted("me", "items:read")).type.toBe<
      Effect.Effect<VerifiedToken, never, Grant<"me"> | Grant<"items:read">>
    >()
    expect(auth.grantedAny("me", "items:read")).type.toBe<
      Effect.Effect<"me" | "items:read", never, Grant<"me" | "items:read">>
    >()
    expect(auth.refuse).type.toBe<<E extends SecurityError.SecurityError>(error: E) => Effect.Effect<never, E>>()
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
      (error: SecurityError.InvalidToken) => HttpServerResponse
    >()
  })
})
