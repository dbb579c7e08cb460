/**
 * Sends good and bad tokens to a server over real sockets while its issuer fails, and checks every answer.
 *
 * No bad token may be accepted, no answer may belong to another user, and an outage may not become a 401.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { format, resolveConfig } from "prettier"
import { align } from "../../bench/report/table.ts"
import type { Tally } from "./client.ts"
import { type Scenario, scenarios } from "./scenarios.ts"
import { World } from "./world.ts"

/** A new key is unavailable for at most 30 seconds and a fetch, if other tokens cause searches. */
const recoveryLimit = 40

interface Outcome extends Tally {
  readonly title: string
  readonly recovery: number | undefined
}

const run = async ({ aborts = false, mix, run, title }: Scenario, seconds: number): Promise<Outcome> => {
  const kind = mix.includes("good") ? "good" : "goodOpaque"
  const world = await World.start(mix, aborts)
  await run(world, seconds)
  const recovery = await world.recovery(kind, recoveryLimit)
  const tallies = await world.end()
  const sum = (of: (tally: Tally) => number) => tallies.reduce((total, tally) => total + of(tally), 0)
  const violations: Record<string, number> = recovery === undefined ? { "the server does not recover": 1 } : {}
  for (const tally of tallies) {
    for (const [name, count] of Object.entries(tally.violations)) violations[name] = (violations[name] ?? 0) + count
  }
  const accepted = sum((tally) => tally.accepted)
  if (accepted === 0) violations["no good token is accepted"] = 1
  return {
    title,
    recovery,
    accepted,
    refused: sum((tally) => tally.refused),
    unavailable: sum((tally) => tally.unavailable),
    aborted: sum((tally) => tally.aborted),
    longest: Math.max(...tallies.map((tally) => tally.longest)),
    violations
  }
}

const head = ["scenario", "good, 200", "bad, 401", "503", "aborted", "longest", "recovery", "wrong"]

const line = ({ aborted, accepted, longest, recovery, refused, title, unavailable, violations }: Outcome) => [
  title,
  ...[accepted, refused, unavailable, aborted].map((count) => count.toLocaleString("en")),
  `${(longest / 1000).toFixed(1)} s`,
  recovery === undefined ? "never" : `${recovery.toFixed(1)} s`,
  String(Object.values(violations).reduce((total, count) => total + count, 0))
]

/** Writes the table of a complete run. */
const write = async (lines: ReadonlyArray<ReadonlyArray<string>>): Promise<void> => {
  const filepath = join(import.meta.dirname, "../../docs/soak.md")
  const table = [head, head.map((_, i) => (i === 0 ? "---" : "--:")), ...lines].map(
    (cells) => `| ${cells.join(" | ")} |`
  )
  const text = readFileSync(filepath, "utf8").replace(
    /(<!-- begin run -->)[^]*(<!-- end run -->)/,
    (_, begin: string, end: string) => `${begin}\n\n${table.join("\n")}\n\n${end}`
  )
  writeFileSync(filepath, await format(text, { ...(await resolveConfig(filepath)), filepath }))
}

const { values } = parseArgs({ options: { seconds: { type: "string" }, scenarios: { type: "string" } } })
const seconds = Number(values.seconds ?? 15)
const names = values.scenarios?.split(",") ?? Object.keys(scenarios)
const unknown = names.find((name) => !Object.hasOwn(scenarios, name))
if (unknown !== undefined || !(seconds >= 5 && seconds <= 60)) {
  console.error(`npm run soak -- --seconds=15 --scenarios=${Object.keys(scenarios).join(",")}`)
  process.exit(1)
}

const outcomes: Array<Outcome> = []
for (const name of names) {
  console.error(`${name} …`)
  outcomes.push(await run(scenarios[name]!, seconds))
}
const lines = outcomes.map(line)
console.log(align([head, ...lines]))
for (const { title, violations } of outcomes) {
  for (const [name, count] of Object.entries(violations)) console.log(`WRONG ${title}: ${name} (${count})`)
}
if (values.scenarios === undefined) await write(lines)
process.exit(outcomes.some(({ violations }) => Object.keys(violations).length > 0) ? 1 : 0)
