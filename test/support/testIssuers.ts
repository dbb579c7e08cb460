/** Requests to a `TestIssuer` under test. */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted, type Scope } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import { JwtVerifier, TokenVerifier, type SecurityError } from "effect-oauth2"
import { TestIssuer, type TestIssuerOptions } from "effect-oauth2/testing"
import * as jose from "jose"

export const issuer = "https://issuer.test"
export const audience = "https://api.test"

// Generating RSA keys is slow, so most tests share one key.
export const rsa = Effect.runPromise(TestIssuer.makeKey("rsa"))

export const layerOf = (options: TestIssuerOptions = {}) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => rsa),
      (key) => TestIssuer.layer({ keys: [key], ...options })
    )
  )

type Env = TestIssuer | HttpClient.HttpClient

export const test = (
  name: string,
  body: () => Effect.Effect<void, unknown, Env | Scope.Scope>,
  options: TestIssuerOptions = {}
) => it.effect(name, () => Effect.provide(body(), layerOf(options)))

export const decode = (token: string) => ({ header: jose.decodeProtectedHeader(token), claims: jose.decodeJwt(token) })

export const get = (url: string) => Effect.flatMap(HttpClient.HttpClient, (client) => client.get(url))

export const getJson = (url: string): Effect.Effect<unknown, HttpClientError.HttpClientError, HttpClient.HttpClient> =>
  Effect.flatMap(get(url), (response) => response.json)

export const jwks = `${issuer}/jwks`

export const published = Effect.map(
  getJson(jwks),
  (set) => (set as { readonly keys: ReadonlyArray<{ readonly kid?: string } | null> }).keys
)

export const kids = Effect.map(published, (keys) => keys.map((key) => key?.kid))

/** Returns a function that verifies a token, and returns its subject or the tag and the reason of the error. */
export const verifyWith = (options: Partial<JwtVerifier.Options> = {}) =>
  Effect.gen(function* () {
    const issuer = yield* TestIssuer
    const { verify } = yield* Effect.provide(
      Effect.map(TokenVerifier, (verifier) => verifier),
      yield* Layer.build(JwtVerifier.layer({ issuer: issuer.issuer, audience, ...options }))
    )
    return (token: string) =>
      verify(Redacted.make(token)).pipe(
        Effect.map((verified) => verified.subject),
        Effect.catch((error: SecurityError.SecurityError) =>
          Effect.succeed("reason" in error ? `${error._tag} ${error.reason}` : error._tag)
        )
      )
  })

export const transportError = (exit: Exit.Exit<unknown, unknown>) => {
  assert(Exit.isFailure(exit))
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  assert.instanceOf(error, HttpClientError.HttpClientError)
  assert.strictEqual(error.reason._tag, "TransportError")
  return error.message
}
