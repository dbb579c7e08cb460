// Schemes that accept tokens that are bound to a certificate: with DPoP, in challenges, requirements and documents.
import { assert, describe, it } from "@effect/vitest"
import { Cause, DateTime, Effect, Exit, Layer, Logger, Option, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { IpNetwork } from "effect/net"
import {
  AccessToken,
  BearerToken,
  Dpop,
  JwtVerifier,
  MutualTls,
  OAuth2,
  Provider,
  Requirement,
  TokenIntrospection,
  TokenVerifier
} from "effect-oauth2"
import * as ResourceMetadata from "effect-oauth2/ResourceMetadata"
import { makeDpopClient, TestIssuer } from "effect-oauth2/testing"
import { createHash } from "node:crypto"
import { selfSigned, type TestCertificate } from "../support/certificates.ts"
import { algs, origin, Verifier } from "../support/dpopApp.ts"
import { routesOf, schemeOf } from "../support/mutualTls.ts"

const client = selfSigned("client")
const other = selfSigned("other")

const makeMutualTls = () => MutualTls.make({ proxy: { trustedProxies: [IpNetwork.fromStringUnsafe("10.0.0.0/8")] } })
const mutualTls = makeMutualTls()
const dpop = Dpop.make({ origin })

const run = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)

const requestOf = (headers: HeadersInit, path = "/items", certificate?: TestCertificate) => {
  const all = new Headers(headers)
  if (certificate !== undefined) all.set("client-cert", `:${Buffer.from(certificate.der).toString("base64")}:`)
  return HttpServerRequest.fromWeb(new Request(`${origin}${path}`, { headers: all })).modify({
    remoteAddress: Option.some("10.0.0.1")
  })
}

/** Sends a request to an app, and returns the status and the challenge. */
const send = <R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, R>,
  ...request: Parameters<typeof requestOf>
) =>
  app.pipe(
    Effect.catch((error) => HttpServerRespondable.toResponse(error as HttpServerRespondable.Respondable)),
    Effect.provideService(HttpServerRequest.HttpServerRequest, requestOf(...request)),
    Effect.map(({ headers, status }) => [status, headers["www-authenticate"]] as const)
  )

const boundTo = { certificate: client.cert }
const mintBound = (more: object = {}) =>
  TestIssuer.use(({ mint }) => mint({ scopes: ["read"], boundTo: { ...boundTo, ...more } }))

const thumbprint = createHash("sha256").update(client.der).digest("base64url")

describe("a token with both a key and a certificate", () => {
  it.effect("needs the proof and the certificate, and a scheme that verifies both", () =>
    Effect.gen(function* () {
      const key = yield* makeDpopClient()
      const token = yield* mintBound({ jkt: key.jkt })
      const accepted: Array<string> = []
      for (const [scheme, options] of Object.entries({
        dpop: { dpop },
        mutualTls: { mutualTls },
        both: { dpop, mutualTls }
      })) {
        const app = yield* HttpRouter.toHttpEffect(routesOf(schemeOf(options)))
        for (const certificate of [undefined, other, client]) {
          const name = certificate === client ? "right" : certificate === other ? "wrong" : "no"
          const proof = yield* key.headers({ url: `${origin}/items`, token })
          const [byProof] = yield* send(app, proof, "/items", certificate)
          if (byProof === 200) accepted.push(`${scheme}: DPoP with ${name} certificate`)
          const [byBearer] = yield* send(app, { authorization: `Bearer ${token}` }, "/items", certificate)
          if (byBearer === 200) accepted.push(`${scheme}: Bearer with ${name} certificate`)
        }
      }
      assert.deepStrictEqual(accepted, ["both: DPoP with right certificate"])
    }).pipe(run)
  )

  it.effect("does not use up its proof if the certificate is wrong", () =>
    Effect.gen(function* () {
      const key = yield* makeDpopClient()
      const token = yield* mintBound({ jkt: key.jkt })
      const app = yield* HttpRouter.toHttpEffect(routesOf(schemeOf({ dpop, mutualTls })))
      const proof = yield* key.headers({ url: `${origin}/items`, token })
      assert.deepStrictEqual(yield* send(app, proof, "/items", other), [
        401,
        `DPoP error="invalid_token", scope="read", algs="${algs}", Bearer realm="Api"`
      ])
      assert.strictEqual((yield* send(app, proof, "/items", client))[0], 200)
      assert.strictEqual((yield* send(app, proof, "/items", client))[0], 401)
    }).pipe(run)
  )
})

describe("a scheme with dpop and mutualTls", () => {
  it.effect("refuses every other cnf", () =>
    Effect.gen(function* () {
      const app = yield* HttpRouter.toHttpEffect(routesOf(schemeOf({ dpop, mutualTls })))
      const key = yield* makeDpopClient()
      const { jkt } = key
      for (const cnf of [
        null,
        {},
        [],
        "text",
        thumbprint,
        { kid: "a" },
        { jwk: {} },
        { "x5t#S256": 1 },
        { "x5t#S256": "" },
        { "x5t#S256": `${thumbprint}=` },
        { "x5t#s256": thumbprint },
        { x5t: thumbprint },
        { "x5t#S256": [thumbprint] },
        { "x5t#S256": thumbprint, kid: "a" },
        { "x5t#S256": thumbprint, jkt: "short" },
        { jkt, "x5t#S256": null },
        { jkt, jwk: {} }
      ]) {
        const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"], claims: { cnf } }))
        const proof = yield* key.headers({ url: `${origin}/items`, token })
        for (const headers of [{ authorization: `Bearer ${token}` }, proof]) {
          assert.strictEqual((yield* send(app, headers, "/items", client))[0], 401, JSON.stringify(cnf))
        }
      }
    }).pipe(run)
  )

  it.effect("accepts both kinds of bound tokens, each only in its own way", () =>
    Effect.gen(function* () {
      const app = yield* HttpRouter.toHttpEffect(routesOf(schemeOf({ dpop, mutualTls, senderConstrained: "required" })))
      const key = yield* makeDpopClient()
      const byKey = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"], boundTo: key }))
      const byCertificate = yield* mintBound()
      const at = { url: `${origin}/bound` }
      assert.strictEqual((yield* send(app, yield* key.headers({ ...at, token: byKey }), "/bound"))[0], 200)
      assert.strictEqual((yield* send(app, { authorization: `Bearer ${byCertificate}` }, "/bound", client))[0], 200)
      // A proof of a key that the token does not name.
      assert.strictEqual(
        (yield* send(app, yield* key.headers({ ...at, token: byCertificate }), "/bound", client))[0],
        401
      )
      assert.strictEqual((yield* send(app, { authorization: `Bearer ${byKey}` }, "/bound", client))[0], 401)
      const bearer = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"] }))
      for (const path of ["/items", "/bound"]) {
        assert.deepStrictEqual(yield* send(app, { authorization: `Bearer ${bearer}` }, path, client), [
          401,
          `Bearer error="invalid_token", scope="read", DPoP realm="Api", algs="${algs}"`
        ])
        assert.deepStrictEqual(yield* send(app, {}, path, client), [
          401,
          `Bearer realm="Api", scope="read", DPoP realm="Api", scope="read", algs="${algs}"`
        ])
      }
    }).pipe(run)
  )
})

describe("a scheme with mutualTls", () => {
  it.each([
    ["mutualTls must be the result of MutualTls.make", { mutualTls: { from: "connection" } }],
    ["mutualTls must be the result of MutualTls.make", { mutualTls: { ...mutualTls } }],
    ["senderConstrained needs support for bound tokens", { senderConstrained: "required" }]
  ])("is not created if %s", (message, options) => {
    assert.throws(() => OAuth2.bearer("Api", options as {}), new RegExp(message))
  })

  it.effect("gives the certificate to handlers, and a proof of the requirement", () =>
    Effect.gen(function* () {
      const auth = schemeOf({ mutualTls })
      const handler = Effect.map(auth.granted("read", Requirement.senderConstrained), ({ confirmation }) =>
        HttpServerResponse.text(confirmation?.["x5t#S256"] ?? "none")
      )
      const app = yield* HttpRouter.toHttpEffect(
        HttpRouter.add("GET", "/items", handler).pipe(
          auth.require("read", Requirement.senderConstrained),
          OAuth2.secured,
          Layer.provide(auth.layer(Verifier))
        )
      )
      const response = yield* app.pipe(
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          requestOf({ authorization: `Bearer ${yield* mintBound()}` }, "/items", client)
        )
      )
      assert.strictEqual(yield* Effect.promise(() => HttpServerResponse.toWeb(response).text()), thumbprint)
    }).pipe(run)
  )

  it.effect("does not prove a bound token behind the alternative of a scope", () =>
    Effect.gen(function* () {
      const auth = schemeOf({ mutualTls })
      const handler = Effect.as(auth.granted(Requirement.senderConstrained), HttpServerResponse.text("ok"))
      const app = yield* HttpRouter.toHttpEffect(
        HttpRouter.add("GET", "/items", handler as Effect.Effect<HttpServerResponse.HttpServerResponse>).pipe(
          auth.require(Requirement.any("read", Requirement.senderConstrained)),
          Layer.provide(auth.layer(Verifier))
        )
      )
      const exit = yield* Effect.exit(
        app.pipe(
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            requestOf({ authorization: `Bearer ${yield* mintBound()}` }, "/items", client)
          )
        )
      )
      assert.include(
        String(Exit.isFailure(exit) && Cause.squash(exit.cause)),
        "relies on a key or certificate of the client"
      )
    }).pipe(run)
  )

  it.effect("proves a bound token in tests: layerTest by its confirmation, and layerTestGranted as it is told", () =>
    Effect.gen(function* () {
      const auth = schemeOf({ mutualTls })
      const app = (token: Parameters<typeof auth.layerTest>[0]) =>
        HttpRouter.toHttpEffect(
          HttpRouter.add("GET", "/items", HttpServerResponse.text("ok")).pipe(
            auth.require("read", Requirement.senderConstrained),
            Layer.provide(auth.layerTest(token))
          )
        )
      const confirmation = { "x5t#S256": thumbprint }
      assert.strictEqual((yield* send(yield* app({ scopes: ["read"], confirmation }), {}))[0], 200)
      assert.strictEqual((yield* send(yield* app({ scopes: ["read"] }), {}))[0], 401)
      const domain = Effect.map(auth.granted("read", Requirement.senderConstrained), ({ subject }) => subject)
      assert.strictEqual(
        yield* Effect.provide(domain, auth.layerTestGranted({ scopes: ["read"] }, Requirement.senderConstrained)),
        "demo"
      )
    }).pipe(run)
  )

  it.effect("authorizes with authorize and proveToken inside of the request, and never outside of it", () =>
    Effect.gen(function* () {
      const auth = schemeOf({ mutualTls })
      const token = yield* mintBound()
      const claimOf = (self: Effect.Effect<unknown, unknown, unknown>) =>
        Effect.match(
          Effect.provide(self, auth.layer(Verifier)) as Effect.Effect<unknown, { readonly claim?: string }>,
          { onFailure: ({ claim }) => claim, onSuccess: () => "accepted" }
        )
      const within = (certificate?: TestCertificate) =>
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          requestOf({ authorization: `Bearer ${token}` }, "/items", certificate)
        )
      const authorize = Effect.provide(auth.authorize, BearerToken.layerTest(token))
      // A message of a connection has the certificate of its connection.
      const message = auth.proveToken(Redacted.make(token), "read")(Effect.void)
      for (const self of [authorize, message]) {
        assert.strictEqual(yield* claimOf(within(client)(self)), "accepted")
        assert.strictEqual(yield* claimOf(within(other)(self)), "cnf")
        assert.strictEqual(yield* claimOf(within()(self)), "cnf")
        assert.strictEqual(yield* claimOf(self), "cnf")
      }
      const verify = Effect.flatMap(TokenVerifier, ({ verify }) => verify(Redacted.make(token)))
      assert.strictEqual(yield* claimOf(Effect.provide(verify, Verifier)), "cnf")
    }).pipe(run)
  )

  it.effect("compares the certificate of a custom verifier's token, and refuses what it does not verify", () =>
    Effect.gen(function* () {
      const auth = schemeOf({ mutualTls })
      const expiresAt = DateTime.makeUnsafe("2100-01-01T00:00:00Z")
      const statusOf = (extra: object, certificate?: TestCertificate) =>
        Effect.gen(function* () {
          const app = yield* HttpRouter.toHttpEffect(
            HttpRouter.add("GET", "/items", HttpServerResponse.text("ok")).pipe(
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
          return (yield* send(app, { authorization: "Bearer x" }, "/items", certificate))[0]
        })
      const cnf = { "x5t#S256": thumbprint }
      for (const extra of [{ claims: { cnf } }, { confirmation: cnf }]) {
        assert.strictEqual(yield* statusOf(extra, client), 200)
        assert.strictEqual(yield* statusOf(extra, other), 401)
        assert.strictEqual(yield* statusOf(extra), 401)
      }
      for (const extra of [{ confirmation: {} }, { confirmation: { ...cnf, kid: "a" } }, { claims: { cnf: null } }]) {
        assert.strictEqual(yield* statusOf(extra, client), 401)
      }
    }).pipe(run)
  )

  it.effect("explains each mistake of the operator once", () =>
    Effect.gen(function* () {
      const token = yield* mintBound()
      const messages: Array<string> = []
      const logger = Logger.make(({ message }) => messages.push(String(message)))
      const tell = (
        options: Parameters<typeof schemeOf>[0],
        headers: Readonly<Record<string, string>>,
        from = "10.0.0.1"
      ) =>
        Effect.gen(function* () {
          const app = yield* HttpRouter.toHttpEffect(routesOf(schemeOf(options)))
          for (let i = 0; i < 2; i++) {
            const request = requestOf({ authorization: `Bearer ${token}`, ...headers }).modify({
              remoteAddress: Option.some(from)
            })
            yield* Effect.flip(Effect.provideService(app, HttpServerRequest.HttpServerRequest, request))
          }
        }).pipe(Effect.provide(Logger.layer([logger])))
      const header = { "client-cert": `:${Buffer.from(client.der).toString("base64")}:` }
      yield* tell({ responses: "rfc6750" }, header)
      yield* tell({ mutualTls: MutualTls.make() }, header)
      yield* tell({ mutualTls: makeMutualTls() }, header, "192.0.2.1")
      yield* tell({ mutualTls: makeMutualTls() }, { "client-cert": "x" })
      assert.deepStrictEqual(
        messages.map((message) => message.replace(/^A token .* was refused, because /, "")),
        [
          "it is bound to a certificate (cnf), and its scheme has no mutualTls option. Set mutualTls: MutualTls.make({ … }), or configure the issuer to issue bearer tokens for this API.",
          "the request has no client certificate. Serve HTTPS with requestCert, or set the proxy option of MutualTls.make if a proxy ends the TLS connection.",
          "the request does not come from a trusted proxy. Add the address of the proxy to trustedProxies of MutualTls.make.",
          "the trusted proxy sent no valid certificate. Compare the header and the format of MutualTls.make with the configuration of the proxy."
        ]
      )
    }).pipe(run)
  )
})

describe("a token that is bound to a certificate", () => {
  const served = <E, R>(verifier: Layer.Layer<TokenVerifier, E, R>) => {
    const auth = schemeOf({ mutualTls })
    return HttpRouter.toHttpEffect(
      HttpRouter.add("GET", "/items", HttpServerResponse.text("ok")).pipe(
        auth.require("read"),
        Layer.provide(auth.layer(verifier))
      )
    )
  }

  it.effect("has the token_type Bearer in a response of introspection, and never DPoP", () =>
    Effect.gen(function* () {
      const app = yield* served(
        TokenIntrospection.layer({
          issuer: "https://issuer.test",
          audience: "https://api.test",
          clientId: "api",
          clientSecret: Redacted.make("secret")
        })
      )
      const mint = (claims: object) =>
        TestIssuer.use(({ mintOpaque }) => mintOpaque({ scopes: ["read"], boundTo, claims: { ...claims } }))
      const statusOf = (token: string, certificate?: TestCertificate) =>
        Effect.map(send(app, { authorization: `Bearer ${token}` }, "/items", certificate), ([status]) => status)
      const token = yield* mint({})
      assert.strictEqual(yield* statusOf(token, client), 200)
      assert.strictEqual(yield* statusOf(token, other), 401)
      assert.strictEqual(yield* statusOf(yield* mint({ token_type: "DPoP" }), client), 401)
    }).pipe(run)
  )

  it.effect("has the claim typ Bearer at Keycloak, and never DPoP", () =>
    Effect.gen(function* () {
      const keycloak = Provider.keycloak({ url: "https://id.test", realm: "r", audience: "https://api.test" })
      const issuer = yield* TestIssuer
      const app = yield* served(JwtVerifier.layer(keycloak))
      const claims = { realm_access: { roles: ["read"] }, scope: "read" }
      const statusOf = (more: object) =>
        Effect.gen(function* () {
          const token = yield* issuer.mint({ scopes: ["read"], boundTo, claims: { ...claims, ...more } })
          return (yield* send(app, { authorization: `Bearer ${token}` }, "/items", client))[0]
        })
      assert.strictEqual(yield* statusOf({}), 200)
      assert.strictEqual(yield* statusOf({ typ: "DPoP" }), 401)
    }).pipe(
      Effect.provide(
        TestIssuer.layer({
          issuer: "https://id.test/realms/r",
          audience: "https://api.test",
          keys: ["ES256"],
          provider: "keycloak"
        })
      ),
      Effect.scoped
    )
  )
})

describe("documents of a scheme with mutualTls", () => {
  const documentOf = (options: Parameters<typeof schemeOf>[0]) => {
    const auth = schemeOf(options)
    const Api = HttpApi.make("api")
      .add(
        HttpApiGroup.make("items").add(
          HttpApiEndpoint.get("list", "/items").middleware(auth.require("read", Requirement.senderConstrained))
        )
      )
      .pipe(OAuth2.openApi)
    const spec = OpenApi.fromApi(Api) as unknown as {
      readonly components: { readonly securitySchemes: Readonly<Record<string, object>> }
      readonly paths: Readonly<
        Record<string, { readonly get: { readonly parameters: ReadonlyArray<{ readonly required: boolean }> } }>
      >
    }
    return {
      scheme: spec.components.securitySchemes["Api"],
      proofs: spec.paths["/items"]?.get.parameters.map(({ required }) => required)
    }
  }

  it("say that tokens may or must be bound to a certificate, and ask for no proof", () => {
    const scheme = { type: "http", scheme: "bearer" }
    assert.deepStrictEqual(documentOf({ mutualTls }), {
      scheme: {
        ...scheme,
        description: "Tokens may be bound to a certificate of the client (mutual TLS, RFC 8705)."
      },
      proofs: []
    })
    assert.deepStrictEqual(documentOf({ mutualTls, dpop, senderConstrained: "required", description: "The API." }), {
      scheme: {
        ...scheme,
        description:
          "The API.\n\nTokens must be bound to a key of the client (DPoP, RFC 9449) or a certificate of the client (mutual TLS, RFC 8705)."
      },
      // The token may be bound to a certificate instead.
      proofs: [false]
    })
  })

  it.effect("publish tls_client_certificate_bound_access_tokens", () =>
    Effect.gen(function* () {
      const metadata = (options: Omit<Parameters<typeof schemeOf>[0], "resource">) =>
        Effect.map(
          ResourceMetadata.make({
            scheme: OAuth2.bearer("Api", { resource: "https://api.test", ...options }),
            authorizationServers: ["https://issuer.test"]
          }),
          (document) => [
            document["tls_client_certificate_bound_access_tokens"],
            document["dpop_bound_access_tokens_required"]
          ]
        )
      assert.deepStrictEqual(yield* metadata({}), [undefined, undefined])
      assert.deepStrictEqual(yield* metadata({ mutualTls }), [true, undefined])
      assert.deepStrictEqual(yield* metadata({ mutualTls, senderConstrained: "required" }), [true, undefined])
      // A token may be bound to a certificate instead of a key.
      assert.deepStrictEqual(yield* metadata({ mutualTls, dpop, senderConstrained: "required" }), [true, undefined])
    })
  )
})
