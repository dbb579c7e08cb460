/** Verifiers for apps that use only the text of the token, as most of FastAPI's tests do. */
import { Effect, Redacted } from "effect"
import { SecurityError, TokenVerifier } from "effect-oauth2"
import { verified } from "../../support/TestVerifier.ts"

export { verified }

/** Accepts every token and grants it the given scopes. */
export const anyToken = (...scopes: ReadonlyArray<string>) =>
  TokenVerifier.layer({ verify: (token) => Effect.succeed(verified(Redacted.value(token), scopes)) })

/** Grants the scopes in the token's text, such as `with.read.write`. Refuses other tokens. Calls `count` each time. */
export const scopesInToken = (count: () => void = () => {}) =>
  TokenVerifier.layer({
    cache: false,
    verify: (token) =>
      Effect.suspend(() => {
        count()
        const [first, ...scopes] = Redacted.value(token).split(".")
        return first === "with"
          ? Effect.succeed(verified("demo", scopes))
          : Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
      })
  })
