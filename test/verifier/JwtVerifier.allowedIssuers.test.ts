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
    readonly messages: (level?: string) => ReadonlyArray<string>
    readonly verifyText: (token: string) => Effect.Effect<string>
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
      const outcomeOf = (token: string) =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(verify(Redacted.make(token)))
          if (Exit.isSuccess(exit)) return exit.value.issuer
          const error = Option.getOrThrow(Exit.findErrorOption(exit))
          return error._tag === "InvalidToken" ? `${error.reason} ${error.claim ?? ""}`.trim() : error._tag
        })
      return yield* body({
        urls,
        messages: (expected = "Error") => logs.filter(({ level }) => level === expected).map(({ message }) => message),
        verifyText: outcomeOf,
        verify: (iss, key = first) => Effect.flatMap(mint({ key, claims: { iss } }), outcomeOf)
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

  it.effect("explains once why an issuer is refused, without its name", () =>
    withCustomers({ allow: (issuer) => Effect.succeed(issuer === customer(1)) }, ({ messages, verify }) =>
      Effect.gen(function* () {
        for (const iss of [`${customer(1)}/`, customer(2), customer(3)]) {
          assert.strictEqual(yield* verify(iss), "Claim iss")
        }
        assert.deepStrictEqual(messages("Warn"), [
          "A token for JwtVerifier.layerAllowedIssuers was refused, because the allow option did not return true for its iss claim. If the issuer is one of yours, allow must accept exactly the iss of its tokens, including https:// and a trailing slash."
        ])
        for (const iss of ["http://customer-1.example.com", "customer-1.example.com", undefined]) {
          assert.strictEqual(yield* verify(iss), "Claim iss")
        }
        const [, form] = messages("Warn")
        assert.lengthOf(messages("Warn"), 2)
        assert.include(form, "its iss claim is not the URL of an issuer, so allow did not run")
        assert.include(form, "httpHosts")
        for (const message of messages("Warn")) assert.notInclude(message, "customer-")
      })
    )
  )

  it.effect("explains once the other causes that need no key", () =>
    withCustomers(
      { allow: () => Effect.succeed(true), algorithms: ["ES256"], maxTokenLength: 1000 },
      ({ messages, verify, verifyText }) =>
        Effect.gen(function* () {
          for (const text of ["opaque", "other", "a.b.c", "a.b.c.d.e", "x".repeat(1001), "y".repeat(1001)]) {
            assert.strictEqual(yield* verifyText(text), "Malformed")
          }
          for (const n of [1, 1]) assert.strictEqual(yield* verify(customer(n)), "Algorithm")
          const texts = [
            "is not a JWT",
            "not a well-formed JWT",
            "is encrypted",
            "maxTokenLength",
            "add it to the algorithms"
          ]
          const given = messages("Warn")
          assert.lengthOf(given, texts.length)
          for (const [i, text] of texts.entries()) assert.include(given[i], text)
          assert.isTrue(given.every((message) => message.startsWith("A token for ")))
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
