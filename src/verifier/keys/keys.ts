/** Imports the keys of a JWK Set, indexes the usable ones, and lists the refused ones. */
import * as Effect from "effect/Effect"
import { asymmetric, maxKidLength } from "./algorithms.ts"
import { type Candidate, type PublicKey, readJwk, type UnusableKey } from "./jwk.ts"
import { freeze } from "../../core/lib/freeze.ts"

/** Maximum number of keys that are read from a set. */
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

export interface IndexedKeys {
  readonly byKid: ReadonlyMap<string, ReadonlyMap<string, ReadonlyArray<CryptoKey>>>
  readonly byAlgorithm: ReadonlyMap<string, ReadonlyArray<CryptoKey>>
  /** Imported keys by `Candidate.text`, so that an unchanged key is not imported or reported again. */
  readonly imported: ReadonlyMap<string, Imported>
  readonly refused: ReadonlyMap<string, RefusedKeys>
}

const none: ReadonlyArray<CryptoKey> = Object.freeze([])

/** Returns `false` if no key could ever match the header, so that no fetch is worth it. */
export const canExist = ({ alg, kid }: Selector): boolean =>
  Object.hasOwn(asymmetric, alg) && (kid === undefined || kid.length <= maxKidLength)

/** Returns the key with the given `kid`. Without a `kid`, returns every key that fits the algorithm. */
export const select = (keys: IndexedKeys, { alg, kid }: Selector): ReadonlyArray<CryptoKey> =>
  (kid === undefined ? keys.byAlgorithm.get(alg) : keys.byKid.get(alg)?.get(kid)) ?? none

/** Returns `true` if the set has the `kid`, but its key does not serve the algorithm, or is refused. */
export const hasKid = ({ byKid, refused }: IndexedKeys, kid: string | undefined): boolean =>
  kid !== undefined &&
  ([...byKid.values()].some((keys) => keys.has(kid)) || [...refused.values()].some((key) => key.kid === kid))

/** Loads a published set. Unchanged keys of `previous` are reused. */
export const load = Effect.fnUntraced(function* (published: ReadonlyArray<unknown>, previous: IndexedKeys | undefined) {
  const candidates = published.slice(0, maxKeys).map(readJwk)
  const refused = new Map<string, RefusedKeys>()
  const imported = new Map<string, Imported>()
  const refuse = ({ kid, kty, text }: Candidate, reason: UnusableKey) =>
    refused.set(text + reason, { reason, kty, kid })

  // If a private key is published, refuse the key under each of its `kid`s.
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
      // Retry a partial import with the next fetch, because the runtime may have failed.
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
    Effect.map(importFor(key, alg), (imported) => (imported === undefined ? [] : [[alg, imported] as const]))
  ).pipe(Effect.map((keys) => new Map(keys.flat())))

/** Imports a public key for one algorithm. Returns `undefined` if the runtime refuses the key. */
export const importFor = (key: PublicKey, algorithm: string): Effect.Effect<CryptoKey | undefined> =>
  Effect.tryPromise(() => import("./importJwk.ts").then(({ importJWK }) => importJWK({ ...key }, algorithm))).pipe(
    Effect.map((imported) => (imported instanceof Uint8Array ? undefined : freezeKey(imported))),
    Effect.orElseSucceed(() => undefined)
  )

/** All callers of `KeySet.find` share the key, and jose reads its algorithm. A caller must not change it. */
const freezeKey = (key: CryptoKey): CryptoKey => {
  freeze([key.algorithm, key.usages])
  return Object.freeze(key)
}

const sameKey = (a: Candidate, b: Candidate) => JSON.stringify(a.key) === JSON.stringify(b.key)

// Keys of different types may share a `kid` (RFC 7517 §4.5). Keys for one algorithm may not.
const clash = (a: Usable, b: Usable): boolean =>
  a.kid !== undefined && a.kid === b.kid && [...a.keys.keys()].some((alg) => b.keys.has(alg)) && !sameKey(a, b)

/** A candidate with its imported keys, one per algorithm. */
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
  // Frozen, because all callers of `KeySet.find` share the arrays.
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
