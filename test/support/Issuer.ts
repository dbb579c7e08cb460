/** Short forms of `TestIssuer` for tests that bring their own keys, and endpoints that a test replaces by hand. */
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { type MintOptions, type SigningKey, TestIssuer } from "effect-oauth2/testing"
import type * as jose from "jose"
import type { JwtVerifier } from "effect-oauth2"

export const issuer = "https://idp.example.com"
export const audience = "https://api.example.com"

export type Key = SigningKey
export type { MintOptions }

export const makeKey = (kid: string, alg?: JwtVerifier.Algorithm): Effect.Effect<Key> => TestIssuer.makeKey(kid, alg)

/** A token that is good for ten minutes from now on the test's clock, but for what `options` change. */
export const mint = (key: Key, options: MintOptions = {}): Effect.Effect<string> =>
  TestIssuer.use((testIssuer) =>
    testIssuer.mint({
      key,
      scopes: ["items:read", "me"],
      ...options,
      claims: { client_id: "items-docs", ...options.claims }
    })
  ).pipe(Effect.provide(TestIssuer.layer({ issuer, audience, keys: [key] })))

/** What the issuer's endpoints answer; tests change it while the program runs. */
export class Endpoints {
  keys: ReadonlyArray<jose.JWK>
  /** By path; a function of the request's URL may replace an answer. */
  answer: (url: URL) => Response | "unreachable" | "hangs"
  readonly requests: Array<string> = []

  constructor(keys: ReadonlyArray<Key>) {
    this.keys = keys.map((key) => key.jwk)
    this.answer = this.standard
  }

  readonly standard = (url: URL): Response =>
    url.pathname === "/.well-known/openid-configuration"
      ? Response.json({ issuer, jwks_uri: `${issuer}/jwks` })
      : url.pathname === "/jwks"
        ? Response.json({ keys: this.keys })
        : new Response(null, { status: 404 })

  readonly layer: Layer.Layer<HttpClient.HttpClient> = Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request, url) => {
      this.requests.push(url.href)
      const answer = this.answer(url)
      if (answer === "hangs") return Effect.never
      return answer === "unreachable"
        ? Effect.fail(
            new HttpClientError.HttpClientError({
              reason: new HttpClientError.TransportError({ request, description: "connection refused" })
            })
          )
        : Effect.succeed(HttpClientResponse.fromWeb(request, answer))
    })
  )
}
