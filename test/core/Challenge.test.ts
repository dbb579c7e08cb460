/** The responses to all errors, as plain data and over HTTP. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, ErrorReporter, Layer, Logger } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { BearerToken, Challenge, OAuth2, SecurityError, SecurityScopes } from "effect-oauth2"
import { parseChallenge } from "../support/parseChallenge.ts"
import {
  errors,
  expected,
  flow,
  get,
  guarded,
  notAuthenticated,
  notEnough,
  notValidated,
  realm,
  secret,
  served,
  settings,
  table,
  type Tag,
  unavailable,
  variants,
  verifierLayer,
  without
} from "../support/errorTable.ts"

/** For each error, the `Authorization` header that makes a guard fail with this error. */
const credentials: { readonly [K in Tag]: string | undefined } = {
  NotAuthenticated: undefined,
  InvalidRequest: "Bearer a b",
  InvalidToken: "Bearer rejected",
  InsufficientScope: "Bearer scopes",
  AuthorizationServerUnavailable: "Bearer down"
}

describe("Challenge", () => {
  describe("answer", () => {
    for (const row of table) {
      it(`returns the response of the table: ${row.tag}, ${row.responses}, scopes [${row.scopes.join(", ")}]`, () => {
        const { body, headers, status } = Challenge.answer(
          errors[row.tag],
          settings({ responses: row.responses, realm, scopes: row.scopes })
        )
        assert.strictEqual(status, row.status)
        assert.deepStrictEqual(headers, {
          ...(row.challenge === undefined ? undefined : { "www-authenticate": row.challenge }),
          ...(row.retryAfter === undefined ? undefined : { "retry-after": row.retryAfter })
        })
        assert.strictEqual(JSON.stringify(body), row.body)
      })
    }

    it("writes at least one parameter for rfc6750, and no error code without credentials (RFC 6750 §3)", () => {
      for (const error of variants) {
        const field = Challenge.answer(error, settings({ responses: "rfc6750" })).headers["www-authenticate"]
        if (error._tag === "AuthorizationServerUnavailable") {
          assert.isUndefined(field)
          continue
        }
        const names = parseChallenge(field!).params.map(([name]) => name)
        assert.isNotEmpty(names)
        assert.strictEqual(names.includes("error"), error._tag !== "NotAuthenticated")
      }
    })

    it("returns the same response for every reason of an error, so no detail reaches the client", () => {
      for (const responses of ["fastapi", "rfc6750"] as const) {
        const answers = new Map<Tag, string>()
        for (const error of variants) {
          const printed = JSON.stringify(Challenge.answer(error, settings({ responses, scopes: ["a"] })))
          assert.notInclude(printed, secret)
          assert.notInclude(printed, "Injected")
          assert.strictEqual(answers.get(error._tag) ?? printed, printed)
          answers.set(error._tag, printed)
        }
        assert.strictEqual(answers.size, 5)
      }
    })

    it("names the required scopes of the operation, not the scopes in the error", () => {
      const error = new SecurityError.InsufficientScope({ required: ["x"], missing: ["x"] })
      assert.strictEqual(
        Challenge.answer(error, settings({ scopes: ["a", "b"] })).headers["www-authenticate"],
        'Bearer scope="a b"'
      )
    })

    it("names no scopes if the token lacks none, because a new token would be refused, too", () => {
      for (const checks of [{}, { checks: ["owner"] }]) {
        const error = new SecurityError.InsufficientScope({ required: ["a"], missing: [], ...checks })
        const challenge = (responses: Challenge.Responses) =>
          Challenge.answer(error, settings({ responses, scopes: ["a"] })).headers["www-authenticate"]
        assert.strictEqual(challenge("fastapi"), "Bearer")
        assert.strictEqual(challenge("rfc6750"), 'Bearer error="insufficient_scope"')
      }
    })

    for (const [retryAfter, seconds] of [
      [Duration.seconds(7), "7"],
      [Duration.millis(1), "1"],
      [Duration.millis(1001), "2"],
      [Duration.nanos(1n), "1"],
      [Duration.zero, "1"],
      [Duration.days(365), "31536000"]
    ] as const) {
      it(`writes Retry-After: ${seconds} for ${Duration.format(retryAfter)}`, () => {
        const error = new SecurityError.AuthorizationServerUnavailable({ issuer: "i", reason: "Timeout", retryAfter })
        assert.strictEqual(Challenge.answer(error, settings()).headers["retry-after"], seconds)
      })
    }

    it("writes Retry-After in digits for every duration (RFC 9110 §10.2.3: delay-seconds = 1*DIGIT)", () => {
      for (const retryAfter of [
        Duration.infinity,
        Duration.negativeInfinity,
        Duration.seconds(1e21),
        Duration.nanos(10n ** 40n),
        Duration.millis(Number.MAX_SAFE_INTEGER)
      ]) {
        const error = new SecurityError.AuthorizationServerUnavailable({ issuer: "i", reason: "Timeout", retryAfter })
        assert.match(Challenge.answer(error, settings()).headers["retry-after"]!, /^[1-9][0-9]*$/)
      }
    })
  })

  describe("in a served app", () => {
    const schemes = {
      fastapi: OAuth2.authorizationCode("fastapi", { ...flow, realm }),
      rfc6750: OAuth2.authorizationCode("rfc6750", { ...flow, realm, responses: "rfc6750" })
    }

    it.effect("a guard sends the response of the table for each error", () =>
      Effect.gen(function* () {
        for (const row of table) {
          const path = `/${row.responses}/${row.scopes.join("-")}`
          const answered = yield* get(path, credentials[row.tag])
          assert.deepStrictEqual(without(answered, "headers"), expected(row), `${row.tag} at ${path}`)
          assert.notInclude(answered.headers, secret)
        }
        for (const path of ["/fastapi/a-b", "/rfc6750/a-b"]) {
          assert.strictEqual((yield* get(path, "Bearer scopes.a.b")).body, "open")
        }
      }).pipe(
        Effect.provide(
          served(
            Layer.mergeAll(
              guarded(schemes.fastapi, "/fastapi/", []),
              guarded(schemes.fastapi, "/fastapi/a", ["a"]),
              guarded(schemes.fastapi, "/fastapi/a-b", ["a", "b"]),
              guarded(schemes.rfc6750, "/rfc6750/", []),
              guarded(schemes.rfc6750, "/rfc6750/a", ["a"]),
              guarded(schemes.rfc6750, "/rfc6750/a-b", ["a", "b"])
            )
          )
        )
      )
    )

    it.effect("the default realm is the name of the scheme", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* get("/")).challenge, 'Bearer realm="My.Scheme-1", scope="b a"')
      }).pipe(
        Effect.provide(
          served(
            guarded(
              OAuth2.authorizationCode("My.Scheme-1", {
                ...flow,
                responses: "rfc6750"
              }),
              "/",
              ["b", "a"]
            )
          )
        )
      )
    )

    it.effect("an error that a handler constructs gets FastAPI's response, without scopes", () =>
      Effect.gen(function* () {
        const retryAfter: Record<string, string> = { AuthorizationServerUnavailable: "7" }
        for (const [tag, status, challenge, body] of [
          ["NotAuthenticated", 401, "Bearer", notAuthenticated],
          ["InvalidRequest", 401, "Bearer", notAuthenticated],
          ["InvalidToken", 401, "Bearer", notValidated],
          ["InsufficientScope", 401, "Bearer", notEnough],
          ["AuthorizationServerUnavailable", 503, undefined, unavailable]
        ] as const) {
          for (const path of [`/fail/${tag}`, `/die/${tag}`]) {
            const answered = yield* get(path)
            assert.deepStrictEqual(
              without(answered, "headers"),
              { status, challenge, retryAfter: retryAfter[tag], contentType: "application/json", body },
              path
            )
            assert.notInclude(answered.headers, secret)
          }
        }
      }).pipe(
        Effect.provide(
          served(
            Layer.mergeAll(
              ...((Object.keys(errors) as Array<Tag>).flatMap((tag) => [
                HttpRouter.add("GET", `/fail/${tag}`, Effect.fail(errors[tag])),
                HttpRouter.add("GET", `/die/${tag}`, Effect.die(errors[tag]))
              ]) as [ReturnType<typeof HttpRouter.add<SecurityError.SecurityError, never>>])
            )
          )
        )
      )
    )

    it.effect("auth.authorize in a handler responds with the settings of the scheme and the required scopes", () =>
      Effect.gen(function* () {
        for (const row of table.filter((row) => row.responses === "rfc6750" && row.scopes.length === 2)) {
          // The BearerToken layer has no scheme, so its errors get FastAPI's response.
          if (row.tag === "NotAuthenticated" || row.tag === "InvalidRequest") continue
          assert.deepStrictEqual(without(yield* get("/", credentials[row.tag]), "headers"), expected(row), row.tag)
        }
        assert.strictEqual((yield* get("/", "Bearer scopes.a.b")).body, "demo")
      }).pipe(
        Effect.provide(
          served(
            HttpRouter.add(
              "GET",
              "/",
              schemes.rfc6750.authorize.pipe(
                Effect.map((token) => HttpServerResponse.text(token.subject)),
                SecurityScopes.require("b"),
                SecurityScopes.require("a"),
                Effect.provide(BearerToken.layer),
                Effect.provide(schemes.rfc6750.layer(verifierLayer))
              )
            )
          )
        )
      )
    )
  })

  describe("observability", () => {
    it.effect("reports and logs defects, but refused requests only at level Info", () => {
      const reported: Array<unknown> = []
      const logged: Array<{ readonly level: string; readonly message: string }> = []
      const reporter = ErrorReporter.make(({ error }) => reported.push(error.message))
      const logger = Logger.make<unknown, void>(({ cause, logLevel, message }) => {
        logged.push({ level: logLevel, message: `${String(message)} ${Cause.pretty(cause)}` })
      })
      const scheme = OAuth2.authorizationCode("s", flow)
      const routes = Layer.mergeAll(
        guarded(scheme, "/guarded", ["a"]),
        HttpRouter.add("GET", "/fail", Effect.fail(errors.InvalidToken)),
        HttpRouter.add("GET", "/die", Effect.die(errors.AuthorizationServerUnavailable)),
        HttpRouter.add("GET", "/bug", Effect.die(new Error("a bug")))
      )
      return Effect.gen(function* () {
        let requests = 0
        for (const tag of Object.keys(credentials) as Array<Tag>) {
          assert.include([401, 503], (yield* get("/guarded", credentials[tag])).status)
          requests++
        }
        assert.strictEqual((yield* get("/fail")).status, 401)
        assert.strictEqual((yield* get("/die")).status, 503)
        requests += 2
        assert.deepStrictEqual(reported, [])
        // The scheme explains once that credentials were malformed.
        const warnings = logged.filter(({ level }) => level === "Warn")
        assert.lengthOf(warnings, 1)
        assert.match(warnings[0]?.message ?? "", /^A request was refused, because no bearer token follows/)
        const refusals = logged.filter(({ level }) => level !== "Warn")
        assert.strictEqual(refusals.length, requests)
        for (const { level, message } of refusals) {
          assert.strictEqual(level, "Info", message)
          assert.notInclude(message, "Bearer ")
        }
        // A defect proves that the reporter and the logger work.
        assert.strictEqual((yield* get("/bug")).status, 500)
        assert.deepStrictEqual(reported, ["a bug"])
        assert.strictEqual(logged.length, requests + 2)
      }).pipe(
        Effect.provide(
          HttpRouter.serve(routes, { disableListenLog: true }).pipe(
            Layer.provide([ErrorReporter.layer([reporter]), Logger.layer([logger])]),
            Layer.provideMerge(NodeHttpServer.layerTest)
          )
        )
      )
    })

    it("error reporters ignore each error and each copy of an error", () => {
      for (const error of variants) {
        assert.isTrue(ErrorReporter.isIgnored(error))
        assert.isTrue(ErrorReporter.isIgnored(Challenge.within(error, settings())))
      }
    })
  })
})

describe("OAuth2.authorizationCode", () => {
  for (const realm of ["", "a\r\nX-Injected: 1", "é", "a\0", "a\tb", "\u2028"]) {
    it(`throws for the realm ${JSON.stringify(realm)}`, () => {
      assert.throws(() => OAuth2.authorizationCode("s", { ...flow, realm }), TypeError, "realm")
    })
  }

  for (const name of ["", "a b", 'a"', "a\\", "a\r\n", "é"]) {
    it(`throws for the name ${JSON.stringify(name)}`, () => {
      assert.throws(() => OAuth2.authorizationCode(name, flow), TypeError, "name")
    })
  }

  for (const scope of ["", "a b", 'a"b', "a\\b", "a\n", "é"]) {
    it(`throws for the scope ${JSON.stringify(scope)}, and quotes the scope`, () => {
      assert.throws(
        () => OAuth2.authorizationCode("s", { ...flow, scopes: { [scope]: "" } }),
        TypeError,
        JSON.stringify(scope)
      )
    })
  }
})
