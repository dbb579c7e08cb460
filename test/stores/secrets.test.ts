/** A real Redis as a cluster of one server. Every command and every value is searched for tokens. */
import { assert, it } from "@effect/vitest"
import { Context, DateTime, Effect, Layer, Option, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { Persistence, RateLimiter } from "effect/persistence"
import { JwtVerifier, OAuth2, TokenVerifier } from "effect-oauth2"
import * as BackChannelLogout from "effect-oauth2/BackChannelLogout"
import * as FailureLimit from "effect-oauth2/FailureLimit"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import * as Revocations from "effect-oauth2/Revocations"
import * as SharedIntrospection from "effect-oauth2/SharedIntrospection"
import { TestIssuer } from "effect-oauth2/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import * as dpopApp from "../support/dpopApp.ts"
import { eventually } from "../support/eventually.ts"
import * as introspection from "../support/introspection.ts"
import { contents, layerClient, missing, monitor, RedisServer } from "../support/redisServer.ts"

const { audience, issuer } = introspection
const timeout = { timeout: "5 seconds" } as const
const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "" } })

/** The parts of a text that would give a token away, such as the signature of a JWT. */
const partsOf = (text: string): ReadonlyArray<string> => [text, ...text.split(".").filter((part) => part.length > 8)]

it.live.skipIf(missing)("no command and no value contains a token, and every command has keys of one slot", () =>
  Effect.gen(function* () {
    const server = yield* RedisServer.cluster
    const recorded = yield* monitor(server)
    const client = Layer.succeedContext(yield* Layer.build(layerClient(server.port)))
    const start = Effect.gen(function* () {
      const stores = yield* Layer.build(
        Layer.fresh(
          Layer.mergeAll(
            Persistence.layerBackingRedis,
            ReplayStore.layerRedis(timeout),
            Revocations.layerRedis({ ...timeout, localCopy: { maxAge: "1 second" } }),
            RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreRedis({ prefix: "effect-oauth2:" })))
          ).pipe(Layer.provide(client))
        )
      )
      const shared = Layer.succeedContext(stores)
      const verifierOf = (verifier: Parameters<typeof Revocations.enforce>[0]) =>
        Effect.map(
          // Safe cast: the stores and the issuer provide everything.
          Layer.build(
            Layer.fresh(verifier).pipe(Revocations.enforce, Layer.provide(shared)) as Layer.Layer<TokenVerifier>
          ),
          (context) => Context.get(context, TokenVerifier)
        )
      const http = yield* Effect.context<never>()
      const here = Layer.succeedContext(http)
      const handler = yield* HttpRouter.toHttpEffect(
        Layer.mergeAll(
          HttpRouter.add("GET", "/", HttpServerResponse.empty()).pipe(
            auth.require("a"),
            Layer.provide(
              auth.layer(JwtVerifier.layer({ issuer, audience }).pipe(Revocations.enforce, Layer.provide(here)))
            ),
            Layer.provide(FailureLimit.layer({ limit: 3, ...timeout }))
          ),
          BackChannelLogout.layer({ issuer, clientId: "web" })
        ).pipe(Layer.provide(Layer.merge(shared, here)))
      )
      const send = (request: Request) =>
        handler.pipe(
          Effect.catch((error) => HttpServerRespondable.toResponse(error)),
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(request).modify({ remoteAddress: Option.some("192.0.2.77") })
          ),
          Effect.scoped,
          Effect.map(({ status }) => status)
        )
      const opaque = yield* verifierOf(SharedIntrospection.layer({ ...introspection.options, ...timeout }))
      return { ...Context.get(stores, Revocations.Revocations), stores, shared, send, opaque }
    })
    const [first, second] = [yield* start, yield* start]
    const { mint, mintLogoutToken, mintOpaque, revoke } = yield* TestIssuer
    const secrets: Array<string> = []
    const secret = <A extends string>(text: A): A => {
      secrets.push(...partsOf(text))
      return text
    }

    // A JWT, cached and revoked in each way.
    const jwt = secret(yield* mint({ scopes: ["a"], subject: "subject-4711", claims: { sid: "session-4711" } }))
    const get = (token: string) => new Request("http://localhost/", { headers: { authorization: `Bearer ${token}` } })
    for (const { send } of [first, second]) assert.strictEqual(yield* send(get(jwt)), 204)
    const expiresAt = DateTime.addDuration(yield* DateTime.now, "1 hour")
    yield* first.revoke({ token: Redacted.make(jwt), expiresAt })
    yield* first.revoke({ issuer, tokenId: "jti-4711", expiresAt })
    yield* first.revoke({ issuer, subject: "subject-4711" })
    yield* first.revoke({ issuer, sessionId: "session-4711" })
    yield* eventually(second.send(get(jwt)), (status) => status === 401)
    secrets.push("subject-4711", "session-4711", "jti-4711")

    // A logout token.
    const logoutToken = secret(yield* mintLogoutToken({ audience: "web", sessionId: "session-4712" }))
    const form = new URLSearchParams({ logout_token: logoutToken })
    const logOut = new Request("http://localhost/backchannel-logout", { method: "POST", body: form })
    assert.strictEqual(yield* first.send(logOut), 200)
    secrets.push("session-4712")

    // A proof of possession, used twice.
    const app = yield* dpopApp.appOf(dpopApp.schemeOf(), first.shared)
    const bound = yield* dpopApp.boundClient()
    const proof = yield* dpopApp.headersOf(bound, { claims: { jti: "proof-4711" } })
    for (const value of Object.values(proof)) secret(value.replace(/^\w+ /, ""))
    secrets.push("proof-4711")
    assert.strictEqual((yield* dpopApp.sendTo(app, proof)).status, 200)
    assert.strictEqual(dpopApp.codeOf(yield* dpopApp.sendTo(app, proof)), "invalid_dpop_proof")

    // Opaque tokens: accepted, invalidated, and refused.
    const opaque = secret(yield* mintOpaque({ scopes: ["a"], lifetime: "1 hour" }))
    const inactive = secret(yield* mintOpaque({ lifetime: "1 hour" }))
    yield* revoke(inactive)
    for (const process of [first, second]) {
      yield* process.opaque.verify(Redacted.make(opaque))
      yield* Effect.flip(process.opaque.verify(Redacted.make(inactive)))
    }
    const beforeInvalidation = yield* contents(server)
    yield* first.opaque.invalidate(Redacted.make(opaque))

    // Failed authentications of one address. The revoked token was the first of them.
    for (const token of ["invented-4711", "invented-4712"]) {
      assert.strictEqual(yield* first.send(get(secret(token))), 401)
    }
    assert.strictEqual(yield* first.send(get("invented-4713")), 429)
    secrets.push("192.0.2.77")

    const commands = yield* recorded
    const values = new Map([...beforeInvalidation, ...(yield* contents(server))])
    const everything = [commands, ...Array.from(values).flat()].join("\n")
    for (const text of secrets) assert.notInclude(everything, text)
    assert.notInclude(commands, "CROSSSLOT")

    // Every key has a version and a hash tag, and each kind of entry was written.
    const kinds = new Set<string>()
    for (const key of values.keys()) {
      const [, kind = ""] = /^effect-oauth2(?::|\.)(v1[:.]\w+|failed:v1):\{(?:\w+\.)?[\w-]+\}/.exec(key) ?? []
      assert.notStrictEqual(kind, "", key)
      kinds.add(kind)
    }
    assert.deepStrictEqual(Array.from(kinds).toSorted(), ["failed:v1", "v1.intro", "v1:jti", "v1:rev"])
    for (const command of ["EVAL", "ZADD", "ZSCAN", "PUBLISH", "SUBSCRIBE", "SET"]) {
      assert.include(commands.toUpperCase(), `"${command}"`)
    }
  }).pipe(Effect.scoped, Effect.provide(introspection.Issuer))
)
