// The cache of a token source, without an authorization server.
import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as tokenCache from "../../src/client/cache/tokenCache.ts"

it.effect("a token cache has a bounded memory, and keeps what was used last", () =>
  Effect.gen(function* () {
    const fetched: Array<number> = []
    const cache = tokenCache.make<number>({
      lifetimes: { renewAhead: 0, expiryMargin: 0, defaultLifetime: 1000 },
      scope: yield* Effect.scope,
      textOf: String,
      fetch: (key) =>
        Effect.sync(() => {
          fetched.push(key)
          const value = Redacted.make(`token-${key}`)
          return { token: { value, type: "Bearer", scopes: new Set<string>(), expiresAt: 60_000 }, sentAt: 0 }
        })
    })
    for (let key = 0; key < 1000; key++) yield* cache.get(key)
    yield* cache.get(0)
    yield* cache.get(1000)
    assert.strictEqual(fetched.length, 1001)
    yield* cache.get(0)
    assert.strictEqual(fetched.length, 1001)
    yield* cache.get(1)
    assert.strictEqual(fetched.length, 1002)
  })
)
