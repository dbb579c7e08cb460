/**
 * A connection that is kept alive and has one request in flight. Its parser knows what it needs to: a status, and where a body ends,
 * by `Content-Length` or by the last chunk. Each answer's status is checked, and with `strict` its body and its challenge.
 */
import { connect, type Socket } from "node:net"
import type { Prepared } from "./request.ts"

// Data is copied out of it before the next read: one for all connections.
const buffer = Buffer.allocUnsafe(64 * 1024)

export class Connection {
  /** The request to send next; with `undefined` the connection rests. */
  next: () => Prepared | undefined = () => undefined
  strict = true
  readonly #socket: Socket
  #request: Prepared | undefined
  #text = ""
  #turn: PromiseWithResolvers<void> | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        port,
        host: "127.0.0.1",
        noDelay: true,
        onread: {
          buffer,
          callback: (length) => {
            connection.#receive(buffer.toString("latin1", 0, length))
            return true
          }
        }
      })
      const connection = new Connection(socket)
      socket.on("connect", () => resolve(connection))
      socket.on("error", (error) => {
        reject(error)
        connection.#fail(error.message)
      })
      socket.on("close", () => connection.#fail("The server has closed the connection"))
    })
  }

  /** Sends what `next` gives, until it gives nothing. */
  run(): Promise<void> {
    this.#turn = Promise.withResolvers()
    this.#send()
    return this.#turn.promise
  }

  close(): void {
    this.#socket.removeAllListeners("close")
    this.#socket.destroy()
  }

  #send(): void {
    this.#request = this.next()
    if (this.#request === undefined) this.#turn?.resolve()
    else this.#socket.write(this.#request.bytes)
  }

  #receive(chunk: string): void {
    this.#text = this.#text === "" ? chunk : this.#text + chunk
    const end = this.#text.indexOf("\r\n\r\n")
    if (end === -1) return
    const body = end + 4
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#text)?.[1]
    if (length !== undefined ? this.#text.length < body + Number(length) : !this.#text.endsWith("\r\n0\r\n\r\n")) return
    const problem = this.#problem(body)
    if (problem !== undefined) return this.#fail(problem, this.#text)
    this.#text = ""
    this.#send()
  }

  /** What is wrong with the answer. */
  #problem(body: number): string | undefined {
    const request = this.#request
    if (request === undefined) return "An answer without a request"
    const status = Number(this.#text.slice(9, 12))
    if (status !== request.status) return `${request.path} was answered ${status} and not ${request.status}`
    if (!this.strict) return undefined
    if (request.body !== undefined && this.#text.slice(body) !== request.body) {
      return `${request.path} was not answered ${request.body}`
    }
    if (request.challenge === true && !/\r\nwww-authenticate: *\S/i.test(this.#text)) {
      return `${request.path} was answered ${status} without WWW-Authenticate`
    }
    return undefined
  }

  #fail(problem: string, answer = ""): void {
    const token = this.#request?.token
    this.#turn?.reject(
      new Error(
        [problem, token === undefined ? "The request had no token" : `The token was ${token}`, answer.trim()]
          .filter(Boolean)
          .join("\n")
      )
    )
    this.close()
  }
}
