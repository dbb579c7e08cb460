/** Adds a documentation page to a router. */
import * as Effect from "effect/Effect"
import type { HttpRouter } from "effect/http/HttpRouter"
import type { Document, Options } from "./options.ts"
import * as assets from "./assets.ts"
import * as configuration from "./configuration.ts"
import { route } from "./resource.ts"
import * as site from "./page.ts"

/** Adds all that is served for a document. It is loaded where the page is served: other programs do not wait for it. */
export const serve = Effect.fnUntraced(function* (router: HttpRouter, documentOf: () => Document, options: Options) {
  const document = documentOf()
  yield* configuration.check(options, document)
  const resources = yield* site.make(document, options, yield* assets.read)
  yield* Effect.catchDefect(router.addAll(yield* Effect.all(resources.map(route))), (defect) =>
    defect instanceof Error && defect.message.includes("already declared")
      ? configuration.refuse("path", `${defect.message}. Give each page a path and an openApiPath of its own`)
      : Effect.die(defect)
  )
})
