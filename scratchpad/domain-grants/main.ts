/**
 * Grants without HTTP: the types of a domain service state the required scopes, and a queue consumer proves them.
 *
 * Each message carries a token. Run `npm run example -- domain-grants`.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Context, Effect, Layer, Redacted, Ref } from "effect"
import { BearerToken, JwtVerifier, KeySet, OAuth2 } from "effect-oauth2"
import * as jose from "jose"

const auth = OAuth2.authorizationCode("Bank", {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  scopes: { "account:read": "See the balance", "account:write": "Move money" },
  implies: { "account:write": ["account:read"] }
})

/** The domain. `account:write` implies `account:read`, so a token with `account:write` may also read the balance. */
class Account extends Context.Service<
  Account,
  {
    readonly balance: Effect.Effect<number, never, OAuth2.Granted<"Bank", "account:read" | "account:write">>
    readonly deposit: (amount: number) => Effect.Effect<void, never, OAuth2.Granted<"Bank", "account:write">>
  }
>()("domain-grants/Account") {
  static readonly layer = Layer.effect(
    Account,
    Effect.gen(function* () {
      const balance = yield* Ref.make(0)
      return Account.of({
        balance: Effect.andThen(auth.granted("account:read"), Ref.get(balance)),
        deposit: Effect.fn("Account.deposit")(function* (amount) {
          const { subject } = yield* auth.granted("account:write")
          yield* Console.log(`${subject} deposits ${amount}`)
          yield* Ref.update(balance, (balance) => balance + amount)
        })
      })
    })
  )
}

/** Calls `Account`. The compiler infers the required scopes. */
const paySalary = Effect.gen(function* () {
  const account = yield* Account
  yield* account.deposit(1000)
  return yield* account.balance
})

/** Handles one message of a queue. Without `auth.prove`, this function does not compile. */
const onMessage = (token: string) =>
  paySalary.pipe(auth.prove("account:write"), Effect.provideService(BearerToken, Redacted.make(token)))

// ---------------------------------------------------------------------------------------------------------------------
// The program is its own issuer, so it needs no network.
// ---------------------------------------------------------------------------------------------------------------------

const issuer = "https://idp.example.com"
const audience = "urn:example:bank"

const program = Effect.gen(function* () {
  const { privateKey, publicKey } = yield* Effect.promise(() => jose.generateKeyPair("EdDSA"))
  const jwk = yield* Effect.promise(() => jose.exportJWK(publicKey))
  const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const mint = (sub: string, scope: string) =>
    Effect.promise(() =>
      new jose.SignJWT({
        iss: issuer,
        aud: audience,
        sub,
        client_id: sub,
        scope,
        jti: crypto.randomUUID(),
        iat: now,
        exp: now + 60
      })
        .setProtectedHeader({ alg: "EdDSA", typ: "at+jwt" })
        .sign(privateKey)
    )

  const consumer = Effect.gen(function* () {
    yield* Console.log(`the balance is ${yield* onMessage(yield* mint("payroll", "account:write"))}`)
    const refused = yield* Effect.flip(onMessage(yield* mint("visitor", "account:read")))
    yield* Console.log(`visitor is refused: ${refused.message}`)
  })
  const Authentication = auth
    .layer(JwtVerifier.layerKeySet({ issuer, audience }))
    .pipe(Layer.provide(KeySet.layerStatic({ keys: [jwk] })))
  yield* consumer.pipe(Effect.provide([Account.layer, Authentication]))
})

NodeRuntime.runMain(program)
