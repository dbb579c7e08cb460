/** A verifier without cryptography: accepts a list of tokens, records its calls, and simulates an outage. */
import { DateTime, Duration, Effect, Layer, Redacted } from "effect"
import { AccessToken, SecurityError, TokenVerifier, type VerifiedToken } from "effect-oauth2"

export const verified = (subject: string, scopes: Iterable<string>): VerifiedToken =>
  AccessToken.make({
    subject,
    scopes,
    issuer: "https://idp.example.com",
    expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
  })

export class Verifier {
  calls: Array<string> = []
  readonly tokens: Readonly<Record<string, ReadonlyArray<string>>>

  constructor(tokens: Readonly<Record<string, ReadonlyArray<string>>>) {
    this.tokens = tokens
  }

  /** The subject of a token is its text. The token `outage` fails with `AuthorizationServerUnavailable`. */
  readonly layer: Layer.Layer<TokenVerifier> = TokenVerifier.layer({
    cache: false,
    verify: (token) =>
      Effect.suspend((): ReturnType<TokenVerifier["Service"]["verify"]> => {
        const name = Redacted.value(token)
        this.calls.push(name)
        const scopes = Object.hasOwn(this.tokens, name) ? this.tokens[name] : undefined
        if (scopes !== undefined) return Effect.succeed(verified(name, scopes))
        return name === "outage"
          ? Effect.fail(
              new SecurityError.AuthorizationServerUnavailable({
                issuer: "https://idp.example.com",
                reason: "Unreachable",
                retryAfter: Duration.millis(4001)
              })
            )
          : Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
      }).pipe(Effect.tap(Effect.yieldNow))
  }).pipe(Layer.orDie)
}
