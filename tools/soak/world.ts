/** The processes of a scenario: an issuer, a server, and clients. */
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { Child } from "../../bench/harness/Child.ts"
import type { ClientMessage, ClientSettings, Kind, Tally } from "./client.ts"
import type { IssuerMessage, IssuerSettings } from "./issuer.ts"
import { makeSigner, type Signer } from "./keys.ts"
import type { ServerMessage, ServerSettings } from "./server.ts"

export const minute = 60_000
export const hour = 60 * minute

const clientCount = 2
const connections = 8

const start = async (name: string, settings: object): Promise<readonly [Child, unknown]> => {
  const child = new Child({
    name,
    file: join(import.meta.dirname, `${name}.ts`),
    env: { [`SOAK_${name.toUpperCase()}`]: JSON.stringify(settings) }
  })
  return [child, await child.ready]
}

export class World {
  #issuer: Child
  readonly #server: Child
  readonly #clients: ReadonlyArray<Child>
  readonly #issuerPort: number
  #signers: ReadonlyArray<Signer>

  private constructor(
    issuer: Child,
    server: Child,
    clients: ReadonlyArray<Child>,
    issuerPort: number,
    signers: ReadonlyArray<Signer>
  ) {
    this.#issuer = issuer
    this.#server = server
    this.#clients = clients
    this.#issuerPort = issuerPort
    this.#signers = signers
  }

  static async start(mix: ReadonlyArray<Kind>, aborts: boolean): Promise<World> {
    const signers = [makeSigner()]
    const [issuer, issuerPort] = await start("issuer", { port: 0, signers } satisfies IssuerSettings)
    const url = `http://127.0.0.1:${String(issuerPort)}`
    const [server, port] = await start("server", { issuer: url } satisfies ServerSettings)
    const clients = await Promise.all(
      Array.from({ length: clientCount }, (_, index) =>
        start("client", {
          name: `client${index}`,
          port: Number(port),
          issuer: url,
          signers,
          mix,
          connections,
          aborts
        } satisfies ClientSettings)
      )
    )
    return new World(
      issuer,
      server,
      clients.map(([client]) => client),
      Number(issuerPort),
      signers
    )
  }

  /** Ends the issuer at once. Its port then refuses connections. */
  killIssuer(): Promise<void> {
    return this.#issuer.stop()
  }

  async restartIssuer(): Promise<void> {
    const settings: IssuerSettings = { port: this.#issuerPort, signers: this.#signers }
    this.#issuer = (await start("issuer", settings))[0]
  }

  /** Stops the issuer's process. Its port accepts connections, but nothing answers. */
  freezeIssuer(): void {
    this.#issuer.signal("SIGSTOP")
  }

  thawIssuer(): void {
    this.#issuer.signal("SIGCONT")
  }

  tellIssuer(message: IssuerMessage): Promise<unknown> {
    return this.#issuer.ask(message)
  }

  setClock(clockOffset: number): Promise<unknown> {
    return this.#server.ask({ clockOffset } satisfies ServerMessage)
  }

  /** Publishes a new key, and then lets the clients use it. The last three keys stay published. */
  async rotate(): Promise<void> {
    this.#signers = [...this.#signers, makeSigner()].slice(-3)
    await this.tellIssuer({ signers: this.#signers })
    await Promise.all(this.#clients.map((client) => client.ask({ signers: this.#signers } satisfies ClientMessage)))
  }

  /** Waits until the server accepts a good token of the newest key. Returns the seconds, or `undefined`. */
  async recovery(kind: Kind, limit: number): Promise<number | undefined> {
    const from = performance.now()
    for (;;) {
      const status = await this.#clients[0]!.ask({ probe: kind } satisfies ClientMessage)
      const seconds = (performance.now() - from) / 1000
      if (status === 200) return seconds
      if (seconds > limit) return undefined
      await setTimeout(100)
    }
  }

  /** Ends the processes. Returns what the clients counted. */
  async end(): Promise<ReadonlyArray<Tally>> {
    const tallies = await Promise.all(
      this.#clients.map((client) => client.ask({ end: true } satisfies ClientMessage) as Promise<Tally>)
    )
    await Promise.all([this.#issuer, this.#server, ...this.#clients].map((child) => child.stop()))
    return tallies
  }
}
