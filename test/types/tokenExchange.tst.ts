// The types of an exchange of tokens: it compiles only where a requirement has verified a token.
import { Effect, Redacted } from "effect"
import { OAuth2 } from "effect-oauth2"
import { ClientAuthentication, type ClientError, type ClientToken, TokenExchange } from "effect-oauth2/client"
import { describe, expect, test } from "tstyche"
import { auth, get, type Guarded, type NeedsToken, partners } from "./support.ts"

const registration = {
  issuer: "https://idp.example.com",
  clientId: "orders",
  authentication: ClientAuthentication.none
}
type Made<T> = T extends Effect.Effect<infer Exchange, infer _E, infer _R> ? Exchange : never
declare const exchange: Made<ReturnType<typeof make>>
const make = () => TokenExchange.make({ ...registration, subject: auth.credential })
const exchanged = get(Effect.orDie(exchange.get()))

describe("an exchange of tokens", () => {
  test("needs a token that the scheme has verified", () => {
    expect(exchange.get()).type.toBe<Effect.Effect<ClientToken, ClientError.TokenError, NeedsToken<"OAuth2">>>()
    expect(exchanged.pipe(auth.require("me"), OAuth2.secured)).type.toBeAssignableTo<Guarded>()
    expect(exchanged.pipe(auth.require(), OAuth2.secured)).type.toBeAssignableTo<Guarded>()
  })

  test("does not compile without a requirement, with an optional one, or with one of another scheme", () => {
    // @ts-expect-error A handler needs a token of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    exchanged.pipe(OAuth2.Public("open"), OAuth2.secured)
    // @ts-expect-error A handler needs a token of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    exchanged.pipe(auth.optional("me"), OAuth2.secured)
    // @ts-expect-error A handler needs a token of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    exchanged.pipe(partners.require("items:read"), OAuth2.secured)
  })

  test("takes no credential that the program has made", () => {
    const credential = { token: Redacted.make("token"), expiresAt: 0 }
    // @ts-expect-error Property '#verified' is missing in type
    const subject: Effect.Effect<OAuth2.VerifiedCredential> = Effect.succeed(credential)
    TokenExchange.make({ ...registration, subject })
  })
})
