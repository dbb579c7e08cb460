/** Tests of signed introspection responses (RFC 9701), and of an API that authenticates with its private key (RFC 7523). */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { Persistence } from "effect/persistence"
import { TestClock } from "effect/testing"
import { type SecurityError, TokenIntrospection, TokenVerifier } from "effect-oauth2"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import * as SharedIntrospection from "effect-oauth2/SharedIntrospection"
import { type MintOptions, TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import {
  audience,
  formOf,
  good,
  Issuer,
  issuer,
  options,
  respond,
  type ServerResponse,
  verify
} from "../support/introspection.ts"

const type = "token-introspection+jwt"
const clientId = "items-api"
const clientSecret = Redacted.make("secret")
const otherKey = Effect.runPromise(TestIssuer.makeKey("other", "ES256"))

interface Answer {
  readonly text: string
  readonly contentType?: string
}

/** Serves the metadata and the keys of the `TestIssuer`, and the given response to introspection requests. */
const answering = (answer: Effect.Effect<Answer, never, TestIssuer>, accepts: Array<string | undefined> = []) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const context = yield* Effect.context<TestIssuer>()
      return HttpClient.make((request) => {
        if (request.method !== "POST") return client.execute(request)
        accepts.push(request.headers["accept"])
        return Effect.map(Effect.provideContext(answer, context), ({ contentType = `application/${type}`, text }) =>
          HttpClientResponse.fromWeb(request, new Response(text, { headers: { "content-type": contentType } }))
        )
      })
    })
  ).pipe(Layer.provideMerge(Issuer))

const signed = (options: MintOptions = {}): Effect.Effect<Answer, never, TestIssuer> =>
  Effect.map(
    TestIssuer.use(({ mint }) =>
      mint({
        audience: clientId,
        ...options,
        without: ["sub", "exp", "client_id", "scope", ...(options.without ?? [])],
        header: { typ: type, ...options.header },
        claims: { token_introspection: good.body, ...options.claims }
      })
    ),
    (text) => ({ text })
  )

/** Returns the subject, or the error and what the log says. */
const outcome = (
  answer: Effect.Effect<Answer, never, TestIssuer>,
  more: Partial<TokenIntrospection.Policy> = {},
  before: Effect.Effect<void, never, TestIssuer> = Effect.void
) => {
  const messages: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn") messages.push(String(message))
  })
  return Effect.gen(function* () {
    yield* TestClock.setTime(1_000_000_000)
    yield* before
    const result = yield* verify("opaque").pipe(
      Effect.map(({ subject }) => subject),
      Effect.catch((error: SecurityError.SecurityError) =>
        Effect.succeed("reason" in error ? `${error._tag} ${error.reason}` : error._tag)
      )
    )
    return [result, messages.join("\n")] as const
  }).pipe(
    Effect.provide(
      TokenIntrospection.layer({ issuer, audience, clientId, clientSecret, signedResponses: true, ...more }).pipe(
        Layer.provideMerge(answering(answer))
      )
    ),
    Effect.provide(Logger.layer([logger]))
  )
}

describe("a signed introspection response", () => {
  it.effect("is requested by its media type, and is accepted", () =>
    Effect.gen(function* () {
      const accepts: Array<string | undefined> = []
      const result = yield* Effect.provide(
        verify("opaque"),
        TokenIntrospection.layer({ issuer, audience, clientId, clientSecret, signedResponses: true }).pipe(
          Layer.provide(answering(signed(), accepts))
        )
      )
      assert.strictEqual(result.subject, "demo")
      assert.deepStrictEqual(accepts, [`application/${type}`])
    })
  )

  const accepted: Readonly<Record<string, Effect.Effect<Answer, never, TestIssuer>>> = {
    "with other audiences": signed({ audience: ["other", clientId] }),
    "with the full media type as typ": signed({ header: { typ: `application/${type}` } }),
    "with a parameter in its media type": Effect.map(signed(), ({ text }) => ({
      text,
      contentType: `Application/${type}; charset=utf-8`
    })),
    "with an iat a minute ago": signed({ claims: { iat: 1_000_000 - 64 } }),
    "with an iat that the clock tolerance covers": signed({ claims: { iat: 1_000_005 } })
  }
  for (const [which, answer] of Object.entries(accepted)) {
    it.effect(`${which} is accepted`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* outcome(answer), ["demo", ""])
      })
    )
  }

  it.effect("that the token is not active refuses the token", () =>
    Effect.gen(function* () {
      const [result] = yield* outcome(signed({ claims: { token_introspection: { active: false } } }))
      assert.strictEqual(result, "InvalidToken Rejected")
    })
  )

  it.effect("of which the token is for another API refuses the token, as an unsigned response does", () =>
    Effect.gen(function* () {
      const answer = signed({ claims: { token_introspection: { ...good.body, aud: "https://other.test" } } })
      assert.strictEqual((yield* outcome(answer))[0], "InvalidToken Claim")
    })
  )

  const secretKey = new TextEncoder().encode("secret".repeat(10))
  const body = { iss: issuer, aud: clientId, iat: 1_000_000, token_introspection: good.body }
  const header = { alg: "HS256", typ: type }
  const forged: Readonly<Record<string, readonly [answer: Effect.Effect<Answer, never, TestIssuer>, says: string]>> = {
    "JSON, which is not signed": [
      Effect.succeed({ text: JSON.stringify(good.body), contentType: "application/json" }),
      "it is not signed"
    ],
    "JSON with the media type of a signed response": [
      Effect.succeed({ text: JSON.stringify(good.body) }),
      "it is not a signed JWT"
    ],
    "a signed response that says it is JSON": [
      Effect.map(signed(), ({ text }) => ({ text, contentType: "application/json" })),
      "it is not signed"
    ],
    "a signed response that says it is any JWT": [
      Effect.map(signed(), ({ text }) => ({ text, contentType: "application/jwt" })),
      "it is not signed"
    ],
    "no typ": [signed({ header: { typ: undefined } }), "its typ"],
    "the typ of an access token": [signed({ header: { typ: "at+jwt" } }), "its typ"],
    "the typ JWT": [signed({ header: { typ: "JWT" } }), "its typ"],
    "another issuer": [signed({ claims: { iss: "https://other.test" } }), "its iss"],
    "no issuer": [signed({ without: ["iss"] }), "its iss"],
    "another API": [signed({ audience: "other" }), "its aud"],
    "the audience of tokens": [signed({ audience }), "its aud"],
    "no audience": [signed({ without: ["aud"] }), "its aud"],
    "no iat": [signed({ without: ["iat"] }), "its iat"],
    "an old iat": [signed({ claims: { iat: 1_000_000 - 66 } }), "its iat"],
    "an iat in the future": [signed({ claims: { iat: 1_000_006 } }), "its iat"],
    "an iat as text": [signed({ claims: { iat: "1000000" } }), "its iat"],
    "no token_introspection": [signed({ claims: { token_introspection: undefined } }), "no token_introspection"],
    "its members at the top": [
      signed({ claims: { token_introspection: undefined, ...good.body, aud: clientId } }),
      "no token_introspection"
    ],
    "token_introspection as text": [
      signed({ claims: { token_introspection: JSON.stringify(good.body) } }),
      "no token_introspection"
    ],
    "no active member": [signed({ claims: { token_introspection: { sub: "demo" } } }), "no active member"],
    "active as text": [
      signed({ claims: { token_introspection: { ...good.body, active: "true" } } }),
      "no active member"
    ],
    "a critical parameter": [signed({ header: { crit: ["exp"] } }), "it is not a signed JWT"],
    "the key of somebody else": [
      Effect.flatMap(
        Effect.promise(() => otherKey),
        (key) => signed({ key })
      ),
      "its signature"
    ],
    "an own key in its header": [signed({ header: { jwk: { kty: "EC" } } }), "it is not a signed JWT"],
    "no signature": [
      Effect.succeed({
        text: `${jose.base64url.encode('{"alg":"none","typ":"token-introspection+jwt"}')}.${jose.base64url.encode(JSON.stringify(body))}.`
      }),
      "it is not a signed JWT"
    ],
    "the client secret as key": [
      Effect.promise(async () => ({
        text: await new jose.SignJWT(body).setProtectedHeader(header).sign(secretKey)
      })),
      "its signature algorithm"
    ],
    "a changed payload": [
      Effect.map(signed({ claims: { token_introspection: { active: false } } }), ({ text }) => {
        const [first, , third] = text.split(".")
        return { text: `${first}.${jose.base64url.encode(JSON.stringify(body))}.${third}` }
      }),
      "its signature"
    ],
    encryption: [
      Effect.promise(async () => ({
        text: await new jose.EncryptJWT(body)
          .setProtectedHeader({ alg: "dir", enc: "A256GCM", typ: type })
          .encrypt(new Uint8Array(32))
      })),
      "it is not a signed JWT"
    ]
  }
  for (const [which, [answer, says]] of Object.entries(forged)) {
    it.effect(`with ${which} is an outage, and never accepts the token`, () =>
      Effect.gen(function* () {
        const [result, log] = yield* outcome(answer)
        assert.strictEqual(result, "AuthorizationServerUnavailable BadResponse")
        assert.include(log, says)
        assert.notInclude(log, "opaque")
      })
    )
  }

  it.effect("is an outage while the keys of the issuer are unavailable", () =>
    Effect.gen(function* () {
      const [result, log] = yield* outcome(signed(), {}, respond("jwks", "unreachable"))
      assert.strictEqual(result, "AuthorizationServerUnavailable BadResponse")
      assert.include(log, "the keys of the issuer are unavailable")
    })
  )

  it.effect("names the API by the responseAudience option", () =>
    Effect.gen(function* () {
      const more = { responseAudience: "urn:api" }
      assert.deepStrictEqual(yield* outcome(signed({ audience: "urn:api" }), more), ["demo", ""])
      assert.strictEqual((yield* outcome(signed(), more))[0], "AuthorizationServerUnavailable BadResponse")
    })
  )

  it.effect("is required by SharedIntrospection, too", () =>
    Effect.gen(function* () {
      const reasonWith = (answer: Effect.Effect<Answer, never, TestIssuer>) =>
        verify("opaque").pipe(
          Effect.map(({ subject }) => subject),
          Effect.catch(({ reason }) => Effect.succeed(reason)),
          Effect.provide(
            SharedIntrospection.layer({ issuer, audience, clientId, clientSecret, signedResponses: true }).pipe(
              Layer.provide(Layer.merge(Persistence.layerBackingMemory, ReplayStore.layerMemory())),
              Layer.provide(answering(answer))
            )
          )
        )
      assert.strictEqual(yield* reasonWith(signed()), "demo")
      const json = Effect.succeed({ text: JSON.stringify(good.body), contentType: "application/json" })
      assert.strictEqual(yield* reasonWith(json), "BadResponse")
    })
  )

  it.effect("is not read without the option", () =>
    Effect.gen(function* () {
      const [result] = yield* outcome(signed(), { signedResponses: false })
      assert.strictEqual(result, "AuthorizationServerUnavailable BadResponse")
    })
  )
})

describe("clientKey", () => {
  const algorithms: Readonly<Record<string, EcKeyGenParams | RsaHashedKeyGenParams | { readonly name: "Ed25519" }>> = {
    ES256: { name: "ECDSA", namedCurve: "P-256" },
    ES384: { name: "ECDSA", namedCurve: "P-384" },
    ES512: { name: "ECDSA", namedCurve: "P-521" },
    EdDSA: { name: "Ed25519" },
    RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) },
    PS384: { name: "RSA-PSS", hash: "SHA-384", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) }
  }
  const generate = (alg: string) =>
    Effect.promise(() => crypto.subtle.generateKey(algorithms[alg] as EcKeyGenParams, false, ["sign", "verify"]))

  /** Sends introspection requests for two tokens, and returns their forms. */
  const formsWith = (more: TokenIntrospection.ClientKey, isBroken = false) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000_000_500)
      const forms: Array<Readonly<Record<string, string>>> = []
      const client = HttpClient.make((request) => {
        forms.push(formOf(request))
        const answer: ServerResponse = good
        return isBroken && forms.length === 1
          ? Effect.die("a broken connection")
          : Effect.succeed(HttpClientResponse.fromWeb(request, new Response(JSON.stringify(answer.body))))
      })
      const { verify } = yield* Effect.provide(
        Effect.map(TokenVerifier, (verifier) => verifier),
        yield* Layer.build(
          TokenIntrospection.layer({ issuer, audience, endpoint: `${issuer}/introspect`, ...more }).pipe(
            Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
          )
        )
      )
      yield* verify(Redacted.make("opaque-1"))
      yield* verify(Redacted.make("opaque-2"))
      return forms
    }).pipe(Effect.scoped)

  for (const alg of Object.keys(algorithms)) {
    it.effect(`signs an assertion with ${alg} for each request`, () =>
      Effect.gen(function* () {
        const { privateKey: clientKey, publicKey } = yield* generate(alg)
        const forms = yield* formsWith({ clientId, clientKey, clientKeyId: "k1" })
        const ids = new Set<unknown>()
        for (const { client_assertion: assertion = "", ...form } of forms) {
          assert.deepStrictEqual(form, {
            client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            client_id: clientId,
            token: `opaque-${ids.size + 1}`,
            token_type_hint: "access_token"
          })
          const { payload, protectedHeader } = yield* Effect.promise(() =>
            jose.jwtVerify(assertion, publicKey, { currentDate: new Date(1_000_000_500) })
          )
          assert.deepStrictEqual(protectedHeader, { alg, typ: "JWT", kid: "k1" })
          const { jti, ...claims } = payload
          ids.add(jti)
          assert.deepStrictEqual(claims, { iss: clientId, sub: clientId, aud: issuer, iat: 1_000_000, exp: 1_000_060 })
        }
        assert.strictEqual(ids.size, 2)
      })
    )
  }

  it.effect("signs a new assertion if a request is sent again", () =>
    Effect.gen(function* () {
      const { privateKey: clientKey } = yield* generate("ES256")
      const forms = yield* formsWith({ clientId, clientKey }, true)
      assert.lengthOf(forms, 3)
      const assertions = forms.map(({ client_assertion: assertion = "" }) => assertion)
      assert.strictEqual(new Set(assertions.map((assertion) => jose.decodeJwt(assertion).jti)).size, 3)
      assert.deepStrictEqual(jose.decodeProtectedHeader(assertions[0] ?? ""), { alg: "ES256", typ: "JWT" })
    })
  )

  it.effect("is refused at start-up if it cannot sign, or if it is not the only credential", () =>
    Effect.gen(function* () {
      const { privateKey: clientKey, publicKey } = yield* generate("ES256")
      const settingOf = (more: Readonly<Record<string, unknown>>) =>
        Effect.map(
          Effect.flip(
            Layer.build(
              TokenIntrospection.layer({ issuer, audience, clientId, clientKey, ...more }).pipe(Layer.provide(Issuer))
            )
          ),
          ({ setting }) => setting
        )
      const hmac = yield* Effect.promise(() =>
        crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"])
      )
      const ecdh = yield* Effect.promise(() =>
        crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"])
      )
      for (const key of [publicKey, hmac, ecdh.privateKey, "text", null]) {
        assert.strictEqual(yield* settingOf({ clientKey: key }), "clientKey")
      }
      assert.strictEqual(yield* settingOf({ clientSecret }), "clientKey")
      assert.strictEqual(yield* settingOf({ clientId: "" }), "clientId")
      assert.strictEqual(yield* settingOf({ clientKeyId: "" }), "clientKeyId")
      assert.strictEqual(yield* settingOf({ credentials: Effect.succeed({}) }), "credentials")
      assert.strictEqual(yield* settingOf({ signedResponses: "yes" }), "signedResponses")
      const error = yield* Effect.flip(
        Layer.build(
          TokenIntrospection.layer({
            issuer,
            audience,
            credentials: Effect.succeed({}),
            signedResponses: true
          }).pipe(Layer.provide(Issuer))
        )
      )
      assert.strictEqual(error.setting, "responseAudience")
      assert.strictEqual(options.issuer, issuer)
    }).pipe(Effect.scoped)
  )
})
