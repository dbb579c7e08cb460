/** Adds a documentation page to a router. */
import * as Effect from "effect/Effect"
import type { HttpRouter } from "effect/http/HttpRouter"
import type { Document, Options } from "./options.ts"
import * as assets from "./assets.ts"
import * as configuration from "./configuration.ts"
import { route } from "./resource.ts"
import * as page from "./page.ts"

// SwaggerUi.ts imports this module dynamically, so programs without a page do not load it.
export const serve = Effect.fnUntraced(function* (router: HttpRouter, documentOf: () => Document, options: Options) {
  const document = documentOf()
  yield* configuration.check(options, document)
  const files = options.assets === undefined ? yield* assets.read : yield* assets.ofGiven(options.assets)
  const resources = yield* page.make(document, options, files)
  yield* Effect.catchDefect(router.addAll(yield* Effect.all(resources.map(route))), (defect) =>
    defect instanceof Error && defect.message.includes("already declared")
      ? configuration.refuse(
          "path",
          `or another path of the page belongs to another route. Set path, openapiPath and oauth2RedirectPath. Router error: ${defect.message}.`
        )
      : Effect.die(defect)
  )
})
