/** Creates the resources of a documentation page. */
import * as Effect from "effect/Effect"
import type { Document, Options } from "./options.ts"
import * as assets from "./assets.ts"
import * as configuration from "./configuration.ts"
import * as documents from "./servedDocument.ts"
import * as html from "./html.ts"
import * as policy from "./contentSecurityPolicy.ts"
import { relative } from "./relative.ts"
import { digest, encode, immutable, type Resource, revalidated } from "./resource.ts"
import * as scripts from "./scripts.ts"

type Path = Resource["path"]

export const make = Effect.fnUntraced(function* (
  document: Document,
  options: Options,
  files: assets.Assets | assets.Hosted
) {
  const path = options.path ?? "/docs"
  const below = (name: string): Path => `/${`${path.replace(/\/$/, "")}/${name}`.slice(1)}`
  const redirectPath = options.oauth2RedirectPath ?? below("oauth2-redirect")
  const openapiPath = options.openapiPath ?? "/openapi.json"

  if (openapiPath === path) return yield* configuration.refuse("openapiPath", `must differ from path (${path}).`)
  if (redirectPath === path || redirectPath === openapiPath) {
    return yield* configuration.refuse("oauth2RedirectPath", `must differ from path and openapiPath (${redirectPath}).`)
  }

  const { favicon, resources, script, style } =
    files instanceof assets.Hosted ? hostedReferences(files) : packageReferences(files, path, below)
  const pageScript = yield* scriptResource(below, "page", scripts.page)
  const redirectScript = yield* scriptResource(below, "oauth2-redirect", scripts.redirect)
  const url = options.url ?? relative(path, openapiPath === false ? path : openapiPath)

  const page: Resource = {
    path,
    body: encode(
      html.documentation({
        title: options.title ?? `${document.info.title} - Swagger UI`,
        stylesheet: style,
        favicon: options.favicon ?? favicon,
        scripts: [script, served(relative(path, pageScript.path))],
        configuration: {
          url,
          ...(redirectPath === false ? undefined : { oauth2RedirectUrl: relative(path, redirectPath) }),
          initOAuth: configuration.initOAuth(options.initOAuth),
          parameters: configuration.parameters(options)
        }
      })
    ),
    contentType: "text/html; charset=utf-8",
    cacheControl: revalidated,
    headers: {
      "content-security-policy": policy.documentation(
        documents.unique([...documents.origins(document), url, ...(options.connectSources ?? [])]),
        documents.unique([options.favicon ?? favicon]),
        absolute(script),
        absolute(style)
      )
    }
  }

  return [
    page,
    pageScript,
    ...resources,
    ...(redirectPath === false ? [] : [redirectScript, redirectPage(redirectPath, redirectScript.path)]),
    ...(openapiPath === false ? [] : [documentResource(openapiPath, document)])
  ]
})

/** What the page refers to, and the resources that the app serves. */
interface References {
  readonly style: html.Reference
  readonly script: html.Reference
  readonly favicon: string
  readonly resources: ReadonlyArray<Resource>
}

// `script-src` and `style-src` name the file, so that no other file of its server can run.
const absolute = ({ url }: html.Reference): ReadonlyArray<string> => (documents.origin(url) === undefined ? [] : [url])

const served = (url: string): html.Reference => ({ url, integrity: undefined })

const hostedReferences = (hosted: assets.Hosted): References => ({
  style: { url: hosted.url("swagger-ui.css"), integrity: hosted.integrity["swagger-ui.css"] },
  script: { url: hosted.url("swagger-ui-bundle.js"), integrity: hosted.integrity["swagger-ui-bundle.js"] },
  favicon: hosted.url("favicon-32x32.png"),
  resources: []
})

// The URLs contain the version, so browsers may cache the files for a year.
const packageReferences = (
  { files, notice, version }: assets.Assets,
  path: Path,
  below: (name: string) => Path
): References => {
  const one = (name: string, body: Resource["body"], contentType: string): Resource => ({
    path: below(`swagger-ui-dist@${version}/${name}`),
    body,
    contentType,
    cacheControl: immutable,
    headers: {}
  })
  const file = (name: assets.FileName) => one(name, files[name], assets.contentTypes[name])
  const style = file("swagger-ui.css")
  const script = file("swagger-ui-bundle.js")
  const favicon = file("favicon-32x32.png")
  const notices = notice === undefined ? [] : [one(assets.noticeName, notice, "text/plain; charset=utf-8")]
  return {
    style: served(relative(path, style.path)),
    script: served(relative(path, script.path)),
    favicon: relative(path, favicon.path),
    resources: [style, script, favicon, ...notices]
  }
}

// The URL contains the script's hash as its version.
const scriptResource = (below: (name: string) => Path, name: string, text: string) => {
  const body = encode(text)
  return Effect.map(digest(body), (hash): Resource => ({
    path: below(`${name}-${hash.slice(0, 16)}.js`),
    body,
    contentType: "text/javascript; charset=utf-8",
    cacheControl: immutable,
    headers: {}
  }))
}

const redirectPage = (path: Path, script: string): Resource => ({
  path,
  body: encode(html.redirect(relative(path, script))),
  contentType: "text/html; charset=utf-8",
  cacheControl: revalidated,
  headers: { "content-security-policy": policy.redirect }
})

const documentResource = (path: Path, document: Document): Resource => ({
  path,
  body: encode(JSON.stringify(documents.servedAt(path, document))),
  contentType: "application/json",
  cacheControl: revalidated,
  headers: {}
})
