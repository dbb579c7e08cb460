// The types of grants on the routes of HttpRouter: what a handler needs, and which requirements prove it.
import { Context, Effect, Layer, type Option, Schema } from "effect"
import { HttpRouter } from "effect/http"
import {
  AccessToken,
  OAuth2,
  OptionalAccessToken,
  Requirement,
  type SecurityError,
  type VerifiedToken
} from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import {
  auth,
  condition,
  get,
  type Grant,
  type Guarded,
  implying,
  fromContext,
  type NeedsGrant,
  type NeedsScheme
} from "./support.ts"

const write = auth.granted("items:write")

describe("a requirement around a route proves a grant", () => {
  test("if it requires the scope", () => {
    const app = get(write).pipe(auth.require("items:write"), OAuth2.secured)
    expect(app).type.toBeAssignableTo<Guarded>()
    expect(
      OAuth2.secured(Layer.provide(get(write), auth.require("items:write").route.layer))
    ).type.toBeAssignableTo<Guarded>()
  })

  test("if it requires several scopes, or several requirements are nested", () => {
    expect(get(write).pipe(auth.require("items:read", "items:write"), OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(
      get(auth.granted("items:read", "items:write")).pipe(
        auth.require("items:write"),
        auth.require("items:read"),
        OAuth2.secured
      )
    ).type.toBeAssignableTo<Guarded>()
  })

  test("but not if it requires another scope", () => {
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(write).pipe(OAuth2.secured)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(get(write))
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(write).pipe(auth.require("items:read"), OAuth2.secured)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(Layer.provide(get(write), auth.require("items:read").route.layer))
    const app = get(auth.granted("items:read", "items:write"))
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    app.pipe(auth.require("items:read"), OAuth2.secured)
  })

  test("but not if it wraps another route", () => {
    const open = get(write)
    const guarded = get(write).pipe(auth.require("items:write"))
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    Layer.merge(open, guarded).pipe(OAuth2.secured)
  })

  test("but not if it is optional, and the layer of the scheme proves nothing", () => {
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(write).pipe(auth.optional("items:write"), OAuth2.secured)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(write).pipe(Layer.provide(auth.layer(fromContext)), OAuth2.secured)
  })

  test("and an unproven grant stays in the services of HttpRouter.serve without OAuth2.secured", () => {
    const served = HttpRouter.serve(get(write))
    expect<Extract<Layer.Services<typeof served>, Grant<"items:write">>>().type.toBe<NeedsGrant<"items:write">>()
    // @ts-expect-error Granted<"OAuth2", "items:write">
    const main: Effect.Effect<
      never,
      unknown,
      Exclude<Layer.Services<typeof served>, Grant<"items:write">>
    > = Layer.launch(served)
    expect(main).type.not.toBe<any>()
  })
})

describe("a grant in the type of a service", () => {
  /** A service whose method requires a scope. */
  class Items extends Context.Service<
    Items,
    { readonly remove: (id: number) => Effect.Effect<string, "NoSuchItem", Grant<"items:write">> }
  >()("test/Items") {
    static readonly layer = Layer.succeed(Items, {
      remove: Effect.fn("Items.remove")(function* (id) {
        const token = yield* auth.granted("items:write")
        return `${token.subject} removed ${id}`
      })
    })
  }

  /** A service that calls `Items`. */
  class Baskets extends Context.Service<
    Baskets,
    { readonly empty: Effect.Effect<void, "NoSuchItem", Grant<"items:write"> | Grant<"me">> }
  >()("test/Baskets") {
    static readonly layer = Layer.effect(
      Baskets,
      Effect.gen(function* () {
        const items = yield* Items
        return { empty: Effect.andThen(auth.granted("me"), Effect.asVoid(items.remove(1))) }
      })
    ).pipe(Layer.provide(Items.layer))
  }

  const empty = Effect.flatMap(Baskets, (baskets) => Effect.orDie(baskets.empty))
  const app = get(empty)

  test("passes through effects, functions, services and layers", () => {
    expect(empty).type.toBe<Effect.Effect<void, never, Baskets | Grant<"items:write"> | Grant<"me">>>()
    expect(Baskets.layer).type.toBe<Layer.Layer<Baskets>>()
    expect<Layer.Services<typeof app>>().type.toBe<
      | HttpRouter.HttpRouter
      | HttpRouter.Request<"Requires", Baskets>
      | HttpRouter.Request<"Requires", Grant<"items:write">>
      | HttpRouter.Request<"Requires", Grant<"me">>
    >()
  })

  test("is proven by the requirement of the route", () => {
    const served = app.pipe(auth.require("me", "items:write"), HttpRouter.provideRequest(Baskets.layer), OAuth2.secured)
    expect(served).type.toBeAssignableTo<Guarded>()
  })

  test("does not compile without the requirement", () => {
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    app.pipe(auth.require("me"), HttpRouter.provideRequest(Baskets.layer), OAuth2.secured)
    // @ts-expect-error A handler needs the scope `me` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(Layer.provide(app, auth.require("items:write").route.layer))
  })

  test("cannot be hidden by a type annotation", () => {
    // @ts-expect-error Type 'Missing<"A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require."> & Granted<"OAuth2", "items:write">' is not assignable to type 'never'.
    const hidden: Effect.Effect<unknown> = Effect.flatMap(Effect.succeed(1), () => write)
    expect(hidden).type.not.toBe<any>()
  })
})

describe("Requirement.any", () => {
  const any = auth.require(Requirement.any("items:read", "items:write"))

  test("proves grantedAny of its scopes, and of more scopes", () => {
    expect(get(auth.grantedAny("items:read", "items:write")).pipe(any, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(
      get(auth.grantedAny("items:read", "items:write", "me")).pipe(any, OAuth2.secured)
    ).type.toBeAssignableTo<Guarded>()
  })

  test("does not prove one of its scopes, or grantedAny of fewer scopes", () => {
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(auth.granted("items:read")).pipe(any, OAuth2.secured)
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(get(auth.granted("items:read")).pipe(any))
    // @ts-expect-error A handler needs one of the scopes `...` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(auth.grantedAny("items:read", "me")).pipe(any, OAuth2.secured)
    // @ts-expect-error A handler needs one of the scopes `...` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(get(auth.grantedAny("items:read", "me")).pipe(any))
  })

  test("is not necessary for grantedAny if one scope is required", () => {
    const one = auth.require("items:read")
    expect(get(auth.grantedAny("items:read", "me")).pipe(one, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(get(auth.grantedAny("items:read")).pipe(one, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
  })

  test("proves one scope of every alternative if it has nested requirements", () => {
    const nested = auth.require(Requirement.any(Requirement.all("items:read", "items:write"), "me"))
    expect(get(auth.grantedAny("items:read", "me")).pipe(nested, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(get(auth.grantedAny("items:write", "me")).pipe(nested, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    // @ts-expect-error A handler needs one of the scopes `...` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(auth.grantedAny("items:read", "items:write")).pipe(nested, OAuth2.secured)
  })

  test("lets grantedAny return the name of the granted scope", () => {
    // The message lists the scopes in the compiler's order, so the result and the proof are compared.
    const granted = auth.grantedAny("items:read", "me")
    expect<Effect.Success<typeof granted>>().type.toBe<"items:read" | "me">()
    expect<Effect.Services<typeof granted>["~effect-oauth2/Granted"]>().type.toBe<
      Grant<"items:read" | "me">["~effect-oauth2/Granted"]
    >()
  })
})

describe("implication", () => {
  const admin = implying.require("admin")

  test("proves implied scopes, transitively", () => {
    const write = implying.require("items:write")
    const app = get(implying.granted("items:read")).pipe(write, OAuth2.secured)
    expect(app).type.toBeAssignableTo<Guarded<"Implying">>()
    expect(get(implying.granted("items:read", "items:write")).pipe(admin, OAuth2.secured)).type.toBeAssignableTo<
      Guarded<"Implying">
    >()
    expect(get(implying.grantedAny("items:read")).pipe(admin, OAuth2.secured)).type.toBeAssignableTo<
      Guarded<"Implying">
    >()
  })

  test("proves a scope that every alternative implies", () => {
    const any = implying.require(Requirement.any("items:write", "admin"))
    expect(get(implying.granted("items:read", "items:write")).pipe(any, OAuth2.secured)).type.toBeAssignableTo<
      Guarded<"Implying">
    >()
    // @ts-expect-error A handler needs the scope `admin` of the scheme `Implying`, but no requirement around it proves this. Use auth.require.
    get(implying.granted("admin")).pipe(any, OAuth2.secured)
  })

  test("does not prove an implying scope", () => {
    const read = implying.require("items:read")
    // @ts-expect-error A handler needs one of the scopes `...` of the scheme `Implying`, but no requirement around it proves this. Use auth.require.
    get(implying.granted("items:write")).pipe(read, OAuth2.secured)
    // @ts-expect-error A handler needs the scope `admin` of the scheme `Implying`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(get(implying.granted("admin")).pipe(read))
  })

  test("does not apply to another scheme", () => {
    const write = auth.require("items:write")
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(auth.granted("items:read")).pipe(write, OAuth2.secured)
  })
})

describe("a requirement with a union type", () => {
  const scope: "items:read" | "items:write" = condition ? "items:read" : "items:write"

  test("proves grantedAny of a union of scopes, but no single scope", () => {
    const one = auth.require(scope)
    expect(get(auth.grantedAny("items:read", "items:write")).pipe(one, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(auth.granted("items:read")).pipe(one, OAuth2.secured)
  })

  test("does not compile as a union of requirements", () => {
    const one = condition ? auth.require("items:read") : auth.require("items:write")
    // @ts-expect-error is not assignable
    get(auth.granted("items:read")).pipe(one)
  })
})

describe("the token", () => {
  test("is returned by granted, and is not optional", () => {
    expect(auth.granted("me")).type.toBe<Effect.Effect<VerifiedToken, never, NeedsGrant<"me">>>()
  })

  test("is available only inside of a requirement", () => {
    const subject = Effect.map(AccessToken, (token) => token.subject)
    expect(subject).type.toBe<Effect.Effect<string, never, AccessToken>>()
    expect(get(subject).pipe(auth.require())).type.toBeAssignableTo<Guarded>()
    expect(get(subject)).type.not.toBeAssignableTo<Guarded>()
  })

  test("is optional inside of an optional requirement", () => {
    const optional = auth.optional("me")
    const greeting = Effect.map(OptionalAccessToken, (token) => {
      expect(token).type.toBe<Option.Option<VerifiedToken>>()
    })
    expect(get(greeting).pipe(optional)).type.toBeAssignableTo<Guarded>()
    expect(get(AccessToken).pipe(optional)).type.not.toBeAssignableTo<Guarded>()
    expect(get(greeting).pipe(auth.require("me"))).type.toBeAssignableTo<Guarded>()
  })
})

describe("a check on a route", () => {
  class Suspended extends Schema.TaggedError<Suspended>()("Suspended", {}) {}
  class Users extends Context.Service<Users, { readonly active: Effect.Effect<boolean, Suspended> }>()("test/Users") {}
  const active = Requirement.check("active", () => Effect.flatMap(Users, (users) => users.active), { error: Suspended })

  test("adds its services and its errors to the type of the route", () => {
    const app = get(auth.granted("me")).pipe(auth.require("me", active), OAuth2.secured)
    expect<Layer.Services<typeof app>>().type.toBe<
      | HttpRouter.HttpRouter
      | NeedsScheme<"OAuth2">
      | Users
      | HttpRouter.Request.From<"Error", SecurityError.SecurityError | Suspended>
    >()
  })
})

describe("OAuth2.secured", () => {
  test("returns its argument with the same type", () => {
    const app = get(Effect.void)
    expect(OAuth2.secured(app)).type.toBe<typeof app>()
    expect(app.pipe(OAuth2.secured)).type.toBe<typeof app>()
  })
})
