// The defects of a TestIssuer, and an app under test.
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer } from "effect"
import { HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { audience, issuer, test } from "../support/testIssuers.ts"

const dies = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(effect), (exit) => {
    assert(Exit.isFailure(exit))
    return String(Cause.squash(exit.cause))
  })

describe("a mistake in a test", () => {
  const cases: ReadonlyArray<
    readonly [name: string, mistake: Effect.Effect<unknown, unknown, TestIssuer>, message: string]
  > = [
    [
      "minting with an unknown key",
      TestIssuer.use(({ mint }) => mint({ key: "rsa-2" })),
      'Error: TestIssuer: no key has the name "rsa-2". Names of keys: "rsa".'
    ],
    [
      "signing bytes with an unknown key",
      TestIssuer.use(({ mintRaw }) => mintRaw({ header: "", payload: "", key: "x" })),
      'Error: TestIssuer: no key has the name "x". Names of keys: "rsa".'
    ],
    [
      "retiring a key that is not published",
      TestIssuer.use(({ publish, retire }) => Effect.andThen(publish(null), retire("x"))),
      'Error: TestIssuer: no published key has the name "x". Names of published keys: "rsa".'
    ],
    [
      "rotating from a secret without a new key",
      Effect.gen(function* () {
        const { rotate } = yield* TestIssuer
        yield* rotate(yield* TestIssuer.makeSecretKey("s", "secret"))
        yield* rotate()
      }),
      "Error: TestIssuer: rotate cannot generate an HMAC secret. Pass the key."
    ],
    [
      "revoking a token that the issuer did not mint",
      TestIssuer.use(({ revoke }) => revoke("never-minted")),
      "Error: TestIssuer: revoke received a token that is not active. Revoke an access token of this issuer once."
    ],
    [
      "a lifetime that is not a duration",
      TestIssuer.use(({ mint }) => mint({ lifetime: "5 minuts" as "5 minutes" })),
      'Error: TestIssuer: lifetime must be a finite duration, such as "5 seconds".'
    ],
    [
      "an infinite lifetime",
      TestIssuer.use(({ mint }) => mint({ lifetime: Infinity })),
      'Error: TestIssuer: lifetime must be a finite duration, such as "5 seconds".'
    ],
    [
      "a delay that is not a duration",
      TestIssuer.use(({ respond }) => respond("jwks", { delay: "x" as "1 second" })),
      'Error: TestIssuer: delay must be a finite duration that is not negative, such as "5 seconds".'
    ],
    [
      "a negative delay",
      TestIssuer.use(({ respond }) => respond("jwks", { delay: "-1 seconds" })),
      'Error: TestIssuer: delay must be a finite duration that is not negative, such as "5 seconds".'
    ]
  ]
  for (const [name, mistake, message] of cases) {
    test(`is a defect whose message says what to do: ${name}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* dies(mistake), message)
      }))
  }

  it.effect("stops the layer if keys is empty or issuer is not an https URL", () =>
    Effect.gen(function* () {
      assert.include(yield* dies(Layer.build(TestIssuer.layer({ keys: [] }))), "keys must not be empty")
      assert.include(
        yield* dies(Layer.build(TestIssuer.layer({ issuer: "http://issuer.test" }))),
        "issuer must be an https URL"
      )
    })
  )
})

describe("an app under test", () => {
  const auth = OAuth2.authorizationCode("OAuth2", {
    authorizationUrl: `${issuer}/authorize`,
    tokenUrl: `${issuer}/token`,
    scopes: { "items:read": "Read your items", "items:write": "Modify your items" }
  })
  const App = HttpRouter.add("GET", "/items", HttpServerResponse.jsonUnsafe([])).pipe(
    auth.require("items:read"),
    Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience })))
  )

  test("responds with 200, 401 and 503 as TestIssuer and TestClock change", () =>
    Effect.gen(function* () {
      const { mint, respond, rotate } = yield* TestIssuer
      const context = yield* Effect.context<never>()
      const app = HttpEffect.toWebHandler(yield* HttpRouter.toHttpEffect(App))
      const status = (token: string) =>
        Effect.promise(async () => {
          const headers = { authorization: `Bearer ${token}` }
          return (await app(new Request("http://localhost/items", { headers }), context)).status
        })
      const token = yield* mint({ scopes: ["items:read"] })
      assert.strictEqual(yield* status(token), 200)
      assert.strictEqual(yield* status(yield* mint({ scopes: ["items:write"] })), 401)
      assert.strictEqual(yield* status(yield* mint({ scopes: ["items:read"], profile: "id-token", audience })), 401)
      yield* TestClock.adjust("11 minutes")
      assert.strictEqual(yield* status(token), 401)
      yield* rotate("ES256")
      assert.strictEqual(yield* status(yield* mint({ scopes: ["items:read"] })), 200)
      yield* respond("jwks", "unreachable")
      assert.strictEqual(yield* status(yield* mint({ scopes: ["items:read"] })), 200)
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* status(yield* mint({ scopes: ["items:read"] })), 503)
    }))
})
