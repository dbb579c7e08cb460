// Each check of RFC 9449 §4.3, and the negative list of the FAPI 2 conformance suite, through an API of one scheme.
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { type DpopClient, makeDpopClient, type ProofOptions, TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import { roca } from "../support/rocaModulus.ts"
import { type Answer, appOf, boundClient, codeOf, headersOf, schemeOf, sendTo, url } from "../support/dpopApp.ts"

type Bound = Effect.Success<ReturnType<typeof boundClient>>

/** Changes the headers of a valid request. */
type Change = (bound: Bound) => Effect.Effect<HeadersInit, never, TestIssuer>

const changed =
  (options: Partial<ProofOptions> | ((bound: Bound) => Partial<ProofOptions>)): Change =>
  (bound) =>
    headersOf(bound, typeof options === "function" ? options(bound) : options)

const seconds = (offset: number): Change => changed(() => ({ claims: { iat: now / 1000 + offset } }))

/** The time of all tests, in milliseconds. */
const now = 1_800_000_000_000

const withFields =
  (change: (headers: { readonly authorization: string; readonly dpop: string }) => HeadersInit): Change =>
  (bound) =>
    Effect.map(headersOf(bound), change)

const privateJwk = async ({ key }: DpopClient) => jose.exportJWK(key.privateKey)

const mustPass: ReadonlyArray<readonly [name: string, change: Change]> = [
  ["a valid proof", changed({})],
  [
    "a header name in another case",
    withFields(({ authorization, dpop }) => ({ Authorization: authorization, dPoP: dpop }))
  ],
  ["htu with a query", changed({ url: `${url}?a=1` })],
  ["htu with a fragment", changed({ url: `${url}#part` })],
  ["htu with an upper-case scheme and host", changed({ url: "HTTPS://API.TEST/items" })],
  ["htu with the default port", changed({ url: "https://api.test:443/items" })],
  ["htu with dot segments and escapes of unreserved characters", changed({ url: "https://api.test/x/../%69tems" })],
  ["another header parameter", changed({ header: { note: "x", kid: "1" } })],
  ["another claim", changed({ claims: { note: { a: [1] } } })],
  ["typ as a media type, in another case", changed({ header: { typ: "application/DPoP+JWT" } })],
  ["iat 10 seconds ago", seconds(-10)],
  ["iat 10 seconds ahead", seconds(10)],
  ["iat with a fraction", seconds(-0.5)],
  ["exp and nbf that hold", changed({ claims: { exp: now / 1000 + 5, nbf: now / 1000 - 5 } })],
  ["an unknown nonce, if the server has none", changed({ nonce: "n" })],
  [
    "scheme in lower case",
    withFields(({ authorization, dpop }) => ({ authorization: authorization.replace("DPoP", "dpop"), dpop }))
  ],
  [
    "scheme in upper case",
    withFields(({ authorization, dpop }) => ({ authorization: authorization.replace("DPoP", "DPOP"), dpop }))
  ],
  ["a jti of 256 characters", changed({ claims: { jti: "j".repeat(256) } })],
  [
    "public members of the jwk that have no meaning here",
    changed(({ client }) => ({ header: { jwk: { ...publicOf(client), kid: "k", x5c: ["x"] } } }))
  ]
]

const publicOf = ({ key }: DpopClient) => {
  const { alg: _alg, kid: _kid, use: _use, ...jwk } = key.jwk
  return jwk
}

const without = (...names: ReadonlyArray<string>) => changed({ without: names })

const mustFail: ReadonlyArray<readonly [name: string, code: string, change: Change]> = [
  [
    "two DPoP headers",
    "invalid_dpop_proof",
    (bound) =>
      Effect.map(Effect.all([headersOf(bound), headersOf(bound)]), ([{ authorization, dpop }, other]) => {
        const headers = new Headers({ authorization, dpop })
        headers.append("dpop", other.dpop)
        return headers
      })
  ],
  ["no proof", "invalid_dpop_proof", withFields(({ authorization }) => ({ authorization }))],
  ["an empty proof", "invalid_dpop_proof", withFields(({ authorization }) => ({ authorization, dpop: "" }))],
  [
    "a proof that is not a JWT",
    "invalid_dpop_proof",
    withFields(({ authorization }) => ({ authorization, dpop: "proof" }))
  ],
  [
    "a proof with four segments",
    "invalid_dpop_proof",
    withFields(({ authorization, dpop }) => ({ authorization, dpop: `${dpop}.x` }))
  ],
  [
    "a proof with padding",
    "invalid_dpop_proof",
    withFields(({ authorization, dpop }) => ({ authorization, dpop: `${dpop}=` }))
  ],
  ["a proof that is too long", "invalid_dpop_proof", changed({ claims: { note: "x".repeat(8192) } })],
  ["typ missing", "invalid_dpop_proof", changed({ header: { typ: undefined } })],
  ["another typ", "invalid_dpop_proof", changed({ header: { typ: "JWT" } })],
  ["alg missing", "invalid_dpop_proof", changed({ header: { alg: undefined } })],
  ["alg none", "invalid_dpop_proof", changed({ header: { alg: "none" } })],
  ["alg HS256", "invalid_dpop_proof", changed({ header: { alg: "HS256" } })],
  ["alg that does not fit the key", "invalid_dpop_proof", changed({ header: { alg: "PS256" } })],
  ["alg named like a member of every object", "invalid_dpop_proof", changed({ header: { alg: "constructor" } })],
  ["jwk missing", "invalid_dpop_proof", changed({ header: { jwk: undefined } })],
  ["jwk that is a text", "invalid_dpop_proof", changed({ header: { jwk: "x" } })],
  [
    "jwk with a point that is not on the curve",
    "invalid_dpop_proof",
    changed(({ client }) => ({ header: { jwk: { ...publicOf(client), y: "A".repeat(43) } } }))
  ],
  [
    "jwk for encryption",
    "invalid_dpop_proof",
    changed(({ client }) => ({ header: { jwk: { ...publicOf(client), use: "enc" } } }))
  ],
  [
    "jwk that names another alg",
    "invalid_dpop_proof",
    changed(({ client }) => ({ header: { jwk: { ...publicOf(client), alg: "ES384" } } }))
  ],
  [
    "a private jwk",
    "invalid_dpop_proof",
    (bound) =>
      Effect.flatMap(
        Effect.promise(() => privateJwk(bound.client)),
        (jwk) => headersOf(bound, { header: { jwk } })
      )
  ],
  ...["d", "p", "q", "dp", "dq", "qi", "oth", "k"].map(
    (name) =>
      [
        `jwk with the private member ${name}, even null`,
        "invalid_dpop_proof",
        changed(({ client }) => ({ header: { jwk: { ...publicOf(client), [name]: null } } }))
      ] as const
  ),
  [
    "jwk with an RSA key of the ROCA attack",
    "invalid_dpop_proof",
    changed({
      header: { alg: "PS256", jwk: { kty: "RSA", e: "AQAB", n: Buffer.from(roca, "hex").toString("base64url") } }
    })
  ],
  ["crit, even if its extension is known", "invalid_dpop_proof", changed({ header: { crit: ["b64"], b64: true } })],
  ["an empty crit", "invalid_dpop_proof", changed({ header: { crit: [] } })],
  ["b64 without crit", "invalid_dpop_proof", changed({ header: { b64: false } })],
  ["jti missing", "invalid_dpop_proof", without("jti")],
  ["jti empty", "invalid_dpop_proof", changed({ claims: { jti: "" } })],
  ["jti that is a number", "invalid_dpop_proof", changed({ claims: { jti: 1 } })],
  ["jti of 257 characters", "invalid_dpop_proof", changed({ claims: { jti: "j".repeat(257) } })],
  ["htm missing", "invalid_dpop_proof", without("htm")],
  ["htm PUT on GET", "invalid_dpop_proof", changed({ method: "PUT" })],
  ["htm in lower case", "invalid_dpop_proof", changed({ method: "get" })],
  ["htu missing", "invalid_dpop_proof", without("htu")],
  ["htu of another path", "invalid_dpop_proof", changed({ url: "https://api.test/other" })],
  ["htu with a trailing slash", "invalid_dpop_proof", changed({ url: "https://api.test/items/" })],
  ["htu with the path in another case", "invalid_dpop_proof", changed({ url: "https://api.test/ITEMS" })],
  ["htu of another host", "invalid_dpop_proof", changed({ url: "https://evil.test/items" })],
  ["htu of another port", "invalid_dpop_proof", changed({ url: "https://api.test:8443/items" })],
  ["htu without TLS", "invalid_dpop_proof", changed({ url: "http://api.test/items" })],
  ["htu with credentials", "invalid_dpop_proof", changed({ url: "https://user@api.test/items" })],
  ["htu that is a path", "invalid_dpop_proof", changed({ url: "/items" })],
  ["iat missing", "invalid_dpop_proof", without("iat")],
  ["iat that is a text", "invalid_dpop_proof", changed({ claims: { iat: "1800000000" } })],
  ["iat one hour ago", "invalid_dpop_proof", seconds(-3600)],
  ["iat one hour ahead", "invalid_dpop_proof", seconds(3600)],
  ["iat in milliseconds", "invalid_dpop_proof", changed({ claims: { iat: now } })],
  ["exp in the past", "invalid_dpop_proof", changed({ claims: { exp: now / 1000 - 60 } })],
  ["nbf in the future", "invalid_dpop_proof", changed({ claims: { nbf: now / 1000 + 60 } })],
  ["exp that is a text", "invalid_dpop_proof", changed({ claims: { exp: "x" } })],
  ["ath missing", "invalid_dpop_proof", without("ath")],
  [
    "ath of another token",
    "invalid_dpop_proof",
    changed({ claims: { ath: "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" } })
  ],
  [
    "ath with padding",
    "invalid_dpop_proof",
    (bound) =>
      Effect.flatMap(
        Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(bound.token))),
        (hash) => headersOf(bound, { claims: { ath: `${jose.base64url.encode(new Uint8Array(hash))}=` } })
      )
  ],
  [
    "a signature of another key",
    "invalid_dpop_proof",
    (bound) => Effect.flatMap(makeDpopClient(), ({ key }) => headersOf(bound, { signWith: key }))
  ],
  [
    "a changed claim after signing",
    "invalid_dpop_proof",
    (bound) =>
      Effect.map(Effect.all([headersOf(bound), headersOf(bound)]), ([one, { dpop }]) => {
        const [header, , signature] = one.dpop.split(".")
        return { authorization: one.authorization, dpop: `${header}.${dpop.split(".")[1]}.${signature}` }
      })
  ],
  [
    "another key than that of the token",
    "invalid_token",
    ({ token }) => Effect.flatMap(makeDpopClient(), (client) => headersOf({ client, token }))
  ],
  [
    "an unbound token",
    "invalid_token",
    ({ client }) =>
      Effect.flatMap(
        TestIssuer.use(({ mint }) => mint({ scopes: ["read"] })),
        (token) => headersOf({ client, token })
      )
  ],
  [
    "an expired token",
    "invalid_token",
    ({ client }) =>
      Effect.flatMap(
        TestIssuer.use(({ mint }) => mint({ scopes: ["read"], boundTo: client, lifetime: "-1 hour" })),
        (token) => headersOf({ client, token })
      )
  ],
  [
    "a bound token as Bearer without a proof",
    "invalid_token",
    ({ token }) => Effect.succeed({ authorization: `Bearer ${token}` })
  ],
  [
    "a bound token as Bearer with its proof",
    "invalid_token",
    withFields(({ authorization, dpop }) => ({ authorization: authorization.replace("DPoP", "Bearer"), dpop }))
  ],
  [
    "both schemes",
    "invalid_request",
    withFields(({ authorization, dpop }) => {
      const headers = new Headers({ authorization, dpop })
      headers.append("authorization", authorization.replace("DPoP", "Bearer"))
      return headers
    })
  ],
  ["no token after the scheme", "invalid_request", withFields(({ dpop }) => ({ authorization: "DPoP", dpop }))],
  ["a token that is not token68", "invalid_request", withFields(({ dpop }) => ({ authorization: "DPoP a b", dpop }))]
]

const outcomeOf = (change: Change) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(now)
    const app = yield* appOf(schemeOf())
    const bound = yield* boundClient()
    const answer = yield* sendTo(app, yield* change(bound))
    // The app still accepts a valid request of the same client.
    const next = yield* sendTo(app, yield* headersOf(bound))
    assert.strictEqual(next.status, 200)
    return answer
  }).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)

describe("a request with DPoP is accepted with", () => {
  it.effect.each(mustPass)("%s", ([, change]) =>
    Effect.gen(function* () {
      const { challenges, status } = yield* outcomeOf(change)
      assert.deepStrictEqual({ challenges, status }, { challenges: [], status: 200 })
    })
  )

  it.effect.each(["ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"] as const)(
    "a proof of %s",
    (algorithm) =>
      Effect.gen(function* () {
        const app = yield* appOf(schemeOf())
        const client = yield* makeDpopClient(algorithm)
        const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"], boundTo: client }))
        for (let i = 0; i < 3; i++)
          assert.strictEqual((yield* sendTo(app, yield* headersOf({ client, token }))).status, 200)
      }).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)
  )
})

describe("a request with DPoP is refused with", () => {
  it.effect.each(mustFail)("%s: %s", ([, code, change]) =>
    Effect.gen(function* () {
      const answer = yield* outcomeOf(change)
      assert.strictEqual(codeOf(answer), code)
      assert.strictEqual(answer.status, code === "invalid_request" ? 400 : 401)
      assert.isTrue(answer.challenges.some((challenge) => challenge.startsWith("DPoP ")))
    })
  )

  it.effect("RS256, unless the algorithms option has it", () =>
    Effect.gen(function* () {
      const client = yield* makeDpopClient("RS256")
      const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"], boundTo: client }))
      const outcome = (app: Effect.Success<ReturnType<typeof appOf>>) =>
        Effect.flatMap(headersOf({ client, token }), (headers) => Effect.map(sendTo(app, headers), codeOf))
      assert.strictEqual(yield* outcome(yield* appOf(schemeOf())), "invalid_dpop_proof")
      assert.strictEqual(yield* outcome(yield* appOf(schemeOf({ dpop: { algorithms: ["RS256"] } }))), "200")
    }).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)
  )

  it.effect("duplicate members in its header or its claims", () =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf())
      const { client, token } = yield* boundClient()
      const proof = yield* client.proof({ url, token })
      const [header = "", payload = ""] = proof.split(".")
      const text = (segment: string) => atob(segment.replaceAll("-", "+").replaceAll("_", "/"))
      const resigned = (header: string, payload: string) =>
        TestIssuer.use(({ mintRaw }) => mintRaw({ header, payload, key: client.key }))
      const send = (dpop: string): Effect.Effect<Answer> => sendTo(app, { authorization: `DPoP ${token}`, dpop })
      assert.strictEqual(
        codeOf(yield* send(yield* resigned(text(header), text(payload).replace("{", '{"htm":"GET",')))),
        "invalid_dpop_proof"
      )
      assert.strictEqual(
        codeOf(yield* send(yield* resigned(text(header).replace("{", '{"typ":"dpop+jwt",'), text(payload)))),
        "invalid_dpop_proof"
      )
      assert.strictEqual((yield* send(yield* resigned(text(header), text(payload)))).status, 200)
    }).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)
  )
})

describe("a bearer token", () => {
  it.effect("is accepted whatever proof is sent along with it, unless it is bound", () =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf())
      const bound = yield* boundClient()
      const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"] }))
      const { dpop } = yield* headersOf(bound)
      for (const proof of [dpop, dpop, `${dpop}, ${dpop}`, "x", ""]) {
        assert.strictEqual((yield* sendTo(app, { authorization: `Bearer ${token}`, dpop: proof })).status, 200)
        const stolen = yield* sendTo(app, { authorization: `Bearer ${bound.token}`, dpop: proof })
        assert.strictEqual(codeOf(stolen), "invalid_token")
      }
      // The proof was not used up.
      assert.strictEqual((yield* sendTo(app, { authorization: `DPoP ${bound.token}`, dpop })).status, 200)
    }).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)
  )
})

describe("a token that is bound to a key", () => {
  it.effect("stays in the token cache, while the proof of each request is checked", () =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf())
      const bound = yield* boundClient()
      const thief = yield* makeDpopClient()
      for (let i = 0; i < 5; i++) {
        assert.strictEqual((yield* sendTo(app, yield* headersOf(bound))).status, 200)
        assert.strictEqual(codeOf(yield* sendTo(app, { authorization: `Bearer ${bound.token}` })), "invalid_token")
        const stolen = yield* headersOf({ client: thief, token: bound.token })
        assert.strictEqual(codeOf(yield* sendTo(app, stolen)), "invalid_token")
        assert.strictEqual(codeOf(yield* sendTo(app, { authorization: `DPoP ${bound.token}` })), "invalid_dpop_proof")
      }
      // One request for the metadata, and one for the keys.
      assert.strictEqual((yield* TestIssuer.use(({ requests }) => requests)).length, 2)
    }).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)
  )

  it.effect("is refused when it expires, with a valid proof", () =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf())
      const bound = yield* boundClient()
      assert.strictEqual((yield* sendTo(app, yield* headersOf(bound))).status, 200)
      yield* TestClock.adjust(Duration.minutes(11))
      assert.strictEqual(codeOf(yield* sendTo(app, yield* headersOf(bound))), "invalid_token")
    }).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)
  )

  it.effect.each([
    ["another member beside jkt", { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "x5t#S256": "x" }],
    ["a certificate", { "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" }],
    ["an unknown binding", { new: 1 }],
    ["no binding", {}],
    ["null", null],
    ["a jkt that is not a thumbprint", { jkt: "x" }],
    ["a list", [{ jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }]]
  ] as const)("is refused if cnf has %s", ([, cnf]) =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf())
      const { client } = yield* boundClient()
      const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"], claims: { cnf } }))
      assert.strictEqual(codeOf(yield* sendTo(app, yield* headersOf({ client, token }))), "invalid_token")
      assert.strictEqual(codeOf(yield* sendTo(app, { authorization: `Bearer ${token}` })), "invalid_token")
    }).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)
  )
})
