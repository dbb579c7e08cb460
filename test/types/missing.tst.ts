// The compiler's message about each piece that a program may lack. Its last line names the piece.
import { Config, Effect, Layer } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import {
  AccessToken,
  JwtVerifier,
  KeySet,
  OAuth2,
  Provider,
  type SecurityError,
  TokenIntrospection
} from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { auth, get, type Grant } from "./support.ts"

declare const Server: Layer.Layer<HttpServer.HttpServer>
declare const Verifier: ReturnType<typeof JwtVerifier.layer>
const run = <A, E>(program: Effect.Effect<A, E>) => program
const whole = Layer.provide([FetchHttpClient.layer, Server])

const Me = get(auth.token).pipe(auth.require("me"))

describe("a program with every piece", () => {
  test("compiles", () => {
    expect(
      run(Layer.launch(HttpRouter.serve(Me).pipe(Layer.provide(auth.layer(Verifier)), whole)))
    ).type.not.toBe<any>()
  })
})

describe("the compiler names", () => {
  test("the layer of the scheme", () => {
    // @ts-expect-error Missing<"the layer of the scheme `OAuth2`: auth.layer(JwtVerifier.layer({ … })) in a server, auth.client(source) in a client"> & Authentication<"OAuth2">' is not assignable to type 'never'
    run(Layer.launch(HttpRouter.serve(Me).pipe(whole)))
  })

  test("the layer of the scheme of an HttpApi", () => {
    const Api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(HttpApiEndpoint.get("get", "/")).middleware(auth.require("me"))
    )
    const Handlers = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => Effect.void))
    const routes = HttpApiBuilder.layer(Api).pipe(Layer.provide(Handlers))
    expect<Extract<Layer.Services<typeof routes>, OAuth2.Authentication<"OAuth2">>>().type.toBeAssignableTo<
      OAuth2.Missing<"the layer of the scheme `OAuth2`: auth.layer(JwtVerifier.layer({ … })) in a server, auth.client(source) in a client">
    >()
  })

  test("the verifier", () => {
    // @ts-expect-error Expected 1 arguments, but got 0.
    auth.layer()
    // @ts-expect-error is not assignable to parameter of type 'Layer<TokenVerifier,
    auth.layer(KeySet.layerStatic({ keys: [] }))
  })

  test("the HTTP client", () => {
    const app = HttpRouter.serve(Me).pipe(Layer.provide(auth.layer(Verifier)), Layer.provide(Server))
    // @ts-expect-error Type 'Missing<"an HTTP client: Layer.provide(FetchHttpClient.layer)"> & HttpClient' is not assignable to type 'never'.
    run(Layer.launch(app))
    const introspection = TokenIntrospection.layer({
      issuer: "https://idp.example.com",
      audience: "https://api.example.com",
      clientId: "api"
    } as never)
    // @ts-expect-error Type 'Missing<"an HTTP client: Layer.provide(FetchHttpClient.layer)"> & HttpClient' is not assignable to type 'never'.
    run(Layer.launch(introspection))
  })

  test("the requirement around a handler that needs a token", () => {
    const app = HttpRouter.serve(get(auth.token)).pipe(Layer.provide(auth.layer(Verifier)), whole)
    // @ts-expect-error Type 'Missing<"A handler needs a token of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require."> & Verified<"OAuth2">' is not assignable to type 'never'.
    run(Layer.launch(app))
  })

  test("the scope that no requirement proves", () => {
    const routes = get(auth.granted("items:write")).pipe(auth.require("me"))
    const app = HttpRouter.serve(routes).pipe(Layer.provide(auth.layer(Verifier)), whole)
    // @ts-expect-error Type 'Missing<"A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require."> & Granted<"OAuth2", "items:write">' is not assignable to type 'never'.
    run(Layer.launch(app))
  })

  test("the scopes of which a requirement must prove one", () => {
    const routes = get(auth.grantedAny("items:write", "me")).pipe(auth.require("items:read"))
    const app = HttpRouter.serve(routes).pipe(Layer.provide(auth.layer(Verifier)), whole)
    // @ts-expect-error Type 'Missing<"A handler needs one of the scopes `items:write`, `me` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require."> & Granted<...' is not assignable to type 'never'.
    run(Layer.launch(app))
  })

  test("the route without a requirement", () => {
    const route = OAuth2.route("GET", "/x", Effect.die("unused"))
    const app = HttpRouter.serve(route).pipe(Layer.provide(auth.layer(Verifier)), whole)
    // @ts-expect-error Type 'Missing<"The route `GET /x` has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public."> & Seal<"GET /x">' is not assignable to type 'never'.
    run(Layer.launch(app))
  })
})

describe("a provider from the configuration", () => {
  const auth0 = { endpoints: { authorizationUrl: "https://idp.example.com/a", tokenUrl: "https://idp.example.com/t" } }
  const scopes = { me: "" }

  test("adds ConfigError to the scheme's layer, and a plain provider does not", () => {
    const late = OAuth2.authorizationCode("Late", { provider: Config.map(Config.String("A"), () => auth0), scopes })
    expect<Layer.Error<ReturnType<typeof late.layer<never, never>>>>().type.toBe<Config.ConfigError>()
    const plain = OAuth2.authorizationCode("Plain", { provider: auth0, scopes })
    expect<Layer.Error<ReturnType<typeof plain.layer<never, never>>>>().type.toBe<never>()
  })

  test("adds the failures and the HTTP client of discovery to the scheme's layer", () => {
    const provider = Effect.flatMap(Config.String("ISSUER"), (issuer) => Provider.discover({ issuer }))
    const late = OAuth2.authorizationCode("Late", { provider, scopes })
    type Late = ReturnType<typeof late.layer<never, never>>
    expect<Layer.Error<Late>>().type.toBe<
      Config.ConfigError | SecurityError.ConfigurationError | SecurityError.AuthorizationServerUnavailable
    >()
    expect<Layer.Services<Late>>().type.toBe<Effect.Services<ReturnType<typeof Provider.discover>>>()
    // @ts-expect-error an HTTP client: Layer.provide(FetchHttpClient.layer)
    run(Layer.launch(late.layer(Layer.empty as never)))
    run(Layer.launch(late.layer(Verifier).pipe(Layer.provide(FetchHttpClient.layer), Layer.orDie)))
  })

  test("must have the endpoints of the flow", () => {
    const google = OAuth2.deviceAuthorization("Google", { provider: Provider.google({ audience: "a" }), scopes })
    expect(google.name).type.toBe<"Google">()
    // @ts-expect-error Property 'provider' is missing in type
    OAuth2.authorizationCode("None", { scopes })
    // @ts-expect-error Property 'authorizationUrl' is missing in type
    OAuth2.authorizationCode("Half", { tokenUrl: "/token", scopes })
    // @ts-expect-error Property 'deviceAuthorizationUrl' is missing in type
    OAuth2.deviceAuthorization("Device", { provider: auth0, scopes })
    // @ts-expect-error 'provider' does not exist in type
    OAuth2.authorizationCode("Both", { provider: auth0, tokenUrl: "/token", scopes })
  })
})

describe("Missing", () => {
  test("is not needed in the annotations of services", () => {
    expect(Effect.asVoid(auth.granted("me"))).type.toBeAssignableTo<Effect.Effect<void, never, Grant<"me">>>()
  })

  test("is not provided by a service whose identifier is a string", () => {
    const program = Effect.provideService(auth.granted("me"), AccessToken, undefined as never)
    expect<Effect.Services<typeof program>>().type.toBeAssignableTo<Grant<"me">>()
    expect<Effect.Services<typeof program>>().type.not.toBe<never>()
  })
})
