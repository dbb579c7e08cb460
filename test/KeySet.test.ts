import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option } from "effect"
import { KeySet, SecurityError } from "effect-oauth2"
import { TestClock } from "effect/testing"
import { Endpoints, issuer, makeKey } from "./support/Issuer.ts"

const keys = Effect.runPromise(Effect.all({ first: makeKey("k1"), second: makeKey("k2") }))

const rs256 = (kid: string) => ({ alg: "RS256", kid })

/** A key set by discovery at endpoints that the test controls. */
const withDiscovery = <A, E>(
  body: (endpoints: Endpoints, keySet: KeySet.KeySet["Service"]) => Effect.Effect<A, E>,
  identifier = issuer
) =>
  Effect.gen(function* () {
    const { first } = yield* Effect.promise(() => keys)
    const endpoints = new Endpoints([first])
    return yield* Effect.flatMap(KeySet.KeySet, (keySet) => body(endpoints, keySet)).pipe(
      Effect.provide(KeySet.layerDiscovery({ issuer: identifier }).pipe(Layer.provide(endpoints.layer)))
    )
  })

const assertUnavailable = (exit: Exit.Exit<unknown, unknown>, reason: string) => {
  assert(Exit.isFailure(exit))
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
  assert.strictEqual(error.reason, reason)
}

const assertUnknown = (exit: Exit.Exit<unknown, unknown>) => {
  assert(Exit.isFailure(exit))
  assert.instanceOf(Option.getOrThrow(Exit.findErrorOption(exit)), SecurityError.InvalidToken)
}

describe("KeySet", () => {
  it.effect("finds the keys by OpenID Connect Discovery, when they are first needed", () =>
    withDiscovery((endpoints, keySet) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(endpoints.requests, [])
        assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        assert.deepStrictEqual(endpoints.requests, [
          "https://idp.example.com/.well-known/openid-configuration",
          "https://idp.example.com/jwks"
        ])
      })
    )
  )

  it.effect(
    "finds them by RFC 8414 where there is no OpenID Connect document, with the path after the well-known part",
    () =>
      withDiscovery(
        (endpoints, keySet) =>
          Effect.gen(function* () {
            endpoints.answer = (url) =>
              url.pathname === "/.well-known/oauth-authorization-server/tenant"
                ? Response.json({ issuer: `${issuer}/tenant`, jwks_uri: `${issuer}/jwks` })
                : endpoints.standard(url)
            yield* keySet.refresh
            assert.deepStrictEqual(endpoints.requests, [
              "https://idp.example.com/tenant/.well-known/openid-configuration",
              "https://idp.example.com/.well-known/oauth-authorization-server/tenant",
              "https://idp.example.com/jwks"
            ])
          }),
        `${issuer}/tenant`
      )
  )

  it.effect("fetches once for many requests at a time, and keeps the keys for ten minutes", () =>
    withDiscovery((endpoints, keySet) =>
      Effect.gen(function* () {
        yield* Effect.all(
          Array.from({ length: 50 }, () => keySet.find(rs256("k1"))),
          { concurrency: "unbounded" }
        )
        yield* TestClock.adjust("599 seconds")
        yield* keySet.find(rs256("k1"))
        assert.lengthOf(endpoints.requests, 2)
        yield* TestClock.adjust("1 second")
        yield* keySet.find(rs256("k1"))
        assert.lengthOf(endpoints.requests, 4)
      })
    )
  )

  it.effect("learns a new key at once, and is not made to fetch by invented ones", () =>
    withDiscovery((endpoints, keySet) =>
      Effect.gen(function* () {
        const { first, second } = yield* Effect.promise(() => keys)
        yield* keySet.refresh
        endpoints.keys = [first.jwk, second.jwk]
        assert.lengthOf(yield* keySet.find(rs256("k2")), 1)
        assert.lengthOf(endpoints.requests, 4)
        for (let i = 0; i < 20; i++) assertUnknown(yield* Effect.exit(keySet.find(rs256(`invented-${i}`))))
        assert.lengthOf(endpoints.requests, 4)
        yield* TestClock.adjust("30 seconds")
        assertUnknown(yield* Effect.exit(keySet.find(rs256("invented"))))
        assert.lengthOf(endpoints.requests, 6)
      })
    )
  )

  describe("in an outage", () => {
    it.effect("without keys it is unavailable, asks again after five seconds, and recovers by itself", () =>
      withDiscovery((endpoints, keySet) =>
        Effect.gen(function* () {
          endpoints.answer = () => "unreachable"
          for (let i = 0; i < 20; i++) assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
          assert.lengthOf(endpoints.requests, 1)
          endpoints.answer = endpoints.standard
          yield* TestClock.adjust("5 seconds")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )

    it.effect("known keys serve for an hour; an unknown key is never a refusal", () =>
      withDiscovery((endpoints, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          endpoints.answer = () => "unreachable"
          yield* TestClock.adjust("3599 seconds")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
          for (let i = 0; i < 3; i++) assertUnavailable(yield* Effect.exit(keySet.find(rs256("k2"))), "Unreachable")
          yield* TestClock.adjust("1 second")
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "Unreachable")
        })
      )
    )

    it.effect("an unknown key that could not be looked for is no refusal, though the keys are fresh", () =>
      withDiscovery((endpoints, keySet) =>
        Effect.gen(function* () {
          yield* keySet.refresh
          endpoints.answer = () => "unreachable"
          assertUnavailable(yield* Effect.exit(keySet.find(rs256("k2"))), "Unreachable")
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )

    it.effect("an issuer that does not answer is given up after five seconds", () =>
      withDiscovery((endpoints, keySet) =>
        Effect.gen(function* () {
          endpoints.answer = () => "hangs"
          const fiber = yield* Effect.forkChild(Effect.exit(keySet.find(rs256("k1"))))
          yield* TestClock.adjust("5 seconds")
          assertUnavailable(yield* Fiber.join(fiber), "Timeout")
        })
      )
    )

    it.effect("a request that is interrupted takes nobody else with it", () =>
      withDiscovery((endpoints, keySet) =>
        Effect.gen(function* () {
          endpoints.answer = () => "hangs"
          const one = yield* Effect.forkChild(keySet.find(rs256("k1")))
          const other = yield* Effect.forkChild(Effect.exit(keySet.find(rs256("k1"))))
          yield* Effect.yieldNow
          yield* Fiber.interrupt(one)
          yield* TestClock.adjust("5 seconds")
          assertUnavailable(yield* Fiber.join(other), "Timeout")
        })
      )
    )

    const answers: ReadonlyArray<readonly [name: string, answer: (url: URL) => Response, reason: string]> = [
      ["an error", () => new Response("sorry", { status: 500 }), "BadResponse"],
      ["HTML", () => new Response("<html>", { headers: { "content-type": "text/html" } }), "BadResponse"],
      ["an empty body", () => new Response(""), "BadResponse"],
      ["nothing under either address", () => new Response(null, { status: 404 }), "BadResponse"],
      [
        "another issuer's metadata",
        () => Response.json({ issuer: "https://evil.example.com", jwks_uri: issuer }),
        "IssuerMismatch"
      ],
      ["keys over http", () => Response.json({ issuer, jwks_uri: "http://idp.example.com/jwks" }), "BadResponse"],
      [
        "no key set",
        (url) =>
          url.pathname === "/jwks" ? Response.json({ keys: 1 }) : Response.json({ issuer, jwks_uri: `${issuer}/jwks` }),
        "BadResponse"
      ]
    ]
    for (const [name, answer, reason] of answers) {
      it.effect(`an issuer that answers with ${name} is unavailable`, () =>
        withDiscovery((endpoints, keySet) =>
          Effect.gen(function* () {
            endpoints.answer = answer
            assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), reason)
          })
        )
      )
    }
  })

  it.effect("reads a key set at a given URL", () =>
    Effect.gen(function* () {
      const { first } = yield* Effect.promise(() => keys)
      const endpoints = new Endpoints([first])
      const found = yield* Effect.flatMap(KeySet.KeySet, (keySet) => keySet.find(rs256("k1"))).pipe(
        Effect.provide(KeySet.layerRemote({ url: `${issuer}/jwks?tenant=1` }).pipe(Layer.provide(endpoints.layer)))
      )
      assert.lengthOf(found, 1)
      assert.deepStrictEqual(endpoints.requests, ["https://idp.example.com/jwks?tenant=1"])
    })
  )

  it.effect("ignores what is no key in a set", () =>
    withDiscovery((endpoints, keySet) =>
      Effect.gen(function* () {
        const { first } = yield* Effect.promise(() => keys)
        endpoints.answer = (url) =>
          url.pathname === "/jwks"
            ? Response.json({ keys: [{}, { kty: 1 }, { kty: "XYZ", kid: "k1" }, { kty: "RSA", kid: "k1" }, first.jwk] })
            : endpoints.standard(url)
        assert.isAtLeast((yield* keySet.find(rs256("k1"))).length, 1)
      })
    )
  )
})
