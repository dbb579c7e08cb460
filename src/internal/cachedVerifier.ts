import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../AccessToken.ts"
import { type AuthorizationServerUnavailable, ConfigurationError, InvalidToken } from "../SecurityError.ts"
import type { TokenCacheOptions, TokenVerifier } from "../TokenVerifier.ts"
import { isToken, redact } from "./authorizationHeader.ts"
import * as counter from "./counter.ts"
import { exitOf } from "./eventual.ts"
import { shared } from "./shared.ts"
import { sizeOf, TokenCache } from "./tokenCache.ts"

export type Rejection = InvalidToken | AuthorizationServerUnavailable

/** What a verification found. */
export interface Verified {
  readonly token: VerifiedToken
  /** From then on, in milliseconds since the epoch, the token is verified anew. */
  readonly until: number
  readonly standing: Standing
}

/** Whether what does not depend on time alone still holds: the key that signed. `stands` itself where that is known at once. */
export type Standing = (clock: Clock.Clock) => Effect.Effect<boolean, Rejection>

export const stands: Effect.Effect<boolean> = Effect.succeed(true)

export const always: Standing = () => stands

/** A token and what was verified of it. */
export interface Known {
  readonly token: Redacted.Redacted
  readonly verified: Exit.Success<VerifiedToken>
}

interface Entry extends Known {
  readonly from: number
  readonly until: number
  readonly standing: Standing
}

export const success = (token: VerifiedToken): Exit.Success<VerifiedToken> =>
  Exit.succeed(token) as Exit.Success<VerifiedToken>

/** What a verifier made here can do besides: it needs no effect for what it knows. */
export interface Face {
  /** `undefined` where something has to be verified, or waited for. */
  readonly lookUp: (token: string, clock: Clock.Clock) => Known | undefined
  /** The same by the value of an `Authorization` field. */
  readonly lookUpPresented: (field: string, clock: Clock.Clock) => Known | undefined
  /** `verify`, already begun: an `Exit` where that is all there is to it, and the error itself where the form alone refuses the token. */
  readonly verify: (token: string, fiber: Fiber.Fiber<unknown, unknown>) => Begun<VerifiedToken>
}

/** A verification, or the error of a token that is refused at once: no effect is made for it. */
export type Begun<A> = Effect.Effect<A, Rejection> | InvalidToken

// By the function that verifies: whoever puts another one in its place is asked for every token.
const faces = new WeakMap<TokenVerifier["Service"]["verify"], Face>()

export const faceOf = ({ verify }: TokenVerifier["Service"]): Face =>
  faces.get(verify) ?? { ...ignorant, verify: (token) => verify(redact(token)) }

const ignorant = { lookUp: () => undefined, lookUpPresented: () => undefined }

const withFace = (face: Face, invalidate: TokenVerifier["Service"]["invalidate"]): TokenVerifier["Service"] => {
  const verify: TokenVerifier["Service"]["verify"] = (token) =>
    Effect.withFiber((fiber) => toEffect(face.verify(Redacted.value(token), fiber)))
  faces.set(verify, face)
  return { verify, invalidate }
}

export const toEffect = <A>(begun: Begun<A>): Effect.Effect<A, Rejection> =>
  begun instanceof InvalidToken ? Effect.fail(begun) : begun

const lookups = Metric.counter("oauth2_token_cache_lookups_total", {
  description: "Look-ups of verified tokens, by outcome: hit, miss",
  incremental: true
})

/** What is refused or accepted at once is an `Exit`, and costs no more than that. The fiber is the one that asks. */
export type Verify = (token: string, fiber: Fiber.Fiber<unknown, unknown>) => Begun<Verified>

interface Options {
  readonly verify: Verify
  readonly cache: TokenCacheOptions | false | undefined
}

export const make = Effect.fnUntraced(function* ({
  cache: options = {},
  verify
}: Options): Effect.fn.Return<TokenVerifier["Service"], ConfigurationError> {
  if (options === false) {
    return withFace(
      {
        ...ignorant,
        verify: (text, fiber) => {
          const verified = verify(text, fiber)
          return verified instanceof InvalidToken ? verified : Effect.mapEager(verified, ({ token }) => token)
        }
      },
      () => Effect.void
    )
  }

  const { timeToLive, ...bounds } = yield* settings(options)
  const cache = new TokenCache<Entry>(bounds)
  const context = yield* Effect.context<never>()
  const hits = counter.make(lookups, { outcome: "hit" }, context)
  const misses = counter.make(lookups, { outcome: "miss" }, context)

  /** What is under way: a token that many present at once is verified once. */
  const flights = new Map<string, Effect.Effect<VerifiedToken, Rejection>>()

  const keep = (text: string, { standing, token, until }: Verified, clock: Clock.Clock): VerifiedToken => {
    const from = clock.currentTimeMillisUnsafe()
    const ends = Math.min(until, from + timeToLive)
    if (ends > from) {
      cache.set(text, from, () => {
        // What is kept has the form of a token: who finds it here need not look at that again.
        if (!isToken(text)) return
        const entry: Entry = { token: redact(text), verified: success(token), from, until: ends, standing }
        return { entry, bytes: sizeOf(text, token, bounds.maxBytes) }
      })
    }
    return token
  }

  const verifyAnew = (text: string, clock: Clock.Clock, fiber: Fiber.Fiber<unknown, unknown>): Begun<VerifiedToken> => {
    misses.count++
    const underWay = flights.size === 0 ? undefined : flights.get(text)
    if (underWay !== undefined) return underWay
    const verified = verify(text, fiber)
    if (verified instanceof InvalidToken) return verified
    const exit = exitOf(verified)
    if (exit !== undefined) return Exit.map(exit, (verified) => keep(text, verified, clock))
    const isOwn = () => flights.get(text) === flight
    const flight: Effect.Effect<VerifiedToken, Rejection> = shared(
      Effect.onExitPrimitive(
        Effect.suspend(() => {
          flights.set(text, flight)
          // What was invalidated meanwhile is not kept.
          return Effect.map(verified, (verified) => (isOwn() ? keep(text, verified, clock) : verified.token))
        }),
        () => {
          if (isOwn()) flights.delete(text)
          return undefined
        }
      )
    )
    return flight
  }

  const standing = (entry: Entry | undefined, clock: Clock.Clock): Known | undefined => {
    if (entry === undefined || entry.standing(clock) !== stands) return
    hits.count++
    return entry
  }

  const face: Face = {
    lookUp: (text, clock) => standing(cache.get(text, clock), clock),
    lookUpPresented: (field, clock) => standing(cache.getPresented(field, clock), clock),
    verify: (text, fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const entry = cache.get(text, clock)
      if (entry === undefined) return verifyAnew(text, clock, fiber)
      return Effect.matchEffect(entry.standing(clock), {
        onFailure: (error) => {
          misses.count++
          if (error._tag === "InvalidToken") cache.delete(text)
          return Effect.fail(error)
        },
        onSuccess: (holds) => {
          // The keys may have been waited for.
          if (holds && clock.currentTimeMillisUnsafe() < entry.until) {
            hits.count++
            return entry.verified
          }
          cache.delete(text)
          return toEffect(verifyAnew(text, clock, fiber))
        }
      })
    }
  }
  return withFace(face, (credential) =>
    Effect.sync(() => {
      const text = Redacted.value(credential)
      cache.delete(text)
      flights.delete(text)
    })
  )
})

const settings = Effect.fnUntraced(function* (
  options: TokenCacheOptions
): Effect.fn.Return<Required<{ [K in keyof TokenCacheOptions]: number }>, ConfigurationError> {
  const { capacity = 10_000, maxBytes = 16 * 1024 * 1024 } = options
  const timeToLive = Duration.toMillis(Duration.fromInputUnsafe(options.timeToLive ?? "1 minute"))
  const refuse = (setting: string, message: string) =>
    Effect.fail(
      new ConfigurationError({ setting, message: `${setting} ${message}; cache: false switches the cache off` })
    )
  if (!Number.isSafeInteger(capacity) || capacity < 1) {
    return yield* refuse("cache.capacity", "must be a whole number of tokens above 0")
  }
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) {
    return yield* refuse("cache.maxBytes", "must be a whole number of bytes above 0")
  }
  if (!(timeToLive > 0 && timeToLive <= 24 * 3_600_000)) {
    return yield* refuse("cache.timeToLive", "must be above 0 and at most 24 hours")
  }
  return { capacity, maxBytes, timeToLive }
})
