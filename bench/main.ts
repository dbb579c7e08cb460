/** Compares this library with its peers, and with itself under growing load: `npm run bench`. */
import { install } from "./install.ts"
import { quick } from "./modes/quick.ts"
import { read, usage } from "./options.ts"

try {
  const settings = read(process.argv.slice(2))
  install()
  await quick(settings)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  console.error(`\n${usage}`)
  // The children go with this process.
  process.exit(1)
}
