// A TestIssuer serves everything that its metadata names: a walk through the metadata.
import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { TestIssuer } from "effect-oauth2/testing"
import * as Jose from "jose"
import { testWithIssuer } from "../client/support.ts"

const redirectUri = "https://app.test/callback"
const metadataOf = Effect.flatMap(TestIssuer, ({ metadata }) => metadata)

/** The key pair of each algorithm. RS256 and PS256 have the same kind of key, which is slow to generate. */
const rsa = Jose.generateKeyPair("RS256", { extractable: true })
const keyOf = async (alg: string) => {
  const pair =
    alg.startsWith("RS") || alg.startsWith("PS") ? await rsa : await Jose.generateKeyPair(alg, { extractable: true })
  const publicJwk = { ...(await Jose.exportJWK(pair.publicKey)), alg }
  const privateKey = await Jose.importJWK({ ...(await Jose.exportJWK(pair.privateKey)), alg }, alg)
  return { publicJwk, privateKey }
}
const algorithms = ["RS256", "PS256", "ES256", "EdDSA"]
const keys = new Map(await Promise.all(algorithms.map(async (alg) => [alg, await keyOf(alg)] as const)))

const clients = [
  { clientId: "web", clientSecret: "secret", redirectUris: [redirectUri] },
  { clientId: "spa", redirectUris: [redirectUri] },
  ...algorithms.map((alg) => ({ clientId: alg, jwk: keys.get(alg)?.publicJwk ?? {} }))
]
const test = (name: string, body: Parameters<typeof testWithIssuer>[1]) => testWithIssuer(name, body, { clients })

const strings = (metadata: Readonly<Record<string, unknown>>, name: string): ReadonlyArray<string> => {
  const value = metadata[name]
  assert(Array.isArray(value) && value.length > 0, name)
  return value as ReadonlyArray<string>
}

const basic = { authorization: `Basic ${btoa("web:secret")}` }

/** Sends a form to an endpoint, and returns the status and the members of the response. */
const post = Effect.fnUntraced(function* (
  url: unknown,
  form: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = basic
) {
  const request = HttpClientRequest.post(String(url)).pipe(
    HttpClientRequest.bodyUrlParams(form),
    HttpClientRequest.setHeaders(headers)
  )
  const response = yield* (yield* HttpClient.HttpClient).execute(request)
  const text = yield* response.text
  return { status: response.status, body: (text.startsWith("{") ? JSON.parse(text) : {}) as Record<string, string> }
})

const verifier = "a".repeat(43)
const challengeOf = Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))).pipe(
  Effect.map((digest) => Jose.base64url.encode(new Uint8Array(digest)))
)

const authorize = (parameters: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const { authorization_endpoint: url } = yield* metadataOf
    const query = new URLSearchParams({
      client_id: "web",
      redirect_uri: redirectUri,
      response_type: "code",
      scope: "openid items:read",
      state: "s",
      code_challenge: yield* challengeOf,
      code_challenge_method: "S256",
      ...parameters
    })
    const response = yield* HttpClient.get(`${String(url)}?${query.toString()}`)
    return {
      status: response.status,
      text: yield* response.text,
      answer: new URL(response.headers["location"] ?? "https://none.test").searchParams
    }
  })

/** Signs in, and returns the tokens of the user. */
const tokens = Effect.gen(function* () {
  const { token_endpoint: url } = yield* metadataOf
  const { answer } = yield* authorize()
  const code = answer.get("code") ?? ""
  const form = { grant_type: "authorization_code", code, redirect_uri: redirectUri, code_verifier: verifier }
  return (yield* post(url, form)).body
})

describe("the metadata of a TestIssuer", () => {
  test("is at every place that clients look at, and names only addresses that answer", () =>
    Effect.gen(function* () {
      const { issuer, requests } = yield* TestIssuer
      const metadata = yield* metadataOf
      for (const place of ["openid-configuration", "oauth-authorization-server"]) {
        const response = yield* HttpClient.get(`${issuer}/.well-known/${place}`)
        assert.deepStrictEqual<unknown>(yield* response.json, metadata)
      }
      const named = Object.entries(metadata).filter(([name]) => /_endpoint$|_uri$/.test(name))
      assert.isAtLeast(named.length, 7)
      for (const [name, url] of named) {
        const response =
          name === "jwks_uri" || name === "authorization_endpoint" || name === "end_session_endpoint"
            ? yield* HttpClient.get(String(url))
            : yield* HttpClient.post(String(url))
        assert.notStrictEqual(response.status, 404, name)
      }
      assert.isFalse((yield* requests).some(({ endpoint }) => endpoint === "other"))
    }))

  test("names the grant types of the token endpoint", () =>
    Effect.gen(function* () {
      const { approveDevice } = yield* TestIssuer
      const metadata = yield* metadataOf
      const { device_authorization_endpoint: deviceUrl, token_endpoint: url } = metadata
      const user = yield* tokens
      const device = (yield* post(deviceUrl, {})).body
      yield* approveDevice(device["user_code"] ?? "")
      const { answer } = yield* authorize()
      const access = user["access_token"] ?? ""
      const forms: Readonly<Record<string, Readonly<Record<string, string>>>> = {
        authorization_code: { code: answer.get("code") ?? "", redirect_uri: redirectUri, code_verifier: verifier },
        client_credentials: {},
        refresh_token: { refresh_token: user["refresh_token"] ?? "" },
        "urn:ietf:params:oauth:grant-type:device_code": { device_code: device["device_code"] ?? "" },
        "urn:ietf:params:oauth:grant-type:token-exchange": {
          subject_token: access,
          subject_token_type: "urn:ietf:params:oauth:token-type:access_token"
        },
        "urn:ietf:params:oauth:grant-type:jwt-bearer": { assertion: access, requested_token_use: "on_behalf_of" }
      }
      assert.sameMembers([...strings(metadata, "grant_types_supported")], Object.keys(forms))
      for (const [grant_type, form] of Object.entries(forms)) {
        const { body, status } = yield* post(url, { grant_type, ...form })
        assert.strictEqual(status, 200, `${grant_type}: ${JSON.stringify(body)}`)
        assert.isString(body["access_token"])
      }
      assert.strictEqual((yield* post(url, { grant_type: "password" })).body["error"], "unsupported_grant_type")
    }))

  test("names the ways in which clients authenticate, and the algorithms of their assertions", () =>
    Effect.gen(function* () {
      const { issuer } = yield* TestIssuer
      const metadata = yield* metadataOf
      const { token_endpoint: url } = metadata
      const methods = strings(metadata, "token_endpoint_auth_methods_supported")
      assert.sameMembers([...methods], ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"])
      const form = { grant_type: "client_credentials" }
      assert.strictEqual((yield* post(url, form)).status, 200)
      assert.strictEqual((yield* post(url, { ...form, client_id: "web", client_secret: "secret" }, {})).status, 200)
      assert.strictEqual((yield* post(url, { ...form, client_id: "web", client_secret: "wrong" }, {})).status, 401)
      assert.strictEqual((yield* post(url, { ...form, client_id: "spa" }, {})).status, 200)
      const supported = strings(metadata, "token_endpoint_auth_signing_alg_values_supported")
      assert.sameMembers([...supported], algorithms)
      for (const alg of supported) {
        const signed = (algorithm: string) =>
          Effect.promise(() =>
            new Jose.SignJWT({ jti: `${alg} ${algorithm}` })
              .setProtectedHeader({ alg: algorithm })
              .setIssuer(alg)
              .setSubject(alg)
              .setAudience(issuer)
              .setExpirationTime(60)
              .sign(keys.get(algorithm)?.privateKey ?? new Uint8Array())
          )
        const assertion = (client_assertion: string) => ({
          ...form,
          client_assertion,
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        })
        assert.strictEqual((yield* post(url, assertion(yield* signed(alg)), {})).status, 200, alg)
        const other = yield* signed(alg === "ES256" ? "EdDSA" : "ES256")
        assert.strictEqual((yield* post(url, assertion(other), {})).status, 401, alg)
      }
    }))

  test("names the algorithms of proofs", () =>
    Effect.gen(function* () {
      const metadata = yield* metadataOf
      const { token_endpoint: url } = metadata
      for (const alg of strings(metadata, "dpop_signing_alg_values_supported")) {
        const { privateKey, publicJwk } = keys.get(alg) ?? assert.fail(alg)
        const proof = yield* Effect.promise(() =>
          new Jose.SignJWT({ jti: alg, htm: "POST", htu: String(url) })
            .setProtectedHeader({ alg, typ: "dpop+jwt", jwk: publicJwk })
            .setIssuedAt(0)
            .sign(privateKey)
        )
        const { body } = yield* post(url, { grant_type: "client_credentials" }, { ...basic, dpop: proof })
        assert.strictEqual(body["token_type"], "DPoP", alg)
      }
    }))

  test("names the responses of the authorization endpoint", () =>
    Effect.gen(function* () {
      const { issuer } = yield* TestIssuer
      const metadata = yield* metadataOf
      assert.deepStrictEqual(metadata["response_types_supported"], ["code"])
      assert.strictEqual(
        (yield* authorize({ response_type: "token" })).answer.get("error"),
        "unsupported_response_type"
      )
      assert.deepStrictEqual(metadata["response_modes_supported"], ["query", "form_post"])
      const { answer } = yield* authorize({ response_mode: "query" })
      assert.isString(answer.get("code"))
      assert.strictEqual(answer.get("iss"), issuer)
      assert.strictEqual(metadata["authorization_response_iss_parameter_supported"], true)
      assert.include((yield* authorize({ response_mode: "form_post" })).text, 'name="code"')
      assert.deepStrictEqual(metadata["code_challenge_methods_supported"], ["S256"])
      assert.strictEqual((yield* authorize({ code_challenge_method: "plain" })).answer.get("error"), "invalid_request")
      const { id_token = "" } = yield* tokens
      const { alg } = Jose.decodeProtectedHeader(id_token)
      assert.include([...strings(metadata, "id_token_signing_alg_values_supported")], alg ?? "")
    }))

  test("names the endpoints that revoke and introspect a token", () =>
    Effect.gen(function* () {
      const { introspection_endpoint: introspection, revocation_endpoint: revocation } = yield* metadataOf
      const { access_token: token = "" } = yield* tokens
      assert.propertyVal((yield* post(introspection, { token })).body, "active", true)
      assert.strictEqual((yield* post(revocation, { token })).status, 200)
      assert.propertyVal((yield* post(introspection, { token })).body, "active", false)
    }))
})

describe("front-channel logout at a TestIssuer", () => {
  const frame = (clientId: string) => `https://app.test/${clientId}/logout?a=1&b=%22`
  const registered = ["web", "other", "idle"].map((clientId) => ({
    clientId,
    clientSecret: "secret",
    redirectUris: [redirectUri],
    frontChannelLogoutUri: frame(clientId)
  }))

  testWithIssuer(
    "loads the address of each client of the session in a frame, and then redirects",
    () =>
      Effect.gen(function* () {
        const {
          end_session_endpoint: url,
          frontchannel_logout_session_supported,
          frontchannel_logout_supported
        } = yield* metadataOf
        assert.isTrue(frontchannel_logout_supported === true && frontchannel_logout_session_supported === true)
        const { id_token = "" } = yield* tokens
        // The user is signed in at a second client, too.
        yield* authorize({ client_id: "other" })
        yield* authorize({ client_id: "idle", login_hint: "bob" })
        const query = new URLSearchParams({
          id_token_hint: id_token,
          post_logout_redirect_uri: "https://app.test/bye",
          state: "s1"
        })
        const response = yield* HttpClient.get(`${String(url)}?${query.toString()}`)
        assert.strictEqual(response.status, 200)
        assert.include(response.headers["content-type"], "text/html")
        const text = (yield* response.text).replaceAll("&#38;", "&").replaceAll("&#34;", '"')
        const frames = Array.from(text.matchAll(/<iframe src="([^"]+)">/g), ([, uri = ""]) => new URL(uri))
        const { sid } = Jose.decodeJwt(id_token)
        assert.deepStrictEqual(
          frames.map(({ pathname, searchParams }) => [pathname, ...searchParams]),
          ["web", "other"].map((clientId) => [
            `/${clientId}/logout`,
            ["a", "1"],
            ["b", '"'],
            ["iss", "https://issuer.test"],
            ["sid", String(sid)]
          ])
        )
        assert.include(text, 'data-next="https://app.test/bye?state=s1"')
        // The session has ended for the issuer, so a second logout has no frames.
        assert.strictEqual((yield* authorize({ prompt: "none" })).answer.get("error"), "login_required")
      }),
    { clients: registered }
  )

  testWithIssuer("is a redirect at once if no client of the session has an address", () =>
    Effect.gen(function* () {
      const { end_session_endpoint: url } = yield* metadataOf
      const { id_token = "" } = yield* tokens
      const query = new URLSearchParams({ id_token_hint: id_token, post_logout_redirect_uri: "https://app.test/bye" })
      const response = yield* HttpClient.get(`${String(url)}?${query.toString()}`)
      assert.deepStrictEqual([response.status, response.headers["location"]], [303, "https://app.test/bye"])
    })
  )
})

describe("back-channel logout at a TestIssuer", () => {
  const received: Array<readonly [string, Jose.JWTPayload]> = []
  const registered = ["web", "other", "idle"].map((clientId) => ({
    clientId,
    clientSecret: "secret",
    redirectUris: [redirectUri],
    backChannelLogout: (token: string) =>
      Effect.suspend(() => {
        assert.strictEqual(Jose.decodeProtectedHeader(token).typ, "logout+jwt")
        received.push([clientId, Jose.decodeJwt(token)])
        // The issuer goes on.
        return Effect.fail("The client is down.")
      })
  }))

  testWithIssuer(
    "sends a logout token to each client of the session, at the end session endpoint and when the user signs out",
    () =>
      Effect.gen(function* () {
        const {
          backchannel_logout_session_supported,
          backchannel_logout_supported,
          end_session_endpoint: url
        } = yield* metadataOf
        assert.isTrue(backchannel_logout_supported === true && backchannel_logout_session_supported === true)
        const { id_token = "" } = yield* tokens
        yield* authorize({ client_id: "other" })
        yield* authorize({ client_id: "idle", login_hint: "bob" })
        const { sid, sub } = Jose.decodeJwt(id_token)
        const end = `${String(url)}?${new URLSearchParams({ id_token_hint: id_token }).toString()}`
        assert.strictEqual((yield* HttpClient.get(end)).status, 200)
        const named = () => received.splice(0).map(([clientId, { aud, sid, sub }]) => ({ clientId, aud, sid, sub }))
        assert.deepStrictEqual(
          named(),
          ["web", "other"].map((clientId) => ({ clientId, aud: clientId, sid, sub }))
        )
        // A session ends once.
        yield* HttpClient.get(end)
        assert.deepStrictEqual(named(), [])

        const issuer = yield* TestIssuer
        const { sessionId } = yield* issuer.signIn({ subject: "carol" })
        yield* authorize({ client_id: "web" })
        yield* issuer.signOut
        assert.deepStrictEqual(named(), [{ clientId: "web", aud: "web", sid: sessionId, sub: "carol" }])
        yield* issuer.signOut
        assert.deepStrictEqual(named(), [])
      }),
    { clients: registered }
  )
})
