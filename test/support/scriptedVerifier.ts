/** A custom verifier with a cache, for tests of the cache. It decides at once or later, and records its calls. */
import { Duration, Effect, Redacted } from "effect"
import { SecurityError, type TokenCacheOptions, TokenVerifier, type VerifiedToken } from "effect-oauth2"
import { verified } from "./TestVerifier.ts"

export type Verify = TokenVerifier["Service"]["verify"]
export type Outcome = ReturnType<Verify>

export const accepted = (subject: string, more: Partial<VerifiedToken> = {}): Outcome =>
  Effect.succeed({ ...verified(subject, ["a"]), ...more })
export const refused: Outcome = Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
export const outage: Outcome = Effect.fail(
  new SecurityError.AuthorizationServerUnavailable({ reason: "Timeout", retryAfter: Duration.seconds(5) })
)

/** Decides after the fiber has yielded. */
export const later = (decide: () => Outcome): Outcome => Effect.andThen(Effect.yieldNow, Effect.suspend(decide))
export const timings: Readonly<Record<string, (decide: () => Outcome) => Outcome>> = {
  "at once": (decide) => decide(),
  later
}

interface Options {
  readonly cache?: TokenCacheOptions | false
  /** Decides about a token. Default: accepts it, with its text as the subject. */
  readonly decide?: (token: string) => Outcome
  readonly timing?: (decide: () => Outcome) => Outcome
}

/** Creates a verifier with a cache, and the list of the tokens that it has verified. */
export const verifier = Effect.fnUntraced(function* ({
  cache = {},
  decide = accepted,
  timing = (decide) => decide()
}: Options) {
  const calls: Array<string> = []
  const service = yield* TokenVerifier.make({
    cache,
    verify: (token) =>
      timing(() => {
        calls.push(Redacted.value(token))
        return decide(Redacted.value(token))
      })
  })
  return {
    calls,
    service,
    present: (token: string) => service.verify(Redacted.make(token)),
    invalidate: (token: string) => service.invalidate(Redacted.make(token)),
    callsOf: (token: string) => calls.filter((called) => called === token).length
  }
})
