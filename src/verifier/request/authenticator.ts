/** Verifies the token of a request for one scheme, once per request. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { BearerToken } from "../../core/BearerToken.ts"
import { type InvalidRequest, InvalidToken, type NotAuthenticated } from "../../core/SecurityError.ts"
import type { TokenVerifier } from "../TokenVerifier.ts"
import * as authorizationHeader from "../../core/authorizationHeader.ts"
import { failConstant, failWith } from "../../core/constantErrors.ts"
import { errorOf, frozenSuccess } from "../../core/lib/exit.ts"
import { type Asker, directOf, type DirectVerifier, type Verification } from "../cache/directVerifier.ts"
import { Shared } from "../cache/shared.ts"
import { frozen, type FrozenToken, isImmutable, type Rejection } from "../cache/verified.ts"
import { recall, remember, Remembered } from "./requestMemory.ts"

// In milliseconds. A request may live for long, such as one with a stream or a socket. Its verification counts only while requirements decide about it.
const rememberedFor = 30_000

/** An outage is not remembered, because the next attempt may succeed. */
const expiryOf = (exit: Exit.Exit<VerifiedToken, Rejection>, now: number): number => {
  if (Exit.isSuccess(exit)) return Math.min(now + rememberedFor, exit.value.expiresAt.epochMilliseconds)
  return errorOf(exit)?._tag === "InvalidToken" ? now + rememberedFor : now
}

/** Decodes the claims of a verified token for a scheme. */
type Decode<A> = (token: VerifiedToken) => Effect.Effect<A, InvalidToken>

/** The credential of a request: its verification fails with the reason if there is no token. */
export type Credential = Verification<NotAuthenticated | InvalidRequest | Rejection>

const refused = (error: NotAuthenticated | InvalidRequest): Credential => ({
  token: undefined,
  verified: failWith(error)
})

/**
 * The verifier of a scheme at run time, with the tokens that it has verified. The memory is private to the instance, so no value in a context can pass for
 * a verification. A cached token costs one lookup. An uncached token is remembered while the request is handled.
 */
export class Authenticator {
  readonly #verifier: DirectVerifier
  readonly #decode: Decode<FrozenToken> | undefined
  readonly #decoded = new WeakMap<VerifiedToken, Exit.Success<VerifiedToken>>()

  constructor(verifier: TokenVerifier["Service"], decode: Decode<VerifiedToken> | undefined) {
    this.#verifier = directOf(verifier)
    this.#decode = decode && ((token) => Effect.map(decode(token), frozen))
  }

  /** Returns the credential of a request, whatever `BearerToken` the context has. In a program without HTTP, that `BearerToken` is the credential. */
  credentialOf(request: HttpServerRequest | undefined, fiber: Asker): Credential {
    if (request === undefined) {
      const token = Context.getUnsafe(fiber.context, BearerToken)
      return { token, verified: this.fromToken(token, fiber) }
    }
    const header = authorizationHeader.presented(request, fiber.getRef(BearerToken.MaxLength))
    if (typeof header !== "string") return refused(header)
    const presented = this.#verifier.lookUpPresented(header, fiber)
    if (presented !== undefined && Exit.isExit(presented.verified))
      return this.#decode === undefined ? presented : this.#decodeCached(presented, this.#decode)
    const text = authorizationHeader.parse(header)
    if (typeof text !== "string") return refused(text)
    if (!authorizationHeader.isToken(text)) return refused(authorizationHeader.malformed)
    return this.#find(text, presented ?? this.#verifier.lookUp(text, fiber), request, "own", fiber)
  }

  /** Returns the verification of a token that a program presents, once per request if there is a request. */
  fromToken(token: Redacted.Redacted, fiber: Asker): Verification["verified"] {
    const text = Redacted.value(token)
    const request = Context.getOrUndefined(fiber.context, HttpServerRequest)
    return this.#find(text, this.#verifier.lookUp(text, fiber), request, "last", fiber).verified
  }

  #find(
    text: string,
    cached: Verification | undefined,
    request: HttpServerRequest | undefined,
    place: "own" | "last",
    fiber: Asker
  ): Verification {
    if (cached !== undefined && Exit.isExit(cached.verified))
      return this.#decode === undefined ? cached : this.#decodeCached(cached, this.#decode)
    const remembered = request && recall(request, this, text)
    if (remembered !== undefined) return remembered
    const verified = this.#verify(text, cached, fiber)
    // A token that is refused at once may be refused at once again.
    if (request === undefined || errorOf(verified) !== undefined) return { token: undefined, verified }
    return remember(request, this, place, this.#shared(text, verified, fiber))
  }

  /** Verifies a token whose verification takes time, and decodes its claims. */
  #verify(text: string, cached: Verification | undefined, fiber: Asker): Verification["verified"] {
    const verified = cached?.verified ?? this.#verifier.verify(text, fiber)
    return this.#decode === undefined
      ? verified
      : Effect.mapEager(Effect.flatMapEager(verified, this.#decode), ({ token }) => token)
  }

  /** The first fiber that asks runs the verification that has begun. Later, the token is verified again. */
  #shared(text: string, begun: Verification["verified"], fiber: Asker): Remembered {
    let first: Verification["verified"] | undefined = begun
    const verify = Effect.withFiber((fiber) => {
      const verified = first ?? this.#verify(text, this.#verifier.lookUp(text, fiber), fiber)
      first = undefined
      return verified
    })
    const { outcome } = new Shared(verify, { memory: { clock: fiber.getRef(Clock.Clock), expiryOf } })
    return new Remembered(text, authorizationHeader.redact(text), outcome)
  }

  #decodeCached({ token, verified }: Verification, decode: Decode<FrozenToken>): Verification {
    return { token, verified: Effect.flatMapEager(verified, (token) => this.#decodeOnce(token, decode)) }
  }

  /** Decodes the claims of a cached token once. If they decode to a value that can change, such as a `Date`, each request gets its own value. */
  #decodeOnce(token: VerifiedToken, decode: Decode<FrozenToken>): Verification["verified"] {
    return (
      this.#decoded.get(token) ??
      Effect.map(decode(token), (decoded) => {
        if (isImmutable(decoded)) this.#decoded.set(token, frozenSuccess(decoded.token))
        return decoded.token
      })
    )
  }
}

/** For tests: accepts every request and every token with the given token, or treats every request as anonymous. Scopes are still checked. */
export class TestAuthenticator extends Authenticator {
  readonly #verified: Effect.Effect<VerifiedToken> | undefined

  constructor(verified: Effect.Effect<VerifiedToken> | undefined) {
    super({ verify: () => verified ?? rejected, invalidate: () => Effect.void }, undefined)
    this.#verified = verified
  }

  override credentialOf(request: HttpServerRequest | undefined, fiber: Asker): Credential {
    if (request === undefined) return super.credentialOf(request, fiber)
    return this.#verified === undefined
      ? refused(authorizationHeader.noCredentials)
      : { token: authorizationHeader.redact("test"), verified: this.#verified }
  }

  override fromToken(): Verification["verified"] {
    return this.#verified ?? rejected
  }
}

const rejected = failConstant(new InvalidToken({ reason: "Rejected" }))
