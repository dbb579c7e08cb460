/** What each step of a request costs inside the process: `npm run bench:micro`. Installed first is what the benches import. */
import { install } from "../install.ts"

install()
await import("./benches.ts")
