/** Compares this library with other libraries, and with itself under growing load. Run it with `npm run bench`. */
import { install } from "./install.ts"
import { fleet } from "./modes/fleet.ts"
import { full } from "./modes/full.ts"
import { growth } from "./modes/growth.ts"
import { quick } from "./modes/quick.ts"
import { refusals } from "./modes/refusals.ts"
import { read } from "./options.ts"

const modes = { full, quick, growth, refusals, fleet }

try {
  const settings = read(process.argv.slice(2))
  install()
  await modes[settings.mode](settings)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  // Child.ts kills all child processes when this process exits.
  process.exit(1)
}
