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

describe("a mistake of a test", () => {
  const cases: ReadonlyArray<
    readonly [name: string, mistake: Effect.Effect<unknown, unknown, TestIssuer>, message: string]
  > = [
    [
      "minting with a key that is not there",
      TestIssuer.use(({ mint }) => mint({ key: "rsa-2" })),
      'Error: TestIssuer: there is no key "rsa-2"; its keys are: rsa'
    ],
    [
      "signing bytes with a key that is not there",
      TestIssuer.use(({ mintRaw }) => mintRaw({ header: "", payload: "", key: "x" })),
      'Error: TestIssuer: there is no key "x"; its keys are: rsa'
    ],
    [
      "retiring a key that is not published",
      TestIssuer.use(({ publish, retire }) => Effect.andThen(publish(null), retire("x"))),
      'Error: TestIssuer: no key "x" is published; these are: rsa'
    ],
    [
      "rotating after a secret without saying to what",
      Effect.gen(function* () {
        const { rotate } = yield* TestIssuer
        yield* rotate(yield* TestIssuer.makeSecretKey("s", "secret"))
        yield* rotate()
      }),
      "Error: TestIssuer: rotate makes no secrets: give it the key"
    ],
    [
      "a token to revoke that it has not minted",
      TestIssuer.use(({ revoke }) => revoke("never-minted")),
      "Error: TestIssuer: it has minted no access token like the one to revoke, or that is revoked already"
    ],
    [
      "a lifetime that is no duration",
      TestIssuer.use(({ mint }) => mint({ lifetime: "5 minuts" as "5 minutes" })),
      'Error: TestIssuer: the lifetime of a token must be a finite duration, such as "5 seconds"'
    ],
    [
      "a lifetime without an end",
      TestIssuer.use(({ mint }) => mint({ lifetime: Infinity })),
      'Error: TestIssuer: the lifetime of a token must be a finite duration, such as "5 seconds"'
    ],
    [
      "a delay that is no duration",
      TestIssuer.use(({ respond }) => respond("jwks", { delay: "x" as "1 second" })),
      'Error: TestIssuer: the delay of an answer must be a finite duration that is not negative, such as "5 seconds"'
    ],
    [
      "a delay back in time",
      TestIssuer.use(({ respond }) => respond("jwks", { delay: "-1 seconds" })),
      'Error: TestIssuer: the delay of an answer must be a finite duration that is not negative, such as "5 seconds"'
    ]
  ]
  for (const [name, mistake, message] of cases) {
    test(`dies and says what there is: ${name}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* dies(mistake), message)
      }))
  }

  it.effect("dies when the layer is built: no keys, no issuer", () =>
    Effect.gen(function* () {
      assert.include(yield* dies(Layer.build(TestIssuer.layer({ keys: [] }))), "keys must have at least one")
      assert.include(
        yield* dies(Layer.build(TestIssuer.layer({ issuer: "http://issuer.test" }))),
        "issuer must be an https URL"
      )
    })
  )
})

describe("an app of a user", () => {
  const auth = OAuth2.authorizationCode("OAuth2", {
    authorizationUrl: `${issuer}/authorize`,
    tokenUrl: `${issuer}/token`,
    scopes: { "items:read": "Read your items", "items:write": "Modify your items" }
  })
  const App = HttpRouter.add("GET", "/items", HttpServerResponse.jsonUnsafe([])).pipe(
    Layer.provide(auth.require("items:read").route.layer),
    Layer.provide(auth.layer),
    Layer.provide(JwtVerifier.layer({ issuer, audience }))
  )

  test("is tested from a good token to an outage, on the test's clock", () =>
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
