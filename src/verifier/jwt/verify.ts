/** Verifies JWTs in this order: form, key, signature, claims, profile. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { KeySelector } from "../keys/options.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import type { TokenCaching } from "../cache/options.ts"
import * as cachedVerifier from "../cache/cachedVerifier.ts"
import { constant } from "../../core/constantErrors.ts"
import { give, isGiven, refuse } from "../report/advice.ts"
import * as outcome from "../report/telemetry.ts"
import { frozen, type Rejection, stillValid, type Validity, type Verified } from "../cache/verified.ts"
import { adviceOn, adviceOnAccepted } from "../claims/claimAdvice.ts"
import * as claims from "../claims/claims.ts"
import * as compact from "./compact.ts"
import * as form from "./formAdvice.ts"
import { parseObject } from "../claims/strictJson.ts"
import * as policies from "../claims/policy.ts"
import * as profile from "../claims/accessTokenMarks.ts"
import type { SignatureCheck, Key } from "./check.ts"
import { Signatures } from "./signatures.ts"

export type VerificationKeys = ReadonlyArray<Key>

/** One accepted issuer: its policy and its keys. */
export interface Trust {
  readonly policy: policies.CheckedPolicy
  /** With `mismatched`, looks for other keys than these. Their signature did not match. */
  readonly keysOf: (header: KeySelector, mismatched?: VerificationKeys) => Effect.Effect<VerificationKeys, Rejection>
  /** Returns keys synchronously. Returns an empty array if `keysOf` would have to wait, fail or fetch. */
  readonly availableKeys: (header: KeySelector, clock: Clock.Clock, now: number) => VerificationKeys
}

/** Creates a cached verifier for the tokens of all given issuers. */
export const make = Effect.fnUntraced(function* (trusted: ReadonlyArray<Trust>, { cache }: TokenCaching) {
  const count = outcome.counters(yield* Effect.context<never>())
  const check = yield* Signatures
  const maxTokenLength = Math.max(...trusted.map(({ policy }) => policy.maxTokenLength))
  return yield* cachedVerifier.make({
    cache,
    read: (token) => {
      const presented = read(token, trusted, maxTokenLength)
      if (!(presented instanceof InvalidToken)) return presented
      const advice = adviceOnRefusal(token, presented, trusted)
      return advice === undefined ? presented : new AdvisedRefusal(presented, advice)
    },
    verify: (presented, fiber) => {
      const verified =
        presented instanceof InvalidToken
          ? Effect.fail(presented)
          : presented instanceof AdvisedRefusal
            ? refuse(presented.refusal, presented.advice.text, trusted, presented.advice.kind)
            : verifyPresented(presented, check)
      return outcome.observed(verified, "JwtVerifier.verify", count, fiber)
    },
    refused: count
  })
})

/**
 * Creates a cached verifier that finds the trust in an issuer for each token. `find` decides before anything is
 * fetched.
 */
export const makeFinding = Effect.fnUntraced(function* (
  find: (issuer: string) => Effect.Effect<Trust, Rejection>,
  policy: policies.CheckedPolicy,
  { cache }: TokenCaching
) {
  const count = outcome.counters(yield* Effect.context<never>())
  const check = yield* Signatures
  return yield* cachedVerifier.make({
    cache,
    read: (token) => {
      const presented = readIssuer(token, policy.maxTokenLength)
      if (!(presented instanceof InvalidToken)) return presented
      const kind = presented === otherIssuer ? "IssuerForm" : (faultOf.get(presented) ?? form.faultOf(token))
      if (isGiven(policy, kind)) return presented
      return new AdvisedRefusal(presented, { kind, text: form.adviceOn(kind, undefined, [policy], nameOfFinding) })
    },
    verify: (presented, fiber) => {
      const verified =
        presented instanceof InvalidToken
          ? Effect.fail(presented)
          : presented instanceof AdvisedRefusal
            ? refuse(presented.refusal, presented.advice.text, policy, presented.advice.kind)
            : Effect.flatMap(find(presented.issuer), (trust) =>
                trust.policy.algorithms.has(presented.parsed.header.alg)
                  ? verifyPresented({ ...presented, trust }, check)
                  : refuseAlgorithm(presented.parsed.header.alg, trust)
              )
      return outcome.observed(verified, "JwtVerifier.verify", count, fiber)
    },
    refused: count
  })
})

const nameOfFinding = "JwtVerifier.layerAllowedIssuers"

/** Reads the unverified issuer, which selects the keys that must match. */
const readIssuer = (token: string, maxTokenLength: number) => {
  if (token.length > maxTokenLength) return tooLong
  const parsed = compact.parse(token)
  const unverified = parsed === undefined ? undefined : compact.claimsOf(parsed)
  if (parsed === undefined || unverified === undefined) return malformed
  const issuer = unverified["iss"]
  return typeof issuer === "string" ? { token, parsed, issuer } : otherIssuer
}

/** Refuses the issuer of a token. The first refusal of each kind is explained without the issuer, which is unverified. */
export const refuseIssuer = (
  kind: "IssuerForm" | "IssuerNotAllowed",
  policy: policies.CheckedPolicy
): Effect.Effect<never, InvalidToken> =>
  isGiven(policy, kind)
    ? Effect.fail(otherIssuer)
    : refuse(otherIssuer, form.adviceOn(kind, undefined, [policy], nameOfFinding), policy, kind)

const refuseAlgorithm = (alg: string, { policy }: Trust): Effect.Effect<never, InvalidToken> => {
  const [refusal, kind] = form.isSupported(alg)
    ? ([wrongAlgorithm, "Algorithm"] as const)
    : ([unsupportedAlgorithm, "UnsupportedAlgorithm"] as const)
  return isGiven(policy, kind)
    ? Effect.fail(refusal)
    : refuse(refusal, form.adviceOn(kind, alg, [policy]), policy, kind)
}

/** Well-formed token, and the issuer that it claims to be from. */
export interface Presented {
  readonly token: string
  readonly parsed: compact.Compact
  readonly trust: Trust
}

const malformed = constant(new InvalidToken({ reason: "Malformed" }))
const otherIssuer = constant(new InvalidToken({ reason: "Claim", claim: "iss" }))
const wrongAlgorithm = constant(new InvalidToken({ reason: "Algorithm" }))
const unsupportedAlgorithm = constant(new InvalidToken({ reason: "Algorithm" }))
const tooLong = constant(new InvalidToken({ reason: "Malformed" }))
const unknownKey = constant(new InvalidToken({ reason: "UnknownKey" }))

// The other refusals are `malformed`.
const faultOf: ReadonlyMap<InvalidToken, form.Fault> = new Map([
  [otherIssuer, "Issuer"],
  [wrongAlgorithm, "Algorithm"],
  [unsupportedAlgorithm, "UnsupportedAlgorithm"],
  [tooLong, "TooLong"]
])

interface FormAdvice {
  readonly kind: form.Fault
  readonly text: string
}

/** A refusal that the log must explain once. */
class AdvisedRefusal {
  readonly refusal: InvalidToken
  readonly advice: FormAdvice

  constructor(refusal: InvalidToken, advice: FormAdvice) {
    this.refusal = refusal
    this.advice = advice
  }
}

/** Returns advice for a token that was refused before its signature was verified, unless it was given before. */
const adviceOnRefusal = (
  token: string,
  refusal: InvalidToken,
  trusted: ReadonlyArray<Trust>
): FormAdvice | undefined => {
  const kind = faultOf.get(refusal) ?? form.faultOf(token)
  if (isGiven(trusted, kind)) return
  const parsed = kind === "Algorithm" ? compact.parse(token) : undefined
  return {
    kind,
    text: form.adviceOn(
      kind,
      parsed?.header.alg,
      trusted.map(({ policy }) => policy)
    )
  }
}

/** Runs the checks that need no key. With several issuers, the unverified `iss` selects the keys that must match. */
const read = (token: string, trusted: ReadonlyArray<Trust>, maxTokenLength: number): Presented | InvalidToken => {
  if (token.length > maxTokenLength) return tooLong
  const parsed = compact.parse(token)
  if (parsed === undefined) return malformed
  const trust = trustOf(parsed, trusted)
  if (trust instanceof InvalidToken) return trust
  if (token.length > trust.policy.maxTokenLength) return tooLong
  const { alg } = parsed.header
  if (trust.policy.algorithms.has(alg)) return { token, parsed, trust }
  return form.isSupported(alg) ? wrongAlgorithm : unsupportedAlgorithm
}

const trustOf = (parsed: compact.Compact, trusted: ReadonlyArray<Trust>): Trust | InvalidToken => {
  const [only, another] = trusted
  if (only !== undefined && another === undefined) return only
  const unverified = compact.claimsOf(parsed)
  if (unverified === undefined) return malformed
  return trusted.find(({ policy }) => policy.issuerOf(unverified) !== undefined) ?? otherIssuer
}

const verifyPresented = (presented: Presented, check: SignatureCheck): Effect.Effect<Verified, Rejection> =>
  verifySigned(presented, check, accept)

/** Reads the payload of a token whose signature is verified. */
export type Accept<A> = (
  payload: Uint8Array,
  header: compact.Compact["header"],
  policy: policies.CheckedPolicy,
  validity: Validity
) => Effect.Effect<A, InvalidToken>

/** Verifies the signature of a token with the keys of its issuer, and accepts its payload. */
export const verifySigned = <A>(
  { parsed, token, trust }: Presented,
  check: SignatureCheck,
  accept: Accept<A>
): Effect.Effect<A, Rejection> => {
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
  const verifyWithEach = ([first, ...others]: VerificationKeys) =>
    others.reduce(
      (result, key) =>
        Effect.catch(result, (error) => (error.reason === "Signature" ? verifyWith(key) : Effect.fail(error))),
      first === undefined ? Effect.fail(unknownKey) : verifyWith(first)
    )
  // The issuer may have replaced a key without a `kid`, or a key with the same `kid`. Verify again only with keys that
  // are new. Otherwise the first refusal stands.
  const verifyOrSearch = (keys: VerificationKeys) =>
    Effect.catch(verifyWithEach(keys), (error) =>
      error.reason !== "Signature"
        ? Effect.fail(error)
        : Effect.flatMap(
            Effect.orElseSucceed(keysOf(header, keys), () => keys),
            (found) => {
              const others = found.filter((key) => !keys.includes(key))
              return others.length === 0 ? Effect.fail(error) : verifyWithEach(others)
            }
          )
    )
  const find = () =>
    Effect.tapError(keysOf(header), (error) =>
      error.reason === "UnknownKey" ? give(form.adviceOnKey(alg, kid, trust.policy), trust.policy) : Effect.void
    )
  const verified = Effect.clockWith((clock) => {
    const available = availableKeys(header, clock, clock.currentTimeMillisUnsafe())
    return available.length > 0 ? verifyOrSearch(available) : Effect.flatMap(find(), verifyOrSearch)
  })
  if (form.isSupported(alg)) return verified
  return Effect.tapError(verified, (error) =>
    error.reason === "Signature" ? give(form.adviceOnSecret(trust.policy), trust.policy) : Effect.void
  )
}

/** Validates signed claims. Only tokens with a valid signature can cause advice in the log. */
const accept: Accept<Verified> = (payload, { typ }, policy, validity) =>
  Effect.clockWith((clock) => {
    const verified = parseObject(payload)
    if (verified === undefined) return refuse(malformed, form.claimsAreMalformed, policy)
    const now = clock.currentTimeMillisUnsafe()
    const token = claims.read(verified, policy, now)
    if (token instanceof InvalidToken) {
      const { kind, text } = adviceOn(token, verified, policy, now)
      return refuse(token, text, policy, kind)
    }
    if (claims.livesTooLong(token, policy, now)) {
      return refuse(new InvalidToken({ reason: "Claim", claim: "exp" }), claims.adviceAboutLifetime(policy), policy)
    }
    const failing = profile.findViolation(typ, verified, policy)
    if (failing !== undefined) {
      const advice = profile.advice(typ, verified, policy, failing)
      return refuse(new InvalidToken({ reason: "Claim", claim: failing }), advice, policy)
    }
    const accepted = Effect.succeed({ ...frozen(token), validUntil: claims.validUntil(token, policy), validity })
    return adviceOnAccepted(verified, policy).reduceRight<Effect.Effect<Verified>>(
      (accepted, { kind, text }) => Effect.andThen(give(text, policy, kind), accepted),
      accepted
    )
  })
