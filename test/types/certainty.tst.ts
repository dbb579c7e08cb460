// The types prove only what holds in every case: unions, unknown lengths and optional parts prove nothing.
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { AccessToken, OAuth2, OptionalAccessToken, Requirement, type VerifiedToken } from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import {
  auth,
  condition,
  get,
  type Grant,
  type GrantsOf,
  type Guarded,
  type NeedsGrant,
  type NeedsToken
} from "./support.ts"

describe("a requirement proves only what is certain", () => {
  test("proves nothing if its scopes are a union of lists", () => {
    const scopes = condition ? (["me"] as const) : (["me", "items:read"] as const)
    const spread = auth.require(...scopes)
    expect<GrantsOf<typeof spread>>().type.toBe<never>()
    const any = auth.require(Requirement.any(...scopes))
    expect<GrantsOf<typeof any>>().type.toBe<never>()
  })

  test("proves nothing if its item is a union of requirements", () => {
    const one = auth.require(condition ? Requirement.all("items:read") : Requirement.all("items:write"))
    expect<GrantsOf<typeof one>>().type.toBe<never>()
    const mixed = auth.require(condition ? "items:read" : Requirement.all("items:write"))
    expect<GrantsOf<typeof mixed>>().type.toBe<never>()
  })

  test("proves no more through a type annotation", () => {
    expect(Requirement.all("items:read")).type.not.toBeAssignableTo<
      Requirement.Requirement<
        "items:read" | "items:write",
        Requirement.Clause<"items:read"> | Requirement.Clause<"items:write">
      >
    >()
    expect(Requirement.all("items:read", "items:write")).type.toBeAssignableTo<
      Requirement.Requirement<"items:read" | "items:write", Requirement.Clause<"items:read">>
    >()
    expect(auth.require("items:read")).type.not.toBeAssignableTo<
      OAuth2.SecurityRequirement<"OAuth2", OAuth2.Authenticated<"OAuth2"> | Grant<"items:read"> | Grant<"me">>
    >()
  })
})

describe("granted and grantedAny", () => {
  test("need every scope of a union or of a list with unknown length", () => {
    const scope: "items:read" | "items:write" = condition ? "items:read" : "items:write"
    expect(auth.granted(scope)).type.toBe<
      Effect.Effect<VerifiedToken, never, NeedsGrant<"items:read" | "items:write">>
    >()
    expect(auth.grantedAny(scope)).type.toBe<
      Effect.Effect<"items:read" | "items:write", never, NeedsGrant<"items:read" | "items:write">>
    >()
    const more: ReadonlyArray<"me"> = []
    expect(auth.grantedAny("items:read", ...more)).type.toBe<
      Effect.Effect<"items:read" | "me", never, NeedsGrant<"items:read" | "me">>
    >()
  })
})

describe("implication", () => {
  test("proves nothing through a list of unknown length", () => {
    const implied: ReadonlyArray<"b"> = []
    const scheme = OAuth2.authorizationCode("Scheme", {
      authorizationUrl: "",
      tokenUrl: "",
      scopes: { a: "", b: "" },
      implies: { a: implied }
    })
    // @ts-expect-error A handler needs the scope `b` of the scheme `Scheme`, but no requirement around it proves this. Use auth.require.
    get(scheme.granted("b")).pipe(scheme.require("a"), OAuth2.secured)
  })

  test("keeps a union of scopes in the type if two scopes imply each other", () => {
    const scheme = OAuth2.authorizationCode("Scheme", {
      authorizationUrl: "",
      tokenUrl: "",
      scopes: { a: "", b: "" },
      implies: { a: ["b"], b: ["a"] }
    })
    // The message lists the scopes in the compiler's order, so only the proof is compared.
    const needed = Effect.asVoid(scheme.granted("a"))
    type Proof = Effect.Services<typeof needed>["~effect-oauth2/Granted"]
    expect<Proof>().type.toBe<OAuth2.Granted<"Scheme", "a" | "b">["~effect-oauth2/Granted"]>()
  })
})

describe("either", () => {
  test("proves the grants that every alternative proves, in any order", () => {
    const wide = auth.require("me", Requirement.any("items:read", "items:write"))
    const narrow = auth.require("items:read")
    const left = OAuth2.either(wide, narrow)
    const right = OAuth2.either(narrow, wide)
    const any = Effect.andThen(auth.grantedAny("items:read", "items:write"), auth.grantedAny("items:read", "me"))
    expect(get(any).pipe(left, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(get(any).pipe(right, OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(auth.granted("items:read")).pipe(left, OAuth2.secured)
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(auth.granted("items:read")).pipe(right, OAuth2.secured)
    const same = OAuth2.either(narrow, auth.require("me", "items:read"))
    expect(get(auth.granted("items:read")).pipe(same)).type.toBeAssignableTo<Guarded>()
  })

  test("proves nothing through a union of requirements", () => {
    const unknown = OAuth2.either(condition ? auth.require("me") : auth.require("items:read"), auth.require("me"))
    expect<GrantsOf<typeof unknown>>().type.toBe<never>()
  })
})

describe("the types prove nothing through a union or a wide type", () => {
  const urls = { authorizationUrl: "https://idp.example.com/authorize", tokenUrl: "https://idp.example.com/token" }
  const scopes = { w: "", r: "", r2: "" }

  test("of a union of requirement lists", () => {
    const list = condition ? ([auth.require("me")] as const) : ([auth.optional()] as const)
    const chosen = OAuth2.either(...list)
    expect<GrantsOf<typeof chosen>>().type.toBe<never>()
  })

  test("of a requirement whose annotation claims another grant", () => {
    // @ts-expect-error is not assignable to type 'SecurityRequirementTypes<"OAuth2", ...Granted<"OAuth2", "me">..., never, never>'.
    const more: OAuth2.SecurityRequirementTypes<"OAuth2", OAuth2.Granted<"OAuth2", "me">, never, never> = auth.require()
    const less: OAuth2.SecurityRequirementTypes<"OAuth2", never, never, never> = auth.require("me")
    expect(OAuth2.either(more, less)).type.not.toBe<never>()
  })

  test("of a union of implied scopes", () => {
    const one = OAuth2.authorizationCode("One", { ...urls, scopes, implies: { w: [condition ? "r" : "r2"] } })
    const other = OAuth2.authorizationCode("Other", {
      ...urls,
      scopes,
      implies: condition ? { w: ["r"] } : { w: ["r2"] }
    })
    const maybe = OAuth2.authorizationCode("Maybe", { ...urls, scopes, implies: condition ? { w: ["r"] } : {} })
    // @ts-expect-error A handler needs the scope `r` of the scheme `One`, but no requirement around it proves this. Use auth.require.
    get(one.granted("r")).pipe(one.require("w"), OAuth2.secured)
    // @ts-expect-error A handler needs the scope `r` of the scheme `Other`, but no requirement around it proves this. Use auth.require.
    get(other.granted("r")).pipe(other.require("w"), OAuth2.secured)
    // @ts-expect-error A handler needs the scope `r` of the scheme `Maybe`, but no requirement around it proves this. Use auth.require.
    get(maybe.granted("r")).pipe(maybe.require("w"), OAuth2.secured)
  })

  test("of scopes without a literal name", () => {
    const given: Record<string, string> = {}
    const wide = OAuth2.authorizationCode("Wide", { ...urls, scopes: given })
    const [one, other] = [String(condition), String(condition)]
    // @ts-expect-error A handler needs a scope of the scheme `Wide`, but the types do not know which. Write the scope as a literal.
    get(wide.granted(other)).pipe(wide.require(one), OAuth2.secured)
    // @ts-expect-error A handler needs a scope of the scheme `Wide`, but the types do not know which. Write the scope as a literal.
    get(wide.grantedAny(other)).pipe(wide.require("a"), OAuth2.secured)
    // @ts-expect-error A handler needs the scope `a` of the scheme `Wide`, but no requirement around it proves this. Use auth.require.
    get(wide.granted("a")).pipe(wide.require(one), OAuth2.secured)
    expect(get(wide.granted("a")).pipe(wide.require("a"), OAuth2.secured)).type.toBeAssignableTo<Guarded<"Wide">>()
  })

  test("of implications and claims that the options of the scheme lack", () => {
    interface Tenant {
      readonly tenant: string
    }
    // @ts-expect-error Property 'claims' is missing
    const annotated: OAuth2.OAuth2Scheme<"S", "w", {}, Tenant> = OAuth2.authorizationCode("S", {
      ...urls,
      scopes: { w: "" }
    })
    expect(annotated.name).type.toBe<"S">()
    // @ts-expect-error Property 'claims' is missing
    OAuth2.authorizationCode<"S", { w: string }, {}, Tenant>("S", { ...urls, scopes: { w: "" } })
    // @ts-expect-error Property 'implies' is missing
    OAuth2.authorizationCode<"S", typeof scopes, { readonly w: readonly ["r"] }>("S", { ...urls, scopes })
    const claims = Schema.Struct({ tenant: Schema.String })
    // @ts-expect-error is not assignable to
    OAuth2.authorizationCode("S", { ...urls, scopes, ...(condition ? { claims } : {}) })
    expect(OAuth2.authorizationCode("S", { ...urls, scopes, claims }).token).type.toBe<
      Effect.Effect<VerifiedToken<Tenant>, never, NeedsToken<"S">>
    >()
  })
})

describe("OAuth2.secured", () => {
  test("requires a requirement for AccessToken and OptionalAccessToken, too", () => {
    const subject = Effect.map(AccessToken, (token) => HttpServerResponse.text(token.subject))
    const read = HttpRouter.add("GET", "/", subject)
    const readOptional = HttpRouter.add("GET", "/", Effect.as(OptionalAccessToken, HttpServerResponse.empty()))
    const optional = auth.optional().route.layer
    // @ts-expect-error A handler needs the `AccessToken`, but its route or endpoint does not require a token. Use auth.require.
    read.pipe(OAuth2.secured)
    // @ts-expect-error A handler needs the `AccessToken`, but its route or endpoint does not require a token. Use auth.require.
    read.pipe(Layer.provide(optional), OAuth2.secured)
    // @ts-expect-error A handler needs the `OptionalAccessToken`, but no requirement is around it. Use auth.optional.
    readOptional.pipe(OAuth2.secured)
    expect(readOptional.pipe(Layer.provide(optional), OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(read.pipe(auth.require(), OAuth2.secured)).type.toBeAssignableTo<Guarded>()
  })

  test("accepts only layers of routes or handlers, and the handlers of a group", () => {
    const granted = auth.granted("me")
    // @ts-expect-error OAuth2.secured: the argument is neither an HttpApi, nor a layer of routes, nor an RpcGroup. Pass one of these.
    OAuth2.secured(granted)
    // @ts-expect-error OAuth2.secured: the argument is neither an HttpApi, nor a layer of routes, nor an RpcGroup. Pass one of these.
    granted.pipe(OAuth2.secured)
  })
})

describe("OAuth2.secured", () => {
  test("accepts only an api or a layer of routes", () => {
    const list = HttpApiEndpoint.get("list", "/items")
    const items = HttpApiGroup.make("items")
    // @ts-expect-error OAuth2.secured: the argument is neither an HttpApi, nor a layer of routes, nor an RpcGroup. Pass one of these.
    OAuth2.secured(items.add(list))
    // @ts-expect-error OAuth2.secured: the argument is neither an HttpApi, nor a layer of routes, nor an RpcGroup. Pass one of these.
    items.add(list).pipe(OAuth2.secured)
    // @ts-expect-error OAuth2.secured: the argument is neither an HttpApi, nor a layer of routes, nor an RpcGroup. Pass one of these.
    OAuth2.secured(list)
  })
})
