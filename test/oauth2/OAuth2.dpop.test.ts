// Schemes that accept or require bound tokens: challenges, requirements, documents, metadata, typed clients.
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Option, Redacted, Schema } from "effect"
import {
  HttpClient,
  HttpClientRequest,
  HttpClientResponse,
  HttpEffect,
  HttpRouter,
  HttpServer,
  HttpServerResponse
} from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import {
  AccessToken,
  BearerToken,
  Dpop,
  JwtVerifier,
  OAuth2,
  OpenApiSecurity,
  Provider,
  Requirement,
  TokenIntrospection,
  TokenVerifier
} from "effect-oauth2"
import { ClientAuthentication, ClientCredentials } from "effect-oauth2/client"
import * as ResourceMetadata from "effect-oauth2/ResourceMetadata"
import { makeDpopClient, TestIssuer } from "effect-oauth2/testing"
import { algs, appOf, boundClient, codeOf, headersOf, schemeOf, sendTo, url, Verifier } from "../support/dpopApp.ts"

const run = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)

const expiresAt = DateTime.makeUnsafe("2100-01-01T00:00:00Z")

const bearerToken = TestIssuer.use(({ mint }) => mint({ scopes: ["read"] }))

describe("the challenges of a scheme that", () => {
  it.effect("accepts both kinds of tokens name both schemes, and the error only on the scheme that was used", () =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf())
      const bound = yield* boundClient()
      const answers = {
        "no credentials": yield* sendTo(app, {}),
        "another scheme": yield* sendTo(app, { authorization: "Basic YTpi" }),
        "a bad bearer token": yield* sendTo(app, { authorization: "Bearer x" }),
        "a bad bound token": yield* sendTo(app, yield* headersOf({ ...bound, token: "x" })),
        "a bad proof": yield* sendTo(app, yield* headersOf(bound, { method: "PUT" })),
        "both schemes": yield* sendTo(app, { authorization: `Bearer ${bound.token}, DPoP ${bound.token}` }),
        "a missing scope by DPoP": yield* sendTo(app, yield* headersOf(bound, { method: "POST" }), "/items", "POST"),
        "a missing scope by Bearer": yield* sendTo(
          app,
          { authorization: `Bearer ${yield* bearerToken}` },
          "/items",
          "POST"
        )
      }
      const bare = `DPoP realm="Api", algs="${algs}"`
      assert.deepStrictEqual(
        Object.fromEntries(
          Object.entries(answers).map(([name, { challenges, status }]) => [name, [status, ...challenges]])
        ),
        {
          "no credentials": [401, 'Bearer realm="Api", scope="read"', `DPoP realm="Api", scope="read", algs="${algs}"`],
          "another scheme": [401, 'Bearer realm="Api", scope="read"', `DPoP realm="Api", scope="read", algs="${algs}"`],
          "a bad bearer token": [401, 'Bearer error="invalid_token", scope="read"', bare],
          "a bad bound token": [401, `DPoP error="invalid_token", scope="read", algs="${algs}"`, 'Bearer realm="Api"'],
          "a bad proof": [401, `DPoP error="invalid_dpop_proof", algs="${algs}"`],
          "both schemes": [400, 'Bearer error="invalid_request"', `DPoP error="invalid_request", algs="${algs}"`],
          "a missing scope by DPoP": [403, `DPoP error="insufficient_scope", scope="write", algs="${algs}"`],
          "a missing scope by Bearer": [403, 'Bearer error="insufficient_scope", scope="write"']
        }
      )
    }).pipe(run)
  )

  it.effect("requires bound tokens name only DPoP", () =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf({ senderConstrained: "required", dpop: { algorithms: ["ES256", "PS256"] } }))
      const bound = yield* boundClient()
      assert.strictEqual((yield* sendTo(app, yield* headersOf(bound))).status, 200)
      for (const [authorization, expected] of [
        [undefined, 'DPoP realm="Api", scope="read", algs="ES256 PS256"'],
        [`Bearer ${yield* bearerToken}`, 'DPoP error="invalid_token", scope="read", algs="ES256 PS256"'],
        [`Bearer ${bound.token}`, 'DPoP error="invalid_token", scope="read", algs="ES256 PS256"'],
        ["Bearer x", 'DPoP error="invalid_token", scope="read", algs="ES256 PS256"']
      ] as const) {
        const { challenges, status } = yield* sendTo(app, authorization === undefined ? {} : { authorization })
        assert.deepStrictEqual([status, ...challenges], [401, expected])
      }
      // Where authentication is optional, a bearer token is refused, too, and not taken for an anonymous request.
      assert.strictEqual((yield* sendTo(app, {}, "/any")).status, 200)
      assert.strictEqual((yield* sendTo(app, { authorization: `Bearer ${bound.token}` }, "/any")).status, 401)
      assert.strictEqual((yield* sendTo(app, { authorization: `Bearer ${yield* bearerToken}` }, "/any")).status, 401)
    }).pipe(run)
  )

  it.effect("has no dpop option refuse bound tokens, and explain it once", () =>
    Effect.gen(function* () {
      const auth = OAuth2.bearer("Api", { scopes: { read: "Read" }, responses: "rfc6750" })
      const app = yield* HttpRouter.toHttpEffect(
        HttpRouter.add("GET", "/items", Effect.succeed(HttpServerResponse.text("ok"))).pipe(
          auth.require("read"),
          Layer.provide(auth.layer(Verifier))
        )
      )
      const bound = yield* boundClient()
      for (let i = 0; i < 3; i++) {
        const answer = yield* sendTo(app, { authorization: `Bearer ${bound.token}` })
        assert.deepStrictEqual(answer.challenges, ['Bearer error="invalid_token", scope="read"'])
        assert.deepStrictEqual((yield* sendTo(app, yield* headersOf(bound))).challenges, [
          'Bearer realm="Api", scope="read"'
        ])
      }
    }).pipe(run)
  )

  it.effect("uses FastAPI's format names the errors of DPoP, too", () =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf({ responses: "fastapi" }))
      const bound = yield* boundClient()
      assert.deepStrictEqual((yield* sendTo(app, {})).challenges, ["Bearer", `DPoP algs="${algs}"`])
      const bad = yield* sendTo(app, yield* headersOf(bound, { method: "PUT" }))
      assert.deepStrictEqual(bad.challenges, [`DPoP error="invalid_dpop_proof", algs="${algs}"`])
    }).pipe(run)
  )
})

describe("Requirement.senderConstrained", () => {
  it.effect("refuses bearer tokens with the challenge of DPoP", () =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf())
      const bound = yield* boundClient()
      const at = { url: "https://api.test/bound" }
      assert.strictEqual((yield* sendTo(app, yield* headersOf(bound, at), "/bound")).status, 200)
      const anonymous = yield* sendTo(app, {}, "/bound")
      assert.deepStrictEqual(anonymous.challenges, [`DPoP realm="Api", scope="read", algs="${algs}"`])
      const bearer = yield* sendTo(app, { authorization: `Bearer ${yield* bearerToken}` }, "/bound")
      assert.strictEqual(bearer.status, 401)
      assert.deepStrictEqual(bearer.challenges, [`DPoP error="invalid_token", scope="read", algs="${algs}"`])
    }).pipe(run)
  )

  it.effect("combines with scopes by Requirement.any and Requirement.all", () =>
    Effect.gen(function* () {
      const auth = schemeOf()
      const ok = Effect.succeed(HttpServerResponse.text("ok"))
      const app = yield* HttpRouter.toHttpEffect(
        Layer.mergeAll(
          HttpRouter.add("GET", "/any", ok).pipe(auth.require(Requirement.any("write", Requirement.senderConstrained))),
          HttpRouter.add("GET", "/all", ok).pipe(auth.require(Requirement.all("write", Requirement.senderConstrained)))
        ).pipe(Layer.provide(auth.layer(Verifier)))
      )
      const statusAt = (path: string, scopes: ReadonlyArray<string>, isBound: boolean) =>
        Effect.gen(function* () {
          const client = yield* makeDpopClient()
          const token = yield* TestIssuer.use(({ mint }) => mint({ scopes, ...(isBound ? { boundTo: client } : {}) }))
          const headers = isBound
            ? yield* client.headers({ url: `https://api.test${path}`, token })
            : { authorization: `Bearer ${token}` }
          return (yield* sendTo(app, { ...headers }, path)).status
        })
      assert.strictEqual(yield* statusAt("/any", ["write"], false), 200)
      assert.strictEqual(yield* statusAt("/any", ["read"], true), 200)
      assert.strictEqual(yield* statusAt("/any", ["read"], false), 403)
      assert.strictEqual(yield* statusAt("/all", ["write"], true), 200)
      assert.strictEqual(yield* statusAt("/all", ["write"], false), 401)
      assert.strictEqual(yield* statusAt("/all", ["read"], true), 403)
    }).pipe(run)
  )

  it("needs a scheme with the option dpop", () => {
    const auth = OAuth2.bearer("Api", {})
    assert.throws(() => auth.require(Requirement.senderConstrained), /accepts no bound tokens/)
  })

  it("is described in words", () => {
    assert.strictEqual(
      OAuth2.describe(schemeOf().require("read", Requirement.senderConstrained)),
      'a token of the scheme "Api" with "read" and a key or certificate of the client'
    )
  })
})

describe("a scheme with dpop", () => {
  it.each([
    ["dpop must be the result of Dpop.make", { dpop: { algorithms: ["ES256"], nonces: false } }],
    ["dpop must be the result of Dpop.make", { dpop: { ...Dpop.make() } }],
    ["senderConstrained needs support for bound tokens", { senderConstrained: "required" }],
    ['senderConstrained must be "accepted" or "required"', { dpop: Dpop.make(), senderConstrained: true }]
  ])("is not created if %s", (message, options) => {
    assert.throws(() => OAuth2.bearer("Api", options as {}), new RegExp(message))
  })

  it.effect("authorizes with authorize, authorizeOption and layerRequest, and gives the key to handlers", () =>
    Effect.gen(function* () {
      const auth = schemeOf()
      const handler = Effect.gen(function* () {
        const one = yield* auth.authorize
        const two = Option.getOrThrow(yield* auth.authorizeOption)
        const three = yield* AccessToken
        return HttpServerResponse.text([one, two, three].map(({ confirmation }) => confirmation?.jkt).join(" "))
      }).pipe(Effect.provide(auth.layerRequest))
      const app = yield* HttpRouter.toHttpEffect(
        HttpRouter.add("GET", "/items", handler).pipe(HttpRouter.provideRequest(auth.layer(Verifier)))
      )
      const handle = HttpEffect.toWebHandlerWith(yield* Effect.context<never>())(app as never)
      const bound = yield* boundClient()
      const headers = yield* headersOf(bound)
      const response = yield* Effect.promise(() => handle(new Request(url, { headers })))
      const { jkt } = bound.client
      assert.strictEqual(yield* Effect.promise(() => response.text()), `${jkt} ${jkt} ${jkt}`)
      const replayed = yield* Effect.promise(() => handle(new Request(url, { headers })))
      assert.strictEqual(replayed.status, 401)
      assert.include(replayed.headers.get("www-authenticate") ?? "", 'DPoP error="invalid_dpop_proof"')
    }).pipe(run)
  )

  it.effect("refuses a bound token without a request, and as the token of a message", () =>
    Effect.gen(function* () {
      const auth = schemeOf()
      const { token } = yield* boundClient()
      const failing = (self: Effect.Effect<unknown, unknown, unknown>) =>
        Effect.map(
          Effect.flip(
            Effect.provide(self, auth.layer(Verifier)) as Effect.Effect<unknown, { readonly claim?: string }>
          ),
          ({ claim }) => claim
        )
      assert.strictEqual(yield* failing(Effect.provide(auth.authorize, BearerToken.layerTest(token))), "cnf")
      assert.strictEqual(yield* failing(auth.proveToken(Redacted.make(token), "read")(Effect.void)), "cnf")
      const { verify } = yield* Effect.provide(TokenVerifier, Verifier)
      assert.strictEqual((yield* Effect.flip(verify(Redacted.make(token)))) instanceof Error, true)
    }).pipe(run)
  )

  it.effect("does not accept the token of a custom verifier as a bearer token, if its claims have cnf", () =>
    Effect.gen(function* () {
      const auth = schemeOf()
      const { client } = yield* boundClient()
      const served = (extra: object) =>
        HttpRouter.toHttpEffect(
          HttpRouter.add("GET", "/items", Effect.succeed(HttpServerResponse.text("ok"))).pipe(
            auth.require(),
            Layer.provide(
              auth.layer(
                TokenVerifier.layer({
                  verify: () =>
                    Effect.succeed({
                      ...AccessToken.make({ subject: "demo", scopes: [], issuer: "custom", expiresAt }),
                      ...extra
                    })
                })
              )
            )
          )
        )
      const cnf = { jkt: client.jkt }
      for (const extra of [{ claims: { cnf } }, { confirmation: cnf }]) {
        const app = yield* served(extra)
        assert.strictEqual((yield* sendTo(app, { authorization: "Bearer x" })).status, 401)
        assert.strictEqual((yield* sendTo(app, yield* headersOf({ client, token: "x" }))).status, 200)
      }
      for (const extra of [{ claims: { cnf: null } }, { confirmation: {} }, { confirmation: { jkt: 1 } }]) {
        const app = yield* served(extra)
        assert.strictEqual((yield* sendTo(app, { authorization: "Bearer x" })).status, 401)
        assert.strictEqual((yield* sendTo(app, yield* headersOf({ client, token: "x" }))).status, 401)
      }
    }).pipe(run)
  )

  it.effect("uses the confirmation of layerTest", () =>
    Effect.gen(function* () {
      const auth = schemeOf()
      const app = (token: Parameters<typeof auth.layerTest>[0]) =>
        HttpRouter.toHttpEffect(
          HttpRouter.add("GET", "/items", Effect.succeed(HttpServerResponse.text("ok"))).pipe(
            auth.require("read", Requirement.senderConstrained),
            Layer.provide(auth.layerTest(token))
          )
        )
      const jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
      const bound = yield* app({ scopes: ["read"], confirmation: { jkt } })
      assert.strictEqual((yield* sendTo(bound as never, {})).status, 200)
      assert.strictEqual((yield* sendTo((yield* app({ scopes: ["read"] })) as never, {})).status, 401)
    }).pipe(run)
  )
})

describe("bound tokens", () => {
  const served = <E, R>(auth: ReturnType<typeof schemeOf>, verifier: Layer.Layer<TokenVerifier, E, R>) =>
    HttpRouter.toHttpEffect(
      HttpRouter.add("GET", "/items", Effect.succeed(HttpServerResponse.text("ok"))).pipe(
        auth.require("read"),
        Layer.provide(auth.layer(verifier))
      )
    )

  it.effect("of introspection have the token_type DPoP, and cnf", () =>
    Effect.gen(function* () {
      const app = yield* served(
        schemeOf(),
        TokenIntrospection.layer({
          issuer: "https://issuer.test",
          audience: "https://api.test",
          clientId: "api",
          clientSecret: Redacted.make("secret")
        })
      )
      const client = yield* makeDpopClient()
      const mint = (claims: Readonly<Record<string, unknown>>) =>
        TestIssuer.use(({ mintOpaque }) => mintOpaque({ scopes: ["read"], boundTo: client, claims }))
      const code = (token: string) =>
        Effect.flatMap(headersOf({ client, token }), (headers) => Effect.map(sendTo(app, { ...headers }), codeOf))
      const token = yield* mint({})
      assert.strictEqual(yield* code(token), "200")
      assert.strictEqual(codeOf(yield* sendTo(app, { authorization: `Bearer ${token}` })), "invalid_token")
      assert.strictEqual(yield* code(yield* mint({ token_type: "dpop" })), "200")
      assert.strictEqual(yield* code(yield* mint({ token_type: "Bearer" })), "200")
      assert.strictEqual(yield* code(yield* mint({ token_type: "MAC" })), "invalid_token")
      assert.strictEqual(yield* code(yield* mint({ cnf: { "x5t#S256": "x" } })), "invalid_token")
      // Without cnf, the type DPoP is no type of a bearer token.
      const unbound = yield* TestIssuer.use(({ mintOpaque }) =>
        mintOpaque({ scopes: ["read"], claims: { token_type: "DPoP" } })
      )
      assert.strictEqual(codeOf(yield* sendTo(app, { authorization: `Bearer ${unbound}` })), "invalid_token")
    }).pipe(run)
  )

  it.effect("of Keycloak have the claim typ DPoP", () =>
    Effect.gen(function* () {
      const provider = Provider.keycloak({ url: "https://sso.test", realm: "main", audience: "https://api.test" })
      const app = yield* served(schemeOf(), JwtVerifier.layer(provider))
      const client = yield* makeDpopClient()
      const issuer = yield* TestIssuer
      const token = yield* issuer.mint({ scopes: ["read"], boundTo: client })
      assert.include(atob(token.split(".")[1] ?? ""), '"typ":"DPoP"')
      assert.strictEqual(codeOf(yield* sendTo(app, yield* headersOf({ client, token }))), "200")
      assert.strictEqual(codeOf(yield* sendTo(app, { authorization: `Bearer ${token}` })), "invalid_token")
      const unbound = yield* issuer.mint({ scopes: ["read"], claims: { typ: "DPoP" } })
      assert.strictEqual(codeOf(yield* sendTo(app, { authorization: `Bearer ${unbound}` })), "invalid_token")
      const bearer = yield* issuer.mint({ scopes: ["read"] })
      assert.strictEqual(codeOf(yield* sendTo(app, { authorization: `Bearer ${bearer}` })), "200")
    }).pipe(
      Effect.provide(
        TestIssuer.layer({
          issuer: "https://sso.test/realms/main",
          provider: "keycloak",
          audience: "https://api.test",
          keys: ["ES256"]
        })
      ),
      Effect.scoped
    )
  )
})

describe("an HttpApi with bound tokens", () => {
  const make = (options: Parameters<typeof schemeOf>[0]) => {
    const auth = schemeOf(options)
    const Api = HttpApi.make("api")
      .add(
        HttpApiGroup.make("items")
          .add(HttpApiEndpoint.get("list", "/items", { success: Schema.String }))
          .middleware(auth.require("read"))
      )
      .pipe(OAuth2.openApi)
    const app = HttpRouter.toHttpEffect(
      HttpApiBuilder.layer(Api).pipe(
        Layer.provide(
          HttpApiBuilder.group(Api, "items", (handlers) =>
            handlers.handle("list", () => Effect.map(AccessToken, ({ confirmation }) => String(confirmation?.jkt)))
          )
        ),
        Layer.provide(auth.layer(Verifier))
      )
    )
    return { auth, Api, app }
  }

  it.effect("serves typed clients whose tokens are bound: each request has its own proof with the latest nonce", () =>
    Effect.gen(function* () {
      const { Api, app, auth } = make({ dpop: { nonces: true }, senderConstrained: "required" })
      const handle = HttpEffect.toWebHandlerWith(yield* Effect.context<never>())((yield* app) as never)
      const seen: Array<Headers> = []
      const inProcess = HttpClient.make((request) =>
        Effect.gen(function* () {
          const web = yield* Effect.orDie(HttpClientRequest.toWeb(request))
          seen.push(web.headers)
          return HttpClientResponse.fromWeb(request, yield* Effect.promise(() => handle(web)))
        })
      )
      const dpop = yield* Effect.promise(() =>
        crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"])
      )
      const source = yield* ClientCredentials.make({
        issuer: "https://issuer.test",
        clientId: "worker",
        authentication: ClientAuthentication.secret(Redacted.make("secret")),
        dpop
      })
      const client = yield* HttpApiClient.make(Api, { baseUrl: "https://api.test" }).pipe(
        Effect.provide(auth.client(source, { baseUrl: "https://api.test" })),
        Effect.provideService(HttpClient.HttpClient, inProcess)
      )
      const thumbprints = [yield* client.items.list(), yield* client.items.list(), yield* client.items.list()]
      assert.strictEqual(new Set(thumbprints).size, 1)
      assert.match(thumbprints[0] ?? "", /^[\w-]{43}$/)
      // Only the first request of all had no nonce.
      assert.strictEqual(seen.length, 4)
      assert.strictEqual(new Set(seen.map((headers) => headers.get("dpop"))).size, 4)
      assert.isTrue(seen.every((headers) => headers.get("authorization")?.startsWith("DPoP ")))
    }).pipe(run, Effect.provide(HttpServer.layerServices))
  )

  it.effect("gives typed clients the errors of proofs", () =>
    Effect.gen(function* () {
      const { Api, app, auth } = make({ dpop: { nonces: true } })
      const handle = HttpEffect.toWebHandlerWith(yield* Effect.context<never>())((yield* app) as never)
      const bound = yield* boundClient()
      const inProcess = HttpClient.make((request) =>
        Effect.gen(function* () {
          const web = yield* Effect.orDie(HttpClientRequest.toWeb(request))
          return HttpClientResponse.fromWeb(request, yield* Effect.promise(() => handle(web)))
        })
      )
      const call = (headers: Readonly<Record<string, string>>) =>
        Effect.gen(function* () {
          const client = yield* HttpApiClient.make(Api, {
            baseUrl: "https://api.test",
            transformClient: HttpClient.mapRequest(HttpClientRequest.setHeaders(headers))
          }).pipe(Effect.provide(auth.layerClient({ token: Effect.succeed(Redacted.make("unused")) })))
          return yield* client.items.list()
        }).pipe(Effect.provideService(HttpClient.HttpClient, inProcess))
      const refused = yield* Effect.flip(call({ ...(yield* headersOf(bound)) }))
      assert.strictEqual(refused._tag, "UseDpopNonce")
      const nonce = yield* Effect.promise(async () => (await handle(new Request(url))).headers.get("dpop-nonce") ?? "")
      assert.strictEqual(yield* call({ ...(yield* headersOf(bound, { nonce })) }), bound.client.jkt)
      const bad = yield* Effect.flip(call({ ...(yield* headersOf(bound, { nonce, method: "PUT" })) }))
      assert.strictEqual(bad._tag, "InvalidDpopProof")
      assert.include((bad as { readonly challenge?: string }).challenge ?? "", 'error="invalid_dpop_proof"')
      const missing = yield* Effect.flip(call({ authorization: "" }))
      assert.strictEqual(missing._tag, "NotAuthenticated")
    }).pipe(run, Effect.provide(HttpServer.layerServices))
  )

  it("documents the header of the proof, the kind of tokens and the nonce", () => {
    const document = (options: Parameters<typeof schemeOf>[0]) => {
      const spec = OpenApi.fromApi(make(options).Api) as unknown as {
        readonly components: { readonly securitySchemes: Readonly<Record<string, Readonly<Record<string, unknown>>>> }
        readonly paths: Readonly<
          Record<
            string,
            {
              readonly get: {
                readonly parameters: ReadonlyArray<Readonly<Record<string, unknown>>>
                readonly responses: Readonly<Record<string, { readonly headers: object }>>
              }
            }
          >
        >
      }
      const operation = spec.paths["/items"]?.get
      return {
        scheme: spec.components.securitySchemes["Api"],
        proof: operation?.parameters.map(({ in: place, name, required }) => [place, name, required]),
        headers: Object.keys(operation?.responses["401"]?.headers ?? {})
      }
    }
    assert.deepStrictEqual(document({}), {
      scheme: {
        type: "http",
        scheme: "bearer",
        description: "Tokens may be bound to a key of the client (DPoP, RFC 9449)."
      },
      proof: [["header", "DPoP", false]],
      headers: ["www-authenticate"]
    })
    assert.deepStrictEqual(document({ senderConstrained: "required", dpop: { nonces: true } }), {
      scheme: {
        type: "http",
        scheme: "DPoP",
        description: "Tokens must be bound to a key of the client (DPoP, RFC 9449)."
      },
      proof: [["header", "DPoP", true]],
      headers: ["www-authenticate", "dpop-nonce", "cache-control"]
    })
  })

  it.effect("documents routes, too, and a requirement of a bound token", () =>
    Effect.gen(function* () {
      const auth = schemeOf()
      const ok = Effect.succeed(HttpServerResponse.text("ok"))
      const app = yield* HttpRouter.toHttpEffect(
        Layer.mergeAll(
          HttpRouter.add("GET", "/items", ok).pipe(auth.require("read")),
          HttpRouter.add("GET", "/bound", ok).pipe(auth.require("read", Requirement.senderConstrained))
        ).pipe(
          OpenApiSecurity.documented({ info: { title: "Items", version: "1" } }, (document) =>
            HttpRouter.add("GET", "/openapi.json", HttpServerResponse.jsonUnsafe(document))
          ),
          Layer.provide(auth.layer(Verifier))
        )
      )
      const handle = HttpEffect.toWebHandlerWith(yield* Effect.context<never>())(app as never)
      const response = yield* Effect.promise(() => handle(new Request("https://api.test/openapi.json")))
      const spec = (yield* Effect.promise(() => response.json())) as {
        readonly paths: Readonly<
          Record<
            string,
            {
              readonly get: {
                readonly description: string
                readonly parameters: ReadonlyArray<{ readonly required: boolean }>
              }
            }
          >
        >
      }
      assert.deepStrictEqual(
        spec.paths["/items"]?.get.parameters.map(({ required }) => required),
        [false]
      )
      assert.deepStrictEqual(
        spec.paths["/bound"]?.get.parameters.map(({ required }) => required),
        [true]
      )
      assert.strictEqual(
        spec.paths["/bound"]?.get.description,
        "Requires `read` and a token that is bound to the client."
      )
    }).pipe(run)
  )

  it.effect("publishes the algorithms, and whether bound tokens are required", () =>
    Effect.gen(function* () {
      const metadata = (options: { readonly senderConstrained?: "required"; readonly dpop?: Dpop.Dpop }) =>
        Effect.map(
          ResourceMetadata.make({
            scheme: OAuth2.bearer("Api", { resource: "https://api.test", ...options }),
            authorizationServers: ["https://issuer.test"]
          }),
          (document) => [document["dpop_signing_alg_values_supported"], document["dpop_bound_access_tokens_required"]]
        )
      const dpop = Dpop.make({ algorithms: ["ES256", "PS256"] })
      assert.deepStrictEqual(yield* metadata({}), [undefined, undefined])
      assert.deepStrictEqual(yield* metadata({ dpop }), [["ES256", "PS256"], undefined])
      assert.deepStrictEqual(yield* metadata({ dpop, senderConstrained: "required" }), [["ES256", "PS256"], true])
    })
  )
})
