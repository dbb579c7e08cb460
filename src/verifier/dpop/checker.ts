/** Verifies that the client of a request holds the key of its token (RFC 9449 §4.3 and §7). */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpEffect from "effect/http/HttpEffect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { failWith } from "../../core/constantErrors.ts"
import { countFields, fieldOf } from "../../core/effect/receivedRequest.ts"
import {
  type AuthorizationServerUnavailable,
  InvalidDpopProof,
  type InvalidToken,
  UseDpopNonce
} from "../../core/SecurityError.ts"
import { bindingOf } from "../../core/confirmation.ts"
import type { CallingFiber } from "../cache/directVerifier.ts"
import type { SignatureCheck } from "../jwt/check.ts"
import { give, isGiven } from "../report/advice.ts"
import { proofErrors, wrongBinding } from "./failures.ts"
import type { NonceService } from "./nonces.ts"
import { oncePerSource } from "./once.ts"
import { type ProofClaims, type ProofText, read, readClaims } from "./proof.ts"
import { importKey, type ProofKey, read as readHeader } from "./proofHeader.ts"
import type { TextOf } from "./segment.ts"
import type { Sha256 } from "./sha256.ts"
import { urisOf } from "./target.ts"

/** Failures of a request with a DPoP token, in addition to those of the token itself. */
export type ProofFailure = InvalidDpopProof | UseDpopNonce | InvalidToken | AuthorizationServerUnavailable

/** Validated options. Times are in milliseconds. */
export interface Settings {
  readonly algorithms: ReadonlySet<string>
  /** Normal origins, with a path prefix if the proxy removes one. `undefined`: the origin of the request. */
  readonly origins: ReadonlyArray<string> | undefined
  readonly maxAge: number
  readonly clockTolerance: number
}

/** Services of the program. */
export interface Services {
  readonly check: SignatureCheck
  readonly sha256: Sha256
  readonly textOf: TextOf
  /** `undefined` if proofs need no nonce. */
  readonly nonces: NonceService | undefined
  readonly replays: Replays
}

/** Records that a proof was used. Fails if the store is unavailable. */
export interface Replays {
  /** Identifies the store. Schemes with the same store record a proof of one request once. */
  readonly store: object
  readonly addOnce: (
    thumbprint: string,
    id: string,
    millis: number,
    clock: Clock.Clock
  ) => Effect.Effect<boolean, AuthorizationServerUnavailable>
}

/** A proof whose form fits the request and the token. */
interface Presented {
  readonly text: ProofText
  readonly claims: ProofClaims
}

/** A proof with the token of its request, after the cheap checks. */
interface Checked extends Presented {
  readonly token: VerifiedToken
  readonly source: object
}

/** The requests whose responses carry a nonce. */
const withNonce = new WeakSet<object>()

/** Maximum number of keys that are cached. A key with its header takes about 1 KiB, an RSA key 2 KiB. */
const maxCachedKeys = 4096

/** Longer headers are parsed again for each proof. */
const maxCachedHeader = 2048

export class ProofChecker {
  readonly #settings: Settings
  readonly #services: Services
  /**
   * Keys of accepted proofs by the text of their header, because a client sends the same header with every proof. Only
   * the holder of a bound token can add a key.
   */
  readonly #keys = new Map<string, ProofKey>()

  constructor(settings: Settings, services: Services) {
    this.#settings = settings
    this.#services = services
  }

  /**
   * Adds the next nonce to the response of a request, if proofs need one (RFC 9449 §8.2). No cache may store the
   * response, because it would give an old nonce to other clients.
   */
  offerNonce({ source }: HttpServerRequest, { context }: CallingFiber): void {
    const { nonces } = this.#services
    if (nonces === undefined || withNonce.has(source)) return
    withNonce.add(source)
    HttpEffect.appendPreResponseHandlerUnsafe(context, (_, response) =>
      Effect.map(nonces.issue, (nonce) =>
        HttpServerResponse.setHeaders(response, { "dpop-nonce": nonce, "cache-control": "no-store" })
      )
    )
  }

  /** Runs the checks that are cheap: they need neither the access token's verification nor the proof's signature. */
  begin(request: HttpServerRequest, token: string): Effect.Effect<Presented, InvalidDpopProof> {
    const presented = this.#present(request)
    if (presented instanceof InvalidDpopProof) return this.#refuse(presented)
    return Effect.flatMapEager(this.#services.sha256(token), (hash) =>
      hash === presented.claims.ath ? Exit.succeed(presented) : this.#refuse(proofErrors.ath)
    )
  }

  #present(request: HttpServerRequest): Presented | InvalidDpopProof {
    const field = fieldOf(request, "dpop")
    if (field === undefined || field === "") return proofErrors.missing
    // Node joins several fields with a comma, which is no character of a proof. Counting them does not rely on this.
    if (countFields(request.source, "dpop") > 1) return proofErrors.malformed
    const text = read(field)
    if (text instanceof InvalidDpopProof) return text
    if (!this.#keys.has(text.header)) {
      const header = readHeader(text.header, this.#settings.algorithms)
      if (header instanceof InvalidDpopProof) return header
    }
    const uris = urisOf(request, this.#settings.origins)
    const claims = readClaims(text, { method: request.method, uris }, this.#services.textOf)
    return claims instanceof InvalidDpopProof ? claims : { text, claims }
  }

  /** Runs the other checks, the last of which records the proof as used. */
  complete(
    { claims, text }: Presented,
    token: VerifiedToken,
    request: HttpServerRequest
  ): Effect.Effect<VerifiedToken, ProofFailure> {
    const { source } = request
    const verify = () => this.#verify({ text, claims, token, source })
    return Effect.as(oncePerSource(source, this, `${text.text} ${claims.ath}`, verify), token)
  }

  #verify(checked: Checked): Effect.Effect<void, ProofFailure> {
    const { header } = checked.text
    const cached = this.#keys.get(header)
    if (cached !== undefined) return this.#verifyWith(cached, checked)
    const read = readHeader(header, this.#settings.algorithms)
    if (read instanceof InvalidDpopProof) return failWith(read)
    return Effect.flatMap(importKey(read, this.#services.sha256), (key) => this.#verifyWith(key, checked))
  }

  /** Each step of a fiber costs time, so the steps after the signature run in one of them if they need not wait. */
  #verifyWith(key: ProofKey, checked: Checked): Effect.Effect<void, ProofFailure> {
    const { check, nonces } = this.#services
    return Effect.matchEffect(check(checked.text.text, key.key, key.alg), {
      onFailure: () => failWith(proofErrors.signature),
      onSuccess: () =>
        Effect.withFiber((fiber): Effect.Effect<void, ProofFailure> => {
          const clock = fiber.getRef(Clock.Clock)
          const now = clock.currentTimeMillisUnsafe()
          if (nonces === undefined) {
            const end = this.#endOf(checked.claims, now)
            return typeof end === "number" ? this.#record(key, checked, end - now, clock) : failWith(end)
          }
          return Effect.flatMap(endOfNonce(nonces, checked.claims, now), (end) =>
            this.#record(key, checked, end - now, clock)
          )
        })
    })
  }

  /** Compares the key with that of the token, and records the proof for its lifetime in milliseconds. */
  #record(
    key: ProofKey,
    { claims: { jti }, source, text, token }: Checked,
    lifetime: number,
    clock: Clock.Clock
  ): Effect.Effect<void, ProofFailure> {
    const { replays } = this.#services
    const { thumbprint } = key
    if (bindingOf(token)?.key !== thumbprint) return failWith(wrongBinding)
    this.#keep(text.header, key)
    const addOnce = () => replays.addOnce(thumbprint, jti, Math.max(1, Math.ceil(lifetime)), clock)
    return Effect.flatMapEager(
      // Several schemes of one request may share the store.
      oncePerSource(source, replays.store, `${thumbprint} ${jti}`, addOnce),
      (isNew) => (isNew ? Exit.void : failWith(proofErrors.replayed))
    )
  }

  #keep(header: string, key: ProofKey): void {
    if (header.length > maxCachedHeader || this.#keys.has(header)) return
    if (this.#keys.size >= maxCachedKeys) {
      const [oldest] = this.#keys.keys()
      if (oldest !== undefined) this.#keys.delete(oldest)
    }
    this.#keys.set(header, key)
  }

  /** Returns when a proof ends, in milliseconds since the epoch, or what is wrong with its times. */
  #endOf({ exp, iat, nbf }: ProofClaims, now: number): number | InvalidDpopProof {
    const { clockTolerance, maxAge } = this.#settings
    const end = iat * 1000 + maxAge + clockTolerance
    if (iat * 1000 - clockTolerance > now) return proofErrors.iat
    if (end <= now) return proofErrors.expired
    if (exp !== undefined && exp * 1000 + clockTolerance <= now) return proofErrors.exp
    if (nbf !== undefined && nbf * 1000 - clockTolerance > now) return proofErrors.nbf
    return end
  }

  /** Refuses a proof. The first wrong `htu` is explained to the operator, because a proxy is the usual cause. */
  #refuse(error: InvalidDpopProof): Effect.Effect<never, InvalidDpopProof> {
    const refused = failWith(error)
    return error !== proofErrors.htu || isGiven(this, "htu")
      ? refused
      : Effect.andThen(give(this.#settings.origins === undefined ? adviceOnHost : adviceOnOrigin, this, "htu"), refused)
  }
}

/**
 * Returns when the nonce of a proof ends, in milliseconds since the epoch. The time of the nonce replaces the times of
 * the proof, so a client with a wrong clock can use the API (RFC 9449 §11.1).
 */
const endOfNonce = (nonces: NonceService, { nonce }: ProofClaims, now: number): Effect.Effect<number, UseDpopNonce> =>
  Effect.flatMap(
    nonce === undefined ? Exit.succeed(undefined) : nonces.validUntil(nonce),
    (end): Effect.Effect<number, UseDpopNonce> =>
      end !== undefined && end > now
        ? Exit.succeed(end)
        : Effect.flatMap(nonces.issue, (next) =>
            Effect.fail(new UseDpopNonce({ reason: nonce === undefined ? "Missing" : "Unknown", nonce: next }))
          )
  )

// Anyone can send such a proof, so the messages contain no part of the request.
const adviceOnHost =
  "A DPoP proof was refused, because its htu is not the URL of the request as this server sees it. If a proxy changes the host, the protocol or the path, set the origin option of Dpop.make to the URL that clients use."
const adviceOnOrigin =
  "A DPoP proof was refused, because its htu is not the URL of the request below the origin option of Dpop.make. If clients use another URL, add its origin, and the part of the path that a proxy removes."
