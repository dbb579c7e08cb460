// Scopes that the tools, resources and prompts of an MCP server need, and the requirements that prove them.
import { Context, Effect, Layer, Schema } from "effect"
import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"
import type { HttpRouter } from "effect/http"
import { OAuth2, Requirement } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"
import { describe, expect, test } from "tstyche"
import { auth, partners } from "./support.ts"

const reading = Mcp.require(auth.require("items:read"))
const writing = Mcp.require(auth.require("items:write"))

class Rules extends Context.Service<Rules, object>()("test/Rules") {}

const authorizationServers = ["https://idp.example.com"]
const resource = "https://api.example.com/mcp"
const protect = Mcp.protect(auth, { resource, authorizationServers, require: ["me"] })

const serverOf = <A, E, R>(registrations: Layer.Layer<A, E, R>) =>
  McpServer.layerHttp({
    name: "items",
    version: "1",
    path: "/mcp",
    protocols: [McpProtocol.v2026_07_28],
    registrations
  })

const Tools = Toolkit.make(Tool.make("write", { success: Schema.String, dependencies: [reading.grant, writing.grant] }))
const ToolsLive = Tools.toLayer({
  write: () => Effect.map(auth.granted("items:read", "items:write"), ({ subject }) => subject)
})
const Registered = McpServer.toolkit(Tools).pipe(Layer.provide(ToolsLive))

/** What a server needs besides the router and the layer of its scheme. */
type Needs<L extends Layer.Any> = Exclude<
  Layer.Services<L>,
  HttpRouter.HttpRouter | OAuth2.Authentication<"OAuth2"> | HttpRouter.Request<"Error", unknown>
>

describe("a tool that needs scopes", () => {
  test("compiles inside the requirements that prove the scopes", () => {
    const server = serverOf(Registered.pipe(Layer.provide(writing.combine(reading).layer))).pipe(protect)
    expect<Needs<typeof server>>().type.toBe<never>()
    const nested = serverOf(Registered.pipe(Layer.provide(writing.layer), Layer.provide(reading.layer))).pipe(protect)
    expect<Needs<typeof nested>>().type.toBe<never>()
    expect(nested.pipe(OAuth2.secured)).type.toBe<typeof nested>()
  })

  test("needs each scope until a requirement proves it", () => {
    const one = serverOf(Registered.pipe(Layer.provide(reading.layer))).pipe(protect)
    expect<
      Extract<HttpRouter.Request.Only<"Requires", Layer.Services<typeof one>>, OAuth2.Granted<"OAuth2", never>>
    >().type.toBe<OAuth2.Granted<"OAuth2", "items:write">>()
    // @ts-expect-error "A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require."
    OAuth2.secured(one)
  })

  test("does not compile without the scope among its dependencies", () => {
    const Lax = Toolkit.make(Tool.make("write", { success: Schema.Void, dependencies: [reading.grant] }))
    // @ts-expect-error Missing<"A handler needs the scope `items:write` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.">
    Lax.toLayer({ write: () => Effect.asVoid(auth.granted("items:write")) })
  })
})

describe("resources and prompts that need scopes", () => {
  const Secret = McpServer.resource({
    uri: "test://secret",
    name: "secret",
    content: Effect.map(auth.granted("items:read"), ({ subject }) => subject)
  })
  const Summary = McpServer.prompt({
    name: "summary",
    content: () => Effect.map(auth.granted("items:read"), ({ subject }) => subject)
  })

  test("compile inside the requirement that proves the scope", () => {
    const server = serverOf(Layer.merge(Secret, Summary).pipe(Layer.provide(reading.layer))).pipe(protect)
    expect<Needs<typeof server>>().type.toBe<never>()
  })

  test("do not compile inside another requirement", () => {
    for (const registrations of [Secret, Summary]) {
      const server = serverOf(registrations.pipe(Layer.provide(writing.layer))).pipe(protect)
      // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
      OAuth2.secured(server)
    }
  })

  test("compile with the scopes of the endpoint", () => {
    const Me = McpServer.resource({
      uri: "test://me",
      name: "me",
      content: Effect.map(auth.granted("me"), ({ subject }) => subject)
    })
    const server = serverOf(Me).pipe(protect)
    expect<Needs<typeof server>>().type.toBe<never>()
  })
})

describe("Mcp.protect", () => {
  test("accepts only declared scopes", () => {
    // @ts-expect-error Type '"items:delete"' is not assignable to type
    Mcp.protect(auth, { resource, authorizationServers, require: ["items:delete"] })
    // @ts-expect-error Type '"items:delete"' is not assignable to type '"items:read" | "items:write" | "me"'.
    Mcp.protect(auth, { resource, authorizationServers, initialScopes: ["items:delete"] })
  })

  test("needs the layer of its scheme", () => {
    const server = serverOf(Layer.empty).pipe(protect)
    expect<Extract<Layer.Services<typeof server>, OAuth2.Authentication<"OAuth2">>>().type.toBeAssignableTo<
      OAuth2.Missing<"the layer of the scheme `OAuth2`: auth.layer(JwtVerifier.layer({ … })) in a server, auth.client(source) in a client">
    >()
  })

  test("names the mistake if the layer adds no routes", () => {
    const server = Layer.empty.pipe(protect)
    type Pieces = HttpRouter.HttpRouter | OAuth2.Authentication<"OAuth2"> | HttpRouter.Request<"Error", never>
    expect<Exclude<Layer.Services<typeof server>, Pieces>>().type.toBeAssignableTo<OAuth2.Missing<string>>()
    expect<Exclude<Layer.Services<typeof server>, Pieces>>().type.not.toBe<never>()
  })
})

describe("Mcp.require", () => {
  test("does not prove scopes of another scheme", () => {
    const other = Mcp.require(partners.require("items:read"))
    const server = serverOf(
      McpServer.resource({ uri: "test://a", name: "a", content: Effect.as(auth.granted("items:read"), "a") }).pipe(
        Layer.provide(other.layer)
      )
    ).pipe(protect)
    // @ts-expect-error A handler needs the scope `items:read` of the scheme `OAuth2`, but no requirement around it proves this. Use auth.require.
    OAuth2.secured(server)
  })

  test("needs the services of its checks", () => {
    const checked = Mcp.require(auth.require(Requirement.check("own", () => Effect.as(Rules, true))))
    expect<Extract<Layer.Services<typeof checked.layer>, Rules>>().type.toBe<Rules>()
  })

  test("accepts only requirements", () => {
    // @ts-expect-error SecurityRequirement<string, unknown, McpErrorBase, unknown>
    Mcp.require(reading)
  })
})
