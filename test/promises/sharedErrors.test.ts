/** Shared errors cannot leak changes from one refused request to the next. */
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Exit, Layer, Option, Redacted, References } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import {
  BearerToken,
  Challenge,
  JwtVerifier,
  KeySet,
  OAuth2,
  Requirement,
  SecurityError,
  TokenVerifier
} from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import { accepted, later, verifier } from "../support/scriptedVerifier.ts"
import { change, seenOf } from "../support/changes.ts"
import {
  serverResponding,
  audience,
  issuer,
  Issuer,
  respond,
  verifier as introspection
} from "../support/introspection.ts"
import { times } from "../support/times.ts"
import { verified } from "../support/TestVerifier.ts"
import { fromContext } from "../support/contextVerifier.ts"

const flow = { ...authorizationServer, scopes: { a: "", b: "" } }
const auth = OAuth2.authorizationCode("OAuth2", flow)
const rfc6750 = OAuth2.authorizationCode("RFC6750", { ...flow, responses: "rfc6750" })

const rejection = () => new SecurityError.InvalidToken({ reason: "Rejected" })
const outage = () =>
  new SecurityError.AuthorizationServerUnavailable({ reason: "Timeout", retryAfter: Duration.seconds(5) })
const rejected = () => Effect.suspend(() => Effect.fail(rejection()))

const requestOf = (authorization: string | undefined) =>
  HttpServerRequest.fromWeb(
    new Request("http://localhost/", authorization === undefined ? {} : { headers: { authorization } })
  )

/** Returns the members of an error without the stack, which differs for each place. */
const membersOf = (error: object): object => Object.fromEntries(Object.entries(error))

/** Returns everything that a program can observe of a failure. */
const seenOfError = (error: unknown) =>
  Effect.gen(function* () {
    assert(SecurityError.isSecurityError(error))
    const response = yield* Challenge.respond(error)
    const body = response.body._tag === "Uint8Array" ? new TextDecoder().decode(response.body.body) : ""
    return [error._tag, error.message, response.status, { ...response.headers }, body, seenOf(membersOf(error))]
  })

/** Repeats a request and changes everything in each failure. Asserts that all failures look the same. */
const refuseAll = Effect.fnUntraced(function* <R>(request: Effect.Effect<unknown, unknown, R>) {
  const seen: Array<unknown> = []
  // A fiber with stack frames copies the cause to add them, and the test needs the shared cause.
  const withoutFrames = Effect.provideService(Effect.exit(request), References.CurrentStackFrame, undefined)
  for (const _ of times(3)) {
    const exit = yield* withoutFrames
    seen.push(yield* seenOfError(Option.getOrThrow(Exit.findErrorOption(exit))))
    change(exit)
  }
  for (const again of seen) assert.deepStrictEqual(again, seen[0])
  return seen[0]
})

/** Sends a request to a guarded program that all requests share. */
const guarded = (authorization: string | undefined, scheme = auth) => {
  const program = Effect.void.pipe(scheme.prove("a", "b"))
  return Effect.suspend(() =>
    program.pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, requestOf(authorization)),
      Effect.provide(BearerToken.layerTest("unused"))
    )
  )
}

const schemes = Layer.merge(auth.layer(fromContext), (rfc6750 as unknown as typeof auth).layer(fromContext))

describe("a change of an error does not affect the next refused request", () => {
  const credentials: Readonly<Record<string, string | undefined>> = {
    "no credentials": undefined,
    "another scheme": "Basic YTpi",
    "malformed credentials": "Bearer a b",
    "credentials that are too long": `Bearer ${"a".repeat(9000)}`
  }
  for (const [name, authorization] of Object.entries(credentials)) {
    it.effect(`with ${name}`, () =>
      Effect.gen(function* () {
        yield* refuseAll(
          Effect.provideService(BearerToken.extract, HttpServerRequest.HttpServerRequest, requestOf(authorization))
        )
        for (const scheme of [auth, rfc6750 as unknown as typeof auth]) yield* refuseAll(guarded(authorization, scheme))
        yield* refuseAll(Effect.provide(guarded(authorization), auth.layerTest("anonymous")))
      }).pipe(Effect.provide(Layer.provide(schemes, TokenVerifier.layer({ verify: rejected }))))
    )
  }

  it.effect("with a refused JWT", () =>
    Effect.gen(function* () {
      const { mint, mintRaw } = yield* TestIssuer
      const token = yield* mint({ scopes: ["a"] })
      const other = yield* TestIssuer.makeKey("ec-1", "ES256")
      const unknown = yield* TestIssuer.makeKey("other", "ES256")
      const tokens = [
        "undefined",
        "a.b.c",
        `${token}.a`,
        yield* mintRaw({ header: '{"alg":"none"}', payload: "{}", signature: "" }),
        yield* mint({ key: other }),
        yield* mint({ key: unknown }),
        yield* mint({ audience: "https://other.test" }),
        yield* mint({ without: ["exp"] }),
        yield* mint({ scopes: ["a"] })
      ]
      for (const token of tokens) {
        for (const scheme of [auth, rfc6750 as unknown as typeof auth])
          yield* refuseAll(guarded(`Bearer ${token}`, scheme))
        const verify = TokenVerifier.use(({ verify }) => verify(Redacted.make(token)))
        if (token !== tokens.at(-1)) yield* refuseAll(verify)
      }
    }).pipe(
      Effect.provide(Layer.provideMerge(schemes, Layer.provideMerge(JwtVerifier.layer({ issuer, audience }), Issuer)))
    )
  )

  it.effect("while the keys of the issuer cannot be fetched, and retryAfter is not affected", () =>
    Effect.gen(function* () {
      yield* respond("discovery", "unreachable")
      const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["a"] }))
      yield* refuseAll(KeySet.KeySet.use(({ refresh }) => refresh))
      yield* refuseAll(guarded(`Bearer ${token}`))
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          Layer.provide(schemes, JwtVerifier.layerKeySet({ issuer, audience })),
          Layer.provideMerge(KeySet.layerDiscovery({ issuer }), Issuer)
        )
      )
    )
  )

  it.effect("while the introspection endpoint is unreachable", () =>
    Effect.gen(function* () {
      const broken = serverResponding(() => ({ isBroken: true }))
      const context = yield* Layer.build(Layer.provideMerge(auth.layer(fromContext), broken.layer))
      yield* refuseAll(Effect.provideContext(guarded("Bearer a"), context))
      yield* refuseAll(
        Effect.provideContext(
          TokenVerifier.use(({ verify }) => verify(Redacted.make("a"))),
          context
        )
      )
    })
  )

  it.effect("with a token that the authorization server reports as inactive", () =>
    Effect.provide(refuseAll(guarded("Bearer a")), auth.layer(Layer.provide(introspection(), Issuer)))
  )

  it.effect("with a token that a check refuses", () =>
    Effect.gen(function* () {
      const never = auth.check("never", () => Effect.succeed(false))
      const alone = Effect.void.pipe(auth.prove("a", never))
      const twice = alone.pipe(
        rfc6750.prove(
          "a",
          Requirement.check("never", () => Effect.succeed(false))
        )
      )
      const { service } = yield* verifier({})
      for (const asked of [alone, twice as unknown as typeof alone]) {
        yield* refuseAll(Effect.provide(asked, BearerToken.layerTest("a"))).pipe(
          Effect.provide(Layer.provide(schemes, Layer.succeed(TokenVerifier, service)))
        )
      }
    })
  )

  it.effect("with an expired token of your own verifier", () =>
    Effect.gen(function* () {
      const { service } = yield* verifier({ decide: () => accepted("a", { expiresAt: DateTime.makeUnsafe(-1) }) })
      yield* refuseAll(service.verify(Redacted.make("a")))
    })
  )

  it.effect("if the request changes the response", () =>
    Effect.gen(function* () {
      const asked = Effect.flip(Effect.provide(guarded(undefined), auth.layerTest("anonymous")))
      const seen: Array<unknown> = []
      for (const _ of times(3)) {
        const error = yield* asked
        seen.push(yield* seenOfError(error))
        const exit = yield* Effect.exit(Challenge.respond(error))
        assert(Exit.isSuccess(exit) && exit.value.body._tag === "Uint8Array")
        // Spare the bytes, which are not read while the text exists, and the cookies, which Effect shares among all
        // responses without cookies.
        change(exit, new Set([exit.value.body.body, exit.value.cookies]))
      }
      for (const again of seen) assert.deepStrictEqual(again, seen[0])
    })
  )

  it.effect("if a renderer changes the error", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const render = (error: SecurityError.SecurityError) => {
        seen.push(seenOf(membersOf(error)))
        change(error)
        return HttpServerResponse.text("no", { status: 400 })
      }
      const scheme = OAuth2.authorizationCode("OAuth2", {
        ...flow,
        responses: "rfc6750",
        renderers: { NotAuthenticated: render, InvalidToken: render, InsufficientScope: render }
      })
      const verify = TokenVerifier.layer({ verify: () => Effect.succeed(verified("a", ["a"])) })
      const context = yield* Layer.build(scheme.layer(verify))
      for (const authorization of [undefined, "Bearer a"]) {
        const challenges = new Set<string | undefined>()
        const asked = Effect.provideContext(guarded(authorization, scheme), context)
        for (const _ of times(3)) {
          const error = yield* Effect.flip(asked)
          challenges.add((yield* Challenge.respond(error)).headers["www-authenticate"])
        }
        assert.strictEqual(challenges.size, 1)
        assert.strictEqual(new Set(seen.splice(0)).size, 1)
      }
    })
  )

  for (const [name, error] of Object.entries({ "a refusal": rejection, "an outage": outage })) {
    it.effect(`if several requests wait for one verification: ${name}`, () =>
      Effect.gen(function* () {
        const { present } = yield* verifier({ timing: later, decide: () => Effect.fail(error()) })
        const ask = Effect.flatMap(Effect.exit(present("a")), (exit) =>
          Effect.map(seenOfError(Option.getOrThrow(Exit.findErrorOption(exit))), (seen) => {
            change(exit)
            return seen
          })
        )
        const expected = yield* seenOfError(error())
        for (const seen of yield* Effect.all([ask, ask, ask], { concurrency: 3 }))
          assert.deepStrictEqual(seen, expected)
      })
    )
  }
})
