/** The usable keys of a JWK Set, by algorithm and `kid`, and those that were refused. */
import * as Effect from "effect/Effect"
import { maxKidLength } from "./algorithms.ts"
import { type Candidate, isAlgorithm, readJwk, type UnusableKey } from "./jwk.ts"
import { freeze } from "../../core/lib/freeze.ts"

/** How many members of a key set are read. */
const maxKeys = 100

interface Selector {
  readonly alg: string
  readonly kid?: string | undefined
}

export interface RefusedKeys {
  readonly reason: UnusableKey
  readonly kty: string | undefined
  readonly kid: string | undefined
}

type Imported = ReadonlyMap<string, CryptoKey>

export interface Keys {
  readonly byKid: ReadonlyMap<string, ReadonlyMap<string, ReadonlyArray<CryptoKey>>>
  readonly byAlgorithm: ReadonlyMap<string, ReadonlyArray<CryptoKey>>
  /** What became of each member, by its text: an unchanged member is neither imported nor reported again. */
  readonly imported: ReadonlyMap<string, Imported>
  readonly refused: ReadonlyMap<string, RefusedKeys>
}

const none: ReadonlyArray<CryptoKey> = Object.freeze([])

/** Whether any key could ever answer to this header: where not, there is nothing to look for. */
export const canExist = ({ alg, kid }: Selector): boolean =>
  isAlgorithm(alg) && (kid === undefined || kid.length <= maxKidLength)

/** One key by its `kid`, or, without one, each that fits the algorithm. */
export const select = (keys: Keys, { alg, kid }: Selector): ReadonlyArray<CryptoKey> =>
  (kid === undefined ? keys.byAlgorithm.get(alg) : keys.byKid.get(alg)?.get(kid)) ?? none

/** The keys of a set as it was published; `previous` is the set before it. */
export const load = Effect.fnUntraced(function* (published: ReadonlyArray<unknown>, previous: Keys | undefined) {
  const candidates = published.slice(0, maxKeys).map(readJwk)
  const refused = new Map<string, RefusedKeys>()
  const imported = new Map<string, Imported>()
  const refuse = ({ kid, kty, text }: Candidate, reason: UnusableKey) =>
    refused.set(text + reason, { reason, kty, kid })

  // A key whose private half is published is refused under every name that it has.
  const compromised = new Set(candidates.flatMap(({ base, refusal }) => (refusal === "Private" ? [base] : [])))
  const usable: Array<Usable> = []
  for (const candidate of candidates) {
    const { refusal, text } = candidate
    if (refusal !== undefined) {
      refuse(candidate, refusal)
    } else if (compromised.has(candidate.base)) {
      refuse(candidate, "Private")
    } else {
      const keys = previous?.imported.get(text) ?? imported.get(text) ?? (yield* importKey(candidate))
      // What is not whole is not remembered: what failed may have been the runtime's.
      if (keys.size === candidate.algorithms.length) imported.set(text, keys)
      if (keys.size === 0) refuse(candidate, "Invalid")
      else usable.push({ ...candidate, keys })
    }
  }
  const serving = usable.filter((candidate) => {
    const ambiguous = usable.some((other) => clash(candidate, other))
    if (ambiguous) refuse(candidate, "DuplicateKid")
    return !ambiguous
  })
  if (published.length > maxKeys) refused.set("TooMany", { reason: "TooMany", kty: undefined, kid: undefined })
  return { ...index(serving), imported, refused }
})

const importKey = ({ algorithms, key }: Candidate): Effect.Effect<Imported> =>
  Effect.forEach(algorithms, (alg) =>
    Effect.tryPromise(() => import("jose/key/import").then(({ importJWK }) => importJWK({ ...key }, alg))).pipe(
      Effect.map((imported) => (imported instanceof Uint8Array ? [] : [[alg, freezeKey(imported)] as const])),
      Effect.orElseSucceed(() => [])
    )
  ).pipe(Effect.map((keys) => new Map(keys.flat())))

/** `KeySet.find` gives the same key to whoever asks, and jose looks at its algorithm. */
const freezeKey = (key: CryptoKey): CryptoKey => {
  freeze([key.algorithm, key.usages])
  return Object.freeze(key)
}

const sameKey = (a: Candidate, b: Candidate) => JSON.stringify(a.key) === JSON.stringify(b.key)

// RFC 7517 §4.5 lets keys of different types share a `kid`: the algorithm tells them apart. Where it does not, none of them is "the" key.
const clash = (a: Candidate, b: Candidate): boolean =>
  a.kid !== undefined && a.kid === b.kid && a.algorithms.some((alg) => b.algorithms.includes(alg)) && !sameKey(a, b)

/** A key with what was imported of it. */
interface Usable extends Candidate {
  readonly keys: Imported
}

const index = (serving: ReadonlyArray<Usable>) => {
  const byKid = new Map<string, Map<string, ReadonlyArray<CryptoKey>>>()
  const distinct = new Map<string, Map<string, CryptoKey>>()
  for (const { key, keys, kid } of serving) {
    for (const [alg, cryptoKey] of keys) {
      if (kid !== undefined) entry(byKid, alg).set(kid, Object.freeze([cryptoKey]))
      entry(distinct, alg).set(JSON.stringify(key), cryptoKey)
    }
  }
  // Frozen, since `KeySet.find` gives the same list to whoever asks.
  return {
    byKid,
    byAlgorithm: new Map([...distinct].map(([alg, keys]) => [alg, Object.freeze([...keys.values()])] as const))
  }
}

const entry = <A>(of: Map<string, Map<string, A>>, name: string): Map<string, A> => {
  const found = of.get(name) ?? new Map<string, A>()
  of.set(name, found)
  return found
}
