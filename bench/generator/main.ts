/** The process that makes the load. `harness/Load.ts` tells it what to do. */
import { answers } from "../answers.ts"
import { minting } from "../harness/tokens.ts"
import type { Minter } from "../harness/issuer.ts"
import { Connection } from "./Connection.ts"
import { type Prepared, prepare, type Request } from "./request.ts"

export type Command =
  /** Keeps requests under a name. */
  | { readonly type: "define"; readonly name: string; readonly requests: ReadonlyArray<Request> }
  | { readonly type: "connect"; readonly port: number; readonly connections: number }
  /** Sends the named requests in turn, `count` of them, and checks each answer in full. */
  | { readonly type: "check"; readonly name: string; readonly cursor: string; readonly count: number }
  /** Sends the named requests in turn, for some time, and checks each status. */
  | { readonly type: "run"; readonly name: string; readonly cursor: string; readonly milliseconds: number }
  /** Sends `count` requests, each with a token that is minted for it: a good one, or one for another audience. */
  | {
      readonly type: "mint"
      readonly minter: Minter
      readonly first: number
      readonly count: number
      readonly good: boolean
    }
  | { readonly type: "disconnect" }

export interface Result {
  readonly responses: number
  readonly milliseconds: number
  /** Microseconds of this process. */
  readonly cpu: number
}

const lists = new Map<string, ReadonlyArray<Prepared>>()
// Where each server is in a list: a token that it has seen comes again only after all others.
const cursors = new Map<string, number>()
let connections: ReadonlyArray<Connection> = []

// A process that waits in the kernel is woken for each answer, and it is the server that pays for it: the more, the longer it takes for an answer. So
// this one does not wait there: it looks for answers, and where there are none it sleeps for a tenth of a millisecond.
const cell = new Int32Array(new SharedArrayBuffer(4))
let received = 0

const lookUntil = (isOver: () => boolean): void => {
  const before = received
  setImmediate(() => {
    if (isOver()) return
    if (received === before) Atomics.wait(cell, 0, 0, 0.1)
    lookUntil(isOver)
  })
}

const drive = async (strict: boolean, next: () => Prepared | undefined): Promise<Result> => {
  let sent = 0
  const start = performance.now()
  const before = process.cpuUsage()
  let isOver = false
  lookUntil(() => isOver)
  await Promise.all(
    connections.map((connection) => {
      connection.strict = strict
      connection.next = () => {
        received++
        const request = next()
        if (request !== undefined) sent++
        return request
      }
      return connection.run()
    })
  )
  isOver = true
  const { system, user } = process.cpuUsage(before)
  return { responses: sent, milliseconds: performance.now() - start, cpu: system + user }
}

const inTurn = (name: string, cursor: string): (() => Prepared) => {
  const list = lists.get(name)
  if (list === undefined) throw new Error(`There are no requests ${name}`)
  return () => {
    const at = cursors.get(cursor) ?? 0
    cursors.set(cursor, (at + 1) % list.length)
    return list[at]!
  }
}

const limited = (count: number, next: () => Prepared): (() => Prepared | undefined) => {
  let left = count
  return () => (left-- > 0 ? next() : undefined)
}

const handle = async (command: Command): Promise<Result | undefined> => {
  switch (command.type) {
    case "define":
      lists.set(command.name, command.requests.map(prepare))
      return
    case "connect":
      connections = await Promise.all(Array.from({ length: command.connections }, () => Connection.open(command.port)))
      return
    case "disconnect":
      connections.forEach((connection) => connection.close())
      connections = []
      return
    case "check":
      return drive(true, limited(command.count, inTurn(command.name, command.cursor)))
    case "run": {
      let over = false
      setTimeout(() => (over = true), command.milliseconds)
      const next = inTurn(command.name, command.cursor)
      return drive(false, () => (over ? undefined : next()))
    }
    case "mint": {
      const { good } = command
      const mint = minting(command.minter, undefined, good ? {} : { aud: "https://other.example.com" })
      let index = command.first
      const next = () => {
        const { compact, subject } = mint(index++)
        return prepare({
          path: "/items",
          token: compact,
          ...(good ? { status: 200, body: JSON.stringify({ subject }) } : { status: 401, challenge: true })
        })
      }
      return drive(true, limited(command.count, next))
    }
  }
}

answers(undefined, handle)
