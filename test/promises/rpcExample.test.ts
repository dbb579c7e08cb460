/** The example of procedures behind requirements, as `scratchpad/rpc` runs it. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { program } from "../../scratchpad/rpc/Program.ts"

it.effect("decides about each call of one WebSocket, and ends a stream with its token", () =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    yield* program((line) => {
      lines.push(line)
      return line.startsWith("watching") ? TestClock.adjust("2 seconds") : Effect.void
    })
    assert.deepStrictEqual(lines, [
      "health: ok",
      "a visitor adds: InsufficientScope",
      "with a new token on the same socket: demo added a pen",
      "watching: an item",
      "the stream ends with its token: InvalidToken"
    ])
  })
)
