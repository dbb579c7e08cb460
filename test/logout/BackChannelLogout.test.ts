/** Tests of `BackChannelLogout` with a `TestIssuer`: which logout tokens count, and what each response says. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer, Schedule, type Scope } from "effect"
import { HttpClient, HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { JwtVerifier, KeySet, OAuth2 } from "effect-oauth2"
import * as BackChannelLogout from "effect-oauth2/BackChannelLogout"
import { ReplayStore, StoreUnavailable } from "effect-oauth2/ReplayStore"
import * as Revocations from "effect-oauth2/Revocations"
import { type LogoutTokenOptions, TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import { authorizationServer } from "../support/authorizationServer.ts"
import * as redisServer from "../support/redisServer.ts"

const issuer = "https://issuer.test"
const audience = "https://api.test"
const clientId = "web"
const event = "http://schemas.openid.net/event/backchannel-logout"

const keys = Effect.runPromise(
  Effect.all({ known: TestIssuer.makeKey("k1", "ES256"), other: TestIssuer.makeKey("k2", "ES256") })
)

/** Revocations that only record what is revoked. */
const recorded = (targets: Array<Revocations.Target>, failing: { now: boolean } = { now: false }) =>
  Layer.succeed(Revocations.Revocations, {
    isRevoked: () => Effect.succeed(false),
    revoke: (target) =>
      failing.now
        ? Effect.fail(
            new StoreUnavailable({ store: "Revocations", reason: "Timeout", retryAfter: Duration.millis(1500) })
          )
        : Effect.sync(() => void targets.push(target))
  })

interface App {
  readonly targets: ReadonlyArray<Revocations.Target>
  readonly failing: { now: boolean }
  readonly send: (request: Request) => Effect.Effect<Response>
  readonly post: (token: string) => Effect.Effect<Response>
}

const formOf = (body: string, contentType = "application/x-www-form-urlencoded", path = "/backchannel-logout") =>
  new Request(`http://localhost${path}`, { method: "POST", headers: { "content-type": contentType }, body })

const appOf = Effect.fnUntraced(function* (options: Partial<BackChannelLogout.DiscoveryOptions> = {}) {
  const targets: Array<Revocations.Target> = []
  const failing = { now: false }
  const Route = BackChannelLogout.layer({ issuer, clientId, ...options }).pipe(
    Layer.provide(Layer.merge(recorded(targets, failing), ReplayStore.layerMemory()))
  )
  const handler = yield* HttpRouter.toHttpEffect(Route)
  const send = (request: Request) =>
    handler.pipe(
      Effect.catch((error) => HttpServerRespondable.toResponse(error)),
      Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(request)),
      Effect.map((response) => HttpServerResponse.toWeb(response)),
      Effect.scoped
    )
  const app: App = {
    targets,
    failing,
    send,
    post: (token) => send(formOf(new URLSearchParams({ logout_token: token }).toString()))
  }
  return app
})

const test = (
  name: string,
  body: () => Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Scope.Scope>
) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      const { known } = yield* Effect.promise(() => keys)
      yield* Effect.provide(body(), TestIssuer.layer({ issuer, audience, keys: [known] }))
    }).pipe(Effect.scoped)
  )

const mint = (options: LogoutTokenOptions & Parameters<TestIssuer["Service"]["mint"]>[0] = {}) =>
  TestIssuer.use((issuer) => issuer.mintLogoutToken({ audience: clientId, sessionId: "session-1", ...options }))

const json = (response: Response) => Effect.promise(() => response.json())

const invalid = { error: "invalid_request", error_description: "The logout token is not valid." }

describe("a valid logout token", () => {
  test("revokes its session, and the response is empty and not cached", () =>
    Effect.gen(function* () {
      const { post, targets } = yield* appOf()
      const response = yield* post(yield* mint({ subject: "alice" }))
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("cache-control"), "no-store")
      assert.strictEqual(yield* Effect.promise(() => response.text()), "")
      assert.deepStrictEqual(targets, [{ issuer, sessionId: "session-1" }])
    }))

  test("without sid revokes the tokens of its subject that were issued before", () =>
    Effect.gen(function* () {
      const { post, targets } = yield* appOf()
      const token = yield* mint({ subject: "alice", without: ["sid"] })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* post(token)).status, 200)
      assert.deepStrictEqual(targets, [
        { issuer, subject: "alice", issuedBefore: DateTime.makeUnsafe(Date.UTC(2026, 0, 1)) }
      ])
    }))

  test("revokes the subject, too, if the revoke option says so", () =>
    Effect.gen(function* () {
      const { post, targets } = yield* appOf({ revoke: "subject" })
      assert.strictEqual((yield* post(yield* mint({ subject: "alice" }))).status, 200)
      assert.strictEqual((yield* post(yield* mint({ sessionId: "session-2" }))).status, 200)
      const issuedBefore = DateTime.makeUnsafe(Date.UTC(2026, 0, 1))
      assert.deepStrictEqual(targets, [
        { issuer, sessionId: "session-1" },
        { issuer, subject: "alice", issuedBefore },
        { issuer, sessionId: "session-2" }
      ])
    }))

  const accepted: Readonly<Record<string, LogoutTokenOptions>> = {
    "without typ": { header: { typ: undefined } },
    "with the full media type": { header: { typ: "application/logout+jwt" } },
    "for several clients": { audience: ["other", clientId] },
    "with other members in its event": { claims: { events: { [event]: { more: 1 }, other: {} } } }
  }
  for (const [which, options] of Object.entries(accepted)) {
    test(`${which} is accepted`, () =>
      Effect.gen(function* () {
        const { post } = yield* appOf()
        assert.strictEqual((yield* post(yield* mint(options))).status, 200)
      }))
  }

  test("is accepted once, and not again as long as it is fresh", () =>
    Effect.gen(function* () {
      const { post, targets } = yield* appOf()
      const token = yield* mint({ lifetime: "1 hour" })
      assert.strictEqual((yield* post(token)).status, 200)
      const again = yield* post(token)
      assert.strictEqual(again.status, 400)
      assert.strictEqual(again.headers.get("cache-control"), "no-store")
      assert.deepStrictEqual(yield* json(again), {
        error: "invalid_request",
        error_description: "The logout token was used before."
      })
      // The token is fresh for 5 minutes and 5 seconds of tolerance.
      yield* TestClock.adjust("304 seconds")
      assert.deepStrictEqual((yield* json(yield* post(token))).error_description, "The logout token was used before.")
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* json(yield* post(token)), invalid)
      assert.isNotEmpty(targets)
    }))

  test("is accepted from another issuer with the same jti", () =>
    Effect.gen(function* () {
      const { post } = yield* appOf({ issuerAliases: ["https://old.test"] })
      assert.strictEqual((yield* post(yield* mint({ claims: { jti: "1" } }))).status, 200)
      assert.strictEqual((yield* post(yield* mint({ claims: { jti: "2", iss: "https://old.test" } }))).status, 200)
      assert.strictEqual((yield* post(yield* mint({ claims: { jti: "2" } }))).status, 400)
    }))
})

describe("an invalid logout token", () => {
  const now = Date.UTC(2026, 0, 1) / 1000
  const refused: Readonly<Record<string, LogoutTokenOptions>> = {
    "an ID token's typ": { header: { typ: "JWT" } },
    "an access token's typ": { header: { typ: "at+jwt" } },
    "another issuer": { claims: { iss: "https://other.test" } },
    "no issuer": { without: ["iss"] },
    "another client": { audience: "other" },
    "no audience": { without: ["aud"] },
    "an audience with a number": { claims: { aud: [clientId, 5] } },
    "no exp": { without: ["exp"] },
    "an exp in the past": { claims: { iat: now - 60, exp: now - 6 } },
    "no iat": { without: ["iat"] },
    "an iat that is too old": { claims: { iat: now - 306, exp: now + 60 } },
    "an iat in the future": { claims: { iat: now + 6 } },
    "an iat as text": { claims: { iat: String(now) } },
    "no jti": { without: ["jti"] },
    "an empty jti": { claims: { jti: "" } },
    "a jti that is a number": { claims: { jti: 5 } },
    "no events": { without: ["events"] },
    "events as a list": { claims: { events: [event] } },
    "events as text": { claims: { events: event } },
    "another event": { claims: { events: { "http://schemas.openid.net/event/other": {} } } },
    "an event that is not an object": { claims: { events: { [event]: true } } },
    "an event that is a list": { claims: { events: { [event]: [] } } },
    "an event that is null": { claims: { events: { [event]: null } } },
    "a nonce": { claims: { nonce: "n" } },
    "a nonce that is null": { claims: { nonce: null } },
    "neither sub nor sid": { without: ["sub", "sid"] },
    "an empty sid": { claims: { sid: "" } },
    "a sid that is a number": { subject: "alice", claims: { sid: 5 } },
    "a sub that is null": { subject: "alice", claims: { sub: null } },
    "an empty sub": { subject: "alice", claims: { sub: "" } },
    "critical header parameters": { header: { crit: ["b64"], b64: true } }
  }
  for (const [which, options] of Object.entries(refused)) {
    test(`with ${which} is refused, and revokes nothing`, () =>
      Effect.gen(function* () {
        const { post, targets } = yield* appOf()
        const response = yield* post(yield* mint(options))
        assert.strictEqual(response.status, 400)
        assert.strictEqual(response.headers.get("cache-control"), "no-store")
        assert.deepStrictEqual(yield* json(response), invalid)
        assert.deepStrictEqual(targets, [])
      }))
  }

  test("does not use up the jti of a valid one", () =>
    Effect.gen(function* () {
      const { other } = yield* Effect.promise(() => keys)
      const { post } = yield* appOf()
      const claims = { jti: "the same" }
      const forged = yield* TestIssuer.use(({ mintLogoutToken }) =>
        mintLogoutToken({ audience: clientId, sessionId: "session-1", claims })
      )
      const [header = "", payload = ""] = forged.split(".")
      const { mint: mintOther } = yield* TestIssuer
      const otherSignature = (yield* mintOther({ key: other })).split(".")[2]
      assert.strictEqual((yield* post(`${header}.${payload}.${otherSignature}`)).status, 400)
      assert.strictEqual((yield* post(yield* mint({ audience: "other", claims }))).status, 400)
      assert.strictEqual((yield* post(forged)).status, 200)
    }))

  test("of another kind is refused: an access token, an ID token, an unsigned token, one with a shared secret", () =>
    Effect.gen(function* () {
      const { post, targets } = yield* appOf()
      const { mint: mintToken } = yield* TestIssuer
      const valid = jose.decodeJwt(yield* mint())
      const secret = new TextEncoder().encode("a secret that an attacker has chosen")
      const symmetric = yield* Effect.promise(() =>
        new jose.SignJWT(valid).setProtectedHeader({ alg: "HS256", typ: "logout+jwt" }).sign(secret)
      )
      const { other } = yield* Effect.promise(() => keys)
      const tokens = [
        yield* mintToken({ audience: clientId }),
        yield* mintToken({ audience: clientId, profile: "id-token" }),
        yield* mintToken({ key: other, audience: clientId, claims: valid, header: { typ: "logout+jwt" } }),
        new jose.UnsecuredJWT(valid).encode(),
        symmetric,
        "opaque",
        "a.b.c.d.e",
        "",
        `${yield* mint()}${"x".repeat(9000)}`
      ]
      for (const token of tokens) assert.strictEqual((yield* post(token)).status, 400, token)
      assert.deepStrictEqual(targets, [])
    }))
})

describe("a request without one logout token in a form", () => {
  test("is refused", () =>
    Effect.gen(function* () {
      const { send, targets } = yield* appOf()
      const token = yield* mint()
      const requests = [
        formOf(JSON.stringify({ logout_token: token }), "application/json"),
        formOf(`logout_token=${token}`, "text/plain"),
        formOf(`logout_token=${token}&logout_token=${token}`),
        formOf(`other=${token}`),
        formOf(""),
        formOf(`logout_token=${token}&other=${"x".repeat(70_000)}`),
        new Request(`http://localhost/backchannel-logout?logout_token=${token}`, { method: "POST" })
      ]
      for (const request of requests) {
        const response = yield* send(request)
        assert.strictEqual(response.status, 400)
        assert.strictEqual(response.headers.get("cache-control"), "no-store")
        assert.deepStrictEqual(yield* json(response), {
          error: "invalid_request",
          error_description: "The request must be a form with one logout_token."
        })
      }
      assert.deepStrictEqual(targets, [])
      const got = yield* send(new Request(`http://localhost/backchannel-logout?logout_token=${token}`))
      assert.strictEqual(got.status, 404)
    }))

  test("is accepted with a charset in its type, at the path of the path option", () =>
    Effect.gen(function* () {
      const { send } = yield* appOf({ path: "/logout/:tenant" })
      const body = `logout_token=${yield* mint()}`
      const response = yield* send(formOf(body, "Application/X-WWW-Form-Urlencoded; charset=UTF-8", "/logout/acme"))
      assert.strictEqual(response.status, 200)
    }))
})

describe("an outage", () => {
  test("of the revocations gives 503 with Retry-After, and the same token is accepted afterwards", () =>
    Effect.gen(function* () {
      const { failing, post, targets } = yield* appOf()
      const token = yield* mint()
      failing.now = true
      const response = yield* post(token)
      assert.strictEqual(response.status, 503)
      assert.strictEqual(response.headers.get("retry-after"), "2")
      assert.strictEqual(response.headers.get("cache-control"), "no-store")
      failing.now = false
      assert.strictEqual((yield* post(token)).status, 200)
      assert.deepStrictEqual(targets, [{ issuer, sessionId: "session-1" }])
    }))

  test("of the replay store gives 503, although the session is revoked", () =>
    Effect.gen(function* () {
      const targets: Array<Revocations.Target> = []
      const handler = yield* HttpRouter.toHttpEffect(
        BackChannelLogout.layer({ issuer, clientId }).pipe(
          Layer.provide(Layer.merge(recorded(targets), ReplayStore.layerMemory({ capacity: 1 })))
        )
      )
      const statuses: Array<number> = []
      for (const token of [yield* mint(), yield* mint()]) {
        const request = HttpServerRequest.fromWeb(formOf(`logout_token=${token}`))
        const response = yield* Effect.provideService(handler, HttpServerRequest.HttpServerRequest, request)
        statuses.push(response.status)
      }
      assert.deepStrictEqual(statuses, [200, 503])
      assert.lengthOf(targets, 2)
    }))

  it.live.skipIf(redisServer.missing)(
    "of Redis gives 503 within the timeout, and the same token counts when Redis is back",
    () =>
      Effect.gen(function* () {
        const { known } = yield* Effect.promise(() => keys)
        const server = yield* redisServer.RedisServer.make
        yield* Effect.gen(function* () {
          const timeout = "100 millis"
          const handler = yield* HttpRouter.toHttpEffect(
            BackChannelLogout.layer({ issuer, clientId }).pipe(
              Layer.provide(Layer.merge(Revocations.layerRedis({ timeout }), ReplayStore.layerRedis({ timeout }))),
              Layer.provide(redisServer.layerClient(server.port))
            )
          )
          const post = (token: string) =>
            Effect.provideService(
              handler,
              HttpServerRequest.HttpServerRequest,
              HttpServerRequest.fromWeb(formOf(`logout_token=${token}`))
            ).pipe(Effect.map(({ status }) => status))
          assert.strictEqual(yield* post(yield* mint()), 200)
          const token = yield* mint()
          yield* server.freeze
          const [time, status] = yield* Effect.timed(post(token))
          assert.strictEqual(status, 503)
          assert.isBelow(Duration.toMillis(time), 900)
          yield* server.thaw
          yield* server.kill
          assert.strictEqual(yield* post(token), 503)
          yield* server.start
          const final = yield* Effect.repeat(post(token), {
            until: (status) => status !== 503,
            schedule: Schedule.spaced("50 millis")
          }).pipe(Effect.timeout("8 seconds"))
          assert.strictEqual(final, 200)
          assert.strictEqual(yield* post(token), 400)
        }).pipe(Effect.provide(TestIssuer.layer({ issuer, audience, keys: [known] })))
      }).pipe(Effect.scoped)
  )

  test("of the issuer's keys gives 503 with Retry-After", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      yield* respond("jwks", "unreachable")
      const { post } = yield* appOf()
      const response = yield* post(yield* mint())
      assert.strictEqual(response.status, 503)
      assert.isNotNull(response.headers.get("retry-after"))
    }))
})

describe("the options", () => {
  const settingOf = (options: Readonly<Record<string, unknown>>) =>
    Effect.map(
      Effect.flip(
        HttpRouter.toHttpEffect(
          BackChannelLogout.layer({ issuer, clientId, ...options }).pipe(
            Layer.provide(Layer.merge(recorded([]), ReplayStore.layerMemory()))
          )
        )
      ),
      (error) => (error as { readonly setting: unknown }).setting
    )

  test("are checked at start-up", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* settingOf({ clientId: "" }), "clientId")
      assert.strictEqual(yield* settingOf({ clientId: [] }), "clientId")
      assert.strictEqual(yield* settingOf({ clientId: false }), "clientId")
      assert.strictEqual(yield* settingOf({ issuer: "not a URL" }), "issuer")
      assert.strictEqual(yield* settingOf({ revoke: "all" }), "revoke")
      assert.strictEqual(yield* settingOf({ path: "logout" }), "path")
      assert.strictEqual(yield* settingOf({ maxTokenAge: "0 seconds" }), "maxTokenAge")
      assert.strictEqual(yield* settingOf({ algorithms: ["HS256"] }), "algorithms")
    }))

  test("fail if another route has the path", () =>
    Effect.gen(function* () {
      const Route = BackChannelLogout.layer({ issuer, clientId }).pipe(
        Layer.provide(Layer.merge(recorded([]), ReplayStore.layerMemory()))
      )
      const error = yield* Effect.flip(
        HttpRouter.toHttpEffect(
          Route.pipe(Layer.provideMerge(HttpRouter.add("POST", "/backchannel-logout", HttpServerResponse.empty())))
        )
      )
      assert.include((error as Error).message, "path is the path of another route")
    }))
})

describe("with Revocations.enforce", () => {
  test("the next request with a token of the session is refused, and other sessions go on", () =>
    Effect.gen(function* () {
      const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: {} })
      const Verifier = JwtVerifier.layerKeySet({ issuer, audience }).pipe(Revocations.enforce)
      const handler = yield* HttpRouter.toHttpEffect(
        Layer.mergeAll(
          HttpRouter.add("GET", "/items", HttpServerResponse.empty()).pipe(
            auth.require(),
            Layer.provide(auth.layer(Verifier))
          ),
          BackChannelLogout.layerKeySet({ issuer, clientId })
        ).pipe(
          Layer.provide(
            Layer.mergeAll(Revocations.layerMemory(), ReplayStore.layerMemory(), KeySet.layerDiscovery({ issuer }))
          )
        )
      )
      const send = (request: Request) =>
        handler.pipe(
          Effect.catch((error) => HttpServerRespondable.toResponse(error)),
          Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(request)),
          Effect.map(({ status }) => status)
        )
      const { mint: mintToken } = yield* TestIssuer
      const [mine, other] = yield* Effect.all([
        mintToken({ claims: { sid: "session-1" } }),
        mintToken({ claims: { sid: "session-2" } })
      ])
      const get = (token: string) =>
        send(new Request("http://localhost/items", { headers: { authorization: `Bearer ${token}` } }))
      assert.deepStrictEqual(yield* Effect.all([get(mine), get(mine), get(other)]), [204, 204, 204])
      assert.strictEqual(yield* send(formOf(`logout_token=${yield* mint()}`)), 200)
      assert.deepStrictEqual(yield* Effect.all([get(mine), get(other)]), [401, 204])
    }))
})
