/** A verifier with a cache in front, for tests of what is kept: it decides at once or later, and notes what it was asked. */
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

/** Verifiers decide at once, or later. */
export const later = (decide: () => Outcome): Outcome => Effect.andThen(Effect.yieldNow, Effect.suspend(decide))
export const ways: Readonly<Record<string, (decide: () => Outcome) => Outcome>> = {
  "at once": (decide) => decide(),
  later
}

interface Options {
  readonly cache?: TokenCacheOptions | false
  /** What the verifier says of a token. Default: it is good, and its subject is its text. */
  readonly says?: (token: string) => Outcome
  readonly way?: (decide: () => Outcome) => Outcome
}

/** A verifier with a cache in front, and which tokens it was asked about. */
export const verifier = Effect.fnUntraced(function* ({
  cache = {},
  says = accepted,
  way = (decide) => decide()
}: Options) {
  const calls: Array<string> = []
  const service = yield* TokenVerifier.make({
    cache,
    verify: (token) =>
      way(() => {
        calls.push(Redacted.value(token))
        return says(Redacted.value(token))
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
