/** Makes DPoP proofs for tests, valid and invalid (RFC 9449 §4.2). */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Jose from "jose"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { Algorithm } from "../verifier/keys/algorithms.ts"
import type { SigningKey } from "./issuerModel.ts"
import * as signingKey from "./signingKey.ts"
import * as token from "./token.ts"

/**
 * Options for a proof: the request, and the differences from a valid proof.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProofOptions {
  /** The URL of the request. The claim `htu` is this URL. */
  readonly url: string
  /** The access token that the request sends, for the claim `ath`. Default: none, so there is no `ath`. */
  readonly token?: string
  /** The method of the request. Default: `"GET"`. */
  readonly method?: string
  /** A nonce of the server. Default: none. */
  readonly nonce?: string
  /** Claims that replace or extend all other claims. Any JSON is allowed. Default: none. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Header parameters that replace or extend the defaults. `undefined` removes a parameter. Default: none. */
  readonly header?: Readonly<Record<string, unknown>>
  /** Names of claims to leave out. Default: none. */
  readonly without?: ReadonlyArray<string>
  /** The key that signs. Its public key is not in the proof, so the signature is wrong. Default: the client's key. */
  readonly signWith?: SigningKey
}

/**
 * Client of a test, which has a key and makes proofs with it.
 *
 * @category models
 * @since 0.1.0
 */
export interface DpopClient {
  /** The thumbprint of the key, for the option `boundTo` of `mint`, or the `confirmation` of `layerTest`. */
  readonly jkt: string
  /** The key. */
  readonly key: SigningKey
  /**
   * Makes a proof. Its `jti` is new, and its `iat` is the time of the `Clock`.
   *
   * **Example** (Making a proof for another method)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { makeDpopClient } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const { proof } = yield* makeDpopClient()
   *   return (yield* proof({ url: "https://api.example.com/items", method: "POST" })).split(".").length
   * })
   *
   * await Effect.runPromise(program) // => 3
   * ```
   */
  readonly proof: (options: ProofOptions) => Effect.Effect<string>
  /**
   * Makes the headers of a request with a token and its proof.
   *
   * **Example** (Sending a bound token)
   *
   * ```ts import.meta.vitest
   * import { Effect } from "effect"
   * import { makeDpopClient, TestIssuer } from "effect-oauth2/testing"
   *
   * const program = Effect.gen(function* () {
   *   const client = yield* makeDpopClient()
   *   const token = yield* TestIssuer.use(({ mint }) => mint({ boundTo: client }))
   *   const headers = yield* client.headers({ url: "https://api.example.com/items", token })
   *   return Object.keys(headers).join()
   * })
   *
   * await Effect.runPromise(Effect.provide(program, TestIssuer.layer({ keys: ["ES256"] }))) // => "authorization,dpop"
   * ```
   */
  readonly headers: (
    options: ProofOptions & { readonly token: string }
  ) => Effect.Effect<{ readonly authorization: string; readonly dpop: string }>
}

let proofs = 0

/**
 * Creates a client with a new key.
 *
 * **Example** (Calling an API with a bound token)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient } from "effect/http"
 * import { makeDpopClient, TestIssuer } from "effect-oauth2/testing"
 *
 * export const items = Effect.gen(function* () {
 *   const client = yield* makeDpopClient()
 *   const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["items:read"], boundTo: client }))
 *   const url = "https://api.example.com/items"
 *   return yield* HttpClient.get(url, { headers: yield* client.headers({ url, token }) })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeDpopClient = (algorithm: Algorithm = "ES256"): Effect.Effect<DpopClient> =>
  Effect.gen(function* () {
    const key = yield* signingKey.makeKey("dpop", algorithm)
    const { alg: _alg, kid: _kid, use: _use, ...jwk } = key.jwk
    const jkt = yield* Effect.promise(() => Jose.calculateJwkThumbprint(jwk))
    const proof = Effect.fnUntraced(function* (options: ProofOptions) {
      const own = ownProperties(options)
      const now = yield* Clock.currentTimeMillis
      const claims = {
        jti: `proof-${++proofs}`,
        htm: own.method ?? "GET",
        htu: own.url,
        iat: Math.floor(now / 1000),
        ...(own.token === undefined ? {} : { ath: yield* hashOf(own.token) }),
        ...(own.nonce === undefined ? {} : { nonce: own.nonce }),
        ...own.claims
      }
      const present = Object.entries(claims).filter(([name]) => own.without?.includes(name) !== true)
      const header = { typ: "dpop+jwt", alg: key.alg, jwk, ...own.header }
      return yield* token.raw(
        ownProperties({ header: JSON.stringify(header), payload: JSON.stringify(Object.fromEntries(present)) }),
        own.signWith ?? key
      )
    })
    return {
      jkt,
      key,
      proof,
      headers: (options) => Effect.map(proof(options), (dpop) => ({ authorization: `DPoP ${options.token}`, dpop }))
    }
  })

const hashOf = (text: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (hash) => Jose.base64url.encode(new Uint8Array(hash))
  )
