// The tokens that a TestIssuer mints.
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { TestIssuer, type MintOptions } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as jose from "jose"
import { audience, decode, issuer, test } from "../support/testIssuers.ts"

/** Asserts that the signature is valid. Uses WebCrypto, because jose would check claims and header too. */
const assertSigned = (token: string, jwk: jose.JWK) =>
  Effect.promise(async () => {
    const [header = "", payload = "", signature = ""] = token.split(".")
    const key = await crypto.subtle.importKey(
      "jwk",
      jwk as JsonWebKey,
      { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
      false,
      ["verify"]
    )
    const bytes = new Uint8Array(Buffer.from(signature, "base64url"))
    const input = new TextEncoder().encode(`${header}.${payload}`)
    assert.isTrue(await crypto.subtle.verify("RSASSA-PKCS1-v1_5", key, bytes, input))
  })

describe("TestIssuer.mint", () => {
  test("mints an RFC 9068 access token that is valid for 10 minutes on TestClock", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_700_000_000_999)
      const token = yield* TestIssuer.use((issuer) => issuer.mint({ scopes: ["items:read", "me"] }))
      assert.deepStrictEqual(decode(token), {
        header: { alg: "RS256", kid: "rsa", typ: "at+jwt" },
        claims: {
          iss: issuer,
          sub: "demo",
          aud: audience,
          client_id: "test-client",
          jti: "token-1",
          iat: 1_700_000_000,
          exp: 1_700_000_600,
          scope: "items:read me"
        }
      })
    }))

  const cases: ReadonlyArray<
    readonly [name: string, options: MintOptions, expected: Record<string, unknown>, absent?: ReadonlyArray<string>]
  > = [
    ["no scope by default", {}, {}, ["scope"]],
    ["an empty scope", { scopes: [] }, { scope: "" }],
    ["a subject", { subject: "alice" }, { sub: "alice" }],
    ["audiences", { audience: ["a", "b"] }, { aud: ["a", "b"] }],
    ["a lifetime", { lifetime: "1 hour" }, { iat: 0, exp: 3600 }],
    [
      "the authentication and its details",
      { acr: "mfa", amr: ["pwd", "otp"], authenticatedAgo: "-5 minutes", authorizationDetails: [{ type: "a" }] },
      { acr: "mfa", amr: ["pwd", "otp"], auth_time: 300, authorization_details: [{ type: "a" }] }
    ],
    ["no claims of an authentication by default", {}, {}, ["acr", "amr", "auth_time", "authorization_details"]],
    ["any claims", { claims: { iss: 1, tenant: { id: null } } }, { iss: 1, tenant: { id: null } }],
    ["no claims that without lists", { without: ["exp", "aud"] }, {}, ["exp", "aud"]],
    ["no claims that both claims and without list", { claims: { x: 1 }, without: ["x"] }, {}, ["x"]],
    ["an ID token", { profile: "id-token" }, { aud: "test-client", auth_time: 0 }, ["client_id", "jti", "scope"]],
    ["an ID token whose aud is the API", { profile: "id-token", audience }, { aud: audience }],
    ["an access token without a mark", { profile: "jwt" }, { aud: audience, client_id: "test-client" }]
  ]
  for (const [name, options, expected, absent = []] of cases) {
    test(`mints ${name}`, () =>
      Effect.gen(function* () {
        const { claims } = decode(yield* TestIssuer.use((issuer) => issuer.mint(options)))
        for (const [claim, value] of Object.entries(expected)) assert.deepStrictEqual(claims[claim], value)
        for (const claim of absent) assert.notProperty(claims, claim)
      }))
  }

  test("mints a claim whose name is __proto__", () =>
    Effect.gen(function* () {
      const token = yield* TestIssuer.use((issuer) =>
        issuer.mint({ claims: JSON.parse('{"__proto__":{"sub":"admin"}}') })
      )
      assert.include(Buffer.from(token.split(".")[1]!, "base64url").toString(), '"__proto__":{"sub":"admin"}')
    }))

  test("sets typ to at+jwt only for the profile at+jwt", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const typ = (options: MintOptions) => Effect.map(mint(options), (token) => decode(token).header.typ)
      assert.strictEqual(yield* typ({}), "at+jwt")
      assert.strictEqual(yield* typ({ profile: "at+jwt" }), "at+jwt")
      assert.strictEqual(yield* typ({ profile: "jwt" }), "JWT")
      assert.strictEqual(yield* typ({ profile: "id-token" }), "JWT")
    }))

  test("writes a wrong header, but signs with the key's own algorithm", () =>
    Effect.gen(function* () {
      const { currentKey, mint } = yield* TestIssuer
      const { jwk } = yield* currentKey
      const token = yield* mint({ header: { alg: "RS512", kid: undefined, crit: ["x"], x: 1, jwk } })
      const { header } = decode(token)
      assert.deepStrictEqual(header, { alg: "RS512", typ: "at+jwt", crit: ["x"], x: 1, jwk })
      yield* assertSigned(token, { ...jwk, alg: "RS256" })
    }))

  test("numbers the tokens in jti", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const ids = yield* Effect.all([mint(), mint(), mint()])
      assert.deepStrictEqual(
        ids.map((token) => decode(token).claims.jti),
        ["token-1", "token-2", "token-3"]
      )
    }))

  test("mints the same RS256 token again after reset", () =>
    Effect.gen(function* () {
      const { mint, reset } = yield* TestIssuer
      const first = yield* mint()
      yield* reset
      assert.strictEqual(yield* mint(), first)
    }))
})

describe("TestIssuer.mintRaw", () => {
  const parts: ReadonlyArray<readonly [name: string, header: string | Uint8Array, payload: string | Uint8Array]> = [
    ["text that is not JSON", "not json", "not json either"],
    ["duplicate members", '{"alg":"RS256","alg":"none"}', '{"sub":"a","sub":"b"}'],
    ["invalid UTF-8", new Uint8Array([0xff, 0xfe]), new Uint8Array([0x7b, 0xff, 0x7d])],
    ["empty segments", "", ""],
    ["a number that is too large", '{"alg":"RS256"}', '{"exp":1e999}']
  ]
  for (const [name, header, payload] of parts) {
    test(`signs ${name} unchanged`, () =>
      Effect.gen(function* () {
        const { currentKey, mintRaw } = yield* TestIssuer
        const token = yield* mintRaw({ header, payload })
        const sent = token.split(".").map((segment) => Buffer.from(segment, "base64url"))
        assert.isTrue(Buffer.from(header).equals(sent[0]!))
        assert.isTrue(Buffer.from(payload).equals(sent[1]!))
        yield* assertSigned(token, (yield* currentKey).jwk)
      }))
  }

  test("signs encoded segments unchanged, even if they are not base64url", () =>
    Effect.gen(function* () {
      const { currentKey, mintRaw } = yield* TestIssuer
      const token = yield* mintRaw({ header: { encoded: "eyJ9==" }, payload: { encoded: "e 30" } })
      assert.isTrue(token.startsWith("eyJ9==.e 30."))
      yield* assertSigned(token, (yield* currentKey).jwk)
    }))

  test("writes the given signature, or no signature", () =>
    Effect.gen(function* () {
      const { mintRaw } = yield* TestIssuer
      const header = '{"alg":"none"}'
      assert.strictEqual(yield* mintRaw({ header, payload: "{}", signature: "" }), "eyJhbGciOiJub25lIn0.e30.")
      assert.strictEqual(yield* mintRaw({ header, payload: "{}", signature: "AA.A" }), "eyJhbGciOiJub25lIn0.e30.AA.A")
    }))

  test("signs with the given key", () =>
    Effect.gen(function* () {
      const { mintRaw } = yield* TestIssuer
      const key = yield* TestIssuer.makeSecretKey("s", "secret")
      const token = yield* mintRaw({ header: '{"alg":"HS256"}', payload: "{}", key })
      yield* Effect.promise(() => jose.jwtVerify(token, new TextEncoder().encode("secret")))
    }))
})
