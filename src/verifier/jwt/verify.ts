/** Verifies JWTs in this order: form, key, signature, claims, profile. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { KeySelector } from "../keys/options.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import type { TokenCaching } from "../cache/options.ts"
import * as cachedVerifier from "../cache/cachedVerifier.ts"
import { constant } from "../../core/constantErrors.ts"
import { refuse } from "../report/advice.ts"
import * as outcome from "../report/telemetry.ts"
import { frozen, type Rejection, stillValid, type Validity, type Verified } from "../cache/verified.ts"
import * as claims from "../claims/claims.ts"
import * as compact from "./compact.ts"
import { own } from "../../core/lib/ownProperties.ts"
import { parseObject } from "../claims/strictJson.ts"
import * as policies from "../claims/policy.ts"
import * as profile from "../claims/accessTokenMarks.ts"
import { type Check, type Key, Signatures } from "./signatures.ts"

export type Keys = ReadonlyArray<Key>

/** One accepted issuer: its policy and its keys. */
export interface Trust {
  readonly policy: policies.Policy
  readonly keysOf: (header: KeySelector) => Effect.Effect<Keys, Rejection>
  /** Returns keys synchronously. Returns an empty array if `keysOf` would have to wait, fail or fetch. */
  readonly availableKeys: (header: KeySelector, clock: Clock.Clock, now: number) => Keys
}

/** Creates a cached verifier for the tokens of all given issuers. */
export const make = Effect.fnUntraced(function* (trusted: ReadonlyArray<Trust>, { cache }: TokenCaching) {
  const count = outcome.counters(yield* Effect.context<never>())
  const check = yield* Signatures
  const maxTokenLength = Math.max(...trusted.map(({ policy }) => policy.maxTokenLength))
  return yield* cachedVerifier.make({
    cache,
    read: (token) => read(token, trusted, maxTokenLength),
    verify: (presented, fiber) => {
      const verified = presented instanceof InvalidToken ? Effect.fail(presented) : verifyPresented(presented, check)
      return outcome.observed(verified, "JwtVerifier.verify", count, fiber)
    },
    refused: count
  })
})

/** Well-formed token, and the issuer that it claims to be from. */
interface Presented {
  readonly token: string
  readonly parsed: compact.Compact
  readonly trust: Trust
}

const malformed = constant(new InvalidToken({ reason: "Malformed" }))
const otherIssuer = constant(new InvalidToken({ reason: "Claim", claim: "iss" }))
const wrongAlgorithm = constant(new InvalidToken({ reason: "Algorithm" }))
const unknownKey = constant(new InvalidToken({ reason: "UnknownKey" }))

/** Runs the checks that need no key. With several issuers, the unverified `iss` selects the keys that must match. */
const read = (token: string, trusted: ReadonlyArray<Trust>, maxTokenLength: number): Presented | InvalidToken => {
  const parsed = compact.parse(token, maxTokenLength)
  if (parsed === undefined) return malformed
  const trust = trustOf(parsed, trusted)
  if (trust instanceof InvalidToken) return trust
  if (token.length > trust.policy.maxTokenLength) return malformed
  return trust.policy.algorithms.has(parsed.header.alg) ? { token, parsed, trust } : wrongAlgorithm
}

const trustOf = (parsed: compact.Compact, trusted: ReadonlyArray<Trust>): Trust | InvalidToken => {
  const [only, another] = trusted
  if (only !== undefined && another === undefined) return only
  const unverified = compact.claimsOf(parsed)
  if (unverified === undefined) return malformed
  return trusted.find(({ policy }) => policy.issuer === own(unverified, "iss")) ?? otherIssuer
}

const verifyPresented = ({ parsed, token, trust }: Presented, check: Check): Effect.Effect<Verified, Rejection> => {
  const { keysOf, availableKeys } = trust
  const { alg, kid } = parsed.header
  const header = { alg, kid }
  const validityOf =
    (key: Key): Validity =>
    (clock, now) =>
      availableKeys(header, clock, now).includes(key)
        ? stillValid
        : Effect.map(keysOf(header), (keys) => keys.includes(key))
  const verifyWith = (key: Key) =>
    Effect.flatMap(check(token, key, alg), (payload) => accept(payload, parsed.header, trust.policy, validityOf(key)))
  // Without a `kid`, several keys can fit the algorithm. Try the next key only if the signature does not match.
  const verifyWithEach = ([first, ...others]: Keys) =>
    others.reduce(
      (result, key) =>
        Effect.catch(result, (error) => (error.reason === "Signature" ? verifyWith(key) : Effect.fail(error))),
      first === undefined ? Effect.fail(unknownKey) : verifyWith(first)
    )
  return Effect.clockWith((clock) => {
    const available = availableKeys(header, clock, clock.currentTimeMillisUnsafe())
    return available.length > 0 ? verifyWithEach(available) : Effect.flatMap(keysOf(header), verifyWithEach)
  })
}

/** Validates signed claims. Only tokens with a valid signature can cause advice in the log. */
const accept = (
  payload: Uint8Array,
  { typ }: compact.Compact["header"],
  policy: policies.Policy,
  validity: Validity
): Effect.Effect<Verified, InvalidToken> =>
  Effect.clockWith((clock) => {
    const verified = parseObject(payload)
    if (verified === undefined) return Effect.fail(malformed)
    const now = clock.currentTimeMillisUnsafe()
    const token = claims.read(verified, policy, now)
    if (token instanceof InvalidToken) return refuse(token, claims.advice(token, policy), policy)
    if (claims.livesTooLong(token, policy, now)) {
      return refuse(new InvalidToken({ reason: "Claim", claim: "exp" }), claims.adviceAboutLifetime(policy), policy)
    }
    const failing = profile.findViolation(typ, verified, policy)
    return failing === undefined
      ? Effect.succeed({ ...frozen(token), until: claims.until(token, policy), validity })
      : refuse(new InvalidToken({ reason: "Claim", claim: failing }), profile.advice(typ, verified, policy), policy)
  })
