/** Reads one member of a JWK Set (RFC 7517 §4): which algorithms it may verify, or why none. */
import { asymmetric, type KeyType, maxKidLength } from "./algorithms.ts"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import { curveWeakness, plain, rsaWeakness, type Weakness } from "./strength.ts"

/** Why a published key is not used. */
export type UnusableKey =
  | Weakness
  | "Type" // `kty` is none of RSA, EC, OKP
  | "Symmetric" // `kty: "oct"`: a published secret is none
  | "Private" // a published private key: whoever read the set can sign
  | "Purpose" // `use` is not "sig" or `key_ops` lacks "verify" (RFC 7517 §4.2, §4.3)
  | "Algorithm" // `alg` is no signature algorithm of this key's type and curve
  | "Curve" // `crv` has no signature algorithm
  | "Invalid" // WebCrypto does not take it, such as a point off its curve
  | "DuplicateKid" // another key answers to the same `kid` and algorithm
  | "TooMany" // beyond the number of keys that are read

/** The public members that are used. Nothing else of a published key is looked at, kept or given to WebCrypto. */
interface PublicKey {
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
  /** Stands for the key and for all that was said of it: two members with the same text are the same. */
  readonly text: string
  /**
   * Keys with the same base have the same private key, or one that follows from it. Two points of a curve with the same
   * `x` differ in the sign of `y`, and their private keys differ in the sign, too. What a published private key says of
   * its type, its curve and its `y` may be wrong.
   */
  readonly base: string
  readonly refusal: UnusableKey | undefined
  readonly key: PublicKey
  readonly algorithms: ReadonlyArray<string>
}

const algorithms: ReadonlyMap<string, KeyType> = new Map(Object.entries(asymmetric))

export const isAlgorithm = (alg: string): boolean => algorithms.has(alg)

const members = ["kty", "kid", "alg", "use", "crv", "n", "e", "x", "y"] as const
/** RFC 7518 §6.2.2, §6.3.2 and §6.4.1, RFC 8037 §2, and `priv` of AKP keys. */
const privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"]

type Members = { readonly [name in (typeof members)[number]]?: string }

export const readJwk = (value: unknown): Candidate => {
  const given: object = typeof value === "object" && value !== null ? value : {}
  const own = (name: string): unknown => (Object.hasOwn(given, name) ? Reflect.get(given, name) : undefined)
  const read: Members = ownProperties(
    Object.fromEntries(
      members.flatMap((name) => {
        const member = own(name)
        return typeof member === "string" ? [[name, member]] : []
      })
    )
  )
  const { alg, crv, e, kid, kty, n, use, x, y } = read
  const fitting = [...algorithms].flatMap(([name, needs]) =>
    needs.kty === kty && (needs.crv === undefined || needs.crv === crv) && (alg === undefined || alg === name)
      ? [name]
      : []
  )
  const key = {
    kty: kty ?? "",
    ...(kty === "RSA" ? { n: n ?? "", e: e ?? "" } : { crv: crv ?? "", x: x ?? "" }),
    ...(kty === "EC" ? { y: y ?? "" } : undefined)
  }
  const keyOps = own("key_ops")
  const wrongType = members.some((name) => own(name) !== undefined && read[name] === undefined)
  const judge = (): UnusableKey | undefined => {
    if (kty === "oct") return "Symmetric"
    if (privateMembers.some((name) => own(name) !== undefined)) return "Private"
    if (kty === undefined || wrongType || (kid !== undefined && kid.length > maxKidLength)) return "Malformed"
    if (kty !== "RSA" && kty !== "EC" && kty !== "OKP") return "Type"
    if (use !== undefined && use !== "sig") return "Purpose"
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
