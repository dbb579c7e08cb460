/** Requirements on `authorization_details` (RFC 9396), with JWTs and introspection. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Effect, Layer, Redacted, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { AccessToken, JwtVerifier, OAuth2, Requirement, TokenIntrospection, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import { serve } from "../support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  responses: "rfc6750",
  scopes: { pay: "Pay" }
})

const issuer = TestIssuer.layer({ keys: ["ES256"] })
const verifiers = {
  mint: JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" }).pipe(
    Layer.provideMerge(issuer)
  ),
  mintOpaque: TokenIntrospection.layer({
    issuer: "https://issuer.test",
    audience: "https://api.test",
    clientId: "api",
    clientSecret: Redacted.make("secret")
  }).pipe(Layer.provideMerge(issuer))
}

const Payment = Schema.Struct({ actions: Schema.Array(Schema.String), creditor: Schema.String })
const here = "https://api.test/payments"

const mayPay = Requirement.authorizationDetails(
  "payment",
  Payment,
  ({ actions, creditor }) =>
    Effect.map(
      HttpServerRequest.HttpServerRequest,
      ({ headers }) => actions.includes(headers["x-action"] ?? "") && creditor === headers["x-creditor"]
    ),
  { locations: [here] }
)

const routes = Layer.mergeAll(
  HttpRouter.add("GET", "/", HttpServerResponse.text("paid")).pipe(auth.require(mayPay)),
  HttpRouter.add("GET", "/scope", HttpServerResponse.text("paid")).pipe(auth.require(Requirement.any("pay", mayPay))),
  HttpRouter.add("GET", "/sync", HttpServerResponse.text("paid")).pipe(
    auth.require(Requirement.authorizationDetails("payment", Payment, ({ creditor }) => creditor === "acme"))
  ),
  HttpRouter.add(
    "GET",
    "/list",
    Effect.gen(function* () {
      const details = yield* AccessToken.authorizationDetails(yield* AccessToken, "payment", Payment)
      return HttpServerResponse.jsonUnsafe(details.map(({ creditor }) => creditor))
    })
  ).pipe(auth.require())
)

const app = Effect.gen(function* () {
  const { mint, mintOpaque } = yield* TestIssuer
  const verifier = Layer.succeed(TokenVerifier, yield* TokenVerifier)
  const send = yield* serve(
    Layer.merge(routes.pipe(Layer.provide(auth.layer(verifier))), Layer.succeed(Clock.Clock, yield* Clock.Clock))
  )
  const ask = (token: string, path = "/") =>
    send(path, token, { headers: { "x-action": "initiate", "x-creditor": "acme" } })
  return { mint, mintOpaque, ask }
})

const acme = { type: "payment", actions: ["initiate"], creditor: "acme" }

for (const [name, layer] of Object.entries(verifiers)) {
  const mint = name as keyof typeof verifiers
  describe(`authorization details of a token (${name})`, () => {
    for (const [title, details, isAccepted] of [
      ["one object that allows the request", [acme], true],
      ["a second object that allows the request", [{ ...acme, creditor: "other" }, acme], true],
      ["an unknown type beside it", [{ type: "account" }, acme], true],
      ["an object that does not decode beside it", [{ type: "payment" }, { ...acme, extra: 1 }, acme], true],
      ["a location of this API among others", [{ ...acme, locations: ["https://other.test", here] }], true],
      ["no claim", undefined, false],
      ["an empty array", [], false],
      [
        "the actions of one object and the creditor of another",
        [
          { type: "payment", actions: ["initiate"], creditor: "other" },
          { type: "payment", actions: ["read"], creditor: "acme" }
        ],
        false
      ],
      ["another type with the same members", [{ ...acme, type: "payment_initiation" }], false],
      ["the type in another case", [{ ...acme, type: "Payment" }], false],
      ["no type", [{ actions: ["initiate"], creditor: "acme" }], false],
      ["a type that is not a text", [{ ...acme, type: ["payment"] }], false],
      ["an unknown member, which may restrict the grant", [{ ...acme, maxAmount: 5 }], false],
      ["a member of the wrong type", [{ ...acme, actions: "initiate" }], false],
      ["a member that is missing", [{ type: "payment", actions: ["initiate"] }], false],
      ["a location of another API", [{ ...acme, locations: ["https://other.test"] }], false],
      ["locations that are not an array", [{ ...acme, locations: here }], false],
      ["no location at all", [{ ...acme, locations: [] }], false],
      ["an object instead of an array", acme, false],
      ["a JSON text instead of an array", JSON.stringify([acme]), false],
      ["members that are no objects", ["payment", 1, null, [acme]], false],
      ["another request", [{ ...acme, creditor: "other" }], false]
    ] as const) {
      it.effect(`${isAccepted ? "allow" : "do not allow"} a request with ${title}`, () =>
        Effect.gen(function* () {
          const { ask, ...mints } = yield* app
          const token = yield* mints[mint](details === undefined ? {} : { authorizationDetails: details })
          const { challenge, status } = yield* ask(token)
          // The token stays valid, and no parameter of a challenge asks for authorization details.
          if (isAccepted) assert.strictEqual(status, 200)
          else assert.deepStrictEqual({ status, challenge }, { status: 403, challenge: 'Bearer realm="OAuth2"' })
        }).pipe(Effect.provide(layer))
      )
    }

    it.effect("grant beside scopes, and the challenge then names the scope", () =>
      Effect.gen(function* () {
        const { ask, ...mints } = yield* app
        const status = (options: Parameters<(typeof mints)["mintOpaque"]>[0]) =>
          Effect.flatMap(mints[mint](options), (token) => ask(token, "/scope"))
        assert.strictEqual((yield* status({ scopes: ["pay"] })).status, 200)
        assert.strictEqual((yield* status({ authorizationDetails: [acme] })).status, 200)
        assert.strictEqual((yield* status({})).challenge, 'Bearer error="insufficient_scope", scope="pay"')
      }).pipe(Effect.provide(layer))
    )
  })
}

describe("authorization details without the option locations", () => {
  it.effect("do not apply if the object names any location", () =>
    Effect.gen(function* () {
      const { ask, mint } = yield* app
      assert.strictEqual((yield* ask(yield* mint({ authorizationDetails: [acme] }), "/sync")).status, 200)
      for (const locations of [[here], [], null]) {
        const token = yield* mint({ authorizationDetails: [{ ...acme, locations }] })
        assert.strictEqual((yield* ask(token, "/sync")).status, 403)
      }
    }).pipe(Effect.provide(verifiers.mint))
  )

  it.effect("are listed for the handler, decoded, one for each object", () =>
    Effect.gen(function* () {
      const { ask, mint } = yield* app
      const token = yield* mint({
        authorizationDetails: [acme, { ...acme, creditor: "b" }, { type: "payment" }, { ...acme, type: "x" }]
      })
      assert.strictEqual((yield* ask(token, "/list")).body, '["acme","b"]')
    }).pipe(Effect.provide(verifiers.mint))
  )
})

describe("Requirement.authorizationDetails", () => {
  it("accepts only true from a function in JavaScript", async () => {
    const requirement = Requirement.authorizationDetails("payment", Payment, () => "true" as never)
    const send = auth.require(requirement)
    assert.strictEqual(
      OAuth2.describe(send),
      'a token of the scheme "OAuth2" with the check "authorization_details payment"'
    )
    await Effect.gen(function* () {
      const routes = HttpRouter.add("GET", "/", HttpServerResponse.text("paid")).pipe(send)
      const { status } = yield* Effect.flatMap(
        serve(routes.pipe(Layer.provide(auth.layerTest({ authorizationDetails: [acme] })))),
        (send) => send("/")
      )
      assert.strictEqual(status, 403)
    }).pipe(Effect.scoped, Effect.runPromise)
  })

  it("takes no member from a polluted prototype", async () => {
    const polluted = Object.prototype as unknown as Record<string, unknown>
    polluted["creditor"] = "acme"
    try {
      const token = AccessToken.make({
        subject: "demo",
        scopes: [],
        issuer: "test",
        expiresAt: DateTime.makeUnsafe(0),
        authorizationDetails: [{ type: "payment", actions: ["initiate"] }]
      })
      const decoded = await Effect.runPromise(AccessToken.authorizationDetails(token, "payment", Payment))
      assert.strictEqual(decoded.length, 0)
    } finally {
      delete polluted["creditor"]
    }
  })

  it("throws at start-up for a type that is not a text", () => {
    for (const type of ["", undefined, 1]) {
      assert.throws(
        () => Requirement.authorizationDetails(type as string, Payment, () => true),
        TypeError,
        "Requirement.authorizationDetails: the type must be a text that is not empty"
      )
    }
  })
})
