/** One table of requirements and answers, run through `HttpRouter` and `HttpApi`, in both forms of the answers, with tokens that are kept and without. */
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

/** Says who acts, which scopes it sees as required, and which grants it can rely on. */
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
    // What is not proven is a defect that is logged.
  }).pipe(Effect.provide(Logger.layer([])))

type Stack = ReturnType<Case["stack"]>
// The stacks of the table have many types; what they prove is the business of test/types.
type App = Layer.Layer<never, never, any>
type Adapter = (schemes: Schemes, stack: Stack) => App

const setHeader = HttpServerResponse.setHeader("x-between", "1")

class Between extends HttpApiMiddleware.Service<Between>()("test/Between") {}

const layerOf = (item: Stack[number]) =>
  (item === "other middleware" ? HttpRouter.middleware(Effect.map(setHeader)).layer : item.route.layer) as App

const router: Adapter = (schemes, stack) =>
  stack
    .map(layerOf)
    .reduceRight((app, outer) => Layer.provide(app, outer), HttpRouter.add("GET", "/", handler(schemes)) as App)

interface Guardable {
  readonly middleware: (key: any) => any
}

const guarded = <A>(self: A & Guardable, stack: Stack): A =>
  stack.reduceRight<any>((self, item) => self.middleware(item === "other middleware" ? Between : item), self)

/** `counts`: how many of the stack are put on the api, and on the group; the rest are on the endpoint. */
const api =
  (counts: (length: number) => readonly [api: number, group: number]): Adapter =>
  (schemes, stack) => {
    const [onApi, onGroup] = counts(stack.length)
    const endpoint = guarded(HttpApiEndpoint.get("get", "/", { success: Schema.String }), stack.slice(onApi + onGroup))
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
    // A web-standard response joins fields with a comma.
    challenges: challenges.length === 0 ? null : challenges.join(", "),
    body: detail(answer.detail[responses])
  }
}

for (const responses of ["fastapi", "rfc6750"] as const) {
  for (const [adapter, make] of Object.entries(adapters)) {
    describe(`${responses}, ${adapter}`, () => {
      for (const { answers, name, only, stack } of table) {
        if (only !== undefined && !adapter.startsWith(only)) continue
        it.effect(name, () =>
          Effect.gen(function* () {
            const schemes = schemesOf(responses)
            const calls: Array<string> = []
            const serving = (caching: TokenCaching) =>
              serve(
                make(schemes, stack(schemes)).pipe(
                  Layer.provide([
                    schemes.A.layer.pipe(Layer.provide(verifier("A", caching, calls))),
                    schemes.B.layer.pipe(Layer.provide(verifier("B", caching, calls))),
                    Layer.succeed(Blocked, ["a"])
                  ])
                )
              )
            const [send, sendCached] = [yield* serving({ cache: false }), yield* serving({})]
            for (const [token, answer, verifies = token === undefined || token.includes(" ") ? "" : "A"] of answers) {
              const right = expected(answer, responses)
              const isKept = (scheme: string) => !/bad|outage/.test(saysAt(scheme as "A" | "B", token ?? ""))
              const assertAnswer = Effect.fnUntraced(function* (send: Send, name: string, verifies?: string) {
                calls.length = 0
                const { body, challenge, status } = yield* send("/", token)
                assert.deepStrictEqual({ status, challenges: challenge, body }, right, `${token}, ${name}`)
                if (verifies !== undefined) assert.strictEqual(calls.join(""), verifies, `${token}, ${name}`)
              })
              yield* assertAnswer(send, "not kept", verifies)
              yield* assertAnswer(sendCached, "cold")
              yield* assertAnswer(
                sendCached,
                "warm",
                verifies.replace(/[AB]/g, (scheme) => (isKept(scheme) ? "" : scheme))
              )
            }
          })
        )
      }
    })
  }
}
