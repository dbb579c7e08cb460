/** Pollutes `Object.prototype` of this process, and prints which refused credentials are then accepted. */
import { DateTime, Effect } from "effect"
import { AccessToken } from "effect-oauth2"
import { randomBytes } from "node:crypto"
import { others } from "./others.ts"
import { always, names, ofLibrary, polluted, type Readers, type Value, watching } from "./prototype.ts"
import { issuer } from "./tokens.ts"
import { guards, type Outcome, type Probe, verifiers, type World, type Worlds } from "./worlds.ts"

export interface Report {
  /** Wrong responses of programs that are not polluted. */
  readonly unexpected: ReadonlyArray<string>
  /** Each property that this library reads from `Object.prototype`, with the place in the source. */
  readonly inherited: ReadonlyArray<string>
  /** Credentials that are accepted only because of a pollution. */
  readonly opened: ReadonlyArray<string>
  /** The number of watched names. */
  readonly names: number
  /** The number of names that were polluted. */
  readonly tried: number
  /** The number of probes that ran. */
  readonly asked: number
}

const accepted = AccessToken.make({
  subject: "attacker",
  scopes: "read write",
  issuer,
  expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
})

/** Values that a merge of JSON can add to `Object.prototype`, and values that would help an attacker most. */
const values: ReadonlyArray<Value> = Object.entries<unknown>({
  true: true,
  '"*"': "*",
  "a function": () => true,
  "an accepted token": Effect.succeed(accepted),
  // All values take twice as long: POLLUTION=all tries them.
  ...(process.env["POLLUTION"] === "all"
    ? { false: false, "the empty string": "", 0: 0, "an object": {}, "an array": [] }
    : undefined)
}).map(([what, value]) => ({ what, value }))

interface Results {
  readonly outcomes: Array<Outcome | "no outcome">
  readonly whys: Array<string>
  /** Resolves to nothing, because JavaScript reads `then` from the value of a promise. */
  readonly ended: Promise<void>
}

let asked = 0

/** Waits for one turn of the event loop and of the single worker thread (`UV_THREADPOOL_SIZE` is 1). */
const turn = (then: () => void): void => randomBytes(1, () => setImmediate(then))

// No probe takes more turns without an outcome of any probe.
const maxTurns = 40

/** Runs all probes at the same time. Stops after `maxTurns` without an outcome, because a polluted program may hang. */
const runProbes = (probes: ReadonlyArray<Probe>): Results => {
  asked += probes.length
  const outcomes: Results["outcomes"] = probes.map(() => "no outcome")
  const whys: Results["whys"] = probes.map(() => "")
  const ended = new Promise<void>((resolve) => {
    let pending = probes.length
    let turns = 0
    const wait = () => {
      if (pending === 0 || turns++ === maxTurns) resolve()
      else turn(wait)
    }
    probes.forEach(({ run }, i) => {
      const end = (outcome: Outcome, why: string) => {
        if (outcomes[i] !== "no outcome") return
        outcomes[i] = outcome
        whys[i] = why
        pending--
        turns = 0
      }
      try {
        run(end)
      } catch {
        end("failed", "")
      }
    })
    wait()
  })
  return { outcomes, whys, ended }
}

/** Returns the outcomes that differ from those of a program that is not polluted. */
const unexpected = async ({ probes }: World): Promise<ReadonlyArray<string>> => {
  const results = runProbes(probes)
  await results.ended
  return probes.flatMap(({ isGood, name, why }, i) => {
    const [outcome, given] = [results.outcomes[i], results.whys[i]]
    return outcome !== "no outcome" && (outcome === "accepted") === isGood && given === why
      ? []
      : [`${name}: ${outcome} ${given}`]
  })
}

const opened: Array<string> = []

const runPolluted = async ({ probes }: World, what: string): Promise<void> => {
  const { ended, outcomes } = runProbes(probes)
  await ended
  for (let i = 0; i < probes.length; i++) {
    const probe = probes[i]
    if (probe?.isGood === false && outcomes[i] === "accepted") opened.push(`${what}: ${probe.name}`)
  }
}

/**
 * A program, and the names that are read from `Object.prototype` during the first run of its probes and during a later
 * run.
 */
interface Tried {
  readonly name: string
  readonly build: () => World
  readonly first: Readers
  readonly again: Readers
  world: World
}

const reads = (readers: Readers, name: string): boolean => readers.has(name) || always.includes(name)

/** Pollutes one name with each value, and runs the probes of each program that reads the name. */
const pollute = async (name: string, programs: ReadonlyArray<Tried>): Promise<void> => {
  const first = programs.filter((program) => reads(program.first, name))
  const again = programs.filter((program) => reads(program.again, name))
  const built: Array<World> = []
  await polluted(name, values, async (what) => {
    for (const { name, world } of again) await runPolluted(world, `${what}: ${name}`)
    for (const { build, name } of first) {
      try {
        const world = build()
        built.push(world)
        await runPolluted(world, `${what}, from the start: ${name}`)
      } catch {
        // A program that cannot be built accepts nothing.
      }
    }
  })
  for (const { dispose } of built) dispose()
  for (const program of again) {
    // The pollution may have stopped the program for good. If so, build it again.
    if ((await unexpected(program.world)).length === 0) continue
    program.world.dispose()
    program.world = program.build()
    await unexpected(program.world)
  }
}

const report = async (worlds: Worlds): Promise<Report> => {
  const wrong: Array<string> = []
  const expect = async (name: string, world: World) => {
    wrong.push(...(await unexpected(world)).map((result) => `${name}: ${result}`))
    return world
  }
  for (const [name, build] of Object.entries(worlds)) (await expect(name, build())).dispose()
  const programs = await watching(async (readersOf) => {
    const programs: Array<Tried> = []
    for (const [name, build] of Object.entries(worlds)) {
      const first = await readersOf(() => expect(name, build()))
      const again = await readersOf(() => expect(name, first.result))
      programs.push({ name, build, first: first.readers, again: again.readers, world: first.result })
    }
    return programs
  })
  const read = programs.flatMap(({ again, first }) => [first, again])
  const tried = new Set([...always, ...read.flatMap((readers) => Array.from(readers.keys()))])
  for (const name of tried) await pollute(name, programs)
  for (const { world } of programs) world.dispose()
  return {
    unexpected: wrong,
    inherited: Array.from(new Set(read.flatMap(ofLibrary))),
    opened,
    names: names.size,
    tried: tried.size,
    asked
  }
}

const reportOthers = async (): Promise<Report> => {
  const before = await others()
  const { readers, result } = await watching((readersOf) => readersOf(others))
  const unexpected = result === before ? [] : [result]
  return { unexpected, inherited: ofLibrary(readers), opened, names: names.size, tried: 0, asked }
}

// Errors of polluted programs are expected.
process.on("unhandledRejection", () => {})
process.on("uncaughtException", () => {})

const reports: Readonly<Record<string, () => Promise<Report>>> = {
  guards: () => report(guards),
  verifiers: () => report(verifiers),
  others: reportOthers
}

process.stdout.write(JSON.stringify(await reports[process.argv[2] ?? ""]?.()), () => process.exit())
