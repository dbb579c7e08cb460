/** The faults. Each scenario ends with a healthy issuer. The clock may still differ, because the tokens stay valid. */
import { setTimeout } from "node:timers/promises"
import type { Kind } from "./client.ts"
import { faults } from "./issuer.ts"
import { hour, minute, type World } from "./world.ts"

export interface Scenario {
  readonly title: string
  readonly mix: ReadonlyArray<Kind>
  readonly aborts?: boolean
  /** Runs for about `seconds`. */
  readonly run: (world: World, seconds: number) => Promise<void>
}

const attacks = ["forged", "expired", "otherAudience", "otherIssuer", "unsigned"] as const

const mixed: ReadonlyArray<Kind> = ["good", "good", "good", "good", "good", "good", ...attacks, "invented"]

const flood: ReadonlyArray<Kind> = [
  "good",
  "good",
  "good",
  ...attacks,
  ...Array.from({ length: 4 }, () => "invented" as const)
]

const opaque: ReadonlyArray<Kind> = ["goodOpaque", "goodOpaque", "revoked"]

const wait = (seconds: number) => setTimeout(seconds * 1000)

/** Runs an action `count` times in the given time. */
const repeat = async (seconds: number, count: number, action: (index: number) => Promise<unknown> | void) => {
  for (let index = 0; index < count; index++) {
    await action(index)
    await wait(seconds / count)
  }
}

/** While the issuer is down, the keys get stale, then unusable, so the server needs the issuer again. */
const outage = async (world: World, seconds: number, begin: () => unknown, end: () => unknown) => {
  await wait(seconds / 6)
  await begin()
  await wait(seconds / 6)
  await world.setClock(11 * minute)
  await wait(seconds / 3)
  await world.setClock(3 * hour)
  await wait(seconds / 6)
  await end()
  await wait(seconds / 6)
}

export const scenarios: Readonly<Record<string, Scenario>> = {
  healthy: { title: "no fault", mix: [...mixed, "goodOpaque", "revoked"], run: (_, seconds) => wait(seconds) },
  killed: {
    title: "issuer killed; keys stale, then unusable",
    mix: mixed,
    run: (world, seconds) =>
      outage(
        world,
        seconds,
        () => world.killIssuer(),
        () => world.restartIssuer()
      )
  },
  frozen: {
    title: "issuer frozen; keys stale, then unusable",
    mix: mixed,
    run: (world, seconds) =>
      outage(
        world,
        seconds,
        () => world.freezeIssuer(),
        () => world.thawIssuer()
      )
  },
  slow: {
    title: "issuer takes 2 seconds for an answer; keys stale, then unusable",
    mix: mixed,
    run: (world, seconds) =>
      outage(
        world,
        seconds,
        () => world.tellIssuer({ keysFault: "slow" }),
        () => world.tellIssuer({ keysFault: "none" })
      )
  },
  wrong: {
    title: "keys and metadata in nine kinds of trouble",
    mix: mixed,
    run: async (world, seconds) => {
      // The server fetches the keys before the first fault.
      await wait(1)
      await repeat(seconds, faults.length, async (index) => {
        await world.tellIssuer({ keysFault: faults[index]! })
        await world.setClock((index + 1) * 11 * minute)
      })
      await world.tellIssuer({ keysFault: "none" })
    }
  },
  flapping: {
    title: "issuer frozen every second, with rotations",
    mix: mixed,
    run: (world, seconds) =>
      repeat(seconds, Math.ceil(seconds / 2), async () => {
        await world.rotate()
        world.freezeIssuer()
        await wait(1)
        world.thawIssuer()
      })
  },
  rotation: {
    title: "a rotation every 3 seconds",
    mix: mixed,
    run: (world, seconds) => repeat(seconds, Math.ceil(seconds / 3), () => world.rotate())
  },
  flood: {
    title: "ten rotations, with a flood of invented kids",
    mix: flood,
    run: (world, seconds) => repeat(seconds, 10, () => world.rotate())
  },
  clock: {
    title: "clock jumps of up to 6 hours, forward and back",
    mix: mixed,
    run: async (world, seconds) => {
      const offsets = [1, -1, 15, -15, 60, -60, 360, -360].map((minutes) => minutes * minute)
      await repeat(seconds, offsets.length, (index) => world.setClock(offsets[index]!))
      await world.setClock(0)
    }
  },
  aborts: {
    title: "a tenth of the requests aborted, with rotations",
    mix: [...mixed, "goodOpaque", "revoked"],
    aborts: true,
    run: (world, seconds) => repeat(seconds, Math.ceil(seconds / 3), () => world.rotate())
  },
  introspection: {
    title: "introspection in nine kinds of trouble",
    mix: opaque,
    run: async (world, seconds) => {
      await repeat(seconds, 2 * faults.length, (index) =>
        world.tellIssuer({ introspectionFault: index % 2 === 0 ? faults[index / 2]! : "none" })
      )
      await world.tellIssuer({ introspectionFault: "none" })
    }
  },
  introspectionKilled: {
    title: "introspection, with the issuer killed and frozen",
    mix: opaque,
    run: async (world, seconds) => {
      await wait(seconds / 4)
      await world.killIssuer()
      await wait(seconds / 4)
      await world.restartIssuer()
      world.freezeIssuer()
      await wait(seconds / 4)
      world.thawIssuer()
      await wait(seconds / 4)
    }
  }
}
