/** Custom responses of `Challenge.Renderers`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { HttpServerResponse } from "effect/http"
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
  without
} from "../support/errorTable.ts"

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
      ["returns an effect", () => Effect.succeed(HttpServerResponse.empty()) as never]
    ] as const) {
      it.effect(`are replaced by the standard response, and an error is logged, if a renderer ${title}`, () => {
        const logged: Array<string> = []
        const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
          logged.push(`${logLevel} ${String(message)}`)
        })
        return Effect.gen(function* () {
          const response = yield* respond("InvalidToken", { InvalidToken: renderer })
          assert.strictEqual(response.status, 401)
          assert.strictEqual(response.headers.get("www-authenticate"), 'Bearer scope="a"')
          assert.strictEqual(yield* Effect.promise(() => response.text()), notValidated)
          assert.strictEqual(logged.length, 1)
          assert.match(logged[0]!, /^Error The renderer for InvalidToken failed/)
        }).pipe(Effect.provide(Logger.layer([logger])))
      })
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
