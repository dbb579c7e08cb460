/** Requests that arrive while the example program starts. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort, start } from "../support/program.ts"

it.live(
  "the Items API answers every request from the moment its port opens",
  () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const program = yield* start("scratchpad/items-api/main.ts", {
        PORT: String(port),
        AUTHORIZATION_SERVER_PORT: String(yield* freePort)
      })
      // A refused connection means that the port is not open. All other requests must be answered.
      const request = async (): Promise<number | "refused" | "unanswered"> => {
        try {
          const signal = AbortSignal.timeout(5000)
          return (await fetch(`http://127.0.0.1:${port}/health`, { headers: { connection: "close" }, signal })).status
        } catch (error) {
          return error instanceof TypeError ? "refused" : "unanswered"
        }
      }
      const answers = yield* Effect.promise(async () => {
        const found: Array<number | string> = []
        while (found.filter((answer) => answer !== "refused").length < 200 && program.process.exitCode === null) {
          found.push(...(await Promise.all(Array.from({ length: 5 }, request))))
        }
        return found
      })
      assert.includeMembers(answers, ["refused", 200])
      assert.deepStrictEqual(new Set(answers), new Set<number | string>(["refused", 200]), program.output.stderr)
    }),
  60_000
)
