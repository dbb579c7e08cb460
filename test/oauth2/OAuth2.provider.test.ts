/** A scheme takes its URLs from a provider, at once or when its layer is built. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Effect, Exit, Fiber, Layer } from "effect"
import { FetchHttpClient, type HttpClient, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { TestClock } from "effect/testing"
import { JwtVerifier, OAuth2, Provider, type SecurityError } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { withLogs } from "../support/keySets.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"

const scopes = { me: "Read your profile" }
const audience = "https://api.example.com"
const auth0 = Provider.auth0({ domain: "example.eu.auth0.com", audience })
const verifier = new Verifier({ t: ["me"] }).layer

const fromEnvironment = Config.map(
  Config.all({ domain: Config.String("AUTH0_DOMAIN"), audience: Config.String("AUDIENCE") }),
  Provider.auth0
)
const late = () => OAuth2.authorizationCode("Late", { provider: fromEnvironment, scopes })
const withEnvironment = (environment: Record<string, string>) =>
  Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))
const environment = { AUTH0_DOMAIN: "late.eu.auth0.com", AUDIENCE: audience }

describe("the provider option", () => {
  it("gives a flow the endpoints of the provider", () => {
    const urls = {
      authorizationUrl: "https://example.eu.auth0.com/authorize",
      tokenUrl: "https://example.eu.auth0.com/oauth/token"
    }
    assert.deepStrictEqual(OAuth2.authorizationCode("A", { provider: auth0, scopes }).flows, {
      authorizationCode: urls
    })
    assert.deepStrictEqual(OAuth2.clientCredentials("A", { provider: auth0, scopes }).flows, {
      clientCredentials: { tokenUrl: urls.tokenUrl }
    })
    const device = OAuth2.authorizationCode("A", { provider: { endpoints: urls }, refreshUrl: "/refresh", scopes })
    assert.deepStrictEqual(device.flows, { authorizationCode: { ...urls, refreshUrl: "/refresh" } })
  })

  it("refuses a provider without endpoints, or with unusable ones", () => {
    const github = Provider.githubActions({ audience, repository: "example/items" })
    const without = () => OAuth2.authorizationCode("A", { provider: github as never, scopes })
    assert.throws(without, /^OAuth2\.authorizationCode: provider has no endpoints\. Use a function of Provider that/)
    const endpoints = { authorizationUrl: "not a url", tokenUrl: "/token" }
    assert.throws(
      () => OAuth2.authorizationCode("A", { provider: { endpoints }, scopes }),
      /authorizationUrl must be a URL, absolute or relative, without white space\./
    )
  })

  it.effect("is read from the configuration when the scheme's layer is built, and not before", () =>
    Effect.gen(function* () {
      const scheme = late()
      const Api = HttpApi.make("api")
        .add(HttpApiGroup.make("group").add(HttpApiEndpoint.get("get", "/")).middleware(scheme.require("me")))
        .pipe(OAuth2.secured, OAuth2.openApi)
      const Handlers = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => Effect.void))
      const send = yield* serve(
        HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
          Layer.provide(Handlers),
          Layer.provide(scheme.layer(verifier)),
          Layer.provide(HttpServer.layerServices),
          withEnvironment(environment)
        )
      )
      const { body } = yield* send("/openapi.json")
      assert.include(body, `"authorizationUrl":"https://late.eu.auth0.com/authorize"`)
      assert.strictEqual((yield* send("/", "t")).status, 204)
    })
  )

  it.effect("fails the scheme's layer with a ConfigError if a value is missing", () =>
    Effect.gen(function* () {
      const scheme = late()
      const exit = yield* Effect.exit(
        Effect.scoped(Layer.build(scheme.layer(verifier).pipe(withEnvironment({ AUDIENCE: audience }))))
      )
      assert(Exit.isFailure(exit))
      const error = Cause.squash(exit.cause)
      assert(error instanceof Config.ConfigError)
      const missing = "The configuration value AUTH0_DOMAIN is missing or empty. Set the variable AUTH0_DOMAIN."
      assert.include(error.message, missing)
      // The document reads the configuration without the layer, and says the same.
      assert.throws(() => scheme.flows, new RegExp(missing.replaceAll(".", "\\.")))
      const both = scheme.layer(JwtVerifier.layerConfig(fromEnvironment)).pipe(Layer.provide(FetchHttpClient.layer))
      const { message } = yield* Effect.flip(Effect.scoped(Layer.build(both.pipe(withEnvironment({})))))
      assert.include(message, missing)
    })
  )

  it.effect("is read for a document without the layer, from the current configuration", () =>
    Effect.gen(function* () {
      const scheme = late()
      const Api = HttpApi.make("api")
        .add(HttpApiGroup.make("group").add(HttpApiEndpoint.get("get", "/")).middleware(scheme.require("me")))
        .pipe(OAuth2.openApi)
      assert.throws(
        () => OpenApi.fromApi(Api),
        /the URLs of the provider option are not available\. Build the scheme's layer before the document/
      )
      const flows = yield* Effect.sync(() => scheme.flows).pipe(
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(environment))
      )
      assert.deepStrictEqual(flows.authorizationCode?.tokenUrl, "https://late.eu.auth0.com/oauth/token")
      assert.include(JSON.stringify(OpenApi.fromApi(Api)), "https://late.eu.auth0.com/oauth/token")
    })
  )

  it.effect("is not needed by layerTest", () =>
    Effect.gen(function* () {
      const scheme = late()
      const send = yield* serve(
        HttpRouter.add("GET", "/", HttpServerResponse.empty()).pipe(
          scheme.require("me"),
          Layer.provide(scheme.layerTest({ scopes: ["me"] }))
        )
      )
      assert.strictEqual((yield* send("/")).status, 204)
    })
  )
})

describe("Provider.discover", () => {
  const issuer = "https://issuer.test"
  const discovered = (options: Parameters<typeof Provider.discover>[0] = { issuer }) =>
    OAuth2.authorizationCode("Discovered", { provider: Provider.discover(options), scopes })
  const found = { authorizationUrl: `${issuer}/authorize`, tokenUrl: `${issuer}/token` }

  it.effect("gives a scheme the endpoints in the issuer's metadata when its layer is built", () =>
    Effect.gen(function* () {
      const scheme = discovered()
      const Api = HttpApi.make("api")
        .add(HttpApiGroup.make("group").add(HttpApiEndpoint.get("get", "/")).middleware(scheme.require("me")))
        .pipe(OAuth2.secured, OAuth2.openApi)
      const Handlers = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => Effect.void))
      const send = yield* serve(
        HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
          Layer.provide(Handlers),
          Layer.provide(scheme.layer(verifier)),
          Layer.provide(HttpServer.layerServices),
          Layer.provide(Layer.succeedContext(yield* Effect.context<HttpClient.HttpClient>()))
        )
      )
      const { body } = yield* send("/openapi.json")
      assert.include(body, `"authorizationUrl":"${found.authorizationUrl}","tokenUrl":"${found.tokenUrl}"`)
      const { requests } = yield* TestIssuer
      assert.deepStrictEqual(
        (yield* requests).map(({ endpoint }) => endpoint),
        ["openid-configuration"]
      )
    }).pipe(Effect.provide(TestIssuer.layer({ issuer })))
  )

  it.effect("combines with the configuration", () =>
    Effect.gen(function* () {
      const provider = Effect.flatMap(Config.String("ISSUER"), (issuer) => Provider.discover({ issuer }))
      const scheme = OAuth2.authorizationCode("Discovered", { provider, scopes })
      yield* Effect.scoped(Layer.build(scheme.layer(verifier).pipe(withEnvironment({ ISSUER: issuer }))))
      assert.deepStrictEqual(scheme.flows, { authorizationCode: found })
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(scheme.layer(verifier).pipe(withEnvironment({})))))
      assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), "ISSUER")
    }).pipe(Effect.provide(TestIssuer.layer({ issuer })))
  )

  const fails = (
    name: string,
    body: string | undefined,
    reason: SecurityError.AuthorizationServerUnavailable["reason"],
    message: string
  ) =>
    it.effect(`fails the scheme's layer and logs why: ${name}`, () =>
      withLogs((logs) =>
        Effect.gen(function* () {
          const { respond } = yield* TestIssuer
          yield* respond("discovery", body === undefined ? "unreachable" : { body })
          const error = yield* Effect.flip(Effect.scoped(Layer.build(discovered().layer(verifier))))
          assert.deepInclude(error, { _tag: "AuthorizationServerUnavailable", issuer, reason })
          const metadata = `${issuer}/.well-known/openid-configuration`
          assert.deepStrictEqual(
            logs.map(({ level, message }) => [level, message]),
            [
              [
                "Warn",
                `The endpoints of the issuer could not be fetched. The request for the metadata at ${metadata} got ${message}. Check the issuer option, or write the URLs into the scheme.`
              ]
            ]
          )
          assert.deepInclude(logs[0]?.annotations, { issuer, reason, url: metadata })
        }).pipe(Effect.provide(TestIssuer.layer({ issuer })))
      )
    )
  fails("the issuer is unreachable", undefined, "Unreachable", "no response")
  fails(
    "the metadata is of another issuer",
    JSON.stringify({
      issuer: `${issuer}/`,
      authorization_endpoint: "https://a.test/",
      token_endpoint: "https://a.test/"
    }),
    "IssuerMismatch",
    "a document that cannot be used: its metadata names another issuer. Set the issuer option to the exact string in the metadata, including a trailing slash"
  )
  fails(
    "the metadata has no endpoint",
    JSON.stringify({ issuer, token_endpoint: "https://a.test/" }),
    "BadResponse",
    "a response that is not valid: it has no authorization_endpoint"
  )
  fails(
    "an endpoint is not https",
    JSON.stringify({ issuer, authorization_endpoint: "https://a.test/", token_endpoint: "http://a.test/" }),
    "BadResponse",
    "a response that is not valid: its token_endpoint is http, not https"
  )

  it.effect("stops waiting for the metadata after 10 seconds", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* respond("discovery", { delay: "1 minute" })
      const fiber = yield* Effect.forkChild(Effect.flip(Effect.scoped(Layer.build(discovered().layer(verifier)))))
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "AuthorizationServerUnavailable", reason: "Timeout" })
    }).pipe(Effect.provide(TestIssuer.layer({ issuer })))
  )

  it.effect("refuses options that cannot work", () =>
    Effect.gen(function* () {
      for (const [options, setting] of [
        [{ issuer: "http://issuer.test" }, "issuer"],
        [{ issuer: `${issuer}/.well-known/openid-configuration` }, "issuer"],
        [{ issuer, httpHosts: "keycloak" as never }, "httpHosts"]
      ] as const) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(discovered(options).layer(verifier))))
        assert.deepInclude(error, { _tag: "ConfigurationError", setting })
      }
    }).pipe(Effect.provide(TestIssuer.layer({ issuer })))
  )

  it.effect("does not end in time for a document without the layer", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* respond("discovery", { delay: "1 minute" })
      assert.throws(
        () => discovered().flows,
        /^OAuth2\.authorizationCode\("Discovered"\): the URLs of the provider option are not available\. Build the scheme's layer before the document\.$/
      )
    }).pipe(Effect.provide(TestIssuer.layer({ issuer })))
  )
})

describe("the endpoints of a provider", () => {
  const issuer = "https://idp.example.com"
  const tenant = "11111111-2222-3333-4444-555555555555"
  const providers: Readonly<
    Record<string, readonly [Provider.LoginOptions, authorizationUrl: string, tokenUrl: string]>
  > = {
    auth0: [auth0, "https://example.eu.auth0.com/authorize", "https://example.eu.auth0.com/oauth/token"],
    okta: [
      Provider.okta({ domain: "example.okta.com", audience }),
      "https://example.okta.com/oauth2/default/v1/authorize",
      "https://example.okta.com/oauth2/default/v1/token"
    ],
    keycloak: [
      Provider.keycloak({ url: `${issuer}/`, realm: "main", audience }),
      `${issuer}/realms/main/protocol/openid-connect/auth`,
      `${issuer}/realms/main/protocol/openid-connect/token`
    ],
    entra: [
      Provider.entra({ tenant, audience }),
      `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/authorize`,
      `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/token`
    ],
    "entra, version 1.0": [
      Provider.entra({ tenant, audience, version: "1.0" }),
      `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/authorize`,
      `https://login.microsoftonline.com/${tenant}/oauth2/v2.0/token`
    ],
    google: [
      Provider.google({ audience }),
      "https://accounts.google.com/o/oauth2/v2/auth",
      "https://oauth2.googleapis.com/token"
    ],
    zitadel: [
      Provider.zitadel({ domain: "example.eu1.zitadel.cloud", projectId: "1" }),
      "https://example.eu1.zitadel.cloud/oauth/v2/authorize",
      "https://example.eu1.zitadel.cloud/oauth/v2/token"
    ],
    authentik: [
      Provider.authentik({ url: issuer, application: "items", clientId: "c" }),
      `${issuer}/application/o/authorize/`,
      `${issuer}/application/o/token/`
    ],
    hydra: [Provider.hydra({ issuer: `${issuer}/`, audience }), `${issuer}/oauth2/auth`, `${issuer}/oauth2/token`],
    logto: [
      Provider.logto({ domain: "example.logto.app", audience }),
      "https://example.logto.app/oidc/auth",
      "https://example.logto.app/oidc/token"
    ],
    clerk: [
      Provider.clerk({ domain: "clerk.example.com", origins: issuer }),
      "https://clerk.example.com/oauth/authorize",
      "https://clerk.example.com/oauth/token"
    ],
    pingOne: [
      Provider.pingOne({ domain: "auth.pingone.eu", environmentId: tenant, audience }),
      `https://auth.pingone.eu/${tenant}/as/authorize`,
      `https://auth.pingone.eu/${tenant}/as/token`
    ],
    duende: [Provider.duende({ issuer, audience }), `${issuer}/connect/authorize`, `${issuer}/connect/token`]
  }
  for (const [name, [{ endpoints }, authorizationUrl, tokenUrl]] of Object.entries(providers)) {
    it(name, () => {
      assert.deepStrictEqual([endpoints.authorizationUrl, endpoints.tokenUrl], [authorizationUrl, tokenUrl])
    })
  }
})
