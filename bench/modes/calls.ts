/** Compares protected calls of `effect/rpc` and of MCP tools with the same calls without protection. */
import type { Request } from "../generator/request.ts"
import { type Minter, serveIssuer } from "../harness/issuer.ts"
import { Load } from "../harness/Load.ts"
import { check, measure, type Options, ratio, type Row, type Sample, typical } from "../harness/measure.ts"
import { callServer, Server } from "../harness/servers.ts"
import { minting } from "../harness/tokens.ts"
import type { Settings } from "../options.ts"
import { markdown, section } from "../report/document.ts"
import { align } from "../report/table.ts"

const contains = JSON.stringify("items")

const procedure = (tag: string) => ({
  path: "/rpc",
  post: {
    headers: { "Content-Type": "application/ndjson" },
    body: `${JSON.stringify({ _tag: "Request", id: "1", tag, payload: null, headers: [] })}\n`
  }
})

const tool = (path: string) => ({
  path,
  post: {
    headers: {
      Accept: "application/json, text/event-stream",
      "Content-Type": "application/json",
      "Mcp-Protocol-Version": "2026-07-28",
      "Mcp-Method": "tools/call",
      "Mcp-Name": "list"
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: {
        name: "list",
        arguments: {},
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1.0.0" },
          "io.modelcontextprotocol/clientCapabilities": {}
        }
      }
    })
  }
})

/** The kinds of calls. Both calls of a kind send the same token. */
const kinds = {
  rpc: { title: "a call of `effect/rpc`", open: procedure("open"), protected: procedure("protected") },
  mcp: { title: "a call of an MCP tool", open: tool("/mcp-open"), protected: tool("/mcp") }
} as const

type Kind = keyof typeof kinds

interface Measured {
  readonly open: ReadonlyArray<Sample>
  readonly protected: ReadonlyArray<Sample>
}

/** A call without a valid token must fail before the measurement. MCP responds with 401, and `effect/rpc` with an error. */
const refused = (token: string): ReadonlyArray<Request> => [
  { ...kinds.rpc.protected, token, status: 200, contains: "InvalidToken" },
  { ...kinds.mcp.protected, token, status: 401, challenge: true }
]

const measureCalls = async (minter: Minter, options: Options): Promise<ReadonlyMap<Kind, Measured>> => {
  const load = await Load.start()
  const server = await Server.run(callServer, minter, { label: "calls" })
  const token = minting(minter)(0).compact
  const names = Object.keys(kinds) as ReadonlyArray<Kind>
  const rows = names.flatMap((kind) =>
    (["open", "protected"] as const).map((what): Row => ({
      server,
      list: `${kind}, ${what}`,
      requests: [{ ...kinds[kind][what], token, status: 200, contains }]
    }))
  )
  const forged = `${token.slice(0, token.lastIndexOf("."))}.${minting(minter)(1).compact.split(".")[2] ?? ""}`
  await check(load, { server, list: "refused calls", requests: refused(forged) }, options, 0)
  for (const row of rows) await check(load, row, options)
  const samples = await measure(load, rows, options)
  await Promise.all([load, server].map((child) => child.stop()))
  return new Map(names.map((kind, i) => [kind, { open: samples[2 * i]!, protected: samples[2 * i + 1]! }]))
}

/** Prints the ratios. `writes` updates docs/performance.md, too. */
export const calls = async (
  { connections, rounds = 11, seconds = 0.3 }: Pick<Settings, "connections" | "rounds" | "seconds">,
  writes = true
): Promise<void> => {
  const issuer = await serveIssuer("RS256")
  const measured = await measureCalls(issuer.minter, { connections, rounds, seconds })
  issuer.close()
  console.log(`${align([["calls", ...columns], ...rowsOf(measured)])}\n`)
  for (const [kind, samples] of measured) {
    console.log("RATIO", `${kind}-call-vs-open`, ratio("rate", samples.protected, samples.open).toFixed(3))
  }
  if (writes) await section("calls", markdown(["", ...columns], rowsOf(measured)))
}

const columns = ["requests per second, as a ratio to the open call", "CPU µs, open", "CPU µs, protected"]

const rowsOf = (measured: ReadonlyMap<Kind, Measured>): ReadonlyArray<ReadonlyArray<string>> =>
  Array.from(measured, ([kind, samples]) => [
    kinds[kind].title,
    ratio("rate", samples.protected, samples.open).toFixed(2),
    typical(samples.open).cpu.toFixed(0),
    typical(samples.protected).cpu.toFixed(0)
  ])
