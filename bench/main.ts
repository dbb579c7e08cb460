/** Compares this library with its peers, and with itself under growing load: `npm run bench`. */
import { install } from "./install.ts"
import { full } from "./modes/full.ts"
import { growth } from "./modes/growth.ts"
import { quick } from "./modes/quick.ts"
import { read } from "./options.ts"

const modes = { full, quick, growth }

try {
  const settings = read(process.argv.slice(2))
  install()
  await modes[settings.mode](settings)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  // The children end with this process.
  process.exit(1)
}
