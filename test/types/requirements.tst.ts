// The types of schemes and requirements: their scopes, their grants, and the other public types.
import { Context, Data, Effect, type Layer, type Redacted, Schema } from "effect"
import {
  type AccessToken,
  BearerToken,
  OAuth2,
  Requirement,
  type SecurityError,
  SecurityScopes,
  type TokenVerifier,
  type VerifiedToken
} from "effect-oauth2"
import type { HttpRouter } from "effect/http"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { describe, expect, test } from "tstyche"
import {
  auth,
  condition,
  type Grant,
  type GrantsOf,
  fromContext,
  type NeedsGrant,
  type NeedsScheme,
  get
} from "./support.ts"

type Auth = OAuth2.Authentication<"OAuth2">

describe("a scheme", () => {
  test("has its name and its scopes as literal types", () => {
    expect(auth.name).type.toBe<"OAuth2">()
    expect(auth.scopes).type.toBe<Readonly<Record<"items:read" | "items:write" | "me", string>>>()
  })

  test("has the errors and services of its effects and layers in their types", () => {
    expect(auth.authorize).type.toBe<Effect.Effect<VerifiedToken, SecurityError.SecurityError, BearerToken | Auth>>()
    expect(auth.layer(fromContext)).type.toBe<Layer.Layer<Auth | OAuth2.PublicEndpoint, never, TokenVerifier>>()
    expect(auth.layerRequest).type.toBe<
      Layer.Layer<BearerToken | AccessToken, SecurityError.SecurityError, HttpServerRequest | Auth>
    >()
  })

  test("accepts only declared scopes in implies", () => {
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

  test("in a nested requirement", () => {
    // @ts-expect-error Type '"items:delete"' is not assignable to type '..."items:read" | "items:write"...'.
    auth.require(Requirement.all("items:delete"))
    // @ts-expect-error Type '"items:delete"' is not assignable to type '..."items:read" | "items:write"...'.
    auth.require(Requirement.any("items:read", Requirement.all("me", Requirement.any("items:delete"))))
  })

  test("in granted and grantedAny", () => {
    // @ts-expect-error '"items:delete"' is not assignable to parameter of type '..."items:read" | "items:write"...'.
    auth.granted("items:delete")
    // @ts-expect-error '"items:delete"' is not assignable to parameter of type '..."items:read" | "items:write"...'.
    auth.grantedAny("items:delete")
  })

  test("in withScopes", () => {
    // @ts-expect-error '"items:delete"' is not assignable to parameter of type '..."items:read" | "items:write"...'.
    auth.authorize.pipe(auth.withScopes("items:delete"))
  })

  test("in a token for tests", () => {
    // @ts-expect-error Type '"items:delete"' is not assignable to type '..."items:read" | "items:write"...'.
    auth.layerTest({ scopes: ["items:delete"] })
    // @ts-expect-error Type '"items:delete"' is not assignable to type '..."items:read" | "items:write"...'.
    auth.layerTestGranted({ scopes: ["items:delete"] })
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

  test("one of the scopes in Requirement.any", () => {
    const any = auth.require("me", Requirement.any("items:read", "items:write"))
    expect<GrantsOf<typeof any>>().type.toBe<Grant<"me"> | Grant<"items:read" | "items:write">>()
    const only = auth.require(Requirement.any("me"))
    expect<GrantsOf<typeof only>>().type.toBe<Grant<"me">>()
  })

  test("one scope of every alternative if Requirement.any has nested requirements", () => {
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

  test("nothing if an alternative has no scope", () => {
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

  test("its scopes if it also has a check", () => {
    const checked = auth.require(
      "me",
      Requirement.check("ours", () => Effect.succeed(true))
    )
    expect<GrantsOf<typeof checked>>().type.toBe<Grant<"me">>()
  })

  test("nothing if it is optional", () => {
    const optional = auth.optional("me")
    expect<GrantsOf<typeof optional>>().type.toBe<never>()
  })
})

describe("a requirement proves only what is certain", () => {
  test("one scope of a union, if a variable has a union type", () => {
    const scope: "items:read" | "items:write" = condition ? "items:read" : "items:write"
    const one = auth.require(scope)
    expect<GrantsOf<typeof one>>().type.toBe<Grant<"items:read" | "items:write">>()
  })

  test("nothing, if a list has an unknown length", () => {
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

  test("has its error and its services in its type", () => {
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

  test("cannot fail with an error without a schema", () => {
    // @ts-expect-error Type 'Suspended' is not assignable to type 'never'.
    Requirement.check("active", () => Effect.fail(new Suspended()))
    // @ts-expect-error Type 'Unknown' is not assignable to type 'Suspended'
    Requirement.check("active", () => Effect.fail(new Unknown()), { error: Suspended })
  })

  test("receives the verified token, and returns a boolean", () => {
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
      NeedsScheme<"OAuth2"> | HttpRouter.Request.From<"Error", SecurityError.SecurityError>
    >()
  })

  test("of granted, grantedAny and refuse", () => {
    expect(auth.granted("me")).type.toBe<Effect.Effect<VerifiedToken, never, NeedsGrant<"me">>>()
    expect(auth.granted("me", "items:read")).type.toBe<
      Effect.Effect<VerifiedToken, never, NeedsGrant<"me" | "items:read">>
    >()
    const any = auth.grantedAny("me", "items:read")
    expect<Effect.Services<typeof any>["~effect-oauth2/Granted"]>().type.toBe<
      Grant<"me" | "items:read">["~effect-oauth2/Granted"]
    >()
    expect(auth.refuse).type.toBe<<E extends SecurityError.SecurityError>(error: E) => Effect.Effect<never, E>>()
  })
})

describe("BearerToken", () => {
  test("is a redacted string, and its layer can fail", () => {
    expect<BearerToken["Service"]>().type.toBe<Redacted.Redacted>()
    expect(BearerToken.layer).type.toBe<
      Layer.Layer<BearerToken, SecurityError.NotAuthenticated | SecurityError.InvalidRequest, HttpServerRequest>
    >()
    expect(BearerToken.layerTest("x")).type.toBe<Layer.Layer<BearerToken>>()
  })
})

describe("SecurityScopes", () => {
  test("adds no services to the type of an effect", () => {
    expect(SecurityScopes.require("a")(Effect.succeed(1))).type.toBe<Effect.Effect<number>>()
    expect(Effect.map(SecurityScopes, (required) => required.scopeStr)).type.toBe<Effect.Effect<string>>()
  })
})

describe("requirement.provide", () => {
  class CurrentUser extends Context.Service<CurrentUser, string>()("test/CurrentUser") {}
  class People extends Context.Service<People, { readonly find: (id: string) => string }>()("test/People") {}
  class Gone extends Schema.TaggedError<Gone>()("Gone", {}, { httpApiStatus: 410 }) {}
  const user = Effect.gen(function* () {
    return (yield* People).find((yield* auth.granted("me")).subject)
  })

  test("provides the service, and asks the program for the services of the effect", () => {
    const app = get(CurrentUser).pipe(auth.require("me").provide(CurrentUser, user))
    expect<Layer.Services<typeof app>>().type.toBe<
      | HttpRouter.HttpRouter
      | NeedsScheme<"OAuth2">
      | People
      | HttpRouter.Request.From<"Error", SecurityError.SecurityError>
    >()
  })

  test("does not provide the service of another requirement", () => {
    const app = get(CurrentUser).pipe(auth.require("me"))
    expect<Extract<Layer.Services<typeof app>, HttpRouter.Request<"Requires", CurrentUser>>>().type.not.toBe<never>()
  })

  test("proves to the effect only what the requirement proves", () => {
    const more = Effect.map(auth.granted("items:write"), ({ subject }) => subject)
    const app = get(CurrentUser).pipe(auth.require("me").provide(CurrentUser, more))
    expect<Extract<Layer.Services<typeof app>, Grant<"items:write">>>().type.toBe<NeedsGrant<"items:write">>()
  })

  test("refuses a value of another type, and an error without a schema", () => {
    // @ts-expect-error 'number' is not assignable to type 'string'
    auth.require("me").provide(CurrentUser, Effect.succeed(1))
    // @ts-expect-error 'Gone' is not assignable to
    auth.require("me").provide(CurrentUser, Effect.fail(new Gone()))
    const declared = auth.require("me").provide(CurrentUser, Effect.fail(new Gone()), { error: Gone })
    expect<(typeof declared)["~effect-oauth2/SecurityRequirement"]["error"]>().type.toBe<Gone>()
  })
})
