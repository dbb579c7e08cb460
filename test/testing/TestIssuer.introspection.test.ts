// The introspection endpoint of a TestIssuer (RFC 7662).
import { assert, describe } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { test } from "../support/testIssuers.ts"

/** Introspects a token, and returns the status and the body. */
const introspect = (
  token: string,
  {
    form = {},
    headers = { authorization: "Basic YTpi" }
  }: {
    readonly form?: Readonly<Record<string, string>>
    readonly headers?: Readonly<Record<string, string>>
  } = {}
) =>
  Effect.gen(function* () {
    const { introspectionEndpoint } = yield* TestIssuer
    const client = yield* HttpClient.HttpClient
    const response = yield* client.execute(
      HttpClientRequest.post(introspectionEndpoint, { headers }).pipe(
        HttpClientRequest.bodyUrlParams({ token, ...form })
      )
    )
    return [response.status, (yield* response.json) as Record<string, unknown>] as const
  })

const inactive = [200, { active: false }] as const

describe("introspection by a TestIssuer", () => {
  test("returns all claims of minted access tokens, both opaque tokens and JWTs", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_700_000_000_000)
      const { mint, mintOpaque } = yield* TestIssuer
      const options = { subject: "alice", scopes: ["a", "b"], claims: { tenant: "t1" } }
      for (const [token, jti] of [
        [yield* mintOpaque(options), "token-1"],
        [yield* mint(options), "token-2"],
        [yield* mint({ ...options, profile: "jwt" }), "token-3"]
      ] as const) {
        const expected = {
          active: true,
          token_type: "Bearer",
          iss: "https://issuer.test",
          sub: "alice",
          aud: "https://api.test",
          client_id: "test-client",
          jti,
          iat: 1_700_000_000,
          exp: 1_700_000_600,
          scope: "a b",
          tenant: "t1"
        }
        assert.deepStrictEqual(yield* introspect(token), [200, expected])
      }
    }))

  test("reports a token as active until the token expires or is revoked", () =>
    Effect.gen(function* () {
      const { mint, mintOpaque, revoke } = yield* TestIssuer
      const [short, revoked, valid] = [yield* mintOpaque({ lifetime: "1 minute" }), yield* mint(), yield* mintOpaque()]
      yield* revoke(revoked)
      assert.deepStrictEqual(yield* introspect(revoked), inactive)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual((yield* introspect(short))[1]["active"], true)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* introspect(short), inactive)
      assert.strictEqual((yield* introspect(valid))[1]["active"], true)
    }))

  test("reports every token as inactive that is not an access token of this issuer", () =>
    Effect.gen(function* () {
      const { mint, mintRaw, rotate } = yield* TestIssuer
      const { kid } = yield* rotate()
      const foreign = yield* TestIssuer.makeKey(kid, "ES256")
      for (const token of [
        "never-minted",
        "",
        yield* mint({ profile: "id-token" }),
        yield* mint({ key: foreign }),
        yield* mint({ header: { alg: "none" } }),
        yield* mintRaw({ header: "{}", payload: "{}" })
      ]) {
        assert.deepStrictEqual(yield* introspect(token), inactive, token)
      }
    }))

  test("returns the given claims, but always decides active itself", () =>
    Effect.gen(function* () {
      const { mintOpaque } = yield* TestIssuer
      const [, refresh] = yield* introspect(yield* mintOpaque({ without: ["token_type", "aud"] }))
      assert.deepStrictEqual(
        ["token_type", "aud"].filter((name) => name in refresh),
        []
      )
      const [, other] = yield* introspect(yield* mintOpaque({ claims: { token_type: "DPoP", active: "no" } }))
      assert.deepStrictEqual([other["token_type"], other["active"]], ["DPoP", true])
    }))

  test("accepts all client credentials, and refuses a request without credentials", () =>
    Effect.gen(function* () {
      const token = yield* TestIssuer.use(({ mintOpaque }) => mintOpaque())
      for (const options of [
        {},
        { headers: { authorization: "Bearer of-a-client" } },
        { headers: {}, form: { client_id: "a", client_secret: "b" } },
        { headers: {}, form: { client_assertion: "signed" } }
      ]) {
        assert.strictEqual((yield* introspect(token, options))[0], 200)
      }
      assert.deepStrictEqual(yield* introspect(token, { headers: {}, form: { client_id: "a" } }), [
        401,
        { error: "invalid_client" }
      ])
    }))

  test("responds only to POST", () =>
    Effect.gen(function* () {
      const { introspectionEndpoint } = yield* TestIssuer
      const client = yield* HttpClient.HttpClient
      assert.strictEqual((yield* client.get(introspectionEndpoint)).status, 404)
    }))

  test("never repeats an opaque token, and reports earlier tokens as inactive after reset", () =>
    Effect.gen(function* () {
      const { mintOpaque, reset } = yield* TestIssuer
      const before = yield* mintOpaque()
      yield* reset
      const after = yield* mintOpaque()
      assert.notStrictEqual(after, before)
      assert.deepStrictEqual(yield* introspect(before), inactive)
      assert.strictEqual((yield* introspect(after))[1]["jti"], "token-1")
    }))

  test("sends the response that respond sets", () =>
    Effect.gen(function* () {
      const { mintOpaque, requests, respond } = yield* TestIssuer
      const token = yield* mintOpaque()
      yield* respond("introspection", { status: 500, body: "{}" })
      assert.deepStrictEqual(yield* introspect(token), [500, {}])
      yield* respond("introspection", "unreachable")
      assert(Exit.isFailure(yield* Effect.exit(introspect(token))))
      yield* respond("introspection", "normal")
      assert.strictEqual((yield* introspect(token))[0], 200)
      assert.deepStrictEqual(
        (yield* requests).map(({ endpoint, method }) => [endpoint, method]),
        [
          ["introspection", "POST"],
          ["introspection", "POST"],
          ["introspection", "POST"]
        ]
      )
    }))
})
