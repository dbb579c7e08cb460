/** The memory of `FailureLimit` stays bounded, however many addresses send failures. */
import { assert, describe, it } from "@effect/vitest"
import { networkOf } from "../../src/limit/address.ts"
import { Blocked } from "../../src/limit/blocked.ts"
import { BoundedKeys } from "../../src/limit/boundedKeys.ts"

const million = 1_000_000
const capacity = 1000
const minute = 60_000

const ipv4 = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
const ipv6 = (i: number) => `2001:db8:${(i >> 16).toString(16)}:${(i & 65_535).toString(16)}::1`

describe("many addresses that fail", () => {
  const count = (addressOf: (i: number) => string, interval: number) => {
    const bounded = new BoundedKeys(capacity, minute)
    const keys = new Set<string>()
    let uncounted = 0
    for (let i = 0; i < million; i++) {
      const key = bounded.keyOf(networkOf(addressOf(i)), i * interval)
      if (key === undefined) uncounted++
      else keys.add(key)
    }
    return { keys: keys.size, uncounted }
  }

  it("in one window use as many keys as the capacity, and do not take the keys of others", () => {
    assert.deepStrictEqual(count(ipv4, 0), { keys: capacity, uncounted: million - capacity })
  }, 60_000)

  it("in many windows use the same keys again and again", () => {
    assert.deepStrictEqual(count(ipv6, 70), { keys: capacity, uncounted: 0 })
  }, 60_000)

  it("leave as many blocked clients as the capacity, and these are the last", () => {
    const blocked = new Blocked(capacity)
    for (let i = 0; i < million; i++) blocked.add(ipv4(i), minute)
    for (let i = 0; i < million; i++) {
      if ((blocked.find(ipv4(i), 0) !== undefined) !== i >= million - capacity) assert.fail(`client ${i}`)
    }
  }, 60_000)

  it("of one IPv6 network share one key", () => {
    const networks = new Set<string>()
    for (let i = 0; i < 100_000; i++) networks.add(networkOf(`2001:db8:1:2:${(i >> 16).toString(16)}::${i & 65_535}`))
    assert.deepStrictEqual(Array.from(networks), ["2001:db8:1:2::/64"])
  })
})
