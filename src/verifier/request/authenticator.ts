/** Verifies a request's token for one scheme, once. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { BearerToken } from "../../core/BearerToken.ts"
import { type InvalidRequest, InvalidToken, type NotAuthenticated } from "../../core/SecurityError.ts"
import type { TokenVerifier } from "../TokenVerifier.ts"
import { RequestMemories, Remembered, type Verification } from "./requestMemory.ts"
import * as authorizationHeader from "../../core/authorizationHeader.ts"
import { failConstant } from "../../core/constantErrors.ts"
import { errorOf, exitOf, frozenSuccess } from "../../core/lib/exit.ts"
import { directOf, type DirectVerifier, type Inspected, type Known, toEffect } from "../cache/directVerifier.ts"
import * as invalidations from "../cache/invalidations.ts"
import { shared } from "../cache/shared.ts"
import { frozen, type FrozenToken, isImmutable, type Rejection } from "../cache/verified.ts"

// A request's verification is remembered while the request is decided about, not for as long as a stream or a socket of it lives (nor where a
// program has it handled twice), never for longer than the token is good, and never beyond an `invalidate`. An outage is not remembered: the next who asks
// may have an answer.
const rememberedFor = 30_000

const remembered = (
  verified: Effect.Effect<VerifiedToken, Rejection>,
  clock: Clock.Clock
): Effect.Effect<VerifiedToken, Rejection> => {
  let known: Exit.Exit<VerifiedToken, Rejection> | undefined
  let until = 0
  let from = 0
  const begun = Effect.suspend(() => {
    from = invalidations.soFar()
    return verified
  })
  const once = shared(
    Effect.onExitPrimitive(begun, (exit) => {
      const now = clock.currentTimeMillisUnsafe()
      known = exit
      if (Exit.isSuccess(exit)) until = Math.min(now + rememberedFor, exit.value.expiresAt.epochMilliseconds)
      else until = errorOf(exit)?._tag === "InvalidToken" ? now + rememberedFor : now
      return undefined
    })
  )
  return Effect.suspend(() =>
    known !== undefined && clock.currentTimeMillisUnsafe() < until && invalidations.soFar() === from ? known : once
  )
}

/** What a scheme makes of a verified token: its claims decoded. */
type Decode<A> = (token: VerifiedToken) => Effect.Effect<A, InvalidToken>

/**
 * What a scheme knows at run time: its verifier, and what it has verified. The memory is private to the instance, so nothing that a program puts into a
 * context can pass for a verification. A token that the verifier's cache knows costs a look-up; any other is remembered for one handling of a request.
 */
export class Authenticator {
  readonly #verifier: DirectVerifier
  readonly #decode: Decode<FrozenToken> | undefined
  readonly #decoded = new WeakMap<VerifiedToken, Exit.Success<VerifiedToken>>()

  constructor(verifier: TokenVerifier["Service"], decode: Decode<VerifiedToken> | undefined) {
    this.#verifier = directOf(verifier)
    this.#decode = decode && ((token) => Effect.map(decode(token), frozen))
  }

  /** The credential of a request, or why it is refused at once. */
  fromRequest(
    request: HttpServerRequest,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Verification | NotAuthenticated | InvalidRequest | Rejection {
    const field = authorizationHeader.presented(request, fiber.getRef(BearerToken.MaxLength))
    if (typeof field !== "string") return field
    const presented = this.#verifier.lookUpPresented(field, fiber)
    if (presented instanceof InvalidToken) return presented
    const settled = this.#settled(presented)
    if (settled !== undefined) return settled
    const text = authorizationHeader.parse(field)
    if (typeof text !== "string") return text
    if (!authorizationHeader.isToken(text)) return authorizationHeader.malformed
    const known = this.#verifier.lookUp(text, fiber)
    return this.#settled(known) ?? this.#remembered(text, known, request, "own", fiber)
  }

  /** The verification of a token that a program was given, one a request where there is a request. */
  fromToken(token: Redacted.Redacted, fiber: Fiber.Fiber<unknown, unknown>): Verification["verified"] {
    const text = Redacted.value(token)
    const known = this.#verifier.lookUp(text, fiber)
    const settled = this.#settled(known)
    if (settled !== undefined) return settled.verified
    const request = Context.getOrUndefined(fiber.context, HttpServerRequest)
    if (request === undefined) return toEffect(this.#inspect(text, known, fiber))
    const remembered = this.#remembered(text, known, request, "last", fiber)
    return remembered instanceof Error ? Effect.fail(remembered) : remembered.verified
  }

  /** What is kept of a token, where nothing has to be waited for. */
  #settled(known: Known | undefined): Verification | undefined {
    const exit = known && exitOf(known.verified)
    if (known === undefined || exit?._tag !== "Success") return
    return this.#decode === undefined
      ? known
      : { token: known.token, verified: this.#decodedOf(exit.value, this.#decode) }
  }

  /** How to verify a token that is not settled, and decode its claims. */
  #inspect(text: string, known: Known | undefined, fiber: Fiber.Fiber<unknown, unknown>): Inspected<VerifiedToken> {
    const inspected = known === undefined ? this.#verifier.verify(text, fiber) : () => known.verified
    const decode = this.#decode
    return decode === undefined || inspected instanceof InvalidToken
      ? inspected
      : () => Effect.mapEager(Effect.flatMapEager(inspected(), decode), ({ token }) => token)
  }

  /** Decodes the claims of a cached token once. If they decode to a value that can change, such as a `Date`, each request gets one of its own. */
  #decodedOf(token: VerifiedToken, decode: Decode<FrozenToken>): Effect.Effect<VerifiedToken, InvalidToken> {
    return (
      this.#decoded.get(token) ??
      Effect.map(decode(token), (decoded) => {
        if (isImmutable(decoded)) this.#decoded.set(token, frozenSuccess(decoded.token))
        return decoded.token
      })
    )
  }

  /** The header's own verification, or the last one: a client that sends one token after the other fills no memory. */
  #remembered(
    text: string,
    known: Known | undefined,
    request: HttpServerRequest,
    place: "own" | "last",
    fiber: Fiber.Fiber<unknown, unknown>
  ): Verification | Rejection {
    const inspected = this.#inspect(text, known, fiber)
    if (inspected instanceof InvalidToken) return inspected
    const memory = RequestMemories.of(request, this)
    if (memory.own?.text === text) return memory.own.verification
    if (memory.last?.text === text) return memory.last.verification
    const verified = inspected()
    // What is refused at once may be refused again.
    const error = errorOf(verified)
    if (error !== undefined) return error
    // What has begun is for the first who asks; when it is over, the token is verified anew.
    let begun: Effect.Effect<VerifiedToken, Rejection> | undefined = verified
    const verify = Effect.withFiber((fiber) => {
      const first = begun ?? toEffect(this.#inspect(text, this.#verifier.lookUp(text, fiber), fiber))
      begun = undefined
      return first
    })
    const verification = {
      token: authorizationHeader.redact(text),
      verified: remembered(verify, fiber.getRef(Clock.Clock))
    }
    memory[place] = new Remembered(text, verification)
    return verification
  }
}

/** For tests: every request, and every token, is verified as given; or every request is anonymous. Scopes are still decided. */
export class TestAuthenticator extends Authenticator {
  readonly #verified: Effect.Effect<VerifiedToken> | undefined

  constructor(verified: Effect.Effect<VerifiedToken> | undefined) {
    super({ verify: () => verified ?? rejected, invalidate: () => Effect.void }, undefined)
    this.#verified = verified
  }

  override fromRequest(): Verification | NotAuthenticated {
    return this.#verified === undefined
      ? authorizationHeader.noCredentials
      : { token: authorizationHeader.redact("test"), verified: this.#verified }
  }

  override fromToken(): Verification["verified"] {
    return this.#verified ?? rejected
  }
}

const rejected = failConstant(new InvalidToken({ reason: "Rejected" }))
