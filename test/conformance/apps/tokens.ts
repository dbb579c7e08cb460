/** Verifiers for apps that, like most of FastAPI's tests, care for the token's text only. */
import { DateTime, Effect, Layer, Option, Redacted } from "effect"
import { SecurityError, TokenVerifier, type VerifiedToken } from "effect-oauth2"

export const verified = (subject: string, scopes: Iterable<string>): VerifiedToken => ({
  subject,
  clientId: Option.none(),
  scopes: new Set(scopes),
  issuer: "https://idp.example.com",
  audience: ["https://api.example.com"],
  expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z"),
  issuedAt: Option.none(),
  tokenId: Option.none(),
  claims: {}
})

/** Accepts every token, with the given scopes. */
export const anyToken = (...scopes: ReadonlyArray<string>): Layer.Layer<TokenVerifier> =>
  Layer.succeed(TokenVerifier, { verify: (token) => Effect.succeed(verified(Redacted.value(token), scopes)) })

/** A token grants the scopes of its name: `with.read.write`; `with` none. Others are refused. Counts what it is asked. */
export const scopesInToken = (count: () => void = () => {}): Layer.Layer<TokenVerifier> =>
  Layer.succeed(TokenVerifier, {
    verify: (token) =>
      Effect.suspend(() => {
        count()
        const [first, ...scopes] = Redacted.value(token).split(".")
        return first === "with"
          ? Effect.succeed(verified("demo", scopes))
          : Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
      })
  })
