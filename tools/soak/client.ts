/** A client that sends good and bad tokens without a pause, and checks every answer. */
import { randomUUID } from "node:crypto"
import { Agent, get } from "node:http"
import { answerMessages } from "../../bench/answers.ts"
import { makeSigner, minter, type Signer } from "./keys.ts"

/** What a token is. Only `good` and `goodOpaque` may be accepted. */
export const kinds = [
  "good",
  "forged",
  "expired",
  "otherAudience",
  "otherIssuer",
  "invented",
  "unsigned",
  "goodOpaque",
  "revoked"
] as const

export type Kind = (typeof kinds)[number]

export interface ClientSettings {
  readonly name: string
  readonly port: number
  readonly issuer: string
  readonly signers: ReadonlyArray<Signer>
  /** Kinds of tokens. A kind that occurs more often is sent more often. */
  readonly mix: ReadonlyArray<Kind>
  readonly connections: number
  /** Closes every tenth connection before the response. */
  readonly aborts: boolean
}

export type ClientMessage =
  { readonly signers: ReadonlyArray<Signer> } | { readonly probe: Kind } | { readonly end: true }

export interface Tally {
  accepted: number
  refused: number
  unavailable: number
  aborted: number
  /** Longest time to an answer, in milliseconds. */
  longest: number
  violations: Record<string, number>
}

const { aborts, connections, issuer, mix, name, port, signers } = JSON.parse(
  process.env["SOAK_CLIENT"] ?? "{}"
) as ClientSettings

const tally: Tally = { accepted: 0, refused: 0, unavailable: 0, aborted: 0, longest: 0, violations: {} }
const agent = new Agent({ keepAlive: true, maxSockets: connections })
const timeout = 30_000

const attacker = minter(makeSigner("attacker"), issuer)

let mints = signers.map((signer) => minter(signer, issuer))
let users = 0
const state = { hasEnded: false }

/** Recent good tokens, which are sent again, so that the server finds them in its cache. */
const recent: Array<{ readonly token: string; readonly subject: string }> = []

const pick = <A>(list: ReadonlyArray<A>): A => list[Math.floor(Math.random() * list.length)]!

const good = () => {
  if (recent.length > 0 && Math.random() < 0.7) return pick(recent)
  const subject = `${name}-${users++}`
  const made = { token: pick(mints)(subject), subject }
  if (recent.length < 500) recent.push(made)
  else recent[users % 500] = made
  return made
}

const make = (kind: Kind): { readonly token: string; readonly subject: string } => {
  const mint = mints.at(-1)!
  const subject = `${name}-${kind}-${users++}`
  switch (kind) {
    case "good":
      return good()
    case "forged": {
      const [header, payload] = mint(subject).split(".")
      return { token: `${header}.${payload}.${mint(`${subject}-other`).split(".")[2]}`, subject }
    }
    case "expired":
      return { token: mint(subject, { exp: Math.floor(Date.now() / 1000) - 11 * 3600 }), subject }
    case "otherAudience":
      return { token: mint(subject, { aud: "https://other.example.com" }), subject }
    case "otherIssuer":
      return { token: mint(subject, { iss: "https://other.example.com" }), subject }
    case "invented": {
      const [, payload] = attacker(subject).split(".")
      const header = Buffer.from(JSON.stringify({ alg: "EdDSA", typ: "at+jwt", kid: randomUUID() })).toString(
        "base64url"
      )
      return { token: `${header}.${payload}.${attacker(subject).split(".")[2]}`, subject }
    }
    case "unsigned": {
      const [, payload] = mint(subject).split(".")
      const header = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString("base64url")
      return { token: `${header}.${payload}.`, subject }
    }
    case "goodOpaque":
      return { token: `good.${subject}`, subject }
    case "revoked":
      return { token: `revoked.${subject}`, subject }
  }
}

type Answer =
  | { readonly status: number; readonly body: string; readonly headers: NodeJS.Dict<string | Array<string>> }
  | { readonly error: string }

const send = (path: string, token: string, abort: boolean): Promise<Answer> =>
  new Promise((resolve) => {
    const request = get(
      { host: "127.0.0.1", port, path, agent, timeout, headers: { authorization: `Bearer ${token}` } },
      (response) => {
        let body = ""
        response.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }))
        response.on("error", ({ message }) => resolve({ error: message }))
      }
    )
    request.on("timeout", () => {
      resolve({ error: "no answer in 30 seconds" })
      request.destroy()
    })
    request.on("error", (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message }))
    if (abort) setTimeout(() => request.destroy(), Math.random() * 5)
  })

/** Returns what is wrong with an answer, or `undefined`. */
const violationOf = (kind: Kind, subject: string, answer: Answer): string | undefined => {
  if ("error" in answer) return `no answer (${answer.error})`
  const isGood = kind === "good" || kind === "goodOpaque"
  switch (answer.status) {
    case 200:
      if (!isGood) return `a token is accepted that is ${kind}`
      return answer.body === JSON.stringify({ subject }) ? undefined : "the answer belongs to another user"
    case 401:
      if (isGood) return "a good token is refused"
      return answer.headers["www-authenticate"] === undefined ? "a 401 has no WWW-Authenticate" : undefined
    case 503:
      return answer.headers["retry-after"] === undefined ? "a 503 has no Retry-After" : undefined
    default:
      return `the status is ${answer.status}`
  }
}

const ask = async (kind: Kind, abort: boolean): Promise<number> => {
  const { subject, token } = make(kind)
  const start = performance.now()
  const answer = await send(kind === "goodOpaque" || kind === "revoked" ? "/opaque" : "/jwt", token, abort)
  if (abort && "error" in answer) {
    tally.aborted++
    return 0
  }
  tally.longest = Math.max(tally.longest, performance.now() - start)
  const violation = violationOf(kind, subject, answer)
  if (violation !== undefined) tally.violations[violation] = (tally.violations[violation] ?? 0) + 1
  if ("error" in answer) return 0
  if (answer.status === 200) tally.accepted++
  if (answer.status === 401) tally.refused++
  if (answer.status === 503) tally.unavailable++
  return answer.status
}

const work = async (): Promise<void> => {
  while (!state.hasEnded) await ask(pick(mix), aborts && Math.random() < 0.1)
}

const workers = Array.from({ length: connections }, work)

answerMessages(undefined, async (message: ClientMessage) => {
  if ("signers" in message) {
    // Tokens of the last keys stay good, because the issuer still publishes these keys.
    mints = message.signers.slice(-3).map((signer) => minter(signer, issuer))
    recent.length = 0
    return undefined
  }
  // The newest key decides whether the server has recovered.
  if ("probe" in message) {
    recent.length = 0
    mints = mints.slice(-1)
    return ask(message.probe, false)
  }
  state.hasEnded = true
  await Promise.all(workers)
  return tally
})
