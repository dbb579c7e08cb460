/** The example of step-up authentication with a real authorization server, as `scratchpad/step-up` runs it. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { program } from "../../scratchpad/step-up/Program.ts"

// The authorization server reads the time of the machine.
it.live("refuses a password and a refreshed token, and accepts the token of one step-up", () =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    yield* program((line) => Effect.sync(() => void lines.push(line)))
    assert.deepStrictEqual(lines, [
      "with a password, list: no payments",
      'with a password, pay: Bearer error="insufficient_user_authentication", acr_values="mfa", max_age="300", scope="payments:write"',
      "with a refreshed token, pay: InsufficientUserAuthentication",
      "the client asks for: scope=openid+offline_access+payments%3Aread+payments%3Awrite&acr_values=mfa&max_age=300",
      "after the step-up, pay: alice paid, signed in with mfa"
    ])
  })
)
