// The types of requirements on procedures of effect/rpc, and on the routes of RPC servers.
import { Context, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiEndpoint } from "effect/http-api"
import { Rpc, RpcClient, type RpcClientError, RpcGroup, type RpcSerialization, RpcServer } from "effect/rpc"
import { AccessToken, OAuth2, OptionalAccessToken, Requirement, type SecurityError } from "effect-oauth2"
import type { ClientError } from "effect-oauth2/client"
import { describe, expect, test } from "tstyche"
import { auth, fromContext, implying, type NeedsGrant, type NeedsScheme, partners } from "./support.ts"

const read = auth.require("items:read").rpc
const rpc = Rpc.make("Get", { success: Schema.String })
const subject = Effect.map(AccessToken, ({ subject }) => subject)

class Other extends Context.Service<Other, string>()("test/Other") {}
class TooOld extends Schema.TaggedError<TooOld>()("TooOld", {}) {}
const fresh = auth.check("fresh", () => Effect.succeed(true), { error: TooOld })

describe("a requirement on a procedure proves a grant", () => {
  test("if it requires the scope, directly or by implication", () => {
    const handlers = RpcGroup.make(rpc.middleware(read)).toLayer({
      Get: () => Effect.map(auth.granted("items:read"), ({ subject }) => subject)
    })
    expect(handlers).type.toBe<Layer.Layer<Rpc.Handler<"Get">>>()
    const implied = RpcGroup.make(rpc.middleware(implying.require("admin").rpc)).toLayer({
      Get: () => Effect.map(implying.granted("items:read"), ({ subject }) => subject)
    })
    expect<Layer.Services<typeof implied>>().type.toBe<never>()
  })

  test("if several requirements are nested, or one is on the group", () => {
    const handlers = RpcGroup.make(rpc.middleware(read))
      .middleware(auth.require("items:write").rpc)
      .toLayer({ Get: () => Effect.map(auth.granted("items:read", "items:write"), ({ subject }) => subject) })
    expect<Layer.Services<typeof handlers>>().type.toBe<never>()
  })

  test("but not if it requires another scope, or one of two scopes", () => {
    const handlers = RpcGroup.make(rpc.middleware(read)).toLayer({
      Get: () => Effect.map(auth.granted("items:write"), ({ subject }) => subject)
    })
    expect<Layer.Services<typeof handlers>>().type.toBe<NeedsGrant<"items:write">>()
    const any = RpcGroup.make(rpc.middleware(auth.require(Requirement.any("items:write", "me")).rpc))
    const one = any.toLayer({ Get: () => write })
    expect<Layer.Services<typeof one>>().type.toBe<NeedsGrant<"items:write">>()
    const either = any.toLayer({ Get: () => auth.grantedAny("items:write", "me") })
    expect<Layer.Services<typeof either>>().type.toBe<never>()
    const less = any.toLayer({ Get: () => auth.grantedAny("items:write", "items:read") })
    expect<Layer.Services<typeof less>>().type.toBeAssignableTo<
      OAuth2.Granted<"OAuth2", "items:write" | "items:read">
    >()
    expect<Layer.Services<typeof less>>().type.not.toBe<never>()
  })

  test("but not for a procedure that was added to the group later", () => {
    const handlers = RpcGroup.make(rpc)
      .middleware(read)
      .add(Rpc.make("Late", { success: Schema.String }))
      .toLayer({
        Get: () => Effect.map(auth.granted("items:read"), ({ subject }) => subject),
        Late: () => Effect.map(auth.granted("items:read"), ({ subject }) => subject)
      })
    expect<Layer.Services<typeof handlers>>().type.toBe<NeedsGrant<"items:read">>()
  })

  test("but not if it is optional", () => {
    const group = RpcGroup.make(rpc.middleware(auth.optional("items:read").rpc))
    const handlers = group.toLayer({ Get: () => Effect.map(auth.granted("items:read"), ({ subject }) => subject) })
    expect<Layer.Services<typeof handlers>>().type.toBe<NeedsGrant<"items:read">>()
    const optional = group.toLayer({ Get: () => Effect.as(OptionalAccessToken, "") })
    expect<Layer.Services<typeof optional>>().type.toBe<never>()
  })
})

const write = Effect.map(auth.granted("items:write"), ({ subject }) => subject)

describe("a procedure with a requirement", () => {
  const group = RpcGroup.make(rpc.middleware(auth.require("items:read", fresh).rpc))
  const server = RpcServer.layerHttp({ group, path: "/rpc" }).pipe(Layer.provide(group.toLayer({ Get: () => subject })))

  test("needs the layer of the scheme, and nothing else", () => {
    expect<Extract<Layer.Services<typeof server>, OAuth2.Authentication<"OAuth2">>>().type.toBeAssignableTo<
      OAuth2.Missing<"the layer of the scheme `OAuth2`: auth.layer(JwtVerifier.layer({ … })) in a server, auth.client(source) in a client">
    >()
    const complete = Layer.provide(server, auth.layer(fromContext))
    expect<Exclude<Layer.Services<typeof complete>, import("effect-oauth2").TokenVerifier>>().type.toBe<
      RpcSerialization.RpcSerialization | HttpRouter.HttpRouter
    >()
  })

  test("gives the client the errors of the scheme and of the checks", () => {
    const error = Effect.flatMap(RpcClient.make(group), (client) => Effect.flip(client.Get()))
    expect<Effect.Success<typeof error>>().type.toBe<
      SecurityError.SecurityError | TooOld | RpcClientError.RpcClientError | ClientError.RequestError
    >()
  })

  test("needs the layers of all schemes of OAuth2.either around the handlers", () => {
    const either = RpcGroup.make(rpc.middleware(OAuth2.either(auth.require("me"), partners.require()).rpc))
    const handlers = either.toLayer({ Get: () => subject })
    expect<Layer.Services<typeof handlers>>().type.toBe<NeedsScheme<"OAuth2" | "Partners">>()
  })

  test("does not accept the requirement itself, and an endpoint does not accept its rpc", () => {
    // @ts-expect-error type 'AnyService'
    rpc.middleware(auth.require("me"))
    // @ts-expect-error is not assignable
    HttpApiEndpoint.get("get", "/").middleware(read)
    // @ts-expect-error Argument of type '"unknown"' is not assignable
    expect(auth.require("unknown").rpc).type.not.toBe<never>()
  })
})

describe("OAuth2.secured", () => {
  test("accepts a group whose procedures are protected or public", () => {
    const group = RpcGroup.make(
      rpc.middleware(read),
      Rpc.make("Maybe").middleware(auth.optional().rpc),
      Rpc.make("Health").middleware(OAuth2.Public("the load balancer has no credentials").rpc)
    )
    expect(OAuth2.secured(group)).type.toBe<typeof group>()
  })

  test("names a procedure without a requirement", () => {
    const group = RpcGroup.make(rpc).middleware(read).add(Rpc.make("Late"))
    // @ts-expect-error The procedure `Late` has neither a requirement nor OAuth2.Public. Add auth.require(…).rpc, auth.optional(…).rpc or OAuth2.Public(…).rpc.
    OAuth2.secured(group)
  })

  test("names a public procedure inside a requirement", () => {
    const group = RpcGroup.make(rpc.middleware(OAuth2.Public("everybody may read").rpc)).middleware(read)
    // @ts-expect-error The procedure `Get` is Public, but a requirement protects it. Add the procedure after .middleware(), or remove OAuth2.Public.
    OAuth2.secured(group)
  })
})

describe("a requirement around the route of an RPC server", () => {
  const group = RpcGroup.make(rpc)
  const server = RpcServer.layerHttp({ group, path: "/rpc" }).pipe(
    Layer.provide(group.toLayer({ Get: () => Effect.andThen(subject, write) }))
  )

  const writing = RpcServer.layerHttp({ group, path: "/rpc" }).pipe(Layer.provide(group.toLayer({ Get: () => write })))

  test("proves its scopes to the handlers", () => {
    const app = server.pipe(auth.require("items:write"), OAuth2.secured)
    expect<Exclude<Layer.Services<typeof app>, HttpRouter.Request<"Error", unknown>>>().type.toBe<
      RpcSerialization.RpcSerialization | HttpRouter.HttpRouter | NeedsScheme<"OAuth2">
    >()
  })

  test("does not prove other scopes", () => {
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    server.pipe(auth.require("items:read"), OAuth2.secured)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    writing.pipe(auth.optional("items:write"), OAuth2.secured)
  })

  test("proves its scopes to the handlers if its layer is provided, too", () => {
    const app = server.pipe(Layer.provide(auth.require("items:write").route.layer), OAuth2.secured)
    expect<Exclude<Layer.Services<typeof app>, HttpRouter.Request<"Error", unknown>>>().type.toBe<
      RpcSerialization.RpcSerialization | HttpRouter.HttpRouter | NeedsScheme<"OAuth2">
    >()
    const nested = server.pipe(Layer.provide([auth.require("items:write").route.layer, auth.require("me").route.layer]))
    expect<Extract<Layer.Services<typeof nested>, OAuth2.Granted<"OAuth2", "items:write">>>().type.toBe<never>()
  })

  test("does not prove other scopes if its layer is provided", () => {
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    writing.pipe(Layer.provide(auth.require("items:read").route.layer), OAuth2.secured)
    // @ts-expect-error A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    writing.pipe(Layer.provide(auth.optional("items:write").route.layer), OAuth2.secured)
  })

  test("combines with other middleware", () => {
    const middleware = HttpRouter.middleware<{ provides: Other }>()(Effect.succeed(Effect.provideService(Other, "")))
    const app = HttpRouter.add("GET", "/", Effect.as(Effect.andThen(Other, write), HttpServerResponse.empty())).pipe(
      Layer.provide(middleware.combine(auth.require("items:write").route).layer),
      OAuth2.secured
    )
    expect<Exclude<Layer.Services<typeof app>, HttpRouter.Request<"Error", unknown>>>().type.toBe<
      HttpRouter.HttpRouter | NeedsScheme<"OAuth2">
    >()
  })

  test("does not prove anything to handlers without a route", () => {
    const handlers = group.toLayer({ Get: () => write }).pipe(auth.require("items:write"))
    expect<Layer.Services<typeof handlers>>().type.toBeAssignableFrom<
      OAuth2.Missing<"routes inside the requirement: HttpRouter.add(…).pipe(auth.require(…)), before HttpRouter.serve. A layer without routes applies no requirement">
    >()
  })
})

describe("auth.proveToken and auth.expiry", () => {
  test("need no BearerToken, and a token of the scheme", () => {
    const proven = write.pipe(auth.proveToken(null as never, "items:write"))
    expect(proven).type.toBe<Effect.Effect<string, SecurityError.SecurityError, OAuth2.Authentication<"OAuth2">>>()
    const other = write.pipe(auth.proveToken(null as never, "items:read"))
    expect<Extract<Effect.Services<typeof other>, OAuth2.Granted<"OAuth2", "items:write">>>().type.toBe<
      NeedsGrant<"items:write">
    >()
    expect<Effect.Error<typeof auth.expiry>>().type.toBe<SecurityError.InvalidToken>()
    expect<Effect.Services<typeof auth.expiry>>().type.toBeAssignableTo<OAuth2.Verified<"OAuth2">>()
  })
})
