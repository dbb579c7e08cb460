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
    millis: number
  ) => Effect.Effect<boolean, AuthorizationServerUnavailable>
}

/** A proof whose form fits the request and the token. */
interface Presented {
  readonly text: ProofText
  readonly claims: ProofClaims
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
    const claims = readClaims(text, { method: request.method, uris })
    return claims instanceof InvalidDpopProof ? claims : { text, claims }
  }

  /** Runs the other checks, the last of which records the proof as used. */
  complete(
    { claims, text }: Presented,
    token: VerifiedToken,
    request: HttpServerRequest
  ): Effect.Effect<VerifiedToken, ProofFailure> {
    const verified = Effect.suspend(() => this.#verify(text, claims, token, request.source))
    return Effect.as(oncePerSource(request.source, this, `${text.text} ${claims.ath}`, verified), token)
  }

  #verify(
    text: ProofText,
    claims: ProofClaims,
    token: VerifiedToken,
    source: object
  ): Effect.Effect<void, ProofFailure> {
    const { check, replays } = this.#services
    return Effect.flatMapEager(this.#keyOf(text), (key) =>
      Effect.flatMap(
        Effect.mapError(check(text.text, key.key, key.alg), () => proofErrors.signature),
        () =>
          Effect.flatMap(this.#end(claims), ({ end, now }): Effect.Effect<void, ProofFailure> => {
            if (bindingOf(token)?.key !== key.thumbprint) return failWith(wrongBinding)
            this.#keep(text.header, key)
            const { jti } = claims
            return Effect.flatMap(
              // Several schemes of one request may share the store.
              oncePerSource(
                source,
                replays.store,
                `${key.thumbprint} ${jti}`,
                Effect.suspend(() => replays.addOnce(key.thumbprint, jti, Math.max(1, Math.ceil(end - now))))
              ),
              (isNew) => (isNew ? Exit.void : failWith(proofErrors.replayed))
            )
          })
      )
    )
  }

  #keyOf({ header: encoded }: ProofText): Effect.Effect<ProofKey, InvalidDpopProof> {
    const cached = this.#keys.get(encoded)
    if (cached !== undefined) return Exit.succeed(cached)
    const header = readHeader(encoded, this.#settings.algorithms)
    return header instanceof InvalidDpopProof ? failWith(header) : importKey(header, this.#services.sha256)
  }

  #keep(header: string, key: ProofKey): void {
    if (header.length > maxCachedHeader || this.#keys.has(header)) return
    if (this.#keys.size >= maxCachedKeys) {
      const [oldest] = this.#keys.keys()
      if (oldest !== undefined) this.#keys.delete(oldest)
    }
    this.#keys.set(header, key)
  }

  /**
   * Checks the time of a proof, and returns when the proof ends, in milliseconds since the epoch. If proofs need a
   * nonce, the time is that of the nonce. A client with a wrong clock can then use the API (RFC 9449 §11.1).
   */
  #end({
    exp,
    iat,
    nbf,
    nonce
  }: ProofClaims): Effect.Effect<{ readonly end: number; readonly now: number }, InvalidDpopProof | UseDpopNonce> {
    const { clockTolerance, maxAge } = this.#settings
    const { nonces } = this.#services
    return Effect.flatMap(
      Clock.currentTimeMillis,
      (now): Effect.Effect<{ readonly end: number; readonly now: number }, InvalidDpopProof | UseDpopNonce> => {
        if (nonces !== undefined) {
          return Effect.flatMap(
            nonce === undefined ? Exit.succeed(undefined) : nonces.validUntil(nonce),
            (end): Effect.Effect<{ readonly end: number; readonly now: number }, UseDpopNonce> =>
              end !== undefined && end > now
                ? Exit.succeed({ end, now })
                : Effect.flatMap(nonces.issue, (next) =>
                    Effect.fail(new UseDpopNonce({ reason: nonce === undefined ? "Missing" : "Unknown", nonce: next }))
                  )
          )
        }
        const end = iat * 1000 + maxAge + clockTolerance
        if (iat * 1000 - clockTolerance > now) return failWith(proofErrors.iat)
        if (end <= now) return failWith(proofErrors.expired)
        if (exp !== undefined && exp * 1000 + clockTolerance <= now) return failWith(proofErrors.exp)
        if (nbf !== undefined && nbf * 1000 - clockTolerance > now) return failWith(proofErrors.nbf)
        return Exit.succeed({ end, now })
      }
    )
  }

  /** Refuses a proof. The first wrong `htu` is explained to the operator, because a proxy is the usual cause. */
  #refuse(error: InvalidDpopProof): Effect.Effect<never, InvalidDpopProof> {
    const refused = failWith(error)
    return error !== proofErrors.htu || isGiven(this, "htu")
      ? refused
      : Effect.andThen(give(this.#settings.origins === undefined ? adviceOnHost : adviceOnOrigin, this, "htu"), refused)
  }
}

// Anyone can send such a proof, so the messages contain no part of the request.
const adviceOnHost =
  "A DPoP proof was refused, because its htu is not the URL of the request as this server sees it. If a proxy changes the host, the protocol or the path, set the origin option of Dpop.make to the URL that clients use."
const adviceOnOrigin =
  "A DPoP proof was refused, because its htu is not the URL of the request below the origin option of Dpop.make. If clients use another URL, add its origin, and the part of the path that a proxy removes."
