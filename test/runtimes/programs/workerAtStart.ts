/** A Worker that fetches the keys of its issuer at module scope, which is impossible. */
import { Effect } from "effect"
import { FetchHttpClient } from "effect/http"
import { KeySet } from "effect-oauth2"

await KeySet.KeySet.use(({ refresh }) => refresh).pipe(
  Effect.provide(KeySet.layerRemote({ url: "https://issuer.test/jwks" })),
  Effect.provide(FetchHttpClient.layer),
  Effect.runPromise
)

export default { fetch: () => new Response("") }
