/** Verifies the token of a request for one scheme, once per request. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { bindingOf, confirmationOf } from "../../core/confirmation.ts"
import { BearerToken } from "../../core/BearerToken.ts"
import { type InvalidRequest, InvalidToken, type NotAuthenticated } from "../../core/SecurityError.ts"
import type { CredentialSource } from "../../core/credentialSource.ts"
import type { SessionSource } from "../../core/sessionCookie.ts"
import type { TokenVerifier } from "../TokenVerifier.ts"
import * as authorizationHeader from "../../core/authorizationHeader.ts"
import * as message from "../../core/message.ts"
import { failConstant, failWith } from "../../core/constantErrors.ts"
import { errorOf, exitOf, frozenSuccess } from "../../core/lib/exit.ts"
import { type CallingFiber, directOf, type DirectVerifier, type Verification } from "../cache/directVerifier.ts"
import { copyUnexpired } from "../cache/customVerifier.ts"
import { joining, Shared } from "../cache/shared.ts"
import { frozen, type FrozenToken, isImmutable, type Rejection } from "../cache/verified.ts"
import type { ProofChecker, ProofFailure } from "../dpop/checker.ts"
import type { CertificateChecker } from "../mutualTls/checker.ts"
import { give, isGiven } from "../report/advice.ts"
import * as malformedCredentials from "./malformedCredentials.ts"
import { recall, recallSession, remember, Remembered, rememberSession } from "./requestMemory.ts"
import type { Resolve, Resolved } from "./sessionResolvers.ts"

// In milliseconds. A request with a stream or a socket may last for hours, but only its requirements need the
// verification.
const rememberedFor = 30_000

/** Returns when a verification expires. An outage expires at once, because the next attempt may succeed. */
const expiryOf = (exit: Exit.Exit<VerifiedToken, NotAuthenticated | Rejection>, now: number): number => {
  if (Exit.isSuccess(exit)) return Math.min(now + rememberedFor, exit.value.expiresAt.epochMilliseconds)
  return errorOf(exit)?._tag === "InvalidToken" ? now + rememberedFor : now
}

/** Decodes the claims of a verified token for a scheme. */
type Decode<A> = (token: VerifiedToken) => Effect.Effect<A, InvalidToken>

/** The credential of a request. If the request has no token, the verification fails with the reason. */
export type Credential = Verification<NotAuthenticated | InvalidRequest | Rejection | ProofFailure>

/** The credential of a request with the scheme `DPoP`, whose challenge names the error. */
export class DpopCredential implements Credential {
  readonly token: Redacted.Redacted | undefined
  readonly verified: Credential["verified"]

  constructor(token: Redacted.Redacted | undefined, verified: Credential["verified"]) {
    this.token = token
    this.verified = verified
  }
}

/** What a scheme needs that accepts bound tokens. */
export interface BindingOptions {
  /** Verifies proofs of keys. `undefined` if the scheme refuses tokens that are bound to a key. */
  readonly proofs: ProofChecker | undefined
  /** Verifies certificates. `undefined` if the scheme refuses tokens that are bound to a certificate. */
  readonly certificates: CertificateChecker | undefined
  /** `true` if the scheme accepts only bound tokens. */
  readonly isRequired: boolean
}

const noBinding: BindingOptions = { proofs: undefined, certificates: undefined, isRequired: false }

/** An option of a scheme that accepts bound tokens, for advice. */
interface BindingOption {
  readonly name: string
  readonly bound: string
  readonly example: string
}

const dpopOption: BindingOption = { name: "dpop", bound: "key (cnf)", example: "Dpop.make({ … })" }
const mutualTlsOption: BindingOption = {
  name: "mutualTls",
  bound: "certificate (cnf)",
  example: "MutualTls.make({ … })"
}

const unauthenticated = (error: NotAuthenticated): Credential => ({ token: undefined, verified: failWith(error) })

/** A scheme's session cookie, and what it stands for. */
export interface SessionStep {
  readonly source: SessionSource
  readonly resolve: Resolve
}

/**
 * Verifies tokens for one scheme. A cached token costs one lookup. The verification of an uncached token is stored in a
 * private field of the request. No value in a context can pass as a verification.
 */
export class Authenticator {
  readonly #verifier: DirectVerifier
  readonly #decode: Decode<FrozenToken> | undefined
  readonly #source: CredentialSource | undefined
  readonly #proofs: ProofChecker | undefined
  readonly #certificates: CertificateChecker | undefined
  readonly #isRequired: boolean
  /** `true` if the scheme accepts only tokens with a proof, so that a bearer token need not be verified. */
  readonly #isProofRequired: boolean
  readonly #session: SessionStep | undefined
  readonly #decoded = new WeakMap<VerifiedToken, Exit.Success<VerifiedToken>>()

  /** Without a `source`, the credential is a bearer token. With proofs, it may be a bound token with its proof. */
  constructor(
    verifier: TokenVerifier["Service"],
    decode: Decode<VerifiedToken> | undefined,
    source: CredentialSource | undefined,
    { certificates, isRequired, proofs }: BindingOptions = noBinding,
    session?: SessionStep
  ) {
    this.#verifier = directOf(verifier)
    this.#source = source
    this.#proofs = proofs
    this.#certificates = certificates
    this.#isRequired = isRequired
    this.#isProofRequired = isRequired && certificates === undefined
    this.#session = session
    this.#decode = decode && ((token) => Effect.map(decode(token), frozen))
  }

  /**
   * Returns the credential of a request, and ignores the `BearerToken` of the context. Without HTTP, that `BearerToken`
   * is the credential.
   */
  credentialOf(request: HttpServerRequest | undefined, fiber: CallingFiber): Credential {
    if (request === undefined) {
      const token = Context.getUnsafe(fiber.context, BearerToken)
      return { token, verified: this.fromToken(token, fiber).verified }
    }
    const given = message.tokenOf(request)
    if (given !== undefined) {
      const token = authorizationHeader.redact(given)
      return { token, verified: this.fromToken(token, fiber).verified }
    }
    if (this.#session !== undefined) {
      const credential = this.#ofSession(request, this.#session, fiber)
      if (credential !== undefined) return credential
    }
    const maxLength = fiber.getRef(BearerToken.MaxLength)
    if (this.#source !== undefined) {
      const credential = this.#source.read(request, maxLength)
      if (typeof credential !== "string") return this.#refused(credential, request, fiber)
      const found = this.#find(credential, this.#verifier.lookUp(credential, fiber), request, "own", fiber)
      return this.#withoutProof(found, request)
    }
    const header = authorizationHeader.presented(request, maxLength)
    if (typeof header !== "string") return this.#refused(header, request, fiber)
    if (this.#proofs !== undefined) {
      const bound = authorizationHeader.parse(header, authorizationHeader.boundPrefix)
      if (typeof bound === "string") return this.#withProof(bound, this.#proofs, request, fiber)
    }
    const presented = this.#isProofRequired ? undefined : this.#verifier.lookUpPresented(header, fiber)
    if (presented !== undefined && Exit.isExit(presented.verified))
      return this.#withoutProof(
        this.#decode === undefined ? presented : this.#decodeCached(presented, this.#decode),
        request
      )
    const text = authorizationHeader.parse(header)
    if (typeof text !== "string") return this.#refused(text, request, fiber)
    if (!authorizationHeader.isToken(text)) {
      const error = this.#proofs === undefined ? authorizationHeader.malformed : authorizationHeader.malformedOf(text)
      return this.#refused(error, request, fiber)
    }
    if (this.#isProofRequired) return new DpopCredential(undefined, notBound)
    const found = this.#find(text, presented ?? this.#verifier.lookUp(text, fiber), request, "own", fiber)
    return this.#withoutProof(found, request)
  }

  /**
   * Verifies a token that the program itself presents. Within a request, the token is verified once. A bound token is
   * refused, unless the request has the proof or the certificate of the token.
   */
  fromToken(token: Redacted.Redacted, fiber: CallingFiber): Credential {
    const text = Redacted.value(token)
    const request = Context.getOrUndefined(fiber.context, HttpServerRequest)
    if (this.#proofs !== undefined) {
      const header = request && authorizationHeader.presented(request, fiber.getRef(BearerToken.MaxLength))
      if (typeof header === "string" && authorizationHeader.parse(header, authorizationHeader.boundPrefix) === text)
        // Safe cast: the header is that of the request.
        return this.#withProof(text, this.#proofs, request as HttpServerRequest, fiber)
      if (this.#isProofRequired) return new DpopCredential(undefined, notBound)
    }
    return this.#withoutProof(this.#find(text, this.#verifier.lookUp(text, fiber), request, "last", fiber), request)
  }

  /** Returns `undefined` if the request has no session cookie. */
  #ofSession(
    request: HttpServerRequest,
    { resolve, source }: SessionStep,
    fiber: CallingFiber
  ): Credential | undefined {
    const cookie = source.read(request)
    if (cookie === undefined) return
    if (typeof cookie !== "string") {
      const verified = malformedCredentials.refuse(cookie, this, source, fiber.getRef(BearerToken.MaxLength), fiber)
      return { token: undefined, verified }
    }
    // No store has a session of such a cookie.
    if (cookie === "") return unauthenticated(authorizationHeader.noCredentials)
    const remembered = recallSession(request, this, cookie)
    if (remembered !== undefined) return remembered
    const verify = Effect.withFiber((fiber) =>
      Effect.flatMap(resolve(Redacted.make(cookie, { label: "session_cookie" }), request), (resolved) => {
        session.token = resolved.token
        return this.#resolved(resolved, request, fiber)
      })
    )
    const memory = { clock: fiber.getRef(Clock.Clock), expiryOf }
    const session = new Remembered(cookie, undefined, new Shared(verify, { ...joining, memory }).outcome)
    return rememberSession(request, this, session)
  }

  #resolved(resolved: Resolved, request: HttpServerRequest, fiber: CallingFiber): Verification["verified"] {
    if (resolved._tag === "AccessToken") {
      const text = Redacted.value(resolved.token)
      const found = this.#find(text, this.#verifier.lookUp(text, fiber), request, "last", fiber)
      // A cookie proves nothing about a bound token, and the certificate of the request is not that of the app's client.
      return this.#withoutProof(found, undefined).verified
    }
    const verified = Effect.map(
      copyUnexpired(Effect.succeed(resolved.identity), fiber.getRef(Clock.Clock)),
      ({ token }) => token
    )
    return this.#decode === undefined
      ? verified
      : Effect.map(Effect.flatMap(verified, this.#decode), ({ token }) => token)
  }

  #refused(error: NotAuthenticated | InvalidRequest, request: HttpServerRequest, fiber: CallingFiber): Credential {
    if (error._tag === "NotAuthenticated") {
      this.#proofs?.offerNonce(request, fiber)
      return unauthenticated(error)
    }
    const verified = malformedCredentials.refuse(error, this, this.#source, fiber.getRef(BearerToken.MaxLength), fiber)
    return { token: undefined, verified }
  }

  /** Verifies a token with the proof of the request. The verified token comes from the cache, and the proof does not. */
  #withProof(text: string, checker: ProofChecker, request: HttpServerRequest, fiber: CallingFiber): DpopCredential {
    checker.offerNonce(request, fiber)
    if (!authorizationHeader.isToken(text)) {
      return new DpopCredential(
        undefined,
        this.#refused(authorizationHeader.malformedOf(text), request, fiber).verified
      )
    }
    const begun = checker.begin(request, text)
    // A bad proof costs no verification of the token.
    if (errorOf(begun) !== undefined) return new DpopCredential(undefined, Effect.andThen(begun, notBound))
    const { token, verified } = this.#find(text, this.#verifier.lookUp(text, fiber), request, "own", fiber)
    return new DpopCredential(
      token ?? authorizationHeader.redact(text),
      Effect.flatMapEager(begun, (proof) =>
        Effect.flatMapEager(verified, (token) =>
          // Before the proof, because the last step of a proof records its use.
          Effect.flatMapEager(this.#checkCertificate(token, request), () => checker.complete(proof, token, request))
        )
      )
    )
  }

  /** Checks the certificate if a token is bound to one. */
  #checkCertificate(token: VerifiedToken, request: HttpServerRequest): Effect.Effect<void, InvalidToken> {
    const certificate = bindingOf(token)?.certificate
    if (certificate === undefined) return Effect.void
    return this.#certificates === undefined
      ? this.#refuseBound(token, mutualTlsOption)
      : this.#certificates.check(request, certificate)
  }

  /**
   * Completes a verification without a proof of a key. A token that is bound to a key is refused (RFC 9449 §7.2), and a
   * token that is bound to a certificate needs the certificate.
   */
  #withoutProof(verification: Verification, request: HttpServerRequest | undefined): Verification {
    const exit = exitOf(verification.verified)
    if (exit === undefined) {
      return {
        token: verification.token,
        verified: Effect.flatMap(verification.verified, (token) => this.#checkBinding(token, request))
      }
    }
    if (Exit.isFailure(exit) || (confirmationOf(exit.value) === undefined && !this.#isRequired)) return verification
    return { token: verification.token, verified: this.#checkBinding(exit.value, request) }
  }

  #checkBinding(
    token: VerifiedToken,
    request: HttpServerRequest | undefined
  ): Effect.Effect<VerifiedToken, InvalidToken> {
    const binding = bindingOf(token)
    if (binding === undefined) return this.#isRequired ? notBound : Exit.succeed(token)
    if (binding.key !== undefined || binding.certificate === undefined) return this.#refuseBound(token, dpopOption)
    if (request === undefined) return notBound
    return Effect.flatMapEager(this.#checkCertificate(token, request), () => Exit.succeed(token))
  }

  /** Refuses a bound token, and names the missing option once. */
  #refuseBound({ issuer }: VerifiedToken, option: BindingOption): Effect.Effect<never, InvalidToken> {
    const isSupported = (option === dpopOption ? this.#proofs : this.#certificates) !== undefined
    if (isSupported || isGiven(this, option.name)) return notBound
    const advice = `A token of ${issuer} was refused, because it is bound to a ${option.bound}, and its scheme has no ${option.name} option. Set ${option.name}: ${option.example}, or configure the issuer to issue bearer tokens for this API.`
    return Effect.andThen(give(advice, this, option.name), notBound)
  }

  #find(
    text: string,
    cached: Verification | undefined,
    request: HttpServerRequest | undefined,
    place: "own" | "last",
    fiber: CallingFiber
  ): Verification {
    if (cached !== undefined && Exit.isExit(cached.verified))
      return this.#decode === undefined ? cached : this.#decodeCached(cached, this.#decode)
    const remembered = request && recall(request, this, text)
    if (remembered !== undefined) return remembered
    const verified = this.#verify(text, cached, fiber)
    // A refusal without a wait is not worth remembering.
    if (request === undefined || errorOf(verified) !== undefined) return { token: undefined, verified }
    return remember(request, this, place, this.#shared(text, verified, fiber))
  }

  /** Verifies an uncached token, or completes the verification of a cached one, and decodes the claims. */
  #verify(text: string, cached: Verification | undefined, fiber: CallingFiber): Verification["verified"] {
    const verified = cached?.verified ?? this.#verifier.verify(text, fiber)
    return this.#decode === undefined
      ? verified
      : Effect.mapEager(Effect.flatMapEager(verified, this.#decode), ({ token }) => token)
  }

  /**
   * Shares a verification that has begun with the fibers of the request. After it has expired, the token is verified
   * again.
   */
  #shared(text: string, begun: Verification["verified"], fiber: CallingFiber): Remembered {
    let first: Verification["verified"] | undefined = begun
    const verify = Effect.withFiber((fiber) => {
      const verified = first ?? this.#verify(text, this.#verifier.lookUp(text, fiber), fiber)
      first = undefined
      return verified
    })
    const { outcome } = new Shared(verify, { ...joining, memory: { clock: fiber.getRef(Clock.Clock), expiryOf } })
    return new Remembered(text, authorizationHeader.redact(text), outcome)
  }

  #decodeCached({ token, verified }: Verification, decode: Decode<FrozenToken>): Verification {
    return { token, verified: Effect.flatMapEager(verified, (token) => this.#decodeOnce(token, decode)) }
  }

  /**
   * Decodes the claims of a cached token once. If the result is mutable, such as a `Date`, each request gets its own.
   */
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

/**
 * For tests: accepts every credential with the given token, or treats every request as unauthenticated. Scopes are
 * still checked.
 */
export class TestAuthenticator extends Authenticator {
  readonly #verified: Effect.Effect<VerifiedToken> | undefined

  constructor(verified: Effect.Effect<VerifiedToken> | undefined) {
    super({ verify: () => verified ?? rejected, invalidate: () => Effect.void }, undefined, undefined)
    this.#verified = verified
  }

  override credentialOf(request: HttpServerRequest | undefined, fiber: CallingFiber): Credential {
    if (request === undefined) return super.credentialOf(request, fiber)
    return this.#verified === undefined
      ? unauthenticated(authorizationHeader.noCredentials)
      : { token: authorizationHeader.redact("test"), verified: this.#verified }
  }

  override fromToken(token: Redacted.Redacted): Credential {
    return { token, verified: this.#verified ?? rejected }
  }
}

/** The token and the scheme of the credential do not fit: a bound token as `Bearer`, or a token without a key. */
const notBound = failConstant(new InvalidToken({ reason: "Claim", claim: "cnf" }))

const rejected = failConstant(new InvalidToken({ reason: "Rejected" }))
