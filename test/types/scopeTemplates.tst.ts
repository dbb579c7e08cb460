// The types of scopes with placeholders: what they prove, and which values scopeOf needs.
import { Effect, type Layer } from "effect"
import { HttpServerRequest, type HttpRouter } from "effect/http"
import { OAuth2, type Requirement } from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { auth, get, type Guarded, type GrantsOf, type NeedsGrant } from "./support.ts"

const orgs = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  scopes: { me: "", "read:{org}": "", "write:{org}": "", "by:{org}:{team}": "" },
  implies: { "write:{org}": ["read:{org}"] }
})
const org = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => ({ org: headers["x-org"] }))

describe("a scope with placeholders", () => {
  test("is proven as declared, by require and by scopeOf", () => {
    expect<GrantsOf<ReturnType<typeof orgs.require<["read:{org}"]>>>>().type.toBe<
      OAuth2.Granted<"OAuth2", "read:{org}">
    >()
    const read = get(orgs.granted("read:{org}"))
    expect(read.pipe(orgs.require("read:{org}"), OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(read.pipe(orgs.require("write:{org}"), OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(read.pipe(orgs.require(orgs.scopeOf("read:{org}", org)), OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    const served = read.pipe(orgs.require("me"))
    expect<Extract<Layer.Services<typeof served>, HttpRouter.Request<"Requires", unknown>>>().type.not.toBe<never>()
    orgs.granted("by:{org}:{team}")
    // @ts-expect-error is not assignable to
    orgs.granted("read:acme")
  })

  test("is not proven by another scope", () => {
    const by = get(orgs.granted("by:{org}:{team}"))
    // @ts-expect-error A handler needs the scope `by:{org}:{team}` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    by.pipe(orgs.require("read:{org}"), OAuth2.secured)
    expect<NeedsGrant<"by:{org}:{team}">>().type.toBeAssignableTo<OAuth2.Granted<"OAuth2", "by:{org}:{team}">>()
  })

  test("needs a value for each placeholder in scopeOf", () => {
    const values = Effect.succeed({ org: "acme", team: undefined })
    expect(orgs.scopeOf("by:{org}:{team}", values)).type.toBeAssignableTo<
      Requirement.Requirement<"by:{org}:{team}", Requirement.Clause<"by:{org}:{team}">, never, never, "OAuth2">
    >()
    // @ts-expect-error is not assignable to
    orgs.scopeOf("by:{org}:{team}", Effect.succeed({ org: "acme" }))
    // @ts-expect-error is not assignable to
    orgs.scopeOf("read:{org}", Effect.succeed({ org: 1 }))
    // @ts-expect-error is not assignable to
    orgs.scopeOf("read:{org}", Effect.fail("no"))
    // @ts-expect-error is not assignable to
    orgs.scopeOf("me", Effect.succeed({}))
    // @ts-expect-error is not assignable to
    auth.scopeOf("me", Effect.succeed({}))
  })

  test("keeps the services of the values, and belongs to its scheme", () => {
    const requirement = orgs.scopeOf("read:{org}", org)
    expect(requirement).type.toBe<
      Requirement.Requirement<
        "read:{org}",
        Requirement.Clause<"read:{org}">,
        never,
        HttpServerRequest.HttpServerRequest,
        "OAuth2"
      >
    >()
    const partners = OAuth2.bearer("Partners", { scopes: { "read:{org}": "" } })
    // @ts-expect-error is not assignable to
    partners.require(requirement)
  })

  test("is filled in the scopes of test tokens", () => {
    orgs.layerTest({ scopes: ["read:acme", "by:acme:red", "me"] })
    // @ts-expect-error is not assignable to
    orgs.layerTest({ scopes: ["delete:acme"] })
    orgs.layerTestGranted({ scopes: ["read:{org}"] })
    // @ts-expect-error is not assignable to
    orgs.layerTestGranted({ scopes: ["read:acme"] })
  })
})
