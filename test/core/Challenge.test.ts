/** The responses to all errors, as plain data and over HTTP. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, ErrorReporter, Layer, Logger } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { get as httpGet } from "node:http"
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
const credentials: { readonly [K in Tag]?: string | undefined } = {
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
          ...(row.retryAfter === undefined ? undefined : { "retry-after": row.retryAfter }),
          ...(row.nonce === undefined ? undefined : { "dpop-nonce": row.nonce, "cache-control": "no-store" })
        })
        assert.strictEqual(JSON.stringify(body), row.body)
      })
    }

    it("writes at least one parameter for rfc6750, and no error code that does not fit (RFC 6750 §3, §3.1)", () => {
      for (const error of variants) {
        const field = Challenge.answer(error, settings({ responses: "rfc6750" })).headers["www-authenticate"]
        if (error._tag === "AuthorizationServerUnavailable") {
          assert.isUndefined(field)
          continue
        }
        const names = parseChallenge(field!).params.map(([name]) => name)
        assert.isNotEmpty(names)
        assert.strictEqual(names.includes("error"), error._tag !== "NotAuthenticated" && error._tag !== "FailedCheck")
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
        assert.strictEqual(answers.size, 9)
      }
    })

    it("names the required scopes of the operation, not the scopes in the error", () => {
      const error = new SecurityError.InsufficientScope({ required: ["x"], missing: ["x"] })
      assert.strictEqual(
        Challenge.answer(error, settings({ scopes: ["a", "b"] })).headers["www-authenticate"],
        'Bearer scope="a b"'
      )
    })

    it("names no error after a failed check, so that no client asks for scopes that do not help (RFC 6750 §3.1)", () => {
      const error = new SecurityError.FailedCheck({ checks: ["tenant"] })
      const { challenges } = Challenge.answer(error, {
        ...settings({ responses: "rfc6750", scopes: ["a"] }),
        otherSchemes: ["DPoP"],
        resourceMetadata: "https://api.example.com/metadata"
      })
      assert.deepStrictEqual(challenges, ['Bearer realm="api", resource_metadata="https://api.example.com/metadata"'])
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

    describe("with several schemes (RFC 9449 §7.1, §7.2)", () => {
      const both = (used: Challenge.AuthScheme | undefined) => ({
        authScheme: used ?? "Bearer",
        otherSchemes: used === "DPoP" ? (["Bearer"] as const) : (["DPoP"] as const),
        algs: ["ES256", "PS256"],
        scopes: ["a"]
      })
      const stepUp = 'error="insufficient_user_authentication", acr_values="phr mfa", max_age="300", scope="a"'
      const dpop = 'algs="ES256 PS256"'
      const rows: ReadonlyArray<
        readonly [
          title: string,
          error: SecurityError.SecurityError,
          used: Challenge.AuthScheme | undefined,
          fastapi: ReadonlyArray<string>,
          rfc6750: ReadonlyArray<string>
        ]
      > = [
        [
          "no credentials",
          errors.NotAuthenticated,
          undefined,
          ["Bearer", `DPoP ${dpop}`],
          ['Bearer realm="api", scope="a"', `DPoP realm="api", scope="a", ${dpop}`]
        ],
        [
          "a bad bearer token",
          errors.InvalidToken,
          "Bearer",
          ['Bearer scope="a"', `DPoP ${dpop}`],
          ['Bearer error="invalid_token", scope="a"', `DPoP realm="api", ${dpop}`]
        ],
        [
          "a bad token with a proof",
          errors.InvalidToken,
          "DPoP",
          [`DPoP error="invalid_token", scope="a", ${dpop}`, "Bearer"],
          [`DPoP error="invalid_token", scope="a", ${dpop}`, 'Bearer realm="api"']
        ],
        [
          "malformed credentials",
          new SecurityError.InvalidRequest({ reason: "Malformed" }),
          "Bearer",
          ["Bearer", `DPoP ${dpop}`],
          ['Bearer error="invalid_request"', `DPoP realm="api", ${dpop}`]
        ],
        [
          "credentials of both schemes",
          errors.InvalidRequest,
          "Bearer",
          ["Bearer", `DPoP error="invalid_request", ${dpop}`],
          ['Bearer error="invalid_request"', `DPoP error="invalid_request", ${dpop}`]
        ],
        ...(["Bearer", "DPoP"] as const).flatMap((used) => [
          [
            `a bad proof, with ${used}`,
            errors.InvalidDpopProof,
            used,
            [`DPoP error="invalid_dpop_proof", ${dpop}`],
            [`DPoP error="invalid_dpop_proof", ${dpop}`]
          ] as const,
          [
            `a proof without a nonce, with ${used}`,
            errors.UseDpopNonce,
            used,
            [`DPoP error="use_dpop_nonce", ${dpop}`],
            [`DPoP error="use_dpop_nonce", ${dpop}`]
          ] as const
        ]),
        [
          "a bearer token without the scope",
          errors.InsufficientScope,
          "Bearer",
          ['Bearer scope="a"'],
          ['Bearer error="insufficient_scope", scope="a"']
        ],
        [
          "a bound token without the scope",
          errors.InsufficientScope,
          "DPoP",
          [`DPoP error="insufficient_scope", scope="a", ${dpop}`],
          [`DPoP error="insufficient_scope", scope="a", ${dpop}`]
        ],
        [
          "a bearer token of an old login",
          errors.InsufficientUserAuthentication,
          "Bearer",
          [`Bearer ${stepUp}`],
          [`Bearer ${stepUp}`]
        ],
        [
          "a bound token of an old login",
          errors.InsufficientUserAuthentication,
          "DPoP",
          [`DPoP ${stepUp}, ${dpop}`],
          [`DPoP ${stepUp}, ${dpop}`]
        ],
        ["an outage", errors.AuthorizationServerUnavailable, "DPoP", [], []]
      ]
      for (const [title, error, used, fastapi, rfc6750] of rows) {
        it(`names the schemes in order, with the error on the scheme that was used: ${title}`, () => {
          for (const [responses, expected] of [
            ["fastapi", fastapi],
            ["rfc6750", rfc6750]
          ] as const) {
            const { challenges, headers } = Challenge.answer(error, settings({ responses, ...both(used) }))
            assert.deepStrictEqual(challenges, expected)
            assert.strictEqual(headers["www-authenticate"] ?? "", expected.join(", "))
            const metadata = Challenge.answer(
              error,
              settings({ responses, ...both(used), resourceMetadata: "https://api.example.com/m" })
            )
            assert.deepStrictEqual(
              metadata.challenges.map((field) => parseChallenge(field).params.at(-1)),
              expected.map(() => ["resource_metadata", "https://api.example.com/m"] as const)
            )
          }
        })
      }

      it.effect("sends each challenge in its own header", () =>
        Effect.gen(function* () {
          const error = Challenge.within(errors.InvalidToken, settings({ responses: "rfc6750", ...both("Bearer") }))
          const routes = HttpRouter.add("GET", "/", Effect.fail(error))
          const sent = yield* Effect.gen(function* () {
            const server = yield* HttpServer.HttpServer
            const { port } = server.address as { readonly port: number }
            return yield* Effect.promise(
              () =>
                new Promise<ReadonlyArray<string>>((resolve, reject) => {
                  httpGet(`http://127.0.0.1:${port}/`, (response) => {
                    response.resume()
                    resolve(response.headersDistinct["www-authenticate"] ?? [])
                  }).on("error", reject)
                })
            )
          }).pipe(Effect.provide(served(routes)))
          assert.deepStrictEqual(sent, [
            'Bearer error="invalid_token", scope="a"',
            'DPoP realm="api", algs="ES256 PS256"'
          ])
        })
      )

      it("sends no nonce that a header cannot carry unchanged (RFC 9449 §8.1)", () => {
        for (const nonce of ["", "a b", 'a"', "a\\b", "a\r\nX-Injected: 1", "é"]) {
          const { headers } = Challenge.answer(new SecurityError.UseDpopNonce({ reason: "Missing", nonce }), settings())
          assert.deepStrictEqual(Object.keys(headers), ["www-authenticate"])
        }
      })
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
        for (const row of table.filter(({ tag }) => Object.hasOwn(credentials, tag))) {
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
          ["FailedCheck", 401, "Bearer", notEnough],
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
          if (!Object.hasOwn(credentials, row.tag)) continue
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
