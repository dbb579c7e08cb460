/**
 * Runs the tests in `Items.test.ts` with Vitest. Run `npm run example -- testing`.
 *
 * In your own project, `npx vitest run` does this.
 */
import { startVitest } from "vitest/node"

const conditions = ["@effect-oauth2/source"]

const vitest = await startVitest(
  "test",
  [],
  { root: import.meta.dirname, config: false, watch: false, reporters: ["verbose"], pool: "threads" },
  { resolve: { conditions }, ssr: { resolve: { conditions } } }
)
await vitest.close()
