/** Reads one key of a JWK Set, with its algorithms or the reason for its refusal (RFC 7517 §4). */
import { asymmetric, type KeyType, maxKidLength, namesOf } from "./algorithms.ts"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import { curveWeakness, plain, rsaWeakness, type Weakness } from "./strength.ts"

/** Reason why a published key is refused. */
export type UnusableKey =
  | Weakness
  | "Type" // `kty` is not RSA, EC or OKP
  | "Symmetric" // `kty` is "oct", so the secret is public
  | "Private" // the private key is published, so every reader of the set can sign
  | "Purpose" // `use` is not "sig" or `key_ops` lacks "verify" (RFC 7517 §4.2, §4.3)
  | "Algorithm" // `alg` does not fit the key's type and curve
  | "Curve" // `crv` is not supported
  | "DuplicateKid" // another key has the same `kid` and algorithm
  | "TooMany" // the set has too many keys

/** Public members of a key. WebCrypto never receives other members. */
export interface PublicKey {
  readonly kty: string
  readonly crv?: string
  readonly n?: string
  readonly e?: string
  readonly x?: string
  readonly y?: string
}

export interface Candidate {
  readonly kid: string | undefined
  readonly kty: string | undefined
  /** Identifies the key and its metadata. Keys with the same text are identical. */
  readonly text: string
  /**
   * Keys with the same base have the same private key or its negative. Two points of a curve with the same `x` differ
   * only in the sign of `y`. The base ignores `kty`, `crv` and `y`, because a published private key may misstate them.
   */
  readonly base: string
  readonly refusal: UnusableKey | undefined
  readonly key: PublicKey
  readonly algorithms: ReadonlyArray<string>
}

const algorithms: ReadonlyMap<string, KeyType> = new Map(Object.entries(asymmetric))

const members = ["kty", "kid", "alg", "use", "crv", "n", "e", "x", "y"] as const
/** Private members (RFC 7518 §6.2.2, §6.3.2 and §6.4.1, RFC 8037 §2), and `priv` of AKP keys. */
export const privateMembers: ReadonlyArray<string> = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"]

const emptyAsAbsent = (value: unknown): unknown => (Array.isArray(value) && value.length === 0 ? undefined : value)

/** An empty list of other primes has no prime (RFC 7518 §6.3.2.7). Some serializers write it for every RSA key. */
const isPrivate = (name: string, value: unknown): boolean =>
  (name === "oth" ? emptyAsAbsent(value) : value) !== undefined

type Members = { readonly [name in (typeof members)[number]]?: string }

export const readJwk = (value: unknown): Candidate => {
  const given: object = typeof value === "object" && value !== null ? value : {}
  // Some serializers write null for an absent member, so null counts as absent. A key without a required member is
  // malformed.
  const own = (name: string): unknown =>
    Object.hasOwn(given, name) ? (Reflect.get(given, name) ?? undefined) : undefined
  const read: Members = ownProperties(
    Object.fromEntries(
      members.flatMap((name) => {
        const member = own(name)
        return typeof member === "string" ? [[name, member]] : []
      })
    )
  )
  const { alg, crv, e, kid, kty, n, use, x, y } = read
  const names = alg === undefined ? undefined : namesOf(alg)
  const fitting = [...algorithms].flatMap(([name, needs]) =>
    needs.kty === kty && (needs.crv === undefined || needs.crv === crv) && (names === undefined || names.includes(name))
      ? [name]
      : []
  )
  const key = {
    kty: kty ?? "",
    ...(kty === "RSA" ? { n: n ?? "", e: e ?? "" } : { crv: crv ?? "", x: x ?? "" }),
    ...(kty === "EC" ? { y: y ?? "" } : undefined)
  }
  // An empty list restricts nothing that a publisher can mean: such a key would serve no purpose.
  const keyOps = emptyAsAbsent(own("key_ops"))
  const wrongType = members.some((name) => own(name) !== undefined && read[name] === undefined)
  const judge = (): UnusableKey | undefined => {
    if (kty === "oct") return "Symmetric"
    if (privateMembers.some((name) => isPrivate(name, own(name)))) return "Private"
    if (kty === undefined || wrongType || (kid !== undefined && kid.length > maxKidLength)) return "Malformed"
    if (kty !== "RSA" && kty !== "EC" && kty !== "OKP") return "Type"
    if (use !== undefined && use !== "sig") return "Purpose"
    // RFC 7517 §4.3 forbids duplicates.
    if (Array.isArray(keyOps) && new Set(keyOps).size < keyOps.length) return "Malformed"
    if (keyOps !== undefined && !(Array.isArray(keyOps) && keyOps.includes("verify"))) return "Purpose"
    if (kty !== "RSA" && ![...algorithms.values()].some((needs) => needs.kty === kty && needs.crv === crv))
      return "Curve"
    if (fitting.length === 0) return "Algorithm"
    if (kty === "RSA") return rsaWeakness(n ?? "", e ?? "")
    return curveWeakness(crv ?? "", kty === "EC" ? [x ?? "", y ?? ""] : [x ?? ""])
  }
  const refusal = judge()
  return {
    kid,
    kty,
    text: JSON.stringify([read, refusal]),
    base: plain((kty === "RSA" ? n : x) ?? n ?? ""),
    refusal,
    key,
    algorithms: fitting
  }
}
