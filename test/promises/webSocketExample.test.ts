/** The example of WebSockets of a browser, as `scratchpad/websocket` runs it. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { settle } from "../support/settle.ts"
import { program } from "../../scratchpad/websocket/Program.ts"

it.effect("opens a WebSocket with a ticket or a first message, and closes it with a code", () =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const scope = yield* Effect.scope
    // The server may start its timer later than the page sees that the socket is open, so the clock goes on.
    const passing = Effect.forever(Effect.andThen(TestClock.adjust("1 second"), settle))
    yield* program((line) => {
      lines.push(line)
      if (line === "a page sends nothing for 5 seconds") return Effect.asVoid(Effect.forkIn(passing, scope))
      return line === "the token ends" ? TestClock.adjust("2 seconds") : Effect.void
    })
    assert.deepStrictEqual(lines, [
      "with a ticket, open: chat",
      "demo: hello",
      "with the same ticket, closed: 1006",
      "the token ends",
      "closed: 4401 get a new token",
      "without a ticket, open:",
      "with the token in the first message, welcome",
      "demo: hello",
      "with a token without the scope, closed: 4403 the token lacks a scope",
      "a page sends nothing for 5 seconds",
      "closed: 4408 send the token first"
    ])
  })
)
