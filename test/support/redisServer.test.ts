/** What the tests do on a machine without Redis. */
import { assert, describe, it } from "@effect/vitest"
import { decide, decision, missing } from "./redisServer.ts"

describe("without a redis-server", () => {
  it("the tests fail in CI", () => {
    const { isSkipped, message } = decide(undefined, "true")
    assert.isFalse(isSkipped)
    assert.strictEqual(
      message,
      "No Redis server was found, and CI requires one. Install Redis (apt-get install redis-server), or set REDIS_SERVER."
    )
  })

  it("the tests are skipped elsewhere, and a message says how to run them", () => {
    for (const ci of [undefined, "", "false"]) {
      const { isSkipped, message } = decide(undefined, ci)
      assert.isTrue(isSkipped)
      assert.strictEqual(
        message,
        "No Redis server was found, so the tests with Redis are skipped. Install Redis (apt-get install redis-server), or set REDIS_SERVER."
      )
    }
  })
})

it("with a redis-server, the tests run everywhere", () => {
  for (const ci of [undefined, "true"]) {
    assert.deepStrictEqual(decide("/usr/bin/redis-server", ci), { isSkipped: false, message: undefined })
  }
  assert.strictEqual(missing, decision.isSkipped)
})
