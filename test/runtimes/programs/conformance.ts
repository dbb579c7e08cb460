/** Prints as one line of JSON which capabilities the runtime has, and its version. */
import { runChecks } from "./checks.ts"
import { serve } from "./serve.ts"

const { Bun, Deno } = globalThis as {
  readonly Bun?: { readonly version: string }
  readonly Deno?: { readonly version: { readonly deno: string } }
}

const results = await runChecks(async (handler) => ({ origin: await serve(handler), fetch: globalThis.fetch }))
console.log(JSON.stringify({ version: Bun?.version ?? Deno?.version.deno ?? process.versions.node, results }))
process.exit(0)
