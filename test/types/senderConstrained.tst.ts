// The types of Requirement.senderConstrained: what it proves, and what a handler may demand.
import { Effect } from "effect"
import { MutualTls, OAuth2, Requirement, type VerifiedToken } from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { get, type GrantsOf, type Guarded } from "./support.ts"

const auth = OAuth2.bearer("OAuth2", { scopes: { pay: "Pay" }, mutualTls: MutualTls.make() })
const bound = Requirement.senderConstrained

describe("Requirement.senderConstrained", () => {
  test("proves a bound token, alone and with scopes", () => {
    const [alone, both] = [auth.require(bound), auth.require("pay", bound)]
    expect<GrantsOf<typeof alone>>().type.toBe<OAuth2.Granted<"OAuth2", "bound token">>()
    expect<GrantsOf<typeof both>>().type.toBe<
      OAuth2.Granted<"OAuth2", "bound token"> | OAuth2.Granted<"OAuth2", "pay">
    >()
  })

  test("is proven only as one of several alternatives by Requirement.any", () => {
    const either = auth.require(Requirement.any("pay", bound))
    expect<GrantsOf<typeof either>>().type.toBe<OAuth2.Granted<"OAuth2", "pay" | "bound token">>()
  })
})

describe("auth.granted(Requirement.senderConstrained)", () => {
  const transfer = auth.granted("pay", bound)

  test("returns the token, and compiles behind the requirement", () => {
    expect<Effect.Success<typeof transfer>>().type.toBe<VerifiedToken>()
    expect(get(transfer).pipe(auth.require("pay", bound), OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(
      get(transfer).pipe(auth.require("pay"), auth.require(bound), OAuth2.secured)
    ).type.toBeAssignableTo<Guarded>()
  })

  test("does not compile without the requirement", () => {
    // @ts-expect-error A handler needs the authentication `bound token` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(transfer).pipe(auth.require("pay"), OAuth2.secured)
    // @ts-expect-error A handler needs the authentication `bound token` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(transfer).pipe(auth.require("pay"), auth.optional(bound), OAuth2.secured)
  })

  test("is proven in tests by layerTestGranted", () => {
    const test = Effect.asVoid(transfer)
    expect(Effect.provide(test, auth.layerTestGranted({ scopes: ["pay"] }, bound))).type.toBeAssignableTo<
      Effect.Effect<void>
    >()
    expect(Effect.provide(test, auth.layerTestGranted({ scopes: ["pay"] }))).type.not.toBeAssignableTo<
      Effect.Effect<void>
    >()
  })
})
