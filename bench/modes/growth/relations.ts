/**
 * Compares a large server with a small server, with a cached token. All figures are ratios, large to small:
 *
 * - `cpu` and `time`: CPU time and elapsed time of a request.
 * - `open-cpu`: CPU time of the open route with the same header. Shows the growth without authentication.
 * - `raw-cpu` and `raw-time`: those of `node:http`. They show the growth without this library and Effect.
 *
 * A relation fails if its `cpu` or `time` grows by more than 15 percent, and by more than `node:http` in the same run.
 */
import { type Issuer, serveIssuer } from "../../harness/issuer.ts"
import { Load } from "../../harness/Load.ts"
import { check, measure, ratio, type Row } from "../../harness/measure.ts"
import { open } from "../../servers/child.ts"
import { type Name, Server } from "../../harness/servers.ts"
import { minting } from "../../harness/tokens.ts"
import type { Part, Settings } from "../../options.ts"
import { report } from "./report.ts"

interface Size {
  readonly routes?: number
  readonly scopes?: number
  readonly keys?: number
  readonly connections?: number
}

interface Relation {
  readonly name: Part
  readonly server: Name
  readonly small: Size
  readonly large: Size
}

const all: ReadonlyArray<Relation> = [
  { name: "routes-router", server: "ours-router", small: { routes: 10 }, large: { routes: 10_000 } },
  { name: "routes-api", server: "ours-api", small: { routes: 10 }, large: { routes: 10_000 } },
  { name: "scopes", server: "ours-router", small: { scopes: 1 }, large: { scopes: 100 } },
  { name: "keys", server: "ours-router", small: { keys: 1 }, large: { keys: 100 } },
  { name: "connections", server: "ours-router", small: { connections: 16 }, large: { connections: 1000 } }
]

/** The growth that is allowed, and the noise of a ratio. */
const limit = 1.15

// With 1,000 connections, node:http itself grows by a third. Only what this library adds may fail.
const limitAbove = (raw: number): number => limit * Math.max(1, raw)

export const relations = async ({ connections, parts, rounds = 9, seconds = 1 }: Settings): Promise<void> => {
  const chosen = all.filter(({ name }) => parts.includes(name))
  const load = await Load.start()
  for (const { large, name, server, small } of chosen) {
    const sides = [await start(server, name, "small", small), await start(server, name, "large", large)] as const
    const rows = sides.flatMap(({ openRow, rawRow, row }) => [row, openRow, rawRow])
    const options = { rounds, seconds, connections }
    for (const row of rows) await check(load, row, options)
    const [smalls = [], openSmalls = [], rawSmalls = [], larges = [], openLarges = [], rawLarges = []] = await measure(
      load,
      rows,
      options
    )
    const rawCpu = ratio("cpu", rawLarges, rawSmalls)
    const rawTime = ratio("rate", rawSmalls, rawLarges)
    report("GROWTH", `${name}-cpu`, ratio("cpu", larges, smalls), limitAbove(rawCpu))
    report("GROWTH", `${name}-time`, ratio("rate", smalls, larges), limitAbove(rawTime))
    report("GROWTH", `${name}-open-cpu`, ratio("cpu", openLarges, openSmalls))
    report("GROWTH", `${name}-raw-cpu`, rawCpu)
    report("GROWTH", `${name}-raw-time`, rawTime)
    for (const { issuer, rawRow, row } of sides) {
      await row.server.stop()
      await rawRow.server.stop()
      issuer.close()
    }
  }
  await load.stop()
}

const start = async (
  server: Name,
  relation: string,
  label: string,
  { connections, keys = 1, routes = 1, scopes = 1 }: Size
): Promise<{ readonly issuer: Issuer; readonly row: Row; readonly openRow: Row; readonly rawRow: Row }> => {
  // EdDSA keys are fast to generate. The algorithm does not matter, because a cached token needs no signature check.
  const issuer = await serveIssuer("EdDSA", keys)
  const required = Array.from({ length: scopes }, (_, i) => `items:${i}`)
  const { compact, subject } = minting(issuer.minter, required)(0)
  const list = `${relation}, ${label}`
  const requests = [{ path: "/items", token: compact, status: 200, body: JSON.stringify({ subject }) }]
  const started = await Server.start(server, issuer.minter, { label: list, settings: { routes, scopes: required } })
  const sized = (row: Row): Row => (connections === undefined ? row : { ...row, connections })
  const raw = await Server.start("raw-map", issuer.minter, { label: `${list}, raw`, settings: { scopes: required } })
  const openRequest = { path: "/open", token: compact, status: 200, body: JSON.stringify(open) }
  return {
    issuer,
    row: sized({ server: started, list, requests }),
    openRow: sized({ server: started, list: `${list}, open`, requests: [openRequest] }),
    rawRow: sized({ server: raw, list: `${list}, open`, requests: [openRequest] })
  }
}
