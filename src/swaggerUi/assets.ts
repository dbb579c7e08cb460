/** Reads the files of the package `swagger-ui-dist`. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { ConfigurationError } from "../core/SecurityError.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { Assets as Given, HostedAssets } from "./options.ts"

export interface Assets {
  readonly version: string
  readonly files: Readonly<Record<FileName, Uint8Array<ArrayBuffer>>>
  /** Licenses of the bundled packages. Older versions of `swagger-ui-dist` do not have this file. */
  readonly notice: Uint8Array<ArrayBuffer> | undefined
}

/** Files that the app does not serve. */
export class Hosted {
  readonly #baseUrl: string
  readonly integrity: HostedAssets["integrity"]

  constructor({ baseUrl, integrity }: HostedAssets) {
    this.#baseUrl = baseUrl
    this.integrity = integrity
  }

  url(name: FileName): string {
    return this.#baseUrl + name
  }
}

/** Names of the files that the page needs. */
export const fileNames = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"] as const

export type FileName = (typeof fileNames)[number]

// A comment in the bundle refers to this name.
export const noticeName = "swagger-ui-bundle.js.LICENSE.txt"

export type ServedName = FileName | typeof noticeName

export const contentTypes: Readonly<Record<ServedName, string>> = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
  "favicon-32x32.png": "image/png",
  [noticeName]: "text/plain; charset=utf-8"
}

/** Folder of the files below the page. */
export const folder = "swagger-ui-dist"

/** Returns the URL of a file of a package. The host's resolution finds the same package as an `import` in this file. */
export const Resolver = Context.Reference<(specifier: string) => string>("effect-oauth2/SwaggerUi/Resolver", {
  defaultValue: () => (specifier) => import.meta.resolve(specifier)
})

const Manifest = Schema.fromJsonString(Schema.Struct({ version: Schema.String }))

/**
 * Reads the files of `swagger-ui-dist` together, with the first request that needs one of them. Later, an update of the
 * package cannot put new files under the old version's URLs.
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
    // `crypto.subtle.digest` refuses shared memory, so copy the bytes.
    Effect.map(fileSystem.readFile(path.join(path.dirname(manifest), name)), (bytes) => new Uint8Array(bytes))
  const files = yield* Effect.all({
    "swagger-ui.css": file("swagger-ui.css"),
    "swagger-ui-bundle.js": file("swagger-ui-bundle.js"),
    "favicon-32x32.png": file("favicon-32x32.png")
  })
  const notice = yield* Effect.orElseSucceed(file(noticeName), () => undefined)
  return { version, files, notice } satisfies Assets
}).pipe(Effect.catchDefect(Effect.fail))

// `crypto.subtle.digest` refuses shared memory, so copy the bytes.
const bytesOf = (given: unknown): Uint8Array<ArrayBuffer> | undefined =>
  given instanceof Uint8Array
    ? new Uint8Array(given)
    : given instanceof ArrayBuffer
      ? new Uint8Array(given.slice(0))
      : undefined

// The Content-Security-Policy contains an absolute URL, so a `;` or a space would end its directive.
const baseUrl = /^(?:https?:\/\/[\w.-]+(?::\d+)?\/|\.{0,2}\/(?!\/))(?:[\w.@~-]+\/)*$/
const hash = /^sha(?:256|384|512)-[A-Za-z0-9+/]+={0,2}$/

const hosted = (given: HostedAssets): Effect.Effect<Hosted, ConfigurationError> => {
  const integrity = ownProperties<Partial<HostedAssets["integrity"]>>(given.integrity ?? {})
  const { "swagger-ui.css": css, "swagger-ui-bundle.js": bundle } = integrity
  if (!baseUrl.test(given.baseUrl) || !hash.test(css ?? "") || !hash.test(bundle ?? "")) {
    const message =
      "assets must have the baseUrl of swagger-ui-dist, such as https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0/, which ends with a slash. assets must also have the integrity of swagger-ui.css and swagger-ui-bundle.js, such as sha384-, then the hash in base64."
    return Effect.fail(new ConfigurationError({ setting: "assets", message }))
  }
  return Effect.succeed(new Hosted(given))
}

/** Returns the files that the app passes. A bundler may embed a file as an `ArrayBuffer`. */
export const ofGiven = (given: Given | HostedAssets): Effect.Effect<Assets | Hosted, ConfigurationError> => {
  if (Object.hasOwn(given, "baseUrl")) return hosted(ownProperties(given as HostedAssets))
  const { files, version } = ownProperties(given as Partial<Given>)
  const own = ownProperties<Partial<Given["files"]>>(files ?? {})
  const css = bytesOf(own["swagger-ui.css"])
  const bundle = bytesOf(own["swagger-ui-bundle.js"])
  const icon = bytesOf(own["favicon-32x32.png"])
  if (typeof version !== "string" || !/^[\w.+-]+$/.test(version) || !css || !bundle || !icon) {
    const message =
      "assets must have the version of swagger-ui-dist, and the bytes of swagger-ui.css, swagger-ui-bundle.js and favicon-32x32.png as Uint8Array."
    return Effect.fail(new ConfigurationError({ setting: "assets", message }))
  }
  return Effect.succeed({
    version,
    files: { "swagger-ui.css": css, "swagger-ui-bundle.js": bundle, "favicon-32x32.png": icon },
    notice: undefined
  })
}
