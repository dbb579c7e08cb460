/**
 * Keeps what a sign-in needs until the browser comes back: one encrypted cookie for each attempt, so that several tabs
 * do not disturb each other.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import { own, ownProperties } from "../../core/lib/ownProperties.ts"
import * as hash from "../../stores/hash.ts"
import { valueOf } from "../web/cookies.ts"
import type { LoginContext } from "./context.ts"

export interface Attempt {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  /** Name of the provider. The response cannot change it, so a response of another provider is refused. */
  readonly provider: string | undefined
  readonly issuer: string
  readonly redirectUri: string
  readonly returnTo: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** Cookie of the session before the sign-in, if the response comes in a request without that cookie. */
  readonly former: string | undefined
  /** Seconds since the authentication at most. */
  readonly maxAge: number | undefined
}

export const lifetime = 600_000

/** More cookies would exceed the limit that servers have for the headers of a request. */
const maxAttempts = 5

type Context = Pick<LoginContext, "cookies" | "keys">

/** Eight characters are enough to find the cookie. The attempt itself has the whole state. */
const nameOf = ({ cookies }: Context, state: string) =>
  Effect.map(hash.digest(state), (digest) => `${cookies.attempt}${digest.slice(0, 8)}`)

const read = Effect.fnUntraced(function* ({ keys }: Context, request: HttpServerRequest, name: string) {
  const value = valueOf(request, name)
  const opened = value === undefined ? undefined : yield* keys.open(name, value)
  // The text was authenticated, so its form is known.
  const attempt = opened === undefined ? undefined : ownProperties(opened as Attempt)
  return attempt !== undefined && (yield* Clock.currentTimeMillis) - attempt.startedAt < lifetime ? attempt : undefined
})

/** Adds the cookie of a new attempt to a response, and removes the oldest ones if there are too many. */
export const add = Effect.fnUntraced(function* (
  context: Context,
  request: HttpServerRequest,
  response: HttpServerResponse,
  attempt: Attempt,
  sameSite: "lax" | "none"
) {
  const name = yield* nameOf(context, attempt.state)
  const others = yield* Effect.forEach(
    Object.keys(request.cookies).filter((other) => other.startsWith(context.cookies.attempt)),
    (other) => Effect.map(read(context, request, other), (found) => ({ name: other, startedAt: found?.startedAt }))
  )
  const newest = others.toSorted((a, b) => (b.startedAt ?? -Infinity) - (a.startedAt ?? -Infinity))
  const removed = newest.filter(({ startedAt }, i) => startedAt === undefined || i >= maxAttempts - 1)
  const value = yield* context.keys.seal(name, attempt)
  return context.cookies.set(
    removed.reduce((response, other) => context.cookies.expire(response, other.name), response),
    name,
    value,
    { maxAge: Duration.millis(lifetime), sameSite }
  )
})

/** Returns the attempt of a response, if this browser began it, and the name of its cookie. */
export const find = Effect.fnUntraced(function* (context: Context, request: HttpServerRequest, state: string) {
  const name = yield* nameOf(context, state)
  const attempt = yield* read(context, request, name)
  return { name, attempt: own(attempt, "state") === state ? attempt : undefined }
})
