/** Creates verifiers that refuse revoked tokens, on every request. A cached token needs no step of a fiber for this. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { redact } from "../../core/authorizationHeader.ts"
import { constant, failWith } from "../../core/constantErrors.ts"
import { exitOf } from "../../core/lib/exit.ts"
import { AuthorizationServerUnavailable, InvalidToken } from "../../core/SecurityError.ts"
import type { Identity, RevocationsService } from "../../stores/revocationEntry.ts"
import type { Outcome } from "../../stores/revocationList.ts"
import { type Checker, checkerOf, counters } from "../../stores/revocations.ts"
import { StoreUnavailable } from "../../stores/storeUnavailable.ts"
import { type CallingFiber, directOf, type DirectVerifier, toService, type Verification } from "./directVerifier.ts"
import type { Rejection, VerifierService } from "./verified.ts"

const revoked = constant(new InvalidToken({ reason: "Rejected" }))

const unavailable = ({ retryAfter }: StoreUnavailable): AuthorizationServerUnavailable =>
  new AuthorizationServerUnavailable({ reason: "StoreUnavailable", retryAfter })

/** Verifications of one token that overlap in time. They may share one verification. */
interface Overlap {
  /** The number of changes of the list when the first of them began. */
  readonly since: number
  count: number
}

/** Most tokens whose connections end when the token is revoked. The oldest token is forgotten first. */
const maxWatched = 10_000

export const make = Effect.fnUntraced(function* (
  inner: VerifierService,
  revocations: RevocationsService
): Effect.fn.Return<VerifierService, never, Scope.Scope> {
  const direct = directOf(inner)
  const counts = counters(yield* Effect.context<never>())
  const refuse = (): Effect.Effect<never, InvalidToken> => {
    counts.revoked.count++
    return failWith(revoked)
  }
  const fail = (error: StoreUnavailable): Effect.Effect<never, AuthorizationServerUnavailable> => {
    counts.unavailable.count++
    return failWith(unavailable(error))
  }
  const checker = checkerOf(revocations)
  if (checker === undefined) return withCustomService(inner, direct, revocations, refuse, fail)

  const identities = new WeakMap<VerifiedToken, Identity>()
  const overlaps = new Map<string, Overlap>()
  const watched = new Map<string, Identity>()

  const identityOf = (token: VerifiedToken, text: string, since: number): Effect.Effect<Identity> => {
    const identity = identities.get(token)
    if (identity !== undefined) return Effect.succeed(identity)
    return Effect.map(checker.identify(token, text, since), (identity) => {
      identities.set(token, identity)
      watched.delete(text)
      watched.set(text, identity)
      for (const oldest of watched.keys()) {
        if (watched.size <= maxWatched) break
        watched.delete(oldest)
      }
      return identity
    })
  }

  /** Checks a token that is not cached, or that the list in memory cannot decide about. */
  const checkVerified = (
    token: VerifiedToken,
    text: string,
    since: number,
    isNew: boolean,
    fiber: CallingFiber
  ): Effect.Effect<VerifiedToken, Rejection> =>
    Effect.flatMap(identityOf(token, text, since), (identity) => {
      const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      const checked = checker.check(identity, now)
      if (checked instanceof StoreUnavailable) return fail(checked)
      return Effect.matchEffect(checked === undefined ? checker.lookUp(identity, isNew) : Effect.succeed(checked), {
        onFailure: fail,
        onSuccess: (outcome) => {
          if (outcome === "revoked") return refuse()
          if (outcome === "valid") return Effect.succeed(token)
          // A verification that was in progress still completes, but its outcome must not stay in a cache.
          const again = Effect.suspend(() => (isNew ? Effect.succeed(token) : verify(text, fiber)))
          return Effect.andThen(inner.invalidate(redact(text)), again)
        }
      })
    })

  const verify: DirectVerifier["verify"] = (text, fiber) => {
    let own: Overlap | undefined
    return Effect.ensuring(
      // Start inside `ensuring`, so an interrupt cannot skip the end.
      Effect.suspend(() => {
        const overlap = (own = overlaps.get(text) ?? { since: checker.changes(), count: 0 })
        overlaps.set(text, overlap)
        overlap.count++
        return Effect.flatMap(direct.verify(text, fiber), (token) =>
          checkVerified(token, text, overlap.since, true, fiber)
        )
      }),
      Effect.sync(() => {
        if (own !== undefined && --own.count === 0) overlaps.delete(text)
      })
    )
  }

  const checkCached = (found: Verification | undefined, fiber: CallingFiber): Verification | undefined => {
    if (found?.token === undefined) return found
    const { token, verified } = found
    const exit = exitOf(verified)
    if (exit !== undefined) {
      if (Exit.isFailure(exit)) return found
      const identity = identities.get(exit.value)
      if (identity !== undefined) {
        const outcome = checker.check(identity, fiber.getRef(Clock.Clock).currentTimeMillisUnsafe())
        if (outcome === "valid") return found
        if (outcome === "revoked") return { token, verified: refuse() }
        if (outcome instanceof StoreUnavailable) return { token, verified: fail(outcome) }
      }
    }
    const text = Redacted.value(token)
    const since = checker.changes()
    return {
      token,
      verified: Effect.flatMap(verified, (token) => checkVerified(token, text, since, false, fiber))
    }
  }

  yield* endConnections(inner, checker, watched)

  return {
    ...toService(
      {
        lookUp: (text, fiber) => checkCached(direct.lookUp(text, fiber), fiber),
        lookUpPresented: (header, fiber) => checkCached(direct.lookUpPresented(header, fiber), fiber),
        verify
      },
      () => {}
    ),
    invalidate: (token) => Effect.andThen(inner.invalidate(token), tellOthers(checker, Redacted.value(token)))
  }
})

const notTold =
  "An invalidated token may be accepted by other processes until their cache entries end, because the store of the revocations is unavailable. Call TokenVerifier.invalidate again."

const tellOthers = (checker: Checker, text: string): Effect.Effect<void> =>
  Effect.catch(checker.invalidate(text), ({ reason }) =>
    Effect.annotateLogs(Effect.logError(notTold), { store: "Revocations", reason })
  )

/** Removes tokens from the cache when the list in memory revokes them, which also ends their connections. */
const endConnections = Effect.fnUntraced(function* (
  inner: VerifierService,
  checker: Checker,
  watched: Map<string, Identity>
): Effect.fn.Return<void, never, Scope.Scope> {
  const changes = yield* Queue.sliding<true>(1)
  yield* Effect.acquireRelease(
    Effect.sync(() => checker.onChange(() => void Queue.offerUnsafe(changes, true))),
    (end) => Effect.sync(end)
  )
  const isOver = (outcome: Outcome | StoreUnavailable | undefined): boolean =>
    outcome === "revoked" || outcome === "invalidated"
  const sweep = Effect.clockWith((clock) => {
    const now = clock.currentTimeMillisUnsafe()
    const over: Array<string> = []
    for (const [text, identity] of watched) {
      if (identity.expires <= now) watched.delete(text)
      else if (isOver(checker.check(identity, now))) over.push(text)
    }
    return Effect.forEach(
      over,
      (text) => {
        watched.delete(text)
        return inner.invalidate(redact(text))
      },
      { discard: true }
    )
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Queue.take(changes), sweep)))
})

/** A custom service decides about every request itself. */
const withCustomService = (
  inner: VerifierService,
  direct: DirectVerifier,
  { isRevoked }: RevocationsService,
  refuse: () => Effect.Effect<never, InvalidToken>,
  fail: (error: StoreUnavailable) => Effect.Effect<never, AuthorizationServerUnavailable>
): VerifierService => {
  const check = (verified: Effect.Effect<VerifiedToken, Rejection>, text: string) =>
    Effect.flatMap(verified, (token) =>
      Effect.matchEffect(isRevoked(token, redact(text)), {
        onFailure: fail,
        onSuccess: (isRevoked: unknown) => (isRevoked === false ? Effect.succeed(token) : refuse())
      })
    )
  const checkCached = (found: Verification | undefined): Verification | undefined =>
    found?.token === undefined
      ? found
      : { token: found.token, verified: check(found.verified, Redacted.value(found.token)) }
  return {
    ...toService(
      {
        lookUp: (text, fiber) => checkCached(direct.lookUp(text, fiber)),
        lookUpPresented: (header, fiber) => checkCached(direct.lookUpPresented(header, fiber)),
        verify: (text, fiber) => check(direct.verify(text, fiber), text)
      },
      () => {}
    ),
    invalidate: inner.invalidate
  }
}
