// The types of wildcard scopes: what proves a scope, and where a wildcard may stand.
import { OAuth2, Requirement } from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { condition, type GrantsOf } from "./support.ts"

const urls = { authorizationUrl: "https://idp.example.com/authorize", tokenUrl: "https://idp.example.com/token" }
const scopes = { "read:items": "", "read:items:own": "", "read:*": "", "write:items": "", "write:*": "", admin: "" }
const wild = OAuth2.authorizationCode("Wild", {
  ...urls,
  scopes,
  implies: { "write:items": ["read:items"] },
  wildcards: true
})
const plain = OAuth2.authorizationCode("Plain", { ...urls, scopes })
const key = OAuth2.apiKey("Key", { in: "header", name: "X-Key", scopes, wildcards: true })

// ProofOf<Effect<…, Missing<…> & Granted<"Wild", "a" | "b">>> -> "a" | "b"
type ProofOf<E> = E extends { readonly "~effect/Effect": { readonly _R: (_: never) => infer R } }
  ? R extends OAuth2.Granted<"Wild", infer Scope>
    ? Scope
    : never
  : never

describe("a wildcard scope", () => {
  test("proves the scopes of exactly one more segment, directly or by implication", () => {
    expect<ProofOf<ReturnType<typeof wild.granted<["read:items"]>>>>().type.toBe<
      "read:items" | "read:*" | "write:items" | "write:*"
    >()
    expect<ProofOf<ReturnType<typeof wild.granted<["read:items:own"]>>>>().type.toBe<"read:items:own">()
    expect<ProofOf<ReturnType<typeof wild.granted<["admin"]>>>>().type.toBe<"admin">()
    expect<OAuth2.ImpliedBy<OAuth2.Wildcards<"*" | "a:b:*">, "a:b:c">>().type.toBe<"a:b:c" | "*" | "a:b:*">()
    expect<OAuth2.ImpliedBy<OAuth2.Wildcards<"*">, "x:y:z">>().type.toBe<"x:y:z" | "*">()
    expect<OAuth2.ImpliedBy<OAuth2.Wildcards<"a:*">, "a:">>().type.toBe<"a:">()
  })

  test("cannot be required", () => {
    wild.require("read:items")
    // @ts-expect-error is not assignable to
    wild.require("read:*")
    // @ts-expect-error is not assignable to
    wild.require(Requirement.any("read:items", "read:*"))
    // @ts-expect-error is not assignable to
    wild.granted("read:*")
    // @ts-expect-error is not assignable to
    wild.withScopes("write:*")
    // @ts-expect-error is not assignable to
    key.require("read:*")
  })

  test("can be a scope of a test token", () => {
    wild.layerTest({ scopes: ["read:*", "read:items"] })
    // @ts-expect-error is not assignable to
    wild.layerTest({ scopes: ["delete:*"] })
    wild.layerTestGranted({ scopes: ["read:*"] })
    expect(wild.scopes).type.toBe<Readonly<Record<keyof typeof scopes, string>>>()
  })

  test("has no meaning without the option, or if the option is not certain", () => {
    expect<GrantsOf<ReturnType<typeof plain.require<["read:*"]>>>>().type.toBe<OAuth2.Granted<"Plain", "read:*">>()
    const uncertain = OAuth2.authorizationCode("Plain", { ...urls, scopes, wildcards: condition })
    expect(uncertain).type.toBe<typeof plain>()
  })

  test("cannot be claimed by type arguments alone", () => {
    type Claimed = typeof OAuth2.authorizationCode<"Wild", typeof scopes, {}, {}, true>
    // @ts-expect-error Property 'wildcards' is missing
    const options: Parameters<Claimed>[1] = { ...urls, scopes, claims: undefined as never }
    void options
  })
})
