/**
 * Runs one table of requirements and responses with `HttpRouter`, `HttpApi`, `effect/rpc` over HTTP and over a WebSocket,
 * tools of MCP, and tokens of messages. Each runs with both `responses` options, with and without a cache.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Logger, Option, Redacted, Schema, type Scope } from "effect"
import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { Rpc, RpcClient, RpcGroup, RpcMiddleware, RpcSerialization, RpcServer } from "effect/rpc"
import { Challenge, OptionalAccessToken, SecurityError, SecurityScopes, type TokenCaching } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"
import { info, modern, served } from "../support/mcpServer.ts"
import { type Expected, saysAt, type Schemes, schemesOf, verifier } from "../support/requirementAnswers.ts"
import { Blocked, type Case, table } from "../support/requirementTable.ts"
import { bearer, transports } from "../support/rpc.ts"
import { type Answer, type Send, serve } from "../support/web.ts"

// ---------------------------------------------------------------------------------------------------------------------
// the adapters
// ---------------------------------------------------------------------------------------------------------------------

/** Returns the subject, the required scopes that it reads, and the scopes that are proven. */
const found = ({ A, B }: Schemes) =>
  Effect.gen(function* () {
    const token = yield* OptionalAccessToken
    const { scopeStr } = yield* SecurityScopes
    const grants: Array<string> = []
    for (const scheme of [A, B]) {
      for (const name of Object.keys(scheme.scopes)) {
        const exit = yield* Effect.exit((scheme.granted as (name: string) => Effect.Effect<unknown>)(name))
        if (exit._tag === "Success") grants.push(`${scheme.name}.${name}`)
      }
    }
    const subject = Option.match(token, { onNone: () => "anonymous", onSome: ({ subject }) => subject })
    return [subject, `[${scopeStr}]`, ...grants].join(" ")
    // Each unproven scope is a defect that would be logged.
  }).pipe(Effect.provide(Logger.layer([])))

const handler = (schemes: Schemes) => Effect.map(found(schemes), (text) => HttpServerResponse.text(text))

type Stack = ReturnType<Case["stack"]>
// The stacks of the table have many types. The tests in test/types check what the types prove.
type App = Layer.Layer<never, never, any>
type Path = `/${string}`
type Adapter = (schemes: Schemes, stack: Stack, path: Path) => App
/** Serves the schemes and a stack of requirements with the given services. */
type Serve = (
  schemes: Schemes,
  stack: Stack,
  services: App,
  responses: Challenge.Responses,
  path: Path
) => Effect.Effect<Send, never, Scope.Scope>

const setHeader = HttpServerResponse.setHeader("x-between", "1")

class Between extends HttpApiMiddleware.Service<Between>()("test/Between") {}

const layerOf = (item: Stack[number]) =>
  (item === "other middleware" ? HttpRouter.middleware(Effect.map(setHeader)).layer : item.route.layer) as App

const router: Adapter = (schemes, stack, path) =>
  stack
    .map(layerOf)
    .reduceRight((app, outer) => Layer.provide(app, outer), HttpRouter.add("GET", path, handler(schemes)) as App)

interface Guardable {
  readonly middleware: (key: any) => any
}

const guarded = <A>(self: A & Guardable, stack: Stack): A =>
  stack.reduceRight<any>((self, item) => self.middleware(item === "other middleware" ? Between : item), self)

/** `counts` returns how many items of the stack the api and the group get. The endpoint gets the rest. */
const api =
  (counts: (length: number) => readonly [api: number, group: number]): Adapter =>
  (schemes, stack, path) => {
    const [onApi, onGroup] = counts(stack.length)
    const endpoint = guarded(HttpApiEndpoint.get("get", path, { success: Schema.String }), stack.slice(onApi + onGroup))
    const group = guarded(HttpApiGroup.make("group").add(endpoint), stack.slice(onApi, onApi + onGroup))
    const Api = guarded(HttpApi.make("api").add(group), stack.slice(0, onApi))
    return HttpApiBuilder.layer(Api).pipe(
      Layer.provide(
        HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => handler(schemes) as never))
      ),
      Layer.provide([HttpServer.layerServices, Layer.succeed(Between, Effect.map(setHeader))])
    )
  }

const inProcess =
  (adapter: Adapter): Serve =>
  (schemes, stack, services, _responses, path) =>
    serve(Layer.provide(adapter(schemes, stack, path), services))

class RpcBetween extends RpcMiddleware.Service<RpcBetween>()("test/RpcBetween") {}

/** The error of a client has a challenge. The error of a guard responds with one. */
const challengeOf = (error: SecurityError.SecurityError): string | undefined => {
  if (error._tag === "AuthorizationServerUnavailable") return
  return "challenge" in error ? error.challenge : Effect.runSync(Challenge.respond(error)).headers["www-authenticate"]
}

/** Returns the HTTP response that a route would send for the result of a call. */
const answerOf =
  (responses: Challenge.Responses) =>
  (exit: Exit.Exit<string, unknown>): Answer => {
    const answer = (status: number, challenge: string | undefined, body: string) => ({
      status,
      challenge: challenge ?? null,
      body,
      headers: new Headers()
    })
    if (Exit.isSuccess(exit)) return answer(200, undefined, exit.value)
    const error = Option.getOrThrow(Cause.findErrorOption(exit.cause))
    if (!SecurityError.isSecurityError(error)) return answer(451, undefined, JSON.stringify(error))
    const { body, status } = Challenge.answer(error, { responses, realm: "", scopes: [], renderers: {} })
    return answer(status, challengeOf(error), JSON.stringify(body))
  }

const rpc =
  (transport: (typeof transports)["HTTP"], counts: (length: number) => number): Serve =>
  (schemes, stack, services, responses) =>
    Effect.gen(function* () {
      const onGroup = counts(stack.length)
      const add = (self: any, items: Stack) =>
        items.reduceRight((self, item) => self.middleware(item === "other middleware" ? RpcBetween : item.rpc), self)
      const procedure = add(Rpc.make("Get", { success: Schema.String }), stack.slice(onGroup))
      const Group: RpcGroup.RpcGroup<Rpc.Rpc<"Get", typeof Schema.Void, typeof Schema.String>> = add(
        RpcGroup.make(procedure),
        stack.slice(0, onGroup)
      )
      const server = (path: `/${string}`, protocol: "http" | "websocket") =>
        RpcServer.layerHttp({ group: Group, path, protocol })
      const served = HttpRouter.serve(
        Layer.mergeAll(server("/http", "http"), server("/socket", "websocket")).pipe(
          Layer.provide(Group.toLayer({ Get: () => found(schemes) as Effect.Effect<string> })),
          Layer.provide([Layer.succeed(RpcBetween, (effect) => effect), RpcSerialization.layerNdjson, services])
        ),
        { disableLogger: true, disableListenLog: true }
      ).pipe(Layer.provideMerge(NodeHttpServer.layerTest))
      const context = yield* Layer.build(
        Layer.fresh(Layer.provideMerge(transport(), served as typeof NodeHttpServer.layerTest))
      )
      const { Get } = yield* Effect.provide(RpcClient.make(Group), context)
      const send: Send = (_, token) =>
        Effect.map(Effect.exit(Get(undefined, token === undefined ? {} : bearer(token))), answerOf(responses))
      return send
    }).pipe(Effect.orDie)

// A middleware that returns its argument would leave the requirements directly nested.
const mcpBetween = McpServer.middleware((effect) => Effect.tap(effect, Effect.void))

type McpMiddleware = McpServer.Middleware<any>

/** `place` applies the middleware of a stack, outermost first, to a tool. */
const mcp =
  (place: (tool: App, stack: ReadonlyArray<McpMiddleware>) => App): Serve =>
  (schemes, stack, services) =>
    Effect.gen(function* () {
      const Tools = Toolkit.make(Tool.make("get", { success: Schema.String }))
      const get = McpServer.toolkit(Tools).pipe(
        Layer.provide(Tools.toLayer({ get: () => found(schemes) as Effect.Effect<string> }))
      )
      const middleware = stack.map((item): McpMiddleware =>
        item === "other middleware" ? mcpBetween : Mcp.require(item as Parameters<typeof Mcp.require>[0])
      )
      const Server = McpServer.layerHttp({
        ...info,
        path: "/mcp",
        protocols: [McpProtocol.v2026_07_28],
        registrations: place(get, middleware)
      }).pipe(Layer.provide(services))
      const context = yield* Layer.build(Layer.fresh(served(Server)))
      const send: Send = (_, token) =>
        Effect.map(
          Effect.provideContext(modern(token, "tools/call", { name: "get" }), context),
          ({ challenge, headers, messages: [message], status }) => {
            const answer = { status, challenge, headers }
            if (message.error === undefined) return { ...answer, body: JSON.parse(message.result.content[0].text) }
            const { data, message: text } = message.error
            // The JSON-RPC error says the same as the header.
            assert.strictEqual(data.challenge ?? null, challenge)
            const [detail, scopes] = text.split(". Required scopes: ")
            assert.strictEqual(data.scope, scopes)
            if (status === 403)
              assert.include(
                challenge,
                scopes === undefined ? "realm=" : `error="insufficient_scope", scope="${scopes}"`
              )
            return { ...answer, body: JSON.stringify({ detail }) }
          }
        )
      return send
    }).pipe(Effect.orDie)

const servers: Readonly<Record<string, Serve>> = {
  HttpRouter: inProcess(router),
  "HttpApi, all on the endpoint": inProcess(api(() => [0, 0])),
  "HttpApi, all on the api": inProcess(api((length) => [length, 0])),
  "HttpApi, from api to endpoint": inProcess(api((length) => [Math.max(length - 2, 0), Math.min(length - 1, 1)])),
  "effect/rpc over HTTP, all on the procedure": rpc(transports.HTTP, () => 0),
  "effect/rpc over HTTP, all on the group": rpc(transports.HTTP, (length) => length),
  "effect/rpc over a WebSocket, from group to procedure": rpc(transports.WebSocket, (length) => length - 1),
  "MCP, each on the tool": mcp((tool, stack) =>
    stack.reduceRight((tool, { layer }) => Layer.provide(tool, layer as unknown as App), tool)
  ),
  "MCP, combined on the tool": mcp((tool, stack) =>
    Layer.provide(tool, stack.reduceRight((inner, outer) => inner.combine(outer)).layer as unknown as App)
  )
}

const kindOf = (adapter: string) => (["effect/rpc", "MCP"] as const).find((kind) => adapter.startsWith(kind))

/** The router like which a kind of calls behaves. */
const routerOf = { "effect/rpc": "HttpApi", MCP: "HttpRouter" } as const

// ---------------------------------------------------------------------------------------------------------------------
// the tests
// ---------------------------------------------------------------------------------------------------------------------

const detail = (text: string) => `{"detail":"${text}"}`

const expected = (answer: string | Expected, responses: Challenge.Responses) => {
  if (typeof answer === "string") {
    const [status, body] = /^\d{3} /.test(answer) ? [Number(answer.slice(0, 3)), answer.slice(4)] : [200, answer]
    return { status, challenges: null, body }
  }
  const challenges = answer.challenges[responses]
  return {
    status: answer.status[responses],
    // A web-standard response joins several headers of one name with a comma.
    challenges: challenges.length === 0 ? null : challenges.join(", "),
    body: detail(answer.detail[responses])
  }
}

for (const responses of ["fastapi", "rfc6750"] as const) {
  for (const [adapter, serveWith] of Object.entries(servers)) {
    describe(`${responses}, ${adapter}`, () => {
      for (const { answers, at = { route: "/", request: "/" } as const, name, only, stack, without } of table) {
        const kind = kindOf(adapter)
        if (kind !== undefined && without?.[kind] !== undefined) continue
        if (only !== undefined && !(kind === undefined ? adapter : routerOf[kind]).startsWith(only)) continue
        it.effect(name, () =>
          Effect.gen(function* () {
            const schemes = schemesOf(responses)
            const calls: Array<string> = []
            const serving = (caching: TokenCaching) =>
              serveWith(
                schemes,
                stack(schemes),
                Layer.mergeAll(
                  schemes.A.layer(verifier("A", caching, calls)),
                  schemes.B.layer(verifier("B", caching, calls)),
                  Layer.succeed(Blocked, ["a"])
                ).pipe(Layer.orDie),
                responses,
                at.route
              )
            const [send, sendCached] = [yield* serving({ cache: false }), yield* serving({})]
            for (const [token, answer, verifies = token === undefined || token.includes(" ") ? "" : "A"] of answers) {
              // An MCP server responds as RFC 6750 says, whatever the option of the scheme is.
              const right = expected(answer, kind === "MCP" ? "rfc6750" : responses)
              const isCached = (scheme: string) => !/bad|outage/.test(saysAt(scheme as "A" | "B", token ?? ""))
              const assertAnswer = Effect.fnUntraced(function* (send: Send, name: string, verifies?: string) {
                calls.length = 0
                const { body, challenge, status } = yield* send(at.request, token)
                assert.deepStrictEqual({ status, challenges: challenge, body }, right, `${token}, ${name}`)
                if (verifies !== undefined) assert.strictEqual(calls.join(""), verifies, `${token}, ${name}`)
              })
              yield* assertAnswer(send, "no cache", verifies)
              yield* assertAnswer(sendCached, "cache miss")
              yield* assertAnswer(
                sendCached,
                "cache hit",
                verifies.replace(/[AB]/g, (scheme) => (isCached(scheme) ? "" : scheme))
              )
            }
          })
        )
      }
    })
  }
}

/**
 * Returns the only requirement of a case as a function of a message's token. Returns `undefined` if the case has more
 * than one call of `require`, because `proveToken` accepts only the arguments of `require`.
 */
const messageOf = (schemes: Schemes, stack: Case["stack"]) => {
  const unsupported = () => {
    throw new TypeError("unsupported")
  }
  const ofScheme = ({ proveToken }: Schemes["A"] | Schemes["B"]) => ({
    optional: unsupported,
    require:
      (...items: ReadonlyArray<unknown>) =>
      (token: Redacted.Redacted) =>
        (proveToken as (...args: ReadonlyArray<unknown>) => <A>(self: A) => A)(token, ...items)
  })
  try {
    const of = { A: ofScheme(schemes.A), B: ofScheme(schemes.B) } as unknown as Schemes
    const [first, ...others] = stack(of) as unknown as ReadonlyArray<ReturnType<ReturnType<typeof ofScheme>["require"]>>
    return others.length === 0 && typeof first === "function" ? first : undefined
  } catch {
    return
  }
}

describe("auth.proveToken, for the message of a request with another token", () => {
  for (const responses of ["fastapi", "rfc6750"] as const) {
    for (const { answers, name, stack, without } of table) {
      if (without?.message !== undefined) continue
      const schemes = schemesOf(responses)
      const prove = messageOf(schemes, stack)
      if (prove === undefined) continue
      it.effect(`${name}, ${responses}`, () =>
        Effect.gen(function* () {
          const calls: Array<string> = []
          const services = yield* Layer.build(
            Layer.mergeAll(
              schemes.A.layer(verifier("A", { cache: false }, calls)),
              schemes.B.layer(verifier("B", { cache: false }, calls)),
              Layer.succeed(Blocked, ["a"])
            )
          )
          const request = HttpServerRequest.fromWeb(
            new Request("http://localhost/", { headers: { authorization: "Bearer a+b+c+d+read+write+admin/x+y" } })
          )
          for (const [token, answer] of answers) {
            if (token === undefined || token.includes(" ")) continue
            calls.length = 0
            const exit = yield* (found(schemes) as Effect.Effect<string>).pipe(
              prove(Redacted.make(token)),
              Effect.provideService(HttpServerRequest.HttpServerRequest, request),
              Effect.provideContext(services),
              Effect.exit
            )
            const { body, challenge, status } = answerOf(responses)(exit)
            assert.deepStrictEqual({ status, challenges: challenge, body }, expected(answer, responses), token)
            assert.strictEqual(calls.join(""), "A", token)
          }
        })
      )
    }
  }
})
