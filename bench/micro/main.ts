/** Times each step of a request in one process. Run it with `npm run bench:micro`. Installs the packages first. */
import { install } from "../install.ts"

install()
await import("./benches.ts")
