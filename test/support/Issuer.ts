/** An issuer in memory: real keys, its metadata and key set behind an `HttpClient`, tokens with whatever the test wants in them. */
import { Clock, Effect, Layer } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import * as jose from "jose"

export const issuer = "https://idp.example.com"
export const audience = "https://api.example.com"

export interface Key {
  readonly kid: string
  readonly alg: string
  readonly privateKey: jose.CryptoKey
  readonly jwk: jose.JWK
}

export const makeKey = (kid: string, alg = "RS256"): Effect.Effect<Key> =>
  Effect.promise(async () => {
    const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true })
    return { kid, alg, privateKey, jwk: { ...(await jose.exportJWK(publicKey)), kid, alg, use: "sig" } }
  })

export interface MintOptions {
  readonly claims?: Record<string, unknown>
  readonly header?: Record<string, unknown>
  /** Names of claims to leave out. */
  readonly without?: ReadonlyArray<string>
}

/** A token that is good for ten minutes from now on the test's clock, but for what `options` change. */
export const mint = (key: Key, options: MintOptions = {}): Effect.Effect<string> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const seconds = Math.floor(now / 1000)
    const claims: Record<string, unknown> = {
      iss: issuer,
      aud: audience,
      sub: "demo",
      client_id: "items-docs",
      scope: "items:read me",
      iat: seconds,
      exp: seconds + 600,
      jti: "token-1",
      ...options.claims
    }
    for (const name of options.without ?? []) delete claims[name]
    return Effect.promise(() =>
      new jose.SignJWT(claims)
        .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: "at+jwt", ...options.header })
        .sign(key.privateKey)
    )
  })

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
