// The protocol endpoints of a TestIssuer, used through oauth4webapi: a client library that is not ours.
import { assert, describe } from "@effect/vitest"
import { Clock, Effect, Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { JwtVerifier, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as Jose from "jose"
import * as oauth from "oauth4webapi"
import { audience, issuer, test } from "../support/testIssuers.ts"

const redirectUri = "https://app.test/callback"
const web = { clientId: "web", clientSecret: "web:secret + 1%", redirectUris: [redirectUri] }
const spa = { clientId: "spa", redirectUris: ["http://127.0.0.1/callback"], scopes: ["openid", "items:read"] }
const clients = [web, spa]

const clientKey = oauth.generateKeyPair("ES256", { extractable: true })
const privateKey = Effect.promise(async () => (await clientKey).privateKey)
const clientJwk = await Jose.exportJWK((await clientKey).publicKey)

const basic = oauth.ClientSecretBasic(web.clientSecret)

/** Runs functions of oauth4webapi with the client and the clock of the test. */
const protocol = Effect.gen(function* () {
  const context = yield* Effect.context<HttpClient.HttpClient | TestIssuer>()
  const client = yield* HttpClient.HttpClient
  const { metadata } = yield* TestIssuer
  const server = (yield* metadata) as unknown as oauth.AuthorizationServer
  const skew = Math.round((yield* Clock.currentTimeMillis) / 1000) - Math.floor(Date.now() / 1000)
  const send = (url: string, init: oauth.CustomFetchOptions<"GET" | "POST", unknown>) =>
    Effect.gen(function* () {
      const request = HttpClientRequest.make(init.method)(url).pipe(HttpClientRequest.setHeaders(init.headers))
      const form = HttpClientRequest.bodyText(String(init.body), "application/x-www-form-urlencoded")
      const response = yield* client.execute(init.method === "POST" ? form(request) : request)
      const body = yield* response.arrayBuffer
      return new Response(body, { status: response.status, headers: response.headers })
    }).pipe(Effect.runPromiseWith(context))
  return {
    server,
    as: (clientId: string): oauth.Client => ({ client_id: clientId, [oauth.clockSkew]: skew }),
    options: { [oauth.customFetch]: send },
    /** Returns the `error` code of a refusal. */
    refusal: (call: () => Promise<unknown>) =>
      Effect.promise(() =>
        call().then(
          () => "accepted",
          (error: unknown) => (error instanceof oauth.ResponseBodyError ? error.error : String(error))
        )
      )
  }
})

const authorizationUrl = (url: string, parameters: Record<string, string>) =>
  `${url}?${new URLSearchParams({ client_id: "web", redirect_uri: redirectUri, response_type: "code", ...parameters }).toString()}`

/** Visits the authorization endpoint, and returns the parameters of the redirect. */
const authorize = (parameters: Record<string, string> = {}) =>
  Effect.gen(function* () {
    const { endpoints } = yield* TestIssuer
    const client = yield* HttpClient.HttpClient
    const response = yield* client.get(authorizationUrl(endpoints.authorization, parameters))
    if (response.status !== 303) return { status: response.status, text: yield* response.text, url: undefined }
    return { status: 303, text: "", url: new URL(response.headers["location"] ?? "") }
  })

/** Signs in with PKCE, and exchanges the code. */
const login = (parameters: Record<string, string> = {}) =>
  Effect.gen(function* () {
    const { as, options, server } = yield* protocol
    const verifier = oauth.generateRandomCodeVerifier()
    const challenge = yield* Effect.promise(() => oauth.calculatePKCECodeChallenge(verifier))
    const { url } = yield* authorize({
      scope: "openid items:read items:write",
      state: "s1",
      nonce: "n1",
      code_challenge: challenge,
      code_challenge_method: "S256",
      ...parameters
    })
    assert(url !== undefined)
    const client = as("web")
    const callback = oauth.validateAuthResponse(server, client, url, "s1")
    const exchange = () =>
      oauth.authorizationCodeGrantRequest(server, client, basic, callback, redirectUri, verifier, options)
    const response = yield* Effect.promise(exchange)
    const tokens = yield* Effect.promise(() =>
      oauth.processAuthorizationCodeResponse(server, client, response, { expectedNonce: "n1" })
    )
    return {
      tokens,
      exchange: () => exchange().then((again) => oauth.processAuthorizationCodeResponse(server, client, again))
    }
  })

const refreshWith = (token: string | undefined, parameters: Record<string, string> = {}) =>
  Effect.map(protocol, ({ as, options, server }) => async () => {
    const response = await oauth.refreshTokenGrantRequest(server, as("web"), basic, token ?? "", {
      ...options,
      additionalParameters: parameters
    })
    return oauth.processRefreshTokenResponse(server, as("web"), response)
  })

const subjectOf = (token: string) =>
  Effect.provide(
    Effect.flatMap(TokenVerifier, ({ verify }) => verify(Redacted.make(token))).pipe(
      Effect.map(({ subject }) => subject)
    ),
    JwtVerifier.layer({ issuer, audience })
  )

describe("signing in at a TestIssuer", () => {
  test(
    "returns a code with state and issuer, and the tokens of the user for it",
    () =>
      Effect.gen(function* () {
        const { signIn } = yield* TestIssuer
        yield* TestClock.adjust("365 days")
        const session = yield* signIn({ subject: "alice", claims: { email: "alice@example.com" }, amr: ["pwd"] })
        yield* TestClock.adjust("1 minute")
        const { tokens } = yield* login()
        assert.strictEqual(yield* subjectOf(tokens.access_token), "alice")
        assert.strictEqual(tokens.scope, "openid items:read items:write")
        assert.strictEqual(tokens.expires_in, 600)
        assert.deepInclude(oauth.getValidatedIdTokenClaims(tokens), {
          sub: "alice",
          aud: "web",
          nonce: "n1",
          sid: session.sessionId,
          email: "alice@example.com",
          auth_time: 365 * 86_400,
          amr: ["pwd"]
        })
      }),
    { clients }
  )

  test(
    "accepts a code once, and revokes its tokens at the second use",
    () =>
      Effect.gen(function* () {
        const { refusal } = yield* protocol
        const { exchange, tokens } = yield* login()
        assert.strictEqual(yield* refusal(exchange), "invalid_grant")
        assert.strictEqual(yield* refusal(yield* refreshWith(tokens.refresh_token)), "invalid_grant")
      }),
    { clients }
  )

  test(
    "checks PKCE, the redirect URI, the client and the age of a code",
    () =>
      Effect.gen(function* () {
        const { as, options, refusal, server } = yield* protocol
        const redeem = ({
          uri = redirectUri,
          verifier = "v".repeat(43),
          wait = "0 seconds" as const
        }: {
          readonly uri?: string
          readonly verifier?: string
          readonly wait?: "0 seconds" | "61 seconds"
        }) =>
          Effect.gen(function* () {
            const challenge = yield* Effect.promise(() => oauth.calculatePKCECodeChallenge("v".repeat(43)))
            const { url } = yield* authorize({ code_challenge: challenge, code_challenge_method: "S256" })
            assert(url !== undefined)
            yield* TestClock.adjust(wait)
            const callback = oauth.validateAuthResponse(server, as("web"), url, oauth.expectNoState)
            return yield* refusal(async () =>
              oauth.processAuthorizationCodeResponse(
                server,
                as("web"),
                await oauth.authorizationCodeGrantRequest(server, as("web"), basic, callback, uri, verifier, options)
              )
            )
          })
        assert.strictEqual(yield* redeem({}), "accepted")
        assert.strictEqual(yield* redeem({ verifier: "w".repeat(43) }), "invalid_grant")
        assert.strictEqual(yield* redeem({ uri: "https://app.test/other" }), "invalid_grant")
        assert.strictEqual(yield* redeem({ wait: "61 seconds" }), "invalid_grant")
      }),
    { clients }
  )

  test(
    "does not redirect to a URI that is not registered, and redirects other mistakes",
    () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* authorize({ redirect_uri: "https://evil.test/" })).status, 400)
        assert.strictEqual((yield* authorize({ client_id: "nobody" })).status, 400)
        const errorOf = (parameters: Record<string, string>) =>
          Effect.map(authorize(parameters), ({ url }) => url?.searchParams.get("error"))
        assert.strictEqual(yield* errorOf({ response_type: "token" }), "unsupported_response_type")
        assert.strictEqual(yield* errorOf({ code_challenge: "c", code_challenge_method: "plain" }), "invalid_request")
        const loopback = { client_id: "spa", redirect_uri: "http://127.0.0.1:4711/callback" }
        assert.strictEqual(yield* errorOf(loopback), "invalid_request")
        const pkce = { code_challenge: "c", code_challenge_method: "S256" }
        assert.strictEqual(yield* errorOf({ ...loopback, ...pkce, scope: "items:delete" }), "invalid_scope")
        assert.strictEqual(yield* errorOf({ ...loopback, ...pkce, scope: "items:read" }), null)
      }),
    { clients }
  )

  test("knows who is signed in, how long ago, and how", () =>
    Effect.gen(function* () {
      const { signOut } = yield* TestIssuer
      const outcome = (parameters: Record<string, string>) =>
        Effect.map(authorize(parameters), ({ url }) => url?.searchParams.get("error") ?? "code")
      assert.strictEqual(yield* outcome({ prompt: "none" }), "code")
      assert.strictEqual(yield* outcome({ prompt: "none", acr_values: "mfa" }), "login_required")
      assert.strictEqual(yield* outcome({ acr_values: "mfa" }), "code")
      assert.strictEqual(yield* outcome({ prompt: "none", acr_values: "mfa" }), "code")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* outcome({ prompt: "none", max_age: "60" }), "login_required")
      assert.strictEqual(yield* outcome({ max_age: "60" }), "code")
      assert.strictEqual(yield* outcome({ prompt: "none", max_age: "60" }), "code")
      yield* signOut
      assert.strictEqual(yield* outcome({ prompt: "none" }), "login_required")
      assert.strictEqual(yield* outcome({}), "access_denied")
      assert.strictEqual(yield* outcome({ login_hint: "bob" }), "code")
    }))

  test("posts the code with a form for response_mode=form_post", () =>
    Effect.gen(function* () {
      const { text } = yield* authorize({ response_mode: "form_post", state: '"><script>' })
      assert.include(text, `action="${redirectUri}"`)
      assert.include(text, 'name="code" value="code-')
      assert.notInclude(text, "<script>")
    }))
})

describe("refresh tokens of a TestIssuer", () => {
  test(
    "rotate, narrow the scopes for one access token, and never widen them",
    () =>
      Effect.gen(function* () {
        const { refusal } = yield* protocol
        const { tokens } = yield* login()
        const second = yield* Effect.promise(yield* refreshWith(tokens.refresh_token, { scope: "items:read" }))
        assert.strictEqual(second.scope, "items:read")
        const third = yield* Effect.promise(yield* refreshWith(second.refresh_token))
        assert.strictEqual(third.scope, "openid items:read items:write")
        assert.strictEqual(yield* refusal(yield* refreshWith(third.refresh_token, { scope: "admin" })), "invalid_scope")
      }),
    { clients }
  )

  test(
    "end with all tokens of the grant when a used one comes again",
    () =>
      Effect.gen(function* () {
        const { refusal } = yield* protocol
        const { introspectionEndpoint } = yield* TestIssuer
        const client = yield* HttpClient.HttpClient
        const { tokens } = yield* login()
        const second = yield* Effect.promise(yield* refreshWith(tokens.refresh_token))
        const isActive = Effect.gen(function* () {
          const request = HttpClientRequest.post(introspectionEndpoint).pipe(
            HttpClientRequest.basicAuth("api", "secret"),
            HttpClientRequest.bodyUrlParams({ token: second.access_token })
          )
          const state = (yield* (yield* client.execute(request)).json) as { readonly active: boolean }
          return state.active
        })
        assert.isTrue(yield* isActive)
        assert.strictEqual(yield* refusal(yield* refreshWith(tokens.refresh_token)), "invalid_grant")
        assert.isFalse(yield* isActive)
        assert.strictEqual(yield* refusal(yield* refreshWith(second.refresh_token)), "invalid_grant")
      }),
    { clients }
  )

  test(
    "work again within the grace time, and end after their lifetime",
    () =>
      Effect.gen(function* () {
        const { refusal } = yield* protocol
        const { tokens } = yield* login()
        const second = yield* Effect.promise(yield* refreshWith(tokens.refresh_token))
        yield* TestClock.adjust("29 seconds")
        assert.strictEqual(yield* refusal(yield* refreshWith(tokens.refresh_token)), "accepted")
        yield* TestClock.adjust("2 hours")
        assert.strictEqual(yield* refusal(yield* refreshWith(second.refresh_token)), "invalid_grant")
      }),
    { clients, refreshTokens: { grace: "30 seconds", lifetime: "1 hour" } }
  )

  test(
    "stay the same without rotation",
    () =>
      Effect.gen(function* () {
        const { tokens } = yield* login()
        const second = yield* Effect.promise(yield* refreshWith(tokens.refresh_token))
        assert.isUndefined(second.refresh_token)
        yield* Effect.promise(yield* refreshWith(tokens.refresh_token))
      }),
    { clients, refreshTokens: { rotate: false } }
  )

  test(
    "are used up when the response is lost",
    () =>
      Effect.gen(function* () {
        const { respond } = yield* TestIssuer
        const { refusal } = yield* protocol
        const { tokens } = yield* login()
        yield* respond("token", "lost")
        assert.match(yield* refusal(yield* refreshWith(tokens.refresh_token)), /respond made this endpoint unreachable/)
        yield* respond("token", "normal")
        assert.strictEqual(yield* refusal(yield* refreshWith(tokens.refresh_token)), "invalid_grant")
      }),
    { clients }
  )
})

const claimsOf = (token: unknown): Readonly<Record<string, unknown>> => Jose.decodeJwt(String(token))

describe("other grants of a TestIssuer", () => {
  const post = (parameters: Record<string, string>) =>
    Effect.gen(function* () {
      const { endpoints } = yield* TestIssuer
      const client = yield* HttpClient.HttpClient
      const request = HttpClientRequest.post(endpoints.token).pipe(
        HttpClientRequest.bodyUrlParams({ client_id: "service", client_secret: "secret", ...parameters })
      )
      return (yield* (yield* client.execute(request)).json) as Readonly<Record<string, unknown>>
    })

  test("give a client its own token, for the resource that it names", () =>
    Effect.gen(function* () {
      const { access_token, refresh_token, scope } = yield* post({
        grant_type: "client_credentials",
        scope: "items:read",
        resource: "https://other.test"
      })
      assert.deepInclude(claimsOf(access_token), {
        sub: "service",
        client_id: "service",
        aud: "https://other.test",
        scope: "items:read"
      })
      assert.strictEqual(scope, "items:read")
      assert.isUndefined(refresh_token)
    }))

  test("exchange a token of a user, and name the client as the actor", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const exchange = {
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
        audience: "https://other.test",
        scope: "items:read"
      }
      const answer = yield* post({ ...exchange, subject_token: yield* mint({ subject: "alice" }) })
      assert.deepInclude(claimsOf(answer["access_token"]), {
        sub: "alice",
        aud: "https://other.test",
        act: { sub: "service" }
      })
      assert.strictEqual(answer["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token")
      const expired = yield* mint({ lifetime: "-1 minute" })
      assert.strictEqual((yield* post({ ...exchange, subject_token: expired }))["error"], "invalid_request")
      assert.strictEqual((yield* post({ ...exchange, subject_token: "stranger" }))["error"], "invalid_request")
    }))

  test("act on behalf of a user, and not of an app", () =>
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const parameters = {
        grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
        requested_token_use: "on_behalf_of",
        scope: "graph"
      }
      const answer = yield* post({ ...parameters, assertion: yield* mint({ subject: "alice" }) })
      assert.deepInclude(claimsOf(answer["access_token"]), { sub: "alice", scope: "graph" })
      const app = yield* mint({ subject: "app", claims: { client_id: "app" } })
      assert.strictEqual((yield* post({ ...parameters, assertion: app }))["error"], "invalid_grant")
    }))

  test("let a user decide about a device", () =>
    Effect.gen(function* () {
      const { approveDevice, denyDevice } = yield* TestIssuer
      const { as, options, refusal, server } = yield* protocol
      const client = as("tv")
      const start = () =>
        Effect.promise(async () =>
          oauth.processDeviceAuthorizationResponse(
            server,
            client,
            await oauth.deviceAuthorizationRequest(server, client, oauth.None(), { scope: "items:read" }, options)
          )
        )
      const poll = (code: string) =>
        refusal(async () =>
          oauth.processDeviceCodeResponse(
            server,
            client,
            await oauth.deviceCodeGrantRequest(server, client, oauth.None(), code, options)
          )
        )
      const { device_code, interval, user_code } = yield* start()
      assert.strictEqual(yield* poll(device_code), "authorization_pending")
      assert.strictEqual(yield* poll(device_code), "slow_down")
      yield* TestClock.adjust(`${interval ?? 0} seconds`)
      assert.strictEqual(yield* poll(device_code), "slow_down")
      yield* approveDevice(user_code, { subject: "alice" })
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual(yield* poll(device_code), "accepted")
      const denied = yield* start()
      yield* denyDevice(denied.user_code)
      assert.strictEqual(yield* poll(denied.device_code), "access_denied")
      const late = yield* start()
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* poll(late.device_code), "expired_token")
    }))
})

describe("client authentication at a TestIssuer", () => {
  test(
    "accepts the registered credential, and an assertion once",
    () =>
      Effect.gen(function* () {
        const { as, options, refusal, server } = yield* protocol
        const grant = (client: string, authentication: oauth.ClientAuth) =>
          refusal(async () =>
            oauth.processClientCredentialsResponse(
              server,
              as(client),
              await oauth.clientCredentialsGrantRequest(server, as(client), authentication, {}, options)
            )
          )
        assert.strictEqual(yield* grant("web", basic), "accepted")
        assert.strictEqual(yield* grant("web", oauth.ClientSecretPost(web.clientSecret)), "accepted")
        assert.strictEqual(yield* grant("web", oauth.ClientSecretPost("wrong")), "invalid_client")
        assert.strictEqual(yield* grant("web", oauth.None()), "invalid_client")
        assert.strictEqual(yield* grant("nobody", oauth.None()), "invalid_client")
        assert.strictEqual(yield* grant("jwt", oauth.PrivateKeyJwt(yield* privateKey)), "accepted")
        const foreign = yield* Effect.promise(() => oauth.generateKeyPair("ES256"))
        assert.strictEqual(yield* grant("jwt", oauth.PrivateKeyJwt(foreign.privateKey)), "invalid_client")
        let body: URLSearchParams | undefined
        const make = oauth.PrivateKeyJwt(yield* privateKey)
        const capture: oauth.ClientAuth = async (server, client, parameters, headers) => {
          await make(server, client, parameters, headers)
          if (body === undefined) body = new URLSearchParams(parameters)
          else parameters.set("client_assertion", body.get("client_assertion") ?? "")
        }
        assert.strictEqual(yield* grant("jwt", capture), "accepted")
        assert.strictEqual(yield* grant("jwt", capture), "invalid_client")
      }),
    { clients: [...clients, { clientId: "jwt", jwk: { ...clientJwk, alg: "ES256" } }] }
  )
})

describe("DPoP at a TestIssuer", () => {
  test(
    "binds tokens to the key of the proof, and demands a nonce",
    () =>
      Effect.gen(function* () {
        const { as, options, server } = yield* protocol
        const { requests } = yield* TestIssuer
        const client = as("service")
        const pair = yield* Effect.promise(() => oauth.generateKeyPair("ES256"))
        const handle = oauth.DPoP(client, pair)
        const grant = () =>
          Effect.promise(async () =>
            oauth.clientCredentialsGrantRequest(
              server,
              client,
              oauth.ClientSecretPost("x"),
              {},
              { ...options, DPoP: handle }
            )
          )
        const read = (response: Response) => oauth.processClientCredentialsResponse(server, client, response)
        const first = yield* grant()
        const error = yield* Effect.promise(() => read(first).catch((error: unknown) => error))
        assert.isTrue(oauth.isDPoPNonceError(error))
        const second = yield* grant()
        const tokens = yield* Effect.promise(() => read(second))
        assert.strictEqual(tokens.token_type, "dpop")
        assert.deepStrictEqual(Jose.decodeJwt(tokens.access_token)["cnf"], {
          jkt: yield* Effect.promise(() => handle.calculateThumbprint())
        })
        assert.strictEqual((yield* requests).length, 2)
      }),
    { dpopNonces: true }
  )
})

describe("logout at a TestIssuer", () => {
  test(
    "ends the session of the ID token and its tokens, and redirects",
    () =>
      Effect.gen(function* () {
        const { endpoints } = yield* TestIssuer
        const { refusal } = yield* protocol
        const client = yield* HttpClient.HttpClient
        const { tokens } = yield* login()
        const logout = (parameters: Record<string, string>) =>
          client.get(endpoints.endSession, { urlParams: parameters })
        const uri = { post_logout_redirect_uri: "https://app.test/bye" }
        assert.strictEqual((yield* logout(uri)).status, 400)
        assert.strictEqual((yield* logout({ id_token_hint: "x" })).status, 400)
        const { headers } = yield* logout({ ...uri, id_token_hint: tokens.id_token ?? "", state: "s2" })
        assert.strictEqual(headers["location"], "https://app.test/bye?state=s2")
        assert.strictEqual(yield* refusal(yield* refreshWith(tokens.refresh_token)), "invalid_grant")
        const again = yield* authorize({ prompt: "none" })
        assert.strictEqual(again.url?.searchParams.get("error"), "login_required")
      }),
    { clients }
  )

  test("mints logout tokens with and without a subject", () =>
    Effect.gen(function* () {
      const { mintLogoutToken } = yield* TestIssuer
      const bySession = yield* mintLogoutToken({ sessionId: "session-1", audience: "web" })
      assert.strictEqual(Jose.decodeProtectedHeader(bySession).typ, "logout+jwt")
      const claims = Jose.decodeJwt(bySession)
      assert.deepInclude(claims, { sid: "session-1", aud: "web", iss: issuer })
      assert.notProperty(claims, "sub")
      assert.notProperty(claims, "nonce")
      assert.property(Jose.decodeJwt(yield* mintLogoutToken()), "sub")
    }))

  test(
    "revokes a refresh token with all tokens of its grant",
    () =>
      Effect.gen(function* () {
        const { as, options, refusal, server } = yield* protocol
        const { tokens } = yield* login()
        yield* Effect.promise(async () =>
          oauth.processRevocationResponse(
            await oauth.revocationRequest(server, as("web"), basic, tokens.refresh_token ?? "", options)
          )
        )
        assert.strictEqual(yield* refusal(yield* refreshWith(tokens.refresh_token)), "invalid_grant")
      }),
    { clients }
  )
})
