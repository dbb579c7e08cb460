/**
 * Runs one table of requirements and responses with `HttpRouter` and `HttpApi`, both `responses` options, with and
 * without a cache.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Option, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { type Challenge, OptionalAccessToken, SecurityScopes, type TokenCaching } from "effect-oauth2"
import { type Expected, saysAt, type Schemes, schemesOf, verifier } from "../support/requirementAnswers.ts"
import { Blocked, type Case, table } from "../support/requirementTable.ts"
import { type Send, serve } from "../support/web.ts"

// ---------------------------------------------------------------------------------------------------------------------
// the adapters
// ---------------------------------------------------------------------------------------------------------------------

/** Returns the subject, the required scopes that it reads, and the scopes that are proven. */
const handler = ({ A, B }: Schemes) =>
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
    return HttpServerResponse.text([subject, `[${scopeStr}]`, ...grants].join(" "))
    // Each unproven scope is a defect that would be logged.
  }).pipe(Effect.provide(Logger.layer([])))

type Stack = ReturnType<Case["stack"]>
// The stacks of the table have many types. The tests in test/types check what the types prove.
type App = Layer.Layer<never, never, any>
type Adapter = (schemes: Schemes, stack: Stack, path: `/${string}`) => App

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

const adapters: Readonly<Record<string, Adapter>> = {
  HttpRouter: router,
  "HttpApi, all on the endpoint": api(() => [0, 0]),
  "HttpApi, all on the api": api((length) => [length, 0]),
  "HttpApi, from api to endpoint": api((length) => [Math.max(length - 2, 0), Math.min(length - 1, 1)])
}

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
  for (const [adapter, make] of Object.entries(adapters)) {
    describe(`${responses}, ${adapter}`, () => {
      for (const { answers, at = { route: "/", request: "/" } as const, name, only, stack } of table) {
        if (only !== undefined && !adapter.startsWith(only)) continue
        it.effect(name, () =>
          Effect.gen(function* () {
            const schemes = schemesOf(responses)
            const calls: Array<string> = []
            const serving = (caching: TokenCaching) =>
              serve(
                make(schemes, stack(schemes), at.route).pipe(
                  Layer.provide([
                    schemes.A.layer(verifier("A", caching, calls)),
                    schemes.B.layer(verifier("B", caching, calls)),
                    Layer.succeed(Blocked, ["a"])
                  ])
                )
              )
            const [send, sendCached] = [yield* serving({ cache: false }), yield* serving({})]
            for (const [token, answer, verifies = token === undefined || token.includes(" ") ? "" : "A"] of answers) {
              const right = expected(answer, responses)
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
