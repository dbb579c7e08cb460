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
import { auth, either, get, type Grant, type Guarded, implying } from "./support.ts"

const write = auth.granted("items:write")

describe("a grant is discharged by the route's requirement", () => {
  test("that requires the scope", () => {
    const app = get(write).pipe(Layer.provide(auth.require("items:write").route.layer), OAuth2.proven)
    expect(app).type.toBeAssignableTo<Guarded>()
    expect(
      OAuth2.proven(Layer.provide(get(write), auth.require("items:write").route.layer))
    ).type.toBeAssignableTo<Guarded>()
  })

  test("that requires it among others, or in layers around", () => {
    expect(
      get(write).pipe(Layer.provide(auth.require("items:read", "items:write").route.layer), OAuth2.proven)
    ).type.toBeAssignableTo<Guarded>()
    expect(
      get(auth.granted("items:read", "items:write")).pipe(
        Layer.provide(auth.require("items:write").route.layer),
        Layer.provide(auth.require("items:read").route.layer),
        OAuth2.proven
      )
    ).type.toBeAssignableTo<Guarded>()
  })

  test("and by no other", () => {
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, which no requirement around it proves
    get(write).pipe(OAuth2.proven)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, which no requirement around it proves
    OAuth2.proven(get(write))
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, which no requirement around it proves
    get(write).pipe(Layer.provide(auth.require("items:read").route.layer), OAuth2.proven)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, which no requirement around it proves
    OAuth2.proven(Layer.provide(get(write), auth.require("items:read").route.layer))
    const app = get(auth.granted("items:read", "items:write"))
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, which no requirement around it proves
    app.pipe(Layer.provide(auth.require("items:read").route.layer), OAuth2.proven)
  })

  test("not by one around another route", () => {
    const open = get(write)
    const guarded = get(write).pipe(Layer.provide(auth.require("items:write").route.layer))
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, which no requirement around it proves
    Layer.merge(open, guarded).pipe(OAuth2.proven)
  })

  test("not by an optional one, nor by the scheme's layer", () => {
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, which no requirement around it proves
    get(write).pipe(Layer.provide(auth.optional("items:write").route.layer), OAuth2.proven)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, which no requirement around it proves
    get(write).pipe(Layer.provide(auth.layer), OAuth2.proven)
  })

  test("without OAuth2.proven too: what is served still needs it", () => {
    const served = HttpRouter.serve(get(write))
    expect<Extract<Layer.Services<typeof served>, Grant<"items:write">>>().type.toBe<Grant<"items:write">>()
    // @ts-expect-error Granted<"OAuth2", "items:write">
    const main: Effect.Effect<
      never,
      unknown,
      Exclude<Layer.Services<typeof served>, Grant<"items:write">>
    > = Layer.launch(served)
    expect(main).type.not.toBe<any>()
  })
})

describe("a grant travels", () => {
  /** A service whose methods say what their caller must have proven. */
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

  /** A service on top of it. */
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

  test("through effects, functions, services and layers", () => {
    expect(empty).type.toBe<Effect.Effect<void, never, Baskets | Grant<"items:write"> | Grant<"me">>>()
    expect(Baskets.layer).type.toBe<Layer.Layer<Baskets>>()
    expect<Layer.Services<typeof app>>().type.toBe<
      | HttpRouter.HttpRouter
      | HttpRouter.Request<"Requires", Baskets>
      | HttpRouter.Request<"Requires", Grant<"items:write">>
      | HttpRouter.Request<"Requires", Grant<"me">>
    >()
  })

  test("to the route, which discharges it", () => {
    const served = app.pipe(
      Layer.provide(auth.require("me", "items:write").route.layer),
      HttpRouter.provideRequest(Baskets.layer),
      OAuth2.proven
    )
    expect(served).type.toBeAssignableTo<Guarded>()
  })

  test("or fails to compile", () => {
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, which no requirement around it proves
    app.pipe(Layer.provide(auth.require("me").route.layer), HttpRouter.provideRequest(Baskets.layer), OAuth2.proven)
    // @ts-expect-error A handler needs the scope `me` of the scheme `OAuth2`, which no requirement around it proves
    OAuth2.proven(Layer.provide(app, auth.require("items:write").route.layer))
  })

  test("and a service that hides it does not compile", () => {
    // @ts-expect-error Type 'Granted<"OAuth2", "items:write">' is not assignable to type 'never'.
    const hidden: Effect.Effect<unknown> = Effect.flatMap(Effect.succeed(1), () => write)
    expect(hidden).type.not.toBe<any>()
  })
})

describe("any-of", () => {
  const any = Layer.provide(auth.require(Requirement.any("items:read", "items:write")).route.layer)

  test("gives the handler the union that it can rely on", () => {
    expect(get(auth.grantedAny("items:read", "items:write")).pipe(any, OAuth2.proven)).type.toBeAssignableTo<Guarded>()
    expect(
      get(auth.grantedAny("items:read", "items:write", "me")).pipe(any, OAuth2.proven)
    ).type.toBeAssignableTo<Guarded>()
  })

  test("and nothing else", () => {
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, which no requirement around it proves
    get(auth.granted("items:read")).pipe(any, OAuth2.proven)
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, which no requirement around it proves
    OAuth2.proven(get(auth.granted("items:read")).pipe(any))
    // @ts-expect-error A handler needs one of the scopes `...` of the scheme `OAuth2`, which no requirement around it proves
    get(auth.grantedAny("items:read", "me")).pipe(any, OAuth2.proven)
    // @ts-expect-error A handler needs one of the scopes `...` of the scheme `OAuth2`, which no requirement around it proves
    OAuth2.proven(get(auth.grantedAny("items:read", "me")).pipe(any))
  })

  test("is satisfied by one of its scopes", () => {
    const one = Layer.provide(auth.require("items:read").route.layer)
    expect(get(auth.grantedAny("items:read", "me")).pipe(one, OAuth2.proven)).type.toBeAssignableTo<Guarded>()
    expect(get(auth.grantedAny("items:read")).pipe(one, OAuth2.proven)).type.toBeAssignableTo<Guarded>()
  })

  test("nested, is one scope of every alternative", () => {
    const nested = Layer.provide(
      auth.require(Requirement.any(Requirement.all("items:read", "items:write"), "me")).route.layer
    )
    expect(get(auth.grantedAny("items:read", "me")).pipe(nested, OAuth2.proven)).type.toBeAssignableTo<Guarded>()
    expect(get(auth.grantedAny("items:write", "me")).pipe(nested, OAuth2.proven)).type.toBeAssignableTo<Guarded>()
    // @ts-expect-error A handler needs one of the scopes `...` of the scheme `OAuth2`, which no requirement around it proves
    get(auth.grantedAny("items:read", "items:write")).pipe(nested, OAuth2.proven)
  })

  test("says which of its scopes it is", () => {
    expect(auth.grantedAny("items:read", "me")).type.toBe<
      Effect.Effect<"items:read" | "me", never, Grant<"items:read" | "me">>
    >()
  })
})

describe("implication", () => {
  const admin = Layer.provide(implying.require("admin").route.layer)

  test("satisfies what is implied, transitively", () => {
    const write = Layer.provide(implying.require("items:write").route.layer)
    const app = get(implying.granted("items:read")).pipe(write, OAuth2.proven)
    expect(app).type.toBeAssignableTo<Guarded<"Implying">>()
    expect(get(implying.granted("items:read", "items:write")).pipe(admin, OAuth2.proven)).type.toBeAssignableTo<
      Guarded<"Implying">
    >()
    expect(get(implying.grantedAny("items:read")).pipe(admin, OAuth2.proven)).type.toBeAssignableTo<
      Guarded<"Implying">
    >()
  })

  test("satisfies it whichever alternative held", () => {
    const any = Layer.provide(implying.require(Requirement.any("items:write", "admin")).route.layer)
    expect(get(implying.granted("items:read", "items:write")).pipe(any, OAuth2.proven)).type.toBeAssignableTo<
      Guarded<"Implying">
    >()
    // @ts-expect-error A handler needs the scope `admin` of the scheme `Implying`, which no requirement around it proves
    get(implying.granted("admin")).pipe(any, OAuth2.proven)
  })

  test("does not go the other way", () => {
    const read = Layer.provide(implying.require("items:read").route.layer)
    // @ts-expect-error A handler needs one of the scopes `...` of the scheme `Implying`, which no requirement around it proves
    get(implying.granted("items:write")).pipe(read, OAuth2.proven)
    // @ts-expect-error A handler needs the scope `admin` of the scheme `Implying`, which no requirement around it proves
    OAuth2.proven(get(implying.granted("admin")).pipe(read))
  })

  test("holds for no other scheme", () => {
    const write = Layer.provide(auth.require("items:write").route.layer)
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, which no requirement around it proves
    get(auth.granted("items:read")).pipe(write, OAuth2.proven)
  })
})

describe("what is not known for certain is not proven", () => {
  const scope: "items:read" | "items:write" = either ? "items:read" : "items:write"

  test("a scope in a variable of a union type", () => {
    const one = Layer.provide(auth.require(scope).route.layer)
    expect(get(auth.grantedAny("items:read", "items:write")).pipe(one, OAuth2.proven)).type.toBeAssignableTo<Guarded>()
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, which no requirement around it proves
    get(auth.granted("items:read")).pipe(one, OAuth2.proven)
  })

  test("one of two requirements is no requirement", () => {
    const one = either ? auth.require("items:read") : auth.require("items:write")
    // @ts-expect-error is not assignable
    get(auth.granted("items:read")).pipe(Layer.provide(one.route.layer))
  })
})

describe("the token", () => {
  test("comes with the grant, without optionality", () => {
    expect(auth.granted("me")).type.toBe<Effect.Effect<VerifiedToken, never, Grant<"me">>>()
  })

  test("is there where a requirement holds", () => {
    const subject = Effect.map(AccessToken, (token) => token.subject)
    expect(subject).type.toBe<Effect.Effect<string, never, AccessToken>>()
    expect(get(subject).pipe(Layer.provide(auth.require().route.layer))).type.toBeAssignableTo<Guarded>()
    expect(get(subject)).type.not.toBeAssignableTo<Guarded>()
  })

  test("is optional where a requirement is, and only there", () => {
    const optional = Layer.provide(auth.optional("me").route.layer)
    const greeting = Effect.map(OptionalAccessToken, (token) => {
      expect(token).type.toBe<Option.Option<VerifiedToken>>()
    })
    expect(get(greeting).pipe(optional)).type.toBeAssignableTo<Guarded>()
    expect(get(AccessToken).pipe(optional)).type.not.toBeAssignableTo<Guarded>()
    expect(get(greeting).pipe(Layer.provide(auth.require("me").route.layer))).type.toBeAssignableTo<Guarded>()
  })
})

describe("a check on a route", () => {
  class Suspended extends Schema.TaggedError<Suspended>()("Suspended", {}) {}
  class Users extends Context.Service<Users, { readonly active: Effect.Effect<boolean, Suspended> }>()("test/Users") {}
  const active = Requirement.check("active", () => Effect.flatMap(Users, (users) => users.active), { error: Suspended })

  test("puts its services and its errors into the route's", () => {
    const app = get(auth.granted("me")).pipe(Layer.provide(auth.require("me", active).route.layer), OAuth2.proven)
    expect<Layer.Services<typeof app>>().type.toBe<
      | HttpRouter.HttpRouter
      | OAuth2.Authentication<"OAuth2">
      | Users
      | HttpRouter.Request.From<"Error", SecurityError.SecurityError | Suspended>
    >()
  })
})

describe("OAuth2.proven", () => {
  test("gives back what it is given", () => {
    const app = get(Effect.void)
    expect(OAuth2.proven(app)).type.toBe<typeof app>()
    expect(app.pipe(OAuth2.proven)).type.toBe<typeof app>()
  })
})
