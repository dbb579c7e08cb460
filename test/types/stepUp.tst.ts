// The types of requirements on the user's authentication: what they prove, and what a handler may demand.
import { Effect, type Duration, Schema } from "effect"
import { type AccessToken, OAuth2, Requirement, type VerifiedToken } from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { auth, condition, get, type GrantsOf, type Guarded, partners } from "./support.ts"

const recently = Requirement.authenticatedWithin("5 minutes")
const strong = Requirement.acr("phr", "mfa")

describe("a requirement on the authentication proves it", () => {
  test("under a name that no scope can have", () => {
    const [byClass, byTime] = [auth.require(strong), auth.require(recently)]
    expect<GrantsOf<typeof byClass>>().type.toBe<OAuth2.Granted<"OAuth2", "acr phr" | "acr mfa">>()
    expect<GrantsOf<typeof byTime>>().type.toBe<OAuth2.Granted<"OAuth2", "authenticated within 5 minutes">>()
    const both = auth.require("me", Requirement.all(strong, recently))
    expect<GrantsOf<typeof both>>().type.toBe<
      | OAuth2.Granted<"OAuth2", "me">
      | OAuth2.Granted<"OAuth2", "acr phr" | "acr mfa">
      | OAuth2.Granted<"OAuth2", "authenticated within 5 minutes">
    >()
  })

  test("as one of several alternatives, with scopes, too", () => {
    const either = auth.require(Requirement.any("me", recently))
    expect<GrantsOf<typeof either>>().type.toBe<OAuth2.Granted<"OAuth2", "me" | "authenticated within 5 minutes">>()
  })

  test("but proves nothing if the types do not know the value", () => {
    const duration: Duration.Input = "5 minutes"
    const value: string = "mfa"
    const values: [string, ...Array<string>] = ["mfa"]
    const alternatives = condition ? "5 minutes" : "1 hour"
    for (const requirement of [
      auth.require(Requirement.authenticatedWithin(300_000)),
      auth.require(Requirement.authenticatedWithin(duration as Duration.Input)),
      auth.require(Requirement.acr(...values))
    ]) {
      expect<GrantsOf<typeof requirement>>().type.toBe<never>()
    }
    const ofText = auth.require(Requirement.acr(value))
    expect<GrantsOf<typeof ofText>>().type.toBe<never>()
    const ofUnion = auth.require(Requirement.authenticatedWithin(alternatives))
    expect<GrantsOf<typeof ofUnion>>().type.toBe<never>()
  })
})

describe("auth.granted of an authentication", () => {
  const pay = auth.granted(recently)

  test("returns the token", () => {
    expect<Effect.Success<typeof pay>>().type.toBe<VerifiedToken>()
  })

  test("compiles behind the requirement, and behind nested ones", () => {
    expect(get(pay).pipe(auth.require(recently), OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    const all = auth.granted("me", recently, strong)
    expect(
      get(all).pipe(auth.require(recently), auth.require("me", strong), OAuth2.secured)
    ).type.toBeAssignableTo<Guarded>()
  })

  test("compiles behind a narrower list of classes", () => {
    expect(
      get(auth.granted(strong)).pipe(auth.require(Requirement.acr("phr")), OAuth2.secured)
    ).type.toBeAssignableTo<Guarded>()
  })

  test("does not compile without the requirement", () => {
    // @ts-expect-error A handler needs the authentication `authenticated within 5 minutes` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(pay).pipe(OAuth2.secured)
    // @ts-expect-error A handler needs the authentication `authenticated within 5 minutes` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(pay).pipe(auth.require("me"), OAuth2.secured)
    // @ts-expect-error A handler needs the authentication `authenticated within 5 minutes` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(pay).pipe(auth.require(Requirement.authenticatedWithin("1 hour")), OAuth2.secured)
    // @ts-expect-error A handler needs the authentication `acr phr`, `acr mfa` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(auth.granted(strong)).pipe(auth.require(Requirement.acr("pwd", "mfa")), OAuth2.secured)
    // @ts-expect-error A handler needs the authentication `authenticated within 5 minutes` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(pay).pipe(auth.optional(recently), OAuth2.secured)
    // @ts-expect-error A handler needs the authentication `authenticated within 5 minutes` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(pay).pipe(partners.require(recently), OAuth2.secured)
    // @ts-expect-error A handler needs the authentication `authenticated within 5 minutes` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    get(pay).pipe(auth.require(Requirement.any("me", recently)), OAuth2.secured)
  })

  test("does not compile for a requirement that proves nothing", () => {
    // @ts-expect-error A handler needs a scope of the scheme `OAuth2`, but the types do not know which. Write the scope as a literal.
    get(auth.granted(Requirement.authenticatedWithin(300_000))).pipe(auth.require(recently), OAuth2.secured)
    // @ts-expect-error is not assignable to parameter of type
    auth.granted(Requirement.all("me"))
  })

  test("may stand in the signature of a service", () => {
    type Pay = () => Effect.Effect<VerifiedToken, never, OAuth2.Granted<"OAuth2", "authenticated within 5 minutes">>
    expect(() => pay as ReturnType<Pay>).type.toBeAssignableTo<Pay>()
  })
})

describe("auth.layerTestGranted", () => {
  test("proves the authentications that it is given, and no others", () => {
    const pay = Effect.asVoid(auth.granted(recently, strong))
    expect(Effect.provide(pay, auth.layerTestGranted({}, recently, strong))).type.toBeAssignableTo<
      Effect.Effect<void>
    >()
    expect(Effect.provide(pay, auth.layerTestGranted({}, recently))).type.not.toBeAssignableTo<Effect.Effect<void>>()
  })
})

describe("Requirement.authorizationDetails", () => {
  const Payment = Schema.Struct({ creditor: Schema.String })

  test("gives the decoded object, and collects the services of the function", () => {
    const requirement = Requirement.authorizationDetails("payment", Payment, (detail, token) => {
      expect(detail).type.toBe<{ readonly creditor: string }>()
      expect(token).type.toBe<VerifiedToken>()
      return Effect.succeed(true)
    })
    expect(requirement).type.toBe<Requirement.Requirement<never, never, never, never, never>>()
  })

  test("does not accept a function of another result", () => {
    // @ts-expect-error is not assignable to type
    Requirement.authorizationDetails("payment", Payment, () => "yes")
  })

  test("is decoded in a handler by AccessToken.authorizationDetails", () => {
    const read = (token: VerifiedToken, of: typeof AccessToken) => of.authorizationDetails(token, "payment", Payment)
    expect<ReturnType<typeof read>>().type.toBe<Effect.Effect<ReadonlyArray<{ readonly creditor: string }>>>()
  })
})
