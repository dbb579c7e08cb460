/** Paths of the documentation page. They contain a parameter where the URL contains a version. */
import * as Effect from "effect/Effect"
import * as configuration from "./configuration.ts"
import type { Options } from "./options.ts"

export type Path = `/${string}`

/** Folder of the library's own scripts. */
export const scriptFolder = "scripts"

export type ScriptName = "page.js" | "oauth2-redirect.js"

export interface Paths {
  readonly page: Path
  readonly document: Path | undefined
  readonly redirect: Path | undefined
  /** Returns the path of a file. Without a version, it is the path of the route. */
  readonly file: (folder: string, version: string | undefined, name: string) => Path
}

export const pathsOf = Effect.fnUntraced(function* (options: Options) {
  const page = options.path ?? "/docs"
  const below = (name: string): Path => `/${`${page.replace(/\/$/, "")}/${name}`.slice(1)}`
  const redirect = options.oauth2RedirectPath ?? below("oauth2-redirect")
  const document = options.openapiPath ?? "/openapi.json"

  if (document === page) return yield* configuration.refuse("openapiPath", `must differ from path (${page}).`)
  if (redirect === page || redirect === document) {
    return yield* configuration.refuse("oauth2RedirectPath", `must differ from path and openapiPath (${redirect}).`)
  }
  return {
    page,
    document: document === false ? undefined : document,
    redirect: redirect === false ? undefined : redirect,
    // The version is a whole segment. With other parameters, the router finds the app's own routes more slowly.
    file: (folder, version = ":version", name) => below(`${folder}/${version}/${name}`)
  } satisfies Paths
})
