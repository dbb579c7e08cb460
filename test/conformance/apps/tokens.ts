/** Verifiers for apps that, like most of FastAPI's tests, care for the token's text only. */
import { Effect, Redacted } from "effect"
import { SecurityError, TokenVerifier } from "effect-oauth2"
import { verified } from "../../support/TestVerifier.ts"

export { verified }

/** Accepts every token, with the given scopes. */
export const anyToken = (...scopes: ReadonlyArray<string>) =>
  TokenVerifier.layer({ verify: (token) => Effect.succeed(verified(Redacted.value(token), scopes)) })

/** A token grants the scopes of its name: `with.read.write`; `with` none. Others are refused. Counts what it is asked. */
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
