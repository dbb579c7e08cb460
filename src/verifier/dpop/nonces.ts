/** Makes nonces that all instances of a server compute from one secret and the time (RFC 9449 §8 and §9). */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as base64url from "jose/base64url"

/** A nonce service, as `Dpop.Nonces` describes it. */
export interface NonceService {
  readonly issue: Effect.Effect<string>
  readonly validUntil: (nonce: string) => Effect.Effect<number | undefined>
}

/** The nonces of one period. A nonce is no secret of one client, so a look-up need not take constant time. */
interface Period {
  readonly counter: bigint
  readonly issued: string
  /** The accepted nonces, each with the time at which it ends, in milliseconds since the epoch. */
  readonly accepted: ReadonlyMap<string, number>
}

// Separates these hashes from other uses of the same secret.
const label = new TextEncoder().encode("effect-oauth2 dpop nonce\0")

const inputOf = (counter: bigint): Uint8Array<ArrayBuffer> => {
  const input = new Uint8Array(label.length + 8)
  input.set(label)
  new DataView(input.buffer).setBigUint64(label.length, counter)
  return input
}

const algorithm = { name: "HMAC", hash: "SHA-256" }

const periodAt = async (keys: ReadonlyArray<Promise<CryptoKey>>, counter: bigint, step: number): Promise<Period> => {
  const accepted = new Map<string, number>()
  let issued = ""
  for (const key of keys) {
    for (const other of [counter - 1n, counter, counter + 1n]) {
      const nonce = base64url.encode(new Uint8Array(await crypto.subtle.sign(algorithm, await key, inputOf(other))))
      // The nonce of a period is accepted in the period before, in its own, and in the period after.
      accepted.set(nonce, (Number(other) + 2) * step)
      if (issued === "" && other === counter + 1n) issued = nonce
    }
  }
  return { counter, issued, accepted }
}

/**
 * Creates the service. A nonce is the HMAC-SHA-256 of the number of its period. The nonces of the previous, the current
 * and the next period are accepted, and the next one is issued. The first secret issues, and all secrets accept.
 *
 * @param step the length of a period in milliseconds
 */
export const make = (secrets: ReadonlyArray<Uint8Array<ArrayBuffer>>, step: number): NonceService => {
  const keys = secrets.map((secret) => crypto.subtle.importKey("raw", secret, algorithm, false, ["sign"]))
  let latest: Period | undefined
  const current: Effect.Effect<Period> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const counter = BigInt(Math.floor(Math.max(0, now) / step))
    if (latest?.counter === counter) return Exit.succeed(latest)
    return Effect.map(
      Effect.promise(() => periodAt(keys, counter, step)),
      (period) => (latest = period)
    )
  })
  return {
    issue: Effect.map(current, ({ issued }) => issued),
    validUntil: (nonce) => Effect.map(current, ({ accepted }) => accepted.get(nonce))
  }
}
