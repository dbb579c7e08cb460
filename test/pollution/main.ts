/** Pollutes `Object.prototype` of this process, and writes to the standard output what that has opened. */
import { DateTime, Effect } from "effect"
import { AccessToken } from "effect-oauth2"
import { randomBytes } from "node:crypto"
import { others } from "./others.ts"
import { always, names, ofLibrary, polluted, type Readers, type Value, watching } from "./prototype.ts"
import { issuer } from "./tokens.ts"
import { guards, type Outcome, type Probe, verifiers, type World, type Worlds } from "./worlds.ts"

export interface Report {
  /** What a program that nobody pollutes says otherwise than it should. */
  readonly unexpected: ReadonlyArray<string>
  /** What this library reads by inheritance, and where. */
  readonly inherited: ReadonlyArray<string>
  /** What a pollution has opened. */
  readonly opened: ReadonlyArray<string>
  /** How many names there are, how many of them were tried, and how many times something was asked. */
  readonly names: number
  readonly tried: number
  readonly asked: number
}

const accepted = AccessToken.make({
  subject: "attacker",
  scopes: "read write",
  issuer,
  expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
})

/** What a merge of JSON can put there, and what an attacker would like best. */
const values: ReadonlyArray<Value> = Object.entries<unknown>({
  true: true,
  false: false,
  "the empty string": "",
  '"*"': "*",
  0: 0,
  "an object": {},
  "an array": [],
  "a function": () => true,
  "an accepted token": Effect.succeed(accepted)
}).map(([what, value]) => ({ what, value }))

interface Answers {
  readonly outcomes: Array<Outcome | "no answer">
  readonly whys: Array<string>
  /** It gives nothing: of what a promise gives, the language looks for `then`. */
  readonly ended: Promise<void>
}

let asked = 0

/** A turn of the event loop, and of the one thread that does what takes longer (`UV_THREADPOOL_SIZE` is 1). */
const turn = (then: () => void): void => randomBytes(1, () => setImmediate(then))

// No answer takes so many steps one after the other.
const maxTurns = 40

/** Asks all at once. A polluted program may stand still: where nothing is answered for a number of turns, nothing will be. */
const ask = (probes: ReadonlyArray<Probe>): Answers => {
  asked += probes.length
  const outcomes: Answers["outcomes"] = probes.map(() => "no answer")
  const whys: Answers["whys"] = probes.map(() => "")
  const ended = new Promise<void>((resolve) => {
    let open = probes.length
    let turns = 0
    const wait = () => {
      if (open === 0 || turns++ === maxTurns) resolve()
      else turn(wait)
    }
    probes.forEach(({ run }, i) => {
      const end = (outcome: Outcome, why: string) => {
        if (outcomes[i] !== "no answer") return
        outcomes[i] = outcome
        whys[i] = why
        open--
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

/** What is answered otherwise than where nobody pollutes anything. */
const unexpected = async ({ probes }: World): Promise<ReadonlyArray<string>> => {
  const answers = ask(probes)
  await answers.ended
  return probes.flatMap(({ isGood, name, why }, i) => {
    const [outcome, given] = [answers.outcomes[i], answers.whys[i]]
    return outcome !== "no answer" && (outcome === "accepted") === isGood && given === why
      ? []
      : [`${name}: ${outcome} ${given}`]
  })
}

const opened: Array<string> = []

const askPolluted = async ({ probes }: World, what: string): Promise<void> => {
  const { ended, outcomes } = ask(probes)
  await ended
  for (let i = 0; i < probes.length; i++) {
    const probe = probes[i]
    if (probe?.isGood === false && outcomes[i] === "accepted") opened.push(`${what}: ${probe.name}`)
  }
}

/** A program, and who reads what by inheritance while it is built and asked for the first time, and while it is asked again. */
interface Tried {
  readonly name: string
  readonly build: () => World
  readonly first: Readers
  readonly again: Readers
  world: World
}

const reads = (readers: Readers, name: string): boolean => readers.has(name) || always.includes(name)

/** The programs that read the name then, with each value of it. */
const pollute = async (name: string, programs: ReadonlyArray<Tried>): Promise<void> => {
  const first = programs.filter((program) => reads(program.first, name))
  const again = programs.filter((program) => reads(program.again, name))
  const built: Array<World> = []
  await polluted(name, values, async (what) => {
    for (const { name, world } of again) await askPolluted(world, `${what}: ${name}`)
    for (const { build, name } of first) {
      try {
        const world = build()
        built.push(world)
        await askPolluted(world, `${what}, from the start: ${name}`)
      } catch {
        // What is not built accepts nothing.
      }
    }
  })
  for (const { dispose } of built) dispose()
  for (const program of again) {
    // It may stand still for good.
    if ((await unexpected(program.world)).length === 0) continue
    program.world.dispose()
    program.world = program.build()
    await unexpected(program.world)
  }
}

const report = async (worlds: Worlds): Promise<Report> => {
  const wrong: Array<string> = []
  const expect = async (name: string, world: World) => {
    wrong.push(...(await unexpected(world)).map((one) => `${name}: ${one}`))
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

// What goes wrong in a polluted program is not told.
process.on("unhandledRejection", () => {})
process.on("uncaughtException", () => {})

const reports: Readonly<Record<string, () => Promise<Report>>> = {
  guards: () => report(guards),
  verifiers: () => report(verifiers),
  others: reportOthers
}

process.stdout.write(JSON.stringify(await reports[process.argv[2] ?? ""]?.()), () => process.exit())
