/** Custom responses of `Challenge.Renderers`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Tracer } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import { Challenge, OAuth2, SecurityError } from "effect-oauth2"
import {
  errors,
  expected,
  flow,
  get,
  guarded,
  notValidated,
  realm,
  secret,
  served,
  settings,
  table,
  type Tag,
  verifierLayer,
  without
} from "../support/errorTable.ts"
import { serve } from "../support/web.ts"

describe("Challenge", () => {
  describe("renderers", () => {
    const problem = (status: number) =>
      HttpServerResponse.jsonUnsafe({ title: "no" }, { status, contentType: "application/problem+json" })

    const respond = (tag: Tag, renderers: Challenge.Renderers, overrides: Partial<Challenge.Settings> = {}) =>
      Effect.map(
        Challenge.respond(Challenge.within(errors[tag], settings({ scopes: ["a"], renderers, ...overrides }))),
        (response) => HttpServerResponse.toWeb(response)
      )

    it.effect("choose status and body, and the library adds the challenge", () =>
      Effect.gen(function* () {
        for (const [responses, challenge] of [
          ["fastapi", 'Bearer scope="a"'],
          ["rfc6750", 'Bearer error="insufficient_scope", scope="a"']
        ] as const) {
          const response = yield* respond("InsufficientScope", { InsufficientScope: () => problem(418) }, { responses })
          assert.strictEqual(response.status, 418)
          assert.strictEqual(response.headers.get("content-type"), "application/problem+json")
          assert.strictEqual(response.headers.get("www-authenticate"), challenge)
          assert.strictEqual(yield* Effect.promise(() => response.text()), '{"title":"no"}')
        }
      })
    )

    it.effect("get Retry-After without a challenge after an outage", () =>
      Effect.gen(function* () {
        const response = yield* respond("AuthorizationServerUnavailable", {
          AuthorizationServerUnavailable: () => problem(500)
        })
        assert.strictEqual(response.status, 500)
        assert.strictEqual(response.headers.get("retry-after"), "7")
        assert.isNull(response.headers.get("www-authenticate"))
      })
    )

    it.effect("keep the headers that they set, with names in any case", () =>
      Effect.gen(function* () {
        for (const name of ["www-authenticate", "WWW-Authenticate"]) {
          const response = yield* respond("NotAuthenticated", {
            NotAuthenticated: () =>
              HttpServerResponse.empty({ status: 401, headers: { [name]: "Own x=1", "X-Own": "1" } })
          })
          assert.strictEqual(response.headers.get("www-authenticate"), "Own x=1")
          assert.strictEqual(response.headers.get("x-own"), "1")
        }
        const response = yield* respond("AuthorizationServerUnavailable", {
          AuthorizationServerUnavailable: () =>
            HttpServerResponse.empty({ status: 503, headers: { "Retry-After": "99" } })
        })
        assert.strictEqual(response.headers.get("retry-after"), "99")
      })
    )

    it.effect("receive the error with its fields", () =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        yield* respond("InvalidToken", {
          InvalidToken: (error) => {
            seen.push(error.reason, error.claim, error instanceof SecurityError.InvalidToken)
            return problem(401)
          }
        })
        assert.deepStrictEqual(seen, ["Claim", secret, true])
      })
    )

    it.effect("do not change the responses to errors that they do not name", () =>
      Effect.gen(function* () {
        for (const row of table) {
          const response = yield* respond(
            row.tag,
            { [row.tag === "InvalidToken" ? "NotAuthenticated" : "InvalidToken"]: () => problem(418) },
            { responses: row.responses, realm, scopes: row.scopes }
          )
          assert.deepStrictEqual(
            {
              status: response.status,
              challenge: response.headers.get("www-authenticate") ?? undefined,
              retryAfter: response.headers.get("retry-after") ?? undefined,
              contentType: response.headers.get("content-type"),
              body: yield* Effect.promise(() => response.text())
            },
            expected(row)
          )
        }
      })
    )

    for (const [title, renderer] of [
      [
        "throws",
        () => {
          throw new Error(secret)
        }
      ],
      [
        "throws undefined",
        () => {
          throw undefined
        }
      ],
      ["returns nothing", () => undefined as never],
      ["returns an object that is not a response", () => ({ status: 200 }) as never],
      ["returns an effect that fails", () => Effect.fail(new Error(secret))],
      ["returns an effect that dies", () => Effect.die(secret)],
      ["returns an effect that interrupts itself", () => Effect.interrupt],
      ["returns an effect of an object that is not a response", () => Effect.succeed({ status: 200 } as never)],
      [
        "returns an effect that needs a request, without HTTP",
        () => Effect.as(HttpServerRequest.HttpServerRequest, problem(418))
      ],
      ["takes longer than 5 seconds", () => Effect.as(Effect.sleep("6 seconds"), problem(418))],
      ["never ends", () => Effect.never]
    ] as const satisfies ReadonlyArray<readonly [string, Challenge.Renderers["InvalidToken"]]>) {
      it.effect(`are replaced by the standard response, and an error is logged, if a renderer ${title}`, () => {
        const logged: Array<string> = []
        const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
          logged.push(`${logLevel} ${String(message)}`)
        })
        return Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(respond("InvalidToken", { InvalidToken: renderer }))
          yield* TestClock.adjust("5 seconds")
          const response = yield* Fiber.join(fiber)
          assert.strictEqual(response.status, 401)
          assert.strictEqual(response.headers.get("www-authenticate"), 'Bearer scope="a"')
          assert.strictEqual(yield* Effect.promise(() => response.text()), notValidated)
          assert.strictEqual(logged.length, 1)
          assert.match(logged[0]!, /^Error The renderer for InvalidToken failed/)
        }).pipe(Effect.provide(Logger.layer([logger])))
      })
    }

    it.effect("never change the challenge, as a function or as an effect", () =>
      Effect.gen(function* () {
        for (const row of table) {
          for (const render of [() => problem(418), () => Effect.delay(Effect.succeed(problem(418)), "1 second")]) {
            const fiber = yield* Effect.forkChild(
              respond(row.tag, { [row.tag]: render }, { responses: row.responses, realm, scopes: row.scopes })
            )
            yield* TestClock.adjust("1 second")
            const { headers, status } = yield* Fiber.join(fiber)
            assert.deepStrictEqual(
              [status, headers.get("www-authenticate") ?? undefined, headers.get("retry-after") ?? undefined],
              [418, row.challenge, row.retryAfter]
            )
          }
        }
      })
    )

    it.effect("may wait for less than 5 seconds", () =>
      Effect.gen(function* () {
        const renderers = { InvalidToken: () => Effect.as(Effect.sleep("4 seconds"), problem(418)) }
        const fiber = yield* Effect.forkChild(respond("InvalidToken", renderers))
        yield* TestClock.adjust("4 seconds")
        assert.strictEqual((yield* Fiber.join(fiber)).status, 418)
      })
    )

    it.effect("get no request in a program without HTTP", () =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        yield* respond("InvalidToken", {
          InvalidToken: (_, request) => {
            seen.push(request)
            return problem(401)
          }
        })
        assert.deepStrictEqual(seen, [undefined])
      })
    )

    const scheme = OAuth2.authorizationCode("s", {
      ...flow,
      responses: "rfc6750",
      renderers: {
        NotAuthenticated: (_, request) =>
          HttpServerResponse.text(`${request?.headers["accept-language"]} ${request?.url}`, { status: 401 }),
        InsufficientScope: ({ missing }, request) =>
          Effect.gen(function* () {
            const current = yield* HttpServerRequest.HttpServerRequest
            const { name } = yield* Effect.currentSpan
            const isSame = current.headers["x-request-id"] === request?.headers["x-request-id"]
            return HttpServerResponse.jsonUnsafe(
              { id: current.headers["x-request-id"], isSame, missing, span: name },
              { status: 403 }
            )
          })
      }
    })
    const handler = Effect.andThen(
      HttpServerRequest.HttpServerRequest,
      scheme.refuse(new SecurityError.InsufficientScope({ required: ["b"], missing: ["b"] }))
    )
    const Api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(
        HttpApiEndpoint.get("get", "/x").middleware(scheme.require("a")),
        HttpApiEndpoint.get("refuse", "/refuse", { error: scheme.errors.InsufficientScope }).middleware(
          scheme.require()
        )
      )
    )
    const apps = {
      HttpRouter: Layer.mergeAll(
        HttpRouter.add("GET", "/x", HttpServerResponse.empty()).pipe(scheme.require("a")),
        HttpRouter.add("GET", "/refuse", handler).pipe(scheme.require())
      ),
      HttpApi: HttpApiBuilder.layer(Api).pipe(
        Layer.provide(
          HttpApiBuilder.group(Api, "group", (handlers) =>
            handlers.handle("get", () => Effect.void).handle("refuse", () => handler)
          )
        ),
        Layer.provide(HttpServer.layerServices)
      )
    }
    for (const [kind, app] of Object.entries(apps)) {
      it.effect(`read the request, as a function or as an effect, on ${kind}`, () =>
        Effect.gen(function* () {
          const tracer = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })
          const send = yield* serve(
            Layer.merge(app.pipe(Layer.provide(scheme.layer(verifierLayer))), Layer.succeed(Tracer.Tracer, tracer))
          )
          const init = { headers: { "accept-language": "de", "x-request-id": "r1" } }
          const anonymous = yield* send("/x?q=1", undefined, init)
          assert.deepStrictEqual(
            [anonymous.status, anonymous.challenge, anonymous.body],
            [401, 'Bearer realm="s", scope="a"', "de /x?q=1"]
          )
          for (const [path, missing] of [
            ["/x", "a"],
            ["/refuse", "b"]
          ] as const) {
            const refused = yield* send(path, "none", init)
            assert.deepStrictEqual(
              [refused.status, refused.challenge, JSON.parse(refused.body)],
              [
                403,
                `Bearer error="insufficient_scope", scope="${missing}"`,
                { id: "r1", isSame: true, missing: [missing], span: "GET" }
              ]
            )
          }
        })
      )
    }

    it.effect("respond for a guard over HTTP, without a 500 if a renderer throws", () => {
      const scheme = OAuth2.authorizationCode("s", {
        ...flow,
        responses: "rfc6750",
        renderers: {
          InsufficientScope: (error) =>
            HttpServerResponse.jsonUnsafe({ missing: error.missing }, { status: 404, headers: { "X-Own": "1" } }),
          InvalidToken: () => {
            throw new Error(secret)
          }
        }
      })
      return Effect.gen(function* () {
        const own = yield* get("/", "Bearer scopes.b")
        assert.deepStrictEqual(without(own, "headers"), {
          status: 404,
          challenge: 'Bearer error="insufficient_scope", scope="a b"',
          retryAfter: undefined,
          contentType: "application/json",
          body: '{"missing":["a"]}'
        })
        assert.include(own.headers, '"x-own":"1"')
        const fallback = yield* get("/", "Bearer rejected")
        assert.deepStrictEqual(
          [fallback.status, fallback.challenge, fallback.body],
          [401, 'Bearer error="invalid_token", scope="a b"', notValidated]
        )
        assert.strictEqual((yield* get("/")).challenge, 'Bearer realm="s", scope="a b"')
        assert.strictEqual((yield* get("/", "Bearer scopes.a.b")).body, "open")
      }).pipe(Effect.provide(Layer.merge(served(guarded(scheme, "/", ["a", "b"])), Logger.layer([]))))
    })
  })
})
