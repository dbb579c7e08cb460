/** Verifies signatures with `node:crypto`. Imports only types of Node, so that bundles run everywhere. */
/// <reference types="node" />
import * as Effect from "effect/Effect"
import type * as NodeBuffer from "node:buffer"
import type * as NodeCrypto from "node:crypto"
import type { Algorithm, SymmetricAlgorithm } from "../keys/algorithms.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import { failConstant } from "../../core/constantErrors.ts"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import { atEndOfTurn } from "./atEndOfTurn.ts"
import type { SignatureCheck } from "./check.ts"

/** The modules of Node that verify signatures. */
export interface NodeModules {
  readonly buffer: typeof NodeBuffer
  readonly crypto: typeof NodeCrypto
}

interface Runtime {
  readonly process?: {
    readonly getBuiltinModule?: {
      (name: "node:buffer"): typeof NodeBuffer | undefined
      (name: "node:crypto"): typeof NodeCrypto | undefined
    }
  }
  readonly navigator?: { readonly userAgent?: string }
}

/**
 * Returns the modules if the runtime has them. Bun and Deno have them, too. Those of Cloudflare Workers read no options
 * beside a key object, so they cannot verify RSASSA-PSS (PS256).
 */
export const nodeModules = (): NodeModules | undefined => {
  const load = (globalThis as Runtime).process?.getBuiltinModule
  if (load === undefined || userAgent() === "Cloudflare-Workers") return
  const [buffer, crypto] = [load("node:buffer"), load("node:crypto")]
  return buffer === undefined || crypto === undefined ? undefined : { buffer, crypto }
}

const userAgent = (): string => (globalThis as Runtime).navigator?.userAgent ?? ""

/** Returns `true` on Node itself. Other runtimes imitate `process`, but name themselves in the user agent. */
export const isNode = (): boolean => userAgent().startsWith("Node.js/")

/** Required key of an algorithm (RFC 7518 §3.1, RFC 8037 §3.1), and the matching arguments for Node. */
interface Asymmetric {
  readonly name: string
  readonly hash: string | undefined
  readonly namedCurve: string | undefined
  readonly digest: string | null
  readonly options: { readonly padding?: number; readonly saltLength?: number; readonly dsaEncoding?: "ieee-p1363" }
}

const rsa = (bits: number): Asymmetric => ({
  name: "RSASSA-PKCS1-v1_5",
  hash: `SHA-${bits}`,
  namedCurve: undefined,
  digest: `sha${bits}`,
  options: {}
})

const pss = (bits: number, constants: NodeModules["crypto"]["constants"]): Asymmetric => ({
  name: "RSA-PSS",
  hash: `SHA-${bits}`,
  namedCurve: undefined,
  digest: `sha${bits}`,
  options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
})

const ecdsa = (namedCurve: string, bits: number): Asymmetric => ({
  name: "ECDSA",
  hash: undefined,
  namedCurve,
  digest: `sha${bits}`,
  options: { dsaEncoding: "ieee-p1363" }
})

const ed25519: Asymmetric = { name: "Ed25519", hash: undefined, namedCurve: undefined, digest: null, options: {} }

// `Record<Algorithm, …>` makes a missing algorithm a compile error.
const tableOf = ({ constants }: NodeModules["crypto"]): Readonly<Record<Algorithm, Asymmetric>> => ({
  RS256: rsa(256),
  RS384: rsa(384),
  RS512: rsa(512),
  PS256: pss(256, constants),
  PS384: pss(384, constants),
  PS512: pss(512, constants),
  ES256: ecdsa("P-256", 256),
  ES384: ecdsa("P-384", 384),
  ES512: ecdsa("P-521", 512),
  EdDSA: ed25519,
  Ed25519: ed25519
})

const symmetric: Readonly<Record<SymmetricAlgorithm, string>> = { HS256: "sha256", HS384: "sha384", HS512: "sha512" }

/** Ignores inherited names such as `constructor`. */
const lookUp = <A>(table: Readonly<Record<string, A>>, algorithm: string): A | undefined =>
  Object.hasOwn(table, algorithm) ? table[algorithm] : undefined

const wrongSignature = failConstant(new InvalidToken({ reason: "Signature" }))
const unsuitableKey = failConstant(new InvalidToken({ reason: "UnknownKey" }))

interface Prepared {
  readonly digest: string | null
  readonly key: NodeCrypto.KeyObject | NodeCrypto.VerifyKeyObjectInput
}

/** Creates the check. Asymmetric signatures are verified in the thread pool of Node. */
export const make = ({ buffer: { Buffer }, crypto }: NodeModules): SignatureCheck => {
  const asymmetric = tableOf(crypto)
  // Bun and Deno read the options only from a record.
  const readsOptionsOfKey = isNode()

  // Converting a key takes longer than starting a verification, so each key is converted once per algorithm.
  const prepared = new WeakMap<CryptoKey, Map<string, Prepared | undefined>>()

  // Node reads `padding`, `saltLength` and `dsaEncoding` from the key that it is given, inherited ones too. A key in a
  // record of its own (`{ key, padding }`) costs Node 25 µs for each verification.
  const prepare = (key: CryptoKey, { digest, options }: Asymmetric): Prepared => {
    const own = { padding: undefined, saltLength: undefined, dsaEncoding: undefined, ...options }
    const object = crypto.KeyObject.from(key)
    return { digest, key: readsOptionsOfKey ? Object.assign(object, own) : ownProperties({ key: object, ...options }) }
  }

  /** Returns `undefined` if the runtime refuses the key. */
  const prepareIfValid = (key: CryptoKey, kind: Asymmetric): Prepared | undefined => {
    try {
      return prepare(key, kind)
    } catch {
      return undefined
    }
  }

  const preparedOf = (key: CryptoKey, algorithm: string): Prepared | undefined => {
    const cached = prepared.get(key)
    if (cached?.has(algorithm) === true) return cached.get(algorithm)
    const kind = lookUp(asymmetric, algorithm)
    const made = kind !== undefined && fits(key, kind) ? prepareIfValid(key, kind) : undefined
    prepared.set(key, (cached ?? new Map<string, Prepared | undefined>()).set(algorithm, made))
    return made
  }

  return (token, key, algorithm) => {
    const end = token.lastIndexOf(".")
    const input = Buffer.from(token.slice(0, end), "latin1")
    const signature = Buffer.from(token.slice(end + 1), "base64url")
    const payload = Effect.sync(() => Buffer.from(token.slice(token.indexOf(".") + 1, end), "base64url"))

    if (key instanceof Uint8Array) {
      const digest = lookUp(symmetric, algorithm)
      if (digest === undefined) return unsuitableKey
      const expected = crypto.createHmac(digest, key).update(input).digest()
      return signature.length === expected.length && crypto.timingSafeEqual(signature, expected)
        ? payload
        : wrongSignature
    }

    const prepared = preparedOf(key, algorithm)
    if (prepared === undefined) return unsuitableKey
    return atEndOfTurn((resume) => {
      try {
        // Node reports an error if the signature is malformed.
        crypto.verify(prepared.digest, input, prepared.key, signature, (error, valid) =>
          resume(error === null && valid ? payload : wrongSignature)
        )
      } catch {
        // Deno throws if the key is not valid.
        resume(unsuitableKey)
      }
    })
  }
}

const fits = ({ algorithm, usages }: CryptoKey, kind: Asymmetric): boolean => {
  const { hash, modulusLength, name, namedCurve } =
    ownProperties<Partial<RsaHashedKeyAlgorithm & EcKeyAlgorithm>>(algorithm)
  return (
    usages.includes("verify") &&
    name === kind.name &&
    hash?.name === kind.hash &&
    namedCurve === kind.namedCurve &&
    (modulusLength === undefined || modulusLength >= 2048)
  )
}
