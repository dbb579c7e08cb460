/** Tests of `TokenVerifier.layerByForm`: which verifier decides about which token, and about tokens of attackers. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted } from "effect"
import { type HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { type TokenFormOptions, JwtVerifier, OAuth2, type SecurityError, TokenVerifier } from "effect-oauth2"
import * as Revocations from "effect-oauth2/Revocations"
import { type MintOptions, TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import { authorizationServer } from "../support/authorizationServer.ts"
import {
  audience,
  introspectionCount,
  Issuer,
  issuer,
  mint,
  respond,
  verifier,
  verify
} from "../support/introspection.ts"
import { serve } from "../support/web.ts"

const layerOf = (options: TokenFormOptions = {}, algorithms: ReadonlyArray<JwtVerifier.Algorithm> = ["ES256"]) =>
  TokenVerifier.layerByForm({
    jwt: JwtVerifier.layer({ issuer, audience, algorithms }),
    opaque: verifier(),
    ...options
  })

const test = (
  name: string,
  body: Effect.Effect<void, unknown, TestIssuer | TokenVerifier>,
  options: TokenFormOptions = {}
) => it.effect(name, () => Effect.provide(body, layerOf(options).pipe(Layer.provideMerge(Issuer))))

const mintJwt = (options: MintOptions = {}) =>
  TestIssuer.use((issuer) => issuer.mint({ scopes: ["items:read"], ...options }))

/** Returns the subject, or the reason of the refusal, and the number of introspection requests so far. */
const outcome = (token: string) =>
  Effect.gen(function* () {
    const result = yield* verify(token).pipe(
      Effect.map(({ subject }) => subject),
      Effect.catch((error: SecurityError.SecurityError) =>
        Effect.succeed(error._tag === "InvalidToken" ? error.reason : error._tag)
      )
    )
    return [result, yield* introspectionCount] as const
  })

const encode = (value: unknown) => jose.base64url.encode(typeof value === "string" ? value : JSON.stringify(value))

describe("TokenVerifier.layerByForm", () => {
  test(
    "verifies a JWT without an introspection request, and an opaque token with one",
    Effect.gen(function* () {
      const [jwt, opaque] = [yield* mintJwt({ subject: "alice" }), yield* mint({ subject: "bob" })]
      assert.deepStrictEqual(yield* outcome(jwt), ["alice", 0])
      assert.deepStrictEqual(yield* outcome(opaque), ["bob", 1])
      // Both are cached.
      assert.deepStrictEqual(yield* outcome(jwt), ["alice", 1])
      assert.deepStrictEqual(yield* outcome(opaque), ["bob", 1])
    })
  )

  test(
    "never introspects a JWT that is refused",
    Effect.gen(function* () {
      const valid = yield* mintJwt()
      const [header = "", payload = "", signature = ""] = valid.split(".")
      const now = 60
      yield* TestClock.setTime(now * 1000)
      const refused = [
        yield* mintJwt({ audience: "https://other.test" }),
        yield* mintJwt({ claims: { iss: "https://other.test" } }),
        yield* mintJwt({ claims: { exp: 1 } }),
        yield* mintJwt({ header: { typ: "JWT" } }),
        yield* mintJwt({ header: { crit: ["exp"] } }),
        `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
        `${header}.${encode({ sub: "admin", iss: issuer, aud: audience, exp: 9999 })}.${signature}`,
        new jose.UnsecuredJWT({ sub: "admin" }).encode()
      ]
      for (const token of refused) {
        const [result, count] = yield* outcome(token)
        assert.notStrictEqual(result, "demo")
        assert.strictEqual(count, 0, token)
      }
    })
  )

  test(
    "never introspects a JWT that was damaged, so that only a lenient decoder reads it",
    Effect.gen(function* () {
      const [header = "", payload = "", signature = ""] = (yield* mintJwt()).split(".")
      const json = new TextDecoder().decode(jose.base64url.decode(header))
      // Unused bits of the last character.
      const spelled = header.length % 4 === 0 ? encode(`${json} `) : header
      const last = spelled.charCodeAt(spelled.length - 1)
      const damaged = [
        `${header}.${payload}`,
        `${header}.`,
        `${header}.${payload}.`,
        `${header}.${payload}.${signature}.`,
        `${header}.${payload}.${signature}.x`,
        `${header}.${payload}.${signature}==`,
        `${header}~.${payload}.${signature}`,
        `${header.slice(0, 5)}+~${header.slice(5)}`.replace("+", "~") + `.${payload}.${signature}`,
        `${spelled.slice(0, -1)}${String.fromCharCode(last + 1)}.${payload}.${signature}`,
        `${encode(` ${json}`)}.${payload}.${signature}`,
        `${encode(`\ufeff${json}`)}.${payload}.${signature}`,
        `${encode(json.replace("{", '{"alg":"none",'))}.${payload}.${signature}`,
        `${encode({ alg: 5 })}.${payload}.${signature}`,
        `${encode({ alg: "ES256", enc: "A256GCM" })}.${payload}.${signature}`
      ]
      for (const token of damaged) {
        const [result, count] = yield* outcome(token)
        assert.notStrictEqual(result, "demo")
        assert.strictEqual(count, 0, token)
      }
    })
  )

  test(
    "introspects every token that is not a JWT, with or without dots",
    Effect.gen(function* () {
      const tokens = [
        "opaque",
        "v2.local.opaque",
        "a.b.c",
        "a.b.c.d.e",
        ".b.c",
        "..",
        // JSON that is no header of a JWT: signed sessions of other frameworks have this form.
        `${encode({ user: 1 })}.YWJj.c2ln`,
        `${encode("text")}.b.c`,
        `${encode(["alg"])}.b.c`,
        `${encode(null)}.b.c`,
        // An encrypted JWT.
        `${encode({ alg: "dir", enc: "A256GCM" })}..aXY.dGV4dA.dGFn`
      ]
      for (const [i, token] of tokens.entries()) {
        assert.deepStrictEqual(yield* outcome(token), ["Rejected", i + 1], token)
      }
    })
  )

  test(
    "refuses an active opaque token in the form of a JWT",
    Effect.gen(function* () {
      const token = yield* mintJwt({ claims: { iss: "https://opaque.test" } })
      assert.deepStrictEqual(yield* outcome(token), ["Claim", 0])
    })
  )

  test(
    "introspects the JWTs of opaqueIssuers, and only theirs",
    Effect.gen(function* () {
      const header = encode({ alg: "ES256", typ: "at+jwt" })
      const withIssuer = (claims: unknown) => `${header}.${encode(claims)}.c2ln`
      assert.deepStrictEqual(yield* outcome(withIssuer({ iss: "https://opaque.test" })), ["Rejected", 1])
      assert.deepStrictEqual(yield* outcome(yield* mintJwt()), ["demo", 1])
      for (const claims of [
        { iss: "https://opaque.test/" },
        { iss: ["https://opaque.test"] },
        '{"iss":"https://issuer.test","iss":"https://opaque.test"}',
        "no JSON"
      ]) {
        const [, count] = yield* outcome(withIssuer(claims))
        assert.strictEqual(count, 1, JSON.stringify(claims))
      }
    }),
    { opaqueIssuers: ["https://opaque.test"] }
  )

  it.effect("introspects refused JWTs if the refusedJwts option says so", () =>
    Effect.gen(function* () {
      const { revoke } = yield* TestIssuer
      const token = yield* mintJwt()
      assert.deepStrictEqual(yield* outcome(token), ["demo", 1])
      assert.deepStrictEqual(yield* outcome(token), ["demo", 1])
      assert.deepStrictEqual(yield* outcome("a.b"), ["Rejected", 2])
      const forged = `${encode({ alg: "RS256" })}.e30.c2ln`
      assert.deepStrictEqual(yield* outcome(forged), ["Rejected", 3])
      assert.deepStrictEqual(yield* outcome(forged), ["Rejected", 4])
      yield* revoke(token)
      yield* TokenVerifier.invalidate(Redacted.make(token))
      assert.deepStrictEqual(yield* outcome(token), ["Rejected", 5])
    }).pipe(Effect.provide(layerOf({ refusedJwts: "opaque" }, ["RS256"]).pipe(Layer.provideMerge(Issuer))))
  )

  test(
    "does not introspect a JWT while the keys are unavailable",
    Effect.gen(function* () {
      yield* respond("jwks", "unreachable")
      assert.deepStrictEqual(yield* outcome(yield* mintJwt()), ["AuthorizationServerUnavailable", 0])
    }),
    { refusedJwts: "opaque" }
  )

  test(
    "invalidates tokens of both verifiers",
    Effect.gen(function* () {
      const { revoke } = yield* TestIssuer
      const token = yield* mint()
      assert.deepStrictEqual(yield* outcome(token), ["demo", 1])
      yield* revoke(token)
      assert.deepStrictEqual(yield* outcome(token), ["demo", 1])
      yield* TokenVerifier.invalidate(Redacted.make(token))
      assert.deepStrictEqual(yield* outcome(token), ["Rejected", 2])
    })
  )

  it.effect("gives Revocations.enforce both kinds of tokens, cached or not", () =>
    Effect.gen(function* () {
      const [jwt, opaque] = [yield* mintJwt({ subject: "alice" }), yield* mint({ subject: "bob" })]
      assert.deepStrictEqual(yield* outcome(jwt), ["alice", 0])
      assert.deepStrictEqual(yield* outcome(opaque), ["bob", 1])
      const expiresAt = DateTime.makeUnsafe(3_600_000)
      yield* Revocations.revoke({ issuer, subject: "alice" })
      yield* Revocations.revoke({ token: Redacted.make(opaque), expiresAt })
      assert.strictEqual((yield* outcome(jwt))[0], "Rejected")
      assert.strictEqual((yield* outcome(opaque))[0], "Rejected")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* outcome(yield* mintJwt({ subject: "alice" })))[0], "alice")
    }).pipe(
      Effect.provide(
        layerOf().pipe(Revocations.enforce, Layer.provideMerge(Revocations.layerMemory()), Layer.provideMerge(Issuer))
      )
    )
  )

  it.live("gives one challenge for both kinds of tokens", () =>
    Effect.gen(function* () {
      const auth = OAuth2.authorizationCode("OAuth2", {
        ...authorizationServer,
        scopes: { "items:read": "Read", "items:write": "Write" },
        responses: "rfc6750"
      })
      const send = yield* serve(
        HttpRouter.add("GET", "/", HttpServerResponse.empty()).pipe(
          auth.require("items:read"),
          Layer.provide(auth.layer(layerOf())),
          Layer.provide(Layer.succeedContext(yield* Effect.context<HttpClient.HttpClient>()))
        )
      )
      const tokens = [
        yield* mintJwt({ scopes: ["items:write"] }),
        yield* mint({ scopes: ["items:write"] }),
        yield* mintJwt({ audience: "https://other.test" }),
        "opaque",
        yield* mintJwt(),
        yield* mint()
      ]
      const answers = yield* Effect.forEach(tokens, (token) => send("/", token))
      const insufficient = 'Bearer error="insufficient_scope", scope="items:read"'
      const invalid = 'Bearer error="invalid_token", scope="items:read"'
      assert.deepStrictEqual(
        answers.map(({ challenge, status }) => [status, challenge]),
        [
          [403, insufficient],
          [403, insufficient],
          [401, invalid],
          [401, invalid],
          [204, null],
          [204, null]
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(Issuer))
  )

  it.effect("refuses invalid options at start-up", () =>
    Effect.gen(function* () {
      const settingOf = (options: Readonly<Record<string, unknown>>) =>
        Effect.map(Effect.flip(Layer.build(layerOf(options))), (error) => error.setting)
      assert.strictEqual(yield* settingOf({ opaqueIssuers: "https://issuer.test" }), "opaqueIssuers")
      assert.strictEqual(yield* settingOf({ opaqueIssuers: [5] }), "opaqueIssuers")
      assert.strictEqual(yield* settingOf({ refusedJwts: true }), "refusedJwts")
    }).pipe(Effect.scoped, Effect.provide(Issuer))
  )
})
