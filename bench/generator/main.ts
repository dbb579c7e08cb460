/** The load generator, a separate process. `harness/Load.ts` sends the commands. */
import { answerMessages } from "../answers.ts"
import { minting } from "../harness/tokens.ts"
import type { Minter } from "../harness/issuer.ts"
import { Connection } from "./Connection.ts"
import { type Prepared, prepare, type Request } from "./request.ts"

export type Command =
  /** Stores requests under a name. */
  | { readonly type: "define"; readonly name: string; readonly requests: ReadonlyArray<Request> }
  | { readonly type: "connect"; readonly port: number; readonly connections: number }
  /** Sends `count` of the named requests in turn, and checks each response in full. */
  | { readonly type: "check"; readonly name: string; readonly cursor: string; readonly count: number }
  /** Sends the named requests in turn for `milliseconds`, and checks the status of each response. */
  | { readonly type: "run"; readonly name: string; readonly cursor: string; readonly milliseconds: number }
  /** Sends `count` requests, each with a new token. The token is valid (`good`), or has another audience. */
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
  /** CPU time of this process, in microseconds. */
  readonly cpu: number
}

const lists = new Map<string, ReadonlyArray<Prepared>>()
// The position of each server in a list, so that a server receives all other tokens before a token repeats.
const cursors = new Map<string, number>()
let connections: ReadonlyArray<Connection> = []

// If this process waited in the kernel, each response would wake it at the server's cost. A slow server would pay more.
// So this process polls, and sleeps 0.1 ms if there is no response.
const cell = new Int32Array(new SharedArrayBuffer(4))
let received = 0

const pollUntil = (isOver: () => boolean): void => {
  const before = received
  setImmediate(() => {
    if (isOver()) return
    if (received === before) Atomics.wait(cell, 0, 0, 0.1)
    pollUntil(isOver)
  })
}

const drive = async (strict: boolean, next: () => Prepared | undefined): Promise<Result> => {
  let sent = 0
  const start = performance.now()
  const before = process.cpuUsage()
  let isOver = false
  pollUntil(() => isOver)
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
  if (list === undefined)
    throw new Error(`The load generator has no requests named ${JSON.stringify(name)}. Define them first.`)
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

answerMessages(undefined, handle)
