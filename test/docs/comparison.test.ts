// Shows what docs/comparison.md says about this library.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { type MintOptions, TestIssuer } from "effect-oauth2/testing"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { authorizationServer } from "../support/authorizationServer.ts"
import { rsa } from "../support/testIssuers.ts"

const page = readFileSync(join(import.meta.dirname, "..", "..", "docs/comparison.md"), "utf8")

/** The cell of this library in the row with this name. */
const cellOf = (row: string): string | undefined =>
  page
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .find((cells) => cells[1] === row)?.[2]

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: {}, responses: "rfc6750" })

const Route = HttpRouter.add("GET", "/", HttpServerResponse.empty()).pipe(
  auth.require(),
  Layer.provide(auth.layer(JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" })))
)

/** Runs an app and its issuer. `send` makes a request with a minted token, or with a query. */
const withApp = <A, E>(
  use: (
    send: (options: MintOptions, query?: true) => Effect.Effect<HttpServerResponse.HttpServerResponse, E>
  ) => Effect.Effect<A, E, TestIssuer>
) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(1_000_000)
    const { mint } = yield* TestIssuer
    const app = yield* HttpRouter.toHttpEffect(Route)
    return yield* use((options, query) =>
      Effect.gen(function* () {
        const token = yield* mint(options)
        const request = query
          ? new Request(`http://localhost/?access_token=${token}`)
          : new Request("http://localhost/", { headers: { authorization: `Bearer ${token}` } })
        return yield* app.pipe(
          Effect.catch((error) => HttpServerRespondable.toResponse(error)),
          Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(request))
        )
      }).pipe(Effect.scoped)
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.unwrap(
        Effect.map(
          Effect.promise(() => rsa),
          (key) => TestIssuer.layer({ keys: [key] })
        )
      )
    )
  )

const fetches = TestIssuer.use(({ requests }) =>
  Effect.map(requests, (all) => all.filter(({ endpoint }) => endpoint === "jwks").length)
)

describe("docs/comparison.md says about this library", () => {
  const tokens: ReadonlyArray<readonly [row: string, cell: string, options: MintOptions, query?: true]> = [
    ["has no `exp`", "refused", { without: ["exp"] }],
    ["has no `aud`", "refused", { without: ["aud"] }],
    ["has an unknown `crit` extension", "refused", { header: { crit: ["x"], x: 1 } }],
    ["is bound to a key by DPoP, and is sent as `Bearer`", "refused", { claims: { cnf: { jkt: "a" } } }],
    ["is in the query (`?access_token=`)", "ignored", {}, true]
  ]
  for (const [row, cell, options, query] of tokens) {
    it.effect(`${cell}: a token that ${row}`, () =>
      withApp((send) =>
        Effect.gen(function* () {
          assert.strictEqual(cellOf(row), cell)
          const { headers, status } = yield* send(options, query)
          assert.strictEqual(status, 401)
          assert.match(headers["www-authenticate"] ?? "", /^Bearer /)
        })
      )
    )
  }

  it.effect("that a 503 has Retry-After if the keys cannot be fetched", () =>
    withApp((send) =>
      Effect.gen(function* () {
        assert.strictEqual(cellOf("status if the keys cannot be fetched"), "503, `Retry-After`")
        yield* TestIssuer.use(({ respond }) => respond("jwks", "unreachable"))
        const { headers, status } = yield* send({})
        assert.strictEqual(status, 503)
        assert.match(headers["retry-after"] ?? "", /^\d+$/)
      })
    )
  )

  it.effect("that 20 tokens cause one fetch, and 50 invented key IDs cause one more", () =>
    withApp((send) =>
      Effect.gen(function* () {
        assert.strictEqual(cellOf("20 valid tokens"), "1 fetch of the keys")
        assert.strictEqual(cellOf("50 tokens with invented key IDs, within 30 seconds"), "1 more fetch")
        for (let i = 0; i < 20; i++) assert.strictEqual((yield* send({ subject: `user-${i}` })).status, 204)
        assert.strictEqual(yield* fetches, 1)
        yield* TestClock.adjust("31 seconds")
        for (let i = 0; i < 50; i++) {
          assert.notStrictEqual((yield* send({ header: { kid: `invented-${i}` } })).status, 204)
          yield* TestClock.adjust("500 millis")
        }
        assert.strictEqual(yield* fetches, 2)
      })
    )
  )
})
