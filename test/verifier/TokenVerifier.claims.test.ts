/** Tests that no request changes the claims of a cached token for another, and that schemes decode these claims. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer, Metric, Option, Redacted, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { BearerToken, OAuth2, TokenVerifier, type VerifiedToken } from "effect-oauth2"
import { TestClock } from "effect/testing"
import { accepted, later, timings, type Verify, verifier } from "../support/scriptedVerifier.ts"
import { authorizationServer } from "../support/authorizationServer.ts"
import { withLogs } from "../support/keySets.ts"
import { times } from "../support/times.ts"
import { verified } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"
import { fromContext } from "../support/contextVerifier.ts"

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "" } })

describe("the claims of a custom verifier", () => {
  const roles = OAuth2.authorizationCode("Roles", {
    ...authorizationServer,
    scopes: { a: "" },
    claims: Schema.Struct({ user: Schema.Struct({ role: Schema.String }) })
  })
  type Make = (verify: Verify) => Layer.Layer<TokenVerifier>

  for (const [name, make] of Object.entries<Make>({
    "with a cache": (verify) => Layer.orDie(TokenVerifier.layer({ verify, cache: { timeToLive: "1 second" } })),
    "without a cache": (verify) => Layer.orDie(TokenVerifier.layer({ verify, cache: false })),
    "as a custom service": (verify) => Layer.succeed(TokenVerifier, { verify, invalidate: () => Effect.void })
  })) {
    it.effect(`are copied, and later changes apply to later verifications (${name})`, () =>
      Effect.gen(function* () {
        const scopes = new Set(["a"])
        const session: VerifiedToken = {
          ...verified("a", []),
          clientId: Option.some("client"),
          issuedAt: Option.some(DateTime.makeUnsafe(0)),
          scopes,
          claims: { user: { role: "admin" }, list: [[1]], self: undefined, since: DateTime.makeUnsafe(0) }
        }
        Object.assign(session.claims, { self: session.claims })
        const layer = yield* Layer.build(
          Layer.merge(roles.layer(fromContext), auth.layer(fromContext)).pipe(
            Layer.provide(make(() => Effect.succeed(session)))
          )
        )
        const ask = Effect.suspend(() =>
          Effect.all({ roles: roles.authorizeOption, auth: auth.authorizeOption }).pipe(
            Effect.provideService(
              HttpServerRequest.HttpServerRequest,
              HttpServerRequest.fromWeb(new Request("http://localhost/", { headers: { authorization: "Bearer a" } }))
            )
          )
        ).pipe(Effect.provideContext(layer))
        const before = yield* ask
        assert.deepEqual(Option.getOrThrow(before.roles).claims, { user: { role: "admin" } })
        assert.deepEqual(Option.getOrThrow(before.auth).claims["list"], [[1]])
        for (const part of [
          session,
          session.clientId,
          session.issuedAt,
          Option.getOrThrow(session.issuedAt),
          session.expiresAt,
          session.audience,
          session.claims,
          session.claims["user"],
          session.claims["since"]
        ]) {
          assert.isNotFrozen(part)
        }
        Object.assign(session.clientId, { value: "another client" })
        Object.assign(session.expiresAt, { epochMilliseconds: 4_200_000_000_000 })

        yield* TestClock.adjust("1 second")
        Object.assign(session.claims["user"] as object, { role: "reader" })
        scopes.delete("a")
        const after = yield* ask
        assert.deepEqual(Option.getOrThrow(after.roles).claims, { user: { role: "reader" } })
        assert.strictEqual(Option.getOrThrow(after.auth).scopes.size, 0)
        assert.deepEqual(Option.getOrThrow(before.roles).claims, { user: { role: "admin" } })
        const { clientId, expiresAt, scopes: granted } = Option.getOrThrow(before.auth)
        assert.strictEqual(granted.size, 1)
        assert.deepStrictEqual(clientId, Option.some("client"))
        assert.strictEqual(DateTime.formatIso(expiresAt), "2100-01-01T00:00:00.000Z")
      })
    )
  }

  it.effect("are each read once, even with circular references", () =>
    Effect.gen(function* () {
      let visits = 0
      const team: { users?: unknown } = {}
      const user = {
        get team() {
          visits++
          return team
        }
      }
      team.users = Array.from(
        { length: 50 },
        () => Object.create(null, Object.getOwnPropertyDescriptors(user)) as object
      )
      const { verify } = yield* TokenVerifier.make({
        verify: () => Effect.succeed({ ...verified("a", ["a"]), claims: { team } })
      })
      yield* verify(Redacted.make("a"))
      assert.strictEqual(visits, 50)
    })
  )

  it.effect("are accepted but not cached if a getter throws", () =>
    Effect.gen(function* () {
      let calls = 0
      const claims = {
        get tenant(): string {
          throw new Error("no tenant")
        }
      }
      const { verify } = yield* TokenVerifier.make({
        verify: () => {
          calls++
          return Effect.succeed({ ...verified("a", ["a"]), claims })
        }
      })
      for (const _ of [1, 2]) assert.strictEqual((yield* verify(Redacted.make("a"))).subject, "a")
      assert.strictEqual(calls, 2)
    })
  )

  it.effect("are reported once if they are mutable and there is a cache", () =>
    withLogs((logs) =>
      Effect.gen(function* () {
        const decide = (token: string) => accepted(token, { claims: token === "data" ? {} : { since: new Date(0) } })
        for (const [cache, expected] of [
          [{}, 1],
          [false, 0]
        ] as const) {
          const { calls, present } = yield* verifier({ cache, decide })
          yield* present("data")
          assert.deepStrictEqual(logs.splice(0), [])
          for (const token of ["a", "a", "b"]) yield* present(token)
          assert.lengthOf(calls, 4)
          const warnings = logs.splice(0)
          assert.lengthOf(warnings, expected)
          for (const { level, message } of warnings) {
            assert.strictEqual(level, "Warn")
            assert.match(
              message,
              /^A verified token is not cached\. .* Return plain data in claims, or set cache: false\.$/
            )
          }
        }
      })
    )
  )

  it.effect("count as one lookup on each use if a scheme refuses them", () =>
    Effect.gen(function* () {
      const strict = OAuth2.authorizationCode("Strict", {
        ...authorizationServer,
        scopes: { a: "" },
        claims: Schema.Struct({ tenant: Schema.String })
      })
      const tokens = TokenVerifier.layer({ verify: () => Effect.succeed(verified("a", ["a"])) })
      const ask = Effect.exit(strict.authorize).pipe(Effect.provide(BearerToken.layerTest("a")))
      yield* Effect.provide(Effect.andThen(ask, ask), strict.layer(tokens))
      const hits = (yield* Metric.snapshot).find(({ attributes }) => attributes?.["outcome"] === "hit")
      assert.deepStrictEqual(hits?.state, { count: 1, incremental: true })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})

describe("the token of a request", () => {
  const claims = () => ({ roles: ["reader"], address: { city: "Berlin" } })
  const change = (token: VerifiedToken) =>
    Effect.exit(Effect.sync(() => (token.claims["roles"] as Array<string>).push("admin")))

  it.effect("cannot be changed for the next request with the same token", () =>
    Effect.gen(function* () {
      const { present } = yield* verifier({ decide: (token) => accepted(token, { claims: claims() }) })
      for (const _ of times(3)) {
        const token = yield* present("a")
        assert.deepEqual(token.claims, claims())
        assert.strictEqual((yield* change(token))._tag, "Failure")
        for (const part of [token, token.claims, token.audience, token.claims["address"], token.scopes]) {
          assert.isFrozen(part)
        }
        for (const change of ["add", "delete", "clear"] as const) {
          assert.throws(() => (token.scopes as Set<string>)[change]("admin"), TypeError)
        }
        assert.isFalse(token.scopes.has("admin"))
      }
    })
  )

  it.effect(
    "cannot be changed for requests that wait for the same verification, even if it is too large for the cache",
    () =>
      Effect.gen(function* () {
        const { present } = yield* verifier({
          cache: { capacity: 1, maxBytes: 1 },
          timing: later,
          decide: (token) => accepted(token, { claims: claims() })
        })
        for (const token of yield* Effect.all([present("a"), present("a"), present("a")], { concurrency: 3 })) {
          assert.strictEqual((yield* change(token))._tag, "Failure")
          assert.deepEqual(token.claims, claims())
        }
      })
  )

  it.effect("has the original instance of a class in its claims, and is verified for each request", () =>
    Effect.gen(function* () {
      class Session {
        readonly log: Array<string> = []
        readonly state = { visits: 0 }
      }
      const roles = ["reader"]
      const session = Object.assign(new Session(), { roles })
      const { calls, present } = yield* verifier({ decide: (token) => accepted(token, { claims: { session, roles } }) })
      for (const i of times(3)) {
        const { claims } = yield* present("a")
        assert.isFrozen(claims)
        assert.isFrozen(claims["roles"])
        ;(claims["session"] as Session).log.push(`visit ${i}`)
        ;(claims["session"] as Session).state.visits++
      }
      assert.deepStrictEqual([session.log.length, session.state.visits, calls.length], [3, 3, 3])
      assert.isNotFrozen(roles)
    })
  )

  it.effect("cannot be changed after a scheme has decoded its claims", () =>
    Effect.gen(function* () {
      const scheme = OAuth2.authorizationCode("Roles", {
        ...authorizationServer,
        scopes: { a: "" },
        claims: Schema.Struct({ roles: Schema.mutable(Schema.Array(Schema.String)) })
      })
      const { calls, service } = yield* verifier({ decide: (token) => accepted(token, { claims: claims() }) })
      const layer = yield* Layer.build(scheme.layer(Layer.succeed(TokenVerifier, service)))
      const ask = scheme.authorize.pipe(Effect.provide(BearerToken.layerTest("a")), Effect.provideContext(layer))
      for (const _ of times(3)) {
        const token = yield* ask
        assert.deepEqual(token.claims, { roles: ["reader"] })
        assert.strictEqual((yield* change(token))._tag, "Failure")
      }
      assert.lengthOf(calls, 1)
    })
  )

  it.effect("prints its BearerToken in the same way, even if a handler tries to relabel it", () =>
    Effect.gen(function* () {
      const { service } = yield* verifier({})
      const rename = Effect.tap(BearerToken, (token) =>
        Effect.sync(() => {
          for (const label of ["label", "toString"]) Reflect.set(token, label, "renamed")
        })
      ).pipe(
        Effect.map(String),
        Effect.map((text) => HttpServerResponse.text(text))
      )
      const send = yield* serve(
        HttpRouter.add("GET", "/", rename).pipe(
          auth.require("a"),
          Layer.provide(auth.layer(Layer.succeed(TokenVerifier, service)))
        )
      )
      for (const _ of times(3)) assert.strictEqual((yield* send("/", "a")).body, "<redacted:access_token>")
    })
  )

  it.effect("is verified again after a handler has wiped its BearerToken", () =>
    Effect.gen(function* () {
      const { calls, service } = yield* verifier({})
      const wipe = Effect.map(BearerToken, (token) => {
        const text = Redacted.value(token)
        Redacted.wipeUnsafe(token)
        return HttpServerResponse.text(text)
      })
      const send = yield* serve(
        HttpRouter.add("GET", "/", wipe).pipe(
          auth.require("a"),
          Layer.provide(auth.layer(Layer.succeed(TokenVerifier, service)))
        )
      )
      for (const _ of times(4)) {
        const { body, status } = yield* send("/", "a")
        assert.deepStrictEqual([status, body], [200, "a"])
      }
      // The first request has a `BearerToken` of its own, so wiping it does not affect the cache entry.
      assert.deepStrictEqual(calls, ["a", "a"])
    })
  )
})

describe("schemes that decode claims", () => {
  const scheme = <Claims extends object>(name: string, claims: Schema.Codec<Claims, any>) =>
    OAuth2.authorizationCode(name, { ...authorizationServer, scopes: { a: "" }, claims })
  const text = scheme("Text", Schema.Struct({ tenant: Schema.String }))
  const number = scheme("Number", Schema.Struct({ tenant: Schema.FiniteFromString }))

  const app = Layer.mergeAll(
    HttpRouter.add(
      "GET",
      "/text",
      Effect.map(text.token, ({ claims }) => HttpServerResponse.jsonUnsafe(claims))
    ).pipe(text.require("a")),
    HttpRouter.add(
      "GET",
      "/number",
      Effect.map(number.token, ({ claims }) => HttpServerResponse.jsonUnsafe(claims))
    ).pipe(number.require("a"))
  ).pipe(Layer.provide([text.layer(fromContext), number.layer(fromContext)]))

  for (const [name, timing] of Object.entries(timings)) {
    it.effect(`each decode cached and uncached tokens by their own schema, from a verifier that decides ${name}`, () =>
      Effect.gen(function* () {
        const { calls, service } = yield* verifier({
          timing,
          decide: (token) => accepted(token, { claims: { tenant: token } })
        })
        const send = yield* serve(Layer.provide(app, Layer.succeed(TokenVerifier, service)))
        for (const _ of times(3)) {
          const answer = (path: string, token: string) =>
            Effect.map(send(path, token), ({ body, challenge, status }) => ({ status, body, challenge }))
          const good = { status: 200, challenge: null }
          assert.deepStrictEqual(yield* answer("/text", "7"), { ...good, body: '{"tenant":"7"}' })
          assert.deepStrictEqual(yield* answer("/number", "7"), { ...good, body: '{"tenant":7}' })
          assert.deepStrictEqual(yield* answer("/text", "t1"), { ...good, body: '{"tenant":"t1"}' })
          assert.deepStrictEqual(yield* answer("/number", "t1"), {
            status: 401,
            challenge: `Bearer scope="a"`,
            body: '{"detail":"Could not validate credentials"}'
          })
        }
        assert.deepStrictEqual(calls, ["7", "t1"])
      })
    )
  }
})
