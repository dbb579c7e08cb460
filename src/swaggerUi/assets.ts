/** Reads the files of the package `swagger-ui-dist`. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { ConfigurationError } from "../core/SecurityError.ts"

export interface Assets {
  readonly version: string
  readonly files: Readonly<Record<FileName, Uint8Array<ArrayBuffer>>>
  /** The licences of what the bundle is made of, which newer versions keep in a file beside it. */
  readonly notice: Uint8Array<ArrayBuffer> | undefined
}

export type FileName = keyof typeof contentTypes

/** What the page needs of the package. */
export const contentTypes = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
  "favicon-32x32.png": "image/png"
} as const

/** The bundle refers to it by this name. */
export const noticeName = "swagger-ui-bundle.js.LICENSE.txt"

/** Where a file of a package is. The host's own resolution, so that it finds what an `import` in this file would find. */
export const Resolver = Context.Reference<(specifier: string) => string>("effect-oauth2/SwaggerUi/Resolver", {
  defaultValue: () => (specifier) => import.meta.resolve(specifier)
})

const Manifest = Schema.fromJsonString(Schema.Struct({ version: Schema.String }))

/**
 * Reads the files of `swagger-ui-dist` once, at start-up: an absent package shows then, requests read no disk, and what is served under a version is
 * what was there when the version was read.
 */
export const read = Effect.gen(function* () {
  const resolve = yield* Resolver
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path

  const manifest = yield* Effect.try(() => new URL(resolve("swagger-ui-dist/package.json"))).pipe(
    Effect.flatMap(path.fromFileUrl)
  )
  const { version } = yield* Effect.flatMap(fileSystem.readFileString(manifest), Schema.decodeUnknownEffect(Manifest))
  const file = (name: string) =>
    // A copy, because the digest takes no shared memory.
    Effect.map(fileSystem.readFile(path.join(path.dirname(manifest), name)), (bytes) => new Uint8Array(bytes))
  const files = yield* Effect.all({
    "swagger-ui.css": file("swagger-ui.css"),
    "swagger-ui-bundle.js": file("swagger-ui-bundle.js"),
    "favicon-32x32.png": file("favicon-32x32.png")
  })
  const notice = yield* Effect.orElseSucceed(file(noticeName), () => undefined)
  return { version, files, notice } satisfies Assets
}).pipe(
  Effect.catch((cause) => Effect.andThen(Effect.logDebug("Could not read swagger-ui-dist", cause), Effect.fail(absent)))
)

const absent = new ConfigurationError({
  setting: "swagger-ui-dist",
  message:
    "SwaggerUi serves the files of the package swagger-ui-dist, which cannot be read here: npm install swagger-ui-dist. Where it is installed, provide a FileSystem that reads this disk, such as that of NodeServices.layer: that of HttpServer.layerServices reads none"
})
