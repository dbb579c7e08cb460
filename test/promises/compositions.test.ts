/**
 * Composes layers at random. No composition may open a route or a middleware that is declared inside a requirement, and
 * every healthy composition must start and serve. `compositions.examples.test.ts` has readable programs for each rule.
 *
 * A failure prints the seed and the program. `SEED=12` runs one program, `SHAPES=10000` runs more programs.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Running } from "../support/compositions/build.ts"
import { check, type Checked, failureText } from "../support/compositions/check.ts"
import { plainProgramOf, programOf } from "../support/compositions/assemble.ts"
import { meaningOf } from "../support/compositions/model.ts"
import { places, type Program, unshared } from "../support/compositions/program.ts"

const count = Number(process.env["SHAPES"] ?? 600)
const cases = 6
const seed = process.env["SEED"]
const seeds = seed === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(seed)]

/** A failure prints at most this many programs. */
const printed = 3

const assertRight = (checked: ReadonlyArray<Checked>): void => {
  const wrong = checked.filter((one) => one.wrong.length > 0)
  if (wrong.length === 0) return
  const seeds = wrong.map(({ program }) => program.seed).join(", ")
  const texts = wrong.slice(0, printed).map(failureText)
  assert.fail([`${wrong.length} of ${checked.length} programs are wrong: ${seeds}`, ...texts].join("\n\n"))
}

const checkAll = (programs: ReadonlyArray<Program>): Promise<void> =>
  Effect.runPromise(Effect.forEach(programs, check)).then(assertRight)

const timeout = 20_000 + count * 50

describe("random compositions of layers do what they declare", () => {
  const size = Math.ceil(seeds.length / cases)
  for (let i = 0; i < seeds.length; i += size) {
    const part = seeds.slice(i, i + size)
    it(`seeds ${part[0]} to ${part.at(-1)}`, () => checkAll(part.map((seed) => programOf(seed))), timeout)
  }
})

describe("the model of compositions is right", () => {
  // Effect memoizes nothing that two places of these programs need. If a test here fails, the model is wrong.
  it(
    "for programs that share no layer and no requirement",
    () =>
      checkAll(
        seeds
          .slice(0, Math.ceil(count / 4))
          .map((seed) => unshared(programOf(seed)))
          .filter((program) => meaningOf(program).refusals.length === 0)
      ),
    timeout
  )

  it.live("about the order in which HttpRouter applies combined middleware", () =>
    Effect.gen(function* () {
      for (const seed of seeds.slice(0, 100)) {
        const program = plainProgramOf(seed)
        const [route] = meaningOf(program).routes
        if (route === undefined) throw new Error("The program has no route.")
        const { names } = yield* Effect.scoped(
          Effect.flatMap(Running.start(program), (running) => running.send(route.app, route.path, undefined))
        )
        assert.deepStrictEqual(names, [...route.applied, route.handler], `seed ${seed}`)
      }
    }).pipe(Effect.orDie)
  )
})

it("the generator makes programs of every kind", () => {
  const kinds = new Map<string, number>()
  const add = (kind: string) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  for (let seed = 1; seed <= 600; seed++) {
    const program = programOf(seed)
    const { refusals } = meaningOf(program)
    if (refusals.length === 0) add("starts")
    for (const why of new Set(refusals.map(({ why }) => why))) add(`refused: ${why}`)
    const nodes = places(program)
    for (const is of new Set(nodes.map(({ is }) => is))) add(is)
    if (new Set(nodes).size < nodes.length) add("shares a layer")
  }
  const least = {
    starts: 350,
    "refused: order": 50,
    "refused: misplaced": 35,
    "refused: secured": 5,
    "shares a layer": 350,
    api: 250,
    route: 200,
    server: 150,
    secured: 100,
    fresh: 150,
    prebuilt: 150,
    flag: 80,
    database: 80
  }
  for (const [kind, count] of Object.entries(least)) assert.isAtLeast(kinds.get(kind) ?? 0, count, kind)
})
