/** A Worker of Cloudflare that responds with its capabilities. */
import { runChecks, withoutSockets } from "./checks.ts"

export default { fetch: async () => Response.json(await runChecks(withoutSockets())) }
