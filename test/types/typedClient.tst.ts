// The types of typed clients: a client of an api with requirements needs the layer of each scheme.
import { Effect, type Scope } from "effect"
import type { HttpClient } from "effect/http"
import { HttpApi, HttpApiClient, HttpApiEndpoint, HttpApiGroup, type HttpApiMiddleware } from "effect/http-api"
import { Rpc, RpcClient, RpcGroup, type RpcMiddleware } from "effect/rpc"
import { OAuth2 } from "effect-oauth2"
import { type ClientError, TokenSource } from "effect-oauth2/client"
import { describe, expect, test } from "tstyche"
import { auth, partners } from "./support.ts"

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("items")
    .add(HttpApiEndpoint.get("list", "/items").middleware(auth.require("items:read")))
    .add(HttpApiEndpoint.get("catalogue", "/catalogue").middleware(partners.require("items:read")))
    .add(HttpApiEndpoint.get("health", "/health").middleware(OAuth2.Public("no data")))
)
const Procedures = RpcGroup.make(Rpc.make("Read").middleware(auth.require("items:read").rpc))

describe("a typed client", () => {
  test("needs the layer of each scheme", () => {
    const client = HttpApiClient.make(Api)
    expect<OAuth2.Authentication<"OAuth2">>().type.toBeAssignableFrom<
      Extract<Effect.Services<typeof client>, HttpApiMiddleware.ForClient<OAuth2.Authentication<"OAuth2">>>["id"]
    >()
    expect<Effect.Services<typeof client>>().type.not.toBe<HttpClient.HttpClient>()
    const half = Effect.provide(client, auth.client(TokenSource))
    expect<Effect.Services<typeof half>>().type.not.toBe<HttpClient.HttpClient | TokenSource>()
    const whole = Effect.provide(client, [auth.client(TokenSource), partners.client("anonymous")])
    expect<Effect.Services<typeof whole>>().type.toBe<HttpClient.HttpClient | TokenSource>()
  })

  test("needs the layer for procedures, too", () => {
    const client = RpcClient.make(Procedures)
    expect<Effect.Services<typeof client>>().type.not.toBe<RpcClient.Protocol | Scope.Scope>()
    const provided = Effect.provide(client, auth.client("anonymous"))
    expect<Effect.Services<typeof provided>>().type.toBe<RpcClient.Protocol | Scope.Scope>()
    expect<RpcMiddleware.ForClient<OAuth2.Authentication<"OAuth2">>>().type.not.toBe<never>()
  })

  test("has the errors of its source", () => {
    type Client = HttpApiClient.ForApi<typeof Api>
    expect<ClientError.RequestError>().type.toBeAssignableTo<Effect.Error<ReturnType<Client["items"]["list"]>>>()
    expect<ClientError.RequestError>().type.not.toBeAssignableTo<Effect.Error<ReturnType<Client["items"]["health"]>>>()
  })
})

describe("the compiler names", () => {
  const run = <A, E>(program: Effect.Effect<A, E, HttpClient.HttpClient>) => program
  const call = <A, E>(program: Effect.Effect<A, E, RpcClient.Protocol | Scope.Scope>) => program

  test("the layer that a client lacks", () => {
    // @ts-expect-error ForClient<Missing<"the layer of the scheme `OAuth2`: auth.layer(JwtVerifier.layer({ … })) in a server, auth.client(source) in a client">
    run(HttpApiClient.make(Api))
    // @ts-expect-error ForClient<Missing<"the layer of the scheme `Partners`: auth.layer(JwtVerifier.layer({ … })) in a server, auth.client(source) in a client">
    run(Effect.provide(HttpApiClient.make(Api), auth.client(TokenSource)))
    // @ts-expect-error ForClient<Missing<"the layer of the scheme `OAuth2`: auth.layer(JwtVerifier.layer({ … })) in a server, auth.client(source) in a client">
    call(RpcClient.make(Procedures))
  })
})
