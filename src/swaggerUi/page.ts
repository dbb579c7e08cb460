/** Creates the resources of a documentation page. */
import * as Effect from "effect/Effect"
import type { Document, Options } from "./options.ts"
import * as assets from "./assets.ts"
import * as configuration from "./configuration.ts"
import * as documents from "./servedDocument.ts"
import * as html from "./html.ts"
import { type Path, type Paths, scriptFolder, type ScriptName } from "./paths.ts"
import * as policy from "./contentSecurityPolicy.ts"
import { relative } from "./relative.ts"
import { digest, encode, immutable, type Resource, revalidated } from "./resource.ts"
import * as scripts from "./scripts.ts"

/** Creates the page, and the files of `swagger-ui-dist` that the app serves. */
export const withFiles = Effect.fnUntraced(function* (
  document: Document,
  options: Options,
  paths: Paths,
  files: assets.Assets | assets.Hosted
) {
  const pageScript = yield* scriptResource(paths, "page.js", scripts.page)
  const url = options.url ?? relative(paths.page, paths.document ?? paths.page)
  const { favicon, resources, script, style } =
    files instanceof assets.Hosted ? hostedReferences(files) : packageReferences(files, paths)

  const page: Resource = {
    route: paths.page,
    version: undefined,
    body: encode(
      html.documentation({
        title: options.title ?? `${document.info.title} - Swagger UI`,
        stylesheet: style,
        favicon: options.favicon ?? favicon,
        scripts: [script, served(relative(paths.page, pageScript.path))],
        configuration: {
          url,
          ...(paths.redirect === undefined ? undefined : { oauth2RedirectUrl: relative(paths.page, paths.redirect) }),
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
  return [page, ...resources]
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
const packageReferences = ({ files, notice, version }: assets.Assets, paths: Paths): References => {
  const one = (name: assets.ServedName, body: Resource["body"]): Resource => ({
    route: paths.file(assets.folder, undefined, name),
    version,
    body,
    contentType: assets.contentTypes[name],
    cacheControl: immutable,
    headers: {}
  })
  const url = (name: assets.FileName) => relative(paths.page, paths.file(assets.folder, version, name))
  return {
    style: served(url("swagger-ui.css")),
    script: served(url("swagger-ui-bundle.js")),
    favicon: url("favicon-32x32.png"),
    resources: [
      ...assets.fileNames.map((name) => one(name, files[name])),
      ...(notice === undefined ? [] : [one(assets.noticeName, notice)])
    ]
  }
}

/** Creates the resources that need no file: the scripts, the redirect page and the document. */
export const withoutFiles = Effect.fnUntraced(function* (document: Document, paths: Paths) {
  const pageScript = yield* scriptResource(paths, "page.js", scripts.page)
  const redirectScript = yield* scriptResource(paths, "oauth2-redirect.js", scripts.redirect)
  return [
    pageScript.resource,
    ...(paths.redirect === undefined
      ? []
      : [redirectScript.resource, redirectPage(paths.redirect, redirectScript.path)]),
    ...(paths.document === undefined ? [] : [documentResource(paths.document, document)])
  ]
})

// The URL contains the script's hash as its version, so browsers may cache the script for a year.
const scriptResource = (paths: Paths, name: ScriptName, text: string) => {
  const body = encode(text)
  return Effect.map(digest(body), (hash) => {
    const version = hash.slice(0, 16)
    const resource: Resource = {
      route: paths.file(scriptFolder, undefined, name),
      version,
      body,
      contentType: "text/javascript; charset=utf-8",
      cacheControl: immutable,
      headers: {}
    }
    return { resource, path: paths.file(scriptFolder, version, name) }
  })
}

const redirectPage = (path: Path, script: string): Resource => ({
  route: path,
  version: undefined,
  body: encode(html.redirect(relative(path, script))),
  contentType: "text/html; charset=utf-8",
  cacheControl: revalidated,
  headers: { "content-security-policy": policy.redirect }
})

const documentResource = (path: Path, document: Document): Resource => ({
  route: path,
  version: undefined,
  body: encode(JSON.stringify(documents.servedAt(path, document))),
  contentType: "application/json",
  cacheControl: revalidated,
  headers: {}
})
