/**
 * A keep-alive connection with one pending request.
 *
 * The parser reads only the status and the end of the body (`Content-Length` or last chunk). The connection checks the
 * status of each response. With `strict`, it also checks the body and the challenge.
 */
import { connect, type Socket } from "node:net"
import type { Prepared } from "./request.ts"

// All connections share this buffer, because `onread` copies the data before the next read.
const buffer = Buffer.allocUnsafe(64 * 1024)

export class Connection {
  /** Returns the next request, or `undefined` to stop. */
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
      socket.on("close", () => connection.#fail("The server closed the connection."))
    })
  }

  /** Sends the requests of `next` until `next` returns `undefined`. */
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

  /** Returns the difference between the response and the expected response. */
  #problem(body: number): string | undefined {
    const request = this.#request
    if (request === undefined) return "The server responded without a request."
    const status = Number(this.#text.slice(9, 12))
    if (status !== request.status) return `${request.path} responded with ${status} instead of ${request.status}.`
    if (!this.strict) return undefined
    if (request.body !== undefined && this.#text.slice(body) !== request.body) {
      return `${request.path} did not respond with ${request.body}.`
    }
    if (request.contains !== undefined && !this.#text.includes(request.contains, body)) {
      return `${request.path} responded without ${request.contains}.`
    }
    if (request.challenge === true && !/\r\nwww-authenticate: *\S/i.test(this.#text)) {
      return `${request.path} responded with ${status}, but without WWW-Authenticate.`
    }
    return undefined
  }

  #fail(problem: string, response = ""): void {
    const token = this.#request?.token
    this.#turn?.reject(
      new Error(
        [problem, token === undefined ? "The request had no token." : `The token was ${token}`, response.trim()]
          .filter(Boolean)
          .join("\n")
      )
    )
    this.close()
  }
}
