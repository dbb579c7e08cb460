// The types of custom claims: the token of a scheme, and checks on it.
import { Context, Effect, Layer, Option, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import {
  AccessToken,
  type BearerToken,
  OAuth2,
  Requirement,
  type SecurityError,
  type VerifiedToken
} from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { auth, get, type Guarded, partners, fromContext, type NeedsToken, type NeedsScheme } from "./support.ts"

interface Claims {
  readonly tenant: string
  readonly level: number
}

const flow = { authorizationUrl: "", tokenUrl: "", scopes: { a: "", b: "" } }
const typed = OAuth2.authorizationCode("Typed", {
  ...flow,
  claims: Schema.Struct({ tenant: Schema.String, level: Schema.NumberFromString })
})

// VerifiedOf<typeof auth.require("me")> -> OAuth2.Verified<"OAuth2">
type VerifiedOf<R extends OAuth2.SecurityRequirementTypes<unknown, never, unknown, unknown>> = Extract<
  Parameters<R["~effect-oauth2/SecurityRequirement"]["provides"]>[0],
  { readonly "~effect-oauth2/Verified": unknown }
>

const tenant = Effect.map(typed.token, ({ claims }) => claims.tenant)

describe("a scheme's access token", () => {
  test("has the claims of the scheme's schema", () => {
    expect(typed.token).type.toBe<Effect.Effect<VerifiedToken<Claims>, never, NeedsToken<"Typed">>>()
    expect(tenant).type.toBe<Effect.Effect<string, never, NeedsToken<"Typed">>>()
    expect(auth.token).type.toBe<Effect.Effect<VerifiedToken, never, NeedsToken<"OAuth2">>>()
    // @ts-expect-error Property 'tenants' does not exist on type
    Effect.map(typed.token, ({ claims }) => claims.tenants)
  })

  test("has these claims in granted, authorize and authorizeOption", () => {
    expect<Effect.Success<ReturnType<typeof typed.granted<["a"]>>>>().type.toBe<VerifiedToken<Claims>>()
    expect<Effect.Success<typeof typed.authorize>>().type.toBe<VerifiedToken<Claims>>()
    expect<Effect.Success<typeof typed.authorizeOption>>().type.toBe<Option.Option<VerifiedToken<Claims>>>()
  })

  test("is available inside of every requirement of the scheme", () => {
    const any = typed.require()
    expect<VerifiedOf<typeof any>>().type.toBe<OAuth2.Verified<"Typed">>()
    const checked = typed.require(
      Requirement.any("a", "b"),
      Requirement.check("yes", () => Effect.succeed(true))
    )
    expect<VerifiedOf<typeof checked>>().type.toBe<OAuth2.Verified<"Typed">>()
    const alternatives = OAuth2.either(typed.require("a"), typed.require("b"))
    expect<VerifiedOf<typeof alternatives>>().type.toBe<OAuth2.Verified<"Typed">>()
    expect(get(tenant).pipe(any, OAuth2.secured)).type.toBeAssignableTo<Guarded<"Typed">>()
    expect(
      get(Effect.andThen(tenant, typed.granted("a"))).pipe(typed.optional("b"), typed.require("a"), OAuth2.secured)
    ).type.toBeAssignableTo<Guarded<"Typed">>()
  })

  test("does not compile without a requirement of the scheme", () => {
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    get(tenant).pipe(OAuth2.secured)
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(get(tenant))
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    get(tenant).pipe(Layer.provide(typed.layer(fromContext)), OAuth2.secured)
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    get(tenant).pipe(Layer.provide(typed.layerTest({})), OAuth2.secured)
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    get(tenant).pipe(Layer.provide(typed.layerTestGranted({})), OAuth2.secured)
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    get(tenant).pipe(typed.optional("a"), OAuth2.secured)
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    get(tenant).pipe(auth.require("me"), OAuth2.secured)
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    get(tenant).pipe(OAuth2.Public("why not"), OAuth2.secured)
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    get(Effect.provide(tenant, typed.layerRequest)).pipe(OAuth2.secured)
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    get(Effect.provideService(tenant, AccessToken, Option.getOrThrow(Option.none()))).pipe(OAuth2.secured)
  })

  test("does not compile if an alternative has another scheme or is optional", () => {
    const other = OAuth2.either(typed.require("a"), auth.require("me"))
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    get(tenant).pipe(other, OAuth2.secured)
    const none = OAuth2.either(typed.require("a"), typed.optional("b"))
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    get(tenant).pipe(none, OAuth2.secured)
  })

  test("needs a requirement of each scheme whose token a route reads", () => {
    const both = get(Effect.all([typed.token, auth.token]))
    const app = both.pipe(typed.require(), auth.require())
    expect(app.pipe(OAuth2.secured)).type.toBeAssignableTo<Guarded<"OAuth2" | "Typed">>()
    // @ts-expect-error A handler needs a token of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    both.pipe(typed.require(), OAuth2.secured)
    // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
    both.pipe(auth.require(), OAuth2.secured)
  })

  test("stays in the services of HttpRouter.serve without OAuth2.secured", () => {
    const served = HttpRouter.serve(get(tenant))
    expect<Extract<Layer.Services<typeof served>, OAuth2.Verified<"Typed">>>().type.toBe<NeedsToken<"Typed">>()
  })

  test("is available inside of prove, and in tests through grant", () => {
    expect(tenant.pipe(typed.prove())).type.toBe<
      Effect.Effect<string, SecurityError.SecurityError, BearerToken | OAuth2.Authentication<"Typed">>
    >()
    expect(tenant.pipe(auth.prove())).type.not.toBeAssignableTo<
      Effect.Effect<unknown, unknown, BearerToken | OAuth2.Authentication<"OAuth2">>
    >()
    expect(Effect.provide(tenant, typed.layerTestGranted({}))).type.toBe<Effect.Effect<string>>()
    expect(Effect.provide(tenant, auth.layerTestGranted({}))).type.toBe<
      Effect.Effect<string, never, NeedsToken<"Typed">>
    >()
  })
})

describe("a scheme's access token in an HttpApi", () => {
  const read = HttpApiEndpoint.get("read", "/")
  const group = HttpApiGroup.make("items").add(read)

  test("is available if the endpoint, its group or the api has a requirement", () => {
    const Endpoint = HttpApi.make("api").add(HttpApiGroup.make("items").add(read.middleware(typed.require("a"))))
    const Group = HttpApi.make("api").add(group.middleware(typed.require()))
    const Api = HttpApi.make("api").add(group).middleware(typed.require())
    type Served = Layer.Layer<HttpApiGroup.Service<"api", "items">>
    const layer = typed.layerTest({})
    const served = [
      HttpApiBuilder.group(Endpoint, "items", (h) => h.handle("read", () => Effect.asVoid(tenant))).pipe(
        OAuth2.secured
      ),
      HttpApiBuilder.group(Group, "items", (h) => h.handle("read", () => Effect.asVoid(tenant)).pipe(OAuth2.secured)),
      OAuth2.secured(HttpApiBuilder.group(Api, "items", (h) => h.handle("read", () => Effect.asVoid(tenant))))
    ] as const
    expect(Layer.provide(served[0], layer)).type.toBe<Served>()
    expect(Layer.provide(served[1], layer)).type.toBe<Served>()
    expect(Layer.provide(served[2], layer)).type.toBe<Served>()
  })

  test("does not compile without a requirement of the scheme", () => {
    const Open = HttpApi.make("api").add(group)
    HttpApiBuilder.group(Open, "items", (h) =>
      // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
      h.handle("read", () => Effect.asVoid(tenant)).pipe(OAuth2.secured)
    )
    const Optional = Open.middleware(typed.optional())
    HttpApiBuilder.group(Optional, "items", (h) =>
      // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
      h.handle("read", () => Effect.asVoid(tenant)).pipe(OAuth2.secured)
    )
    const Other = Open.middleware(auth.require("me"))
    HttpApiBuilder.group(Other, "items", (h) =>
      // @ts-expect-error A handler needs a token of the scheme `Typed`, but no requirement around it proves this. Use auth.require.
      h.handle("read", () => Effect.asVoid(tenant)).pipe(OAuth2.secured)
    )
  })
})

describe("a scheme's check", () => {
  class Suspended extends Schema.TaggedError<Suspended>()("Suspended", {}) {}
  class Tenants extends Context.Service<
    Tenants,
    { readonly of: (tenant: string) => Effect.Effect<boolean, Suspended> }
  >()("test/Tenants") {}

  const tenantCheck = typed.check("tenant", ({ claims }) => Effect.succeed(claims.tenant === "t1"))
  const checkWithError = typed.check(
    "tenant",
    ({ claims }) => Effect.flatMap(Tenants, (tenants) => tenants.of(claims.tenant)),
    {
      error: Suspended
    }
  )

  test("receives the claims of the scheme, and returns a boolean", () => {
    typed.check("tenant", (token) => {
      expect(token).type.toBe<VerifiedToken<Claims>>()
      return Effect.succeed(true)
    })
    // @ts-expect-error Type 'string' is not assignable to type 'boolean'.
    typed.check("tenant", ({ claims }) => Effect.succeed(claims.tenant))
    // @ts-expect-error Property 'tenants' does not exist on type
    typed.check("tenant", ({ claims }) => Effect.succeed(claims.tenants === "t1"))
    // @ts-expect-error Type 'Suspended' is not assignable to type 'never'.
    typed.check("tenant", () => Effect.fail(new Suspended()))
  })

  test("has its error, its services and its scheme in its type", () => {
    expect(tenantCheck).type.toBe<Requirement.Requirement<never, never, never, never, "Typed">>()
    expect(checkWithError).type.toBe<Requirement.Requirement<never, never, Suspended, Tenants, "Typed">>()
    expect(Requirement.any("a", Requirement.all("b", checkWithError))).type.toBe<
      Requirement.Requirement<"a" | "b", Requirement.Clause<"a" | "b">, Suspended, Tenants, "Typed">
    >()
  })

  test("fits every requirement of its scheme, also nested", () => {
    const app = get(typed.granted("a")).pipe(typed.require("a", Requirement.any("b", checkWithError)))
    expect<Layer.Services<typeof app>>().type.toBe<
      | HttpRouter.HttpRouter
      | NeedsScheme<"Typed">
      | Tenants
      | HttpRouter.Request.From<"Error", SecurityError.SecurityError | Suspended>
    >()
    typed.optional(tenantCheck)
    typed.prove(Requirement.any("a", tenantCheck))
    typed.require(
      tenantCheck,
      Requirement.check("any scheme's", () => Effect.succeed(true))
    )
  })

  test("does not compile in a requirement of another scheme", () => {
    // @ts-expect-error Type '"Typed"' is not assignable to type '"Partners"'.
    partners.require(tenantCheck)
    // @ts-expect-error Type '"Typed"' is not assignable to type '"Partners"'.
    partners.require("items:read", Requirement.any("items:read", Requirement.all(tenantCheck)))
    // @ts-expect-error Type '"Typed"' is not assignable to type '"Partners"'.
    partners.optional(tenantCheck)
    // @ts-expect-error Type '"Typed"' is not assignable to type '"Partners"'.
    partners.prove(tenantCheck)
    const ofPartners = partners.check("ours", () => Effect.succeed(true))
    // @ts-expect-error Type '"Partners"' is not assignable to type '"Typed"'.
    typed.require(Requirement.any(tenantCheck, ofPartners))
  })

  test("fits a list with an annotated item type", () => {
    const items: ReadonlyArray<Requirement.Item<"a" | "b">> = ["a"]
    const withCheck: ReadonlyArray<Requirement.Item<"a" | "b", "Typed">> = ["a", tenantCheck]
    typed.require(...items)
    typed.require(...withCheck)
    // @ts-expect-error is not assignable to
    auth.require(...withCheck)
  })
})

describe("a scheme's claims", () => {
  test("must decode to an object", () => {
    // @ts-expect-error Type 'String' is not assignable to type 'Decoder<object, never>'.
    OAuth2.authorizationCode("Scheme", { ...flow, claims: Schema.String })
    // @ts-expect-error is not assignable to type 'Decoder<object, never>'.
    OAuth2.authorizationCode("Scheme", { ...flow, claims: Schema.NullOr(Schema.Struct({ tenant: Schema.String })) })
  })

  test("may be a schema class or a type parameter", () => {
    class Own extends Schema.Class<Own>("Own")({ tenant: Schema.String }) {}
    const ofClass = OAuth2.authorizationCode("Scheme", { ...flow, claims: Own })
    expect<Effect.Success<typeof ofClass.token>>().type.toBe<VerifiedToken<Own>>()
    const make = <C extends object>(claims: Schema.Decoder<C>) =>
      OAuth2.authorizationCode("Scheme", { ...flow, claims })
    const made = make(Own)
    expect<Effect.Success<typeof made.token>>().type.toBe<VerifiedToken<Own>>()
  })

  test("are covariant in the type of the scheme", () => {
    type Scheme<C extends object> = OAuth2.OAuth2Scheme<"Scheme", "a", {}, C>
    expect<Scheme<Claims>>().type.toBeAssignableTo<Scheme<{ readonly tenant: string }>>()
    expect<Scheme<{ readonly tenant: string }>>().type.not.toBeAssignableTo<Scheme<Claims>>()
  })
})
