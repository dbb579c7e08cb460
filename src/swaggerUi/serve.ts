/** Adds a documentation page to a router. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { HttpRouter } from "effect/http/HttpRouter"
import type * as Path from "effect/Path"
import type { Document, Options } from "./options.ts"
import * as assets from "./assets.ts"
import * as configuration from "./configuration.ts"
import * as onFirstUse from "./onFirstUse.ts"
import { pathsOf, scriptFolder, type ScriptName } from "./paths.ts"
import * as page from "./page.ts"
import { type Resource, responder, route } from "./resource.ts"

/**
 * Adds the routes and waits for nothing, because a server may listen before its layer is complete. Files are read when
 * the first request needs them.
 */
export const serve = Effect.fnUntraced(function* (router: HttpRouter, documentOf: () => Document, options: Options) {
  const document = documentOf()
  yield* configuration.check(options, document)
  const paths = yield* pathsOf(options)
  const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const given = options.assets === undefined ? undefined : yield* assets.ofGiven(options.assets)
  const files: Effect.Effect<assets.Assets | assets.Hosted, unknown> =
    given === undefined ? Effect.provideContext(assets.read, context) : Effect.succeed(given)

  const withFiles = yield* onFirstUse.make({
    compute: files.pipe(
      Effect.flatMap((files) => page.withFiles(document, options, paths, files)),
      Effect.flatMap(responders)
    ),
    onFailure: (cause) => Effect.annotateLogs(Effect.logError(failed, cause), "path", paths.page),
    onRecovery: Effect.annotateLogs(Effect.logInfo(recovered), "path", paths.page)
  })
  const withoutFiles = yield* onFirstUse.make({
    compute: Effect.flatMap(page.withoutFiles(document, paths), responders),
    onFailure: () => Effect.void,
    onRecovery: Effect.void
  })

  const file = (name: assets.ServedName) => paths.file(assets.folder, undefined, name)
  const script = (name: ScriptName) => paths.file(scriptFolder, undefined, name)
  const routes = [
    ...[
      paths.page,
      ...(given instanceof assets.Hosted ? [] : [...assets.fileNames.map(file), file(assets.noticeName)])
    ].map((path) => route(path, withFiles)),
    ...[
      script("page.js"),
      ...(paths.redirect === undefined ? [] : [paths.redirect, script("oauth2-redirect.js")]),
      ...(paths.document === undefined ? [] : [paths.document])
    ].map((path) => route(path, withoutFiles))
  ]
  yield* Effect.catchDefect(router.addAll(routes), (defect) =>
    defect instanceof Error && defect.message.includes("already declared")
      ? configuration.refuse(
          "path",
          `or another path of the page belongs to another route. Set path, openapiPath and oauth2RedirectPath. Router error: ${defect.message}.`
        )
      : Effect.die(defect)
  )
})

const responders = (resources: ReadonlyArray<Resource>) =>
  Effect.map(Effect.forEach(resources, responder), (responders) => new Map(responders))

const failed =
  "SwaggerUi.layer could not read swagger-ui-dist, so the documentation page responds with 503. Run npm install swagger-ui-dist. If the package is installed, provide a FileSystem that reads the disk, such as NodeServices.layer. If there is no disk, set the option assets. The FileSystem of HttpServer.layerServices reads no files."

const recovered = "SwaggerUi.layer could read swagger-ui-dist, so the documentation page works again."
