/** Issuers that a function allows at run time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { JwtVerifier, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { audience, issuer } from "../support/jwts.ts"
import { first, second, withLogs } from "../support/keySets.ts"

const customer = (n: number) => `https://customer-${n}.example.com`

/** Each customer publishes the first key at its own host. */
const withCustomers = <A, E>(
  options: Omit<JwtVerifier.AllowedIssuersOptions, "audience">,
  body: (test: {
    readonly verify: (iss: unknown, key?: typeof first) => Effect.Effect<string>
    readonly urls: ReadonlyArray<string>
    readonly messages: () => ReadonlyArray<string>
  }) => Effect.Effect<A, E, TokenVerifier>
) => {
  const urls: Array<string> = []
  const client = HttpClient.make((request, url) =>
    Effect.sync(() => {
      urls.push(url.href)
      const body =
        url.pathname === "/keys" ? { keys: [first.jwk] } : { issuer: url.origin, jwks_uri: `${url.origin}/keys` }
      return HttpClientResponse.fromWeb(request, Response.json(body))
    })
  )
  return withLogs((logs) =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const { verify } = yield* TokenVerifier
      return yield* body({
        urls,
        messages: () => logs.filter(({ level }) => level === "Error").map(({ message }) => message),
        verify: (iss, key = first) =>
          Effect.gen(function* () {
            const exit = yield* Effect.exit(verify(Redacted.make(yield* mint({ key, claims: { iss } }))))
            if (Exit.isSuccess(exit)) return exit.value.issuer
            const error = Option.getOrThrow(Exit.findErrorOption(exit))
            return error._tag === "InvalidToken" ? `${error.reason} ${error.claim ?? ""}`.trim() : error._tag
          })
      })
    }).pipe(
      Effect.provide(
        JwtVerifier.layerAllowedIssuers({ audience, ...options }).pipe(
          Layer.provide(Layer.succeed(HttpClient.HttpClient, client)),
          Layer.provideMerge(TestIssuer.layer({ issuer, audience, keys: [first] }))
        )
      )
    )
  )
}

describe("JwtVerifier.layerAllowedIssuers", () => {
  it.effect("asks the function before anything is fetched, with valid issuers only", () => {
    const asked: Array<string> = []
    const allow = (issuer: string) =>
      Effect.sync(() => {
        asked.push(issuer)
        return issuer === customer(1)
      })
    return withCustomers({ allow }, ({ urls, verify }) =>
      Effect.gen(function* () {
        for (const iss of [
          customer(2),
          `${customer(1)}/`,
          `${customer(1)}?x`,
          "http://customer-1.example.com",
          "https://u:p@customer-1.example.com",
          "not a URL",
          "https://{tenantid}.example.com",
          [customer(1)],
          undefined
        ]) {
          assert.strictEqual(yield* verify(iss), "Claim iss", String(iss))
        }
        assert.deepStrictEqual(urls, [])
        assert.deepStrictEqual(asked, [customer(2), `${customer(1)}/`])
        assert.strictEqual(yield* verify(customer(1)), customer(1))
        assert.deepStrictEqual(urls, [`${customer(1)}/.well-known/openid-configuration`, `${customer(1)}/keys`])
      })
    )
  })

  it.effect("verifies the signature with the keys of the issuer", () =>
    withCustomers({ allow: () => Effect.succeed(true) }, ({ verify }) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* verify(customer(1), { ...second, kid: first.kid }), "Signature")
        assert.strictEqual(yield* verify(customer(1), second), "AuthorizationServerUnavailable")
        assert.strictEqual(yield* verify(customer(1)), customer(1))
      })
    )
  )

  it.effect("fetches the keys of each issuer once", () =>
    withCustomers({ allow: () => Effect.succeed(true) }, ({ urls, verify }) =>
      Effect.gen(function* () {
        yield* Effect.forEach([1, 2, 1, 2, 1], (n) => verify(customer(n)), { concurrency: "unbounded" })
        assert.lengthOf(urls, 4)
      })
    )
  )

  it.effect("keeps the keys of maxIssuers issuers at most, and says so once", () =>
    withCustomers({ allow: () => Effect.succeed(true), maxIssuers: 2 }, ({ messages, urls, verify }) =>
      Effect.gen(function* () {
        for (const n of [1, 2]) assert.strictEqual(yield* verify(customer(n)), customer(n))
        for (const n of [3, 4, 3]) assert.strictEqual(yield* verify(customer(n)), "AuthorizationServerUnavailable")
        assert.strictEqual(yield* verify(customer(1)), customer(1))
        assert.lengthOf(urls, 4)
        assert.deepStrictEqual(messages(), ["Tokens of more than 2 issuers arrived. Raise the maxIssuers option."])
      })
    )
  )

  it.effect("refuses an issuer that the function no longer allows, when the cache entry has ended", () => {
    let isAllowed = true
    return withCustomers({ allow: () => Effect.sync(() => isAllowed) }, ({ verify }) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* verify(customer(1)), customer(1))
        isAllowed = false
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* verify(customer(1)), "Claim iss")
      })
    )
  })

  it.effect("checks its options at start-up", () =>
    Effect.gen(function* () {
      const allow = () => Effect.succeed(true)
      for (const [options, setting] of [
        [{ maxIssuers: 0 }, "maxIssuers"],
        [{ audience: "" }, "audience"],
        [{ algorithms: [] }, "algorithms"],
        [{ staleFor: "25 hours" }, "staleFor"]
      ] as const) {
        const layer = JwtVerifier.layerAllowedIssuers({ audience, allow, ...options })
        assert.strictEqual((yield* Effect.flip(Effect.scoped(Layer.build(layer)))).setting, setting)
      }
    }).pipe(Effect.provide(TestIssuer.layer({ keys: [first] })))
  )
})
