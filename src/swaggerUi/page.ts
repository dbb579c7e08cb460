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

export const make = Effect.fnUntraced(function* (document: Document, options: Options, files: assets.Assets) {
  const path = options.path ?? "/docs"
  const below = (name: string): Path => `/${`${path.replace(/\/$/, "")}/${name}`.slice(1)}`
  const redirectPath = options.oauth2RedirectPath ?? below("oauth2-redirect")
  const openapiPath = options.openapiPath ?? "/openapi.json"

  if (openapiPath === path) return yield* configuration.refuse("openapiPath", `must differ from path (${path}).`)
  if (redirectPath === path || redirectPath === openapiPath) {
    return yield* configuration.refuse("oauth2RedirectPath", `must differ from path and openapiPath (${redirectPath}).`)
  }

  const { favicon, notices, script, style } = packageResources(files, below)
  const pageScript = yield* scriptResource(below, "page", scripts.page)
  const redirectScript = yield* scriptResource(below, "oauth2-redirect", scripts.redirect)
  const url = options.url ?? relative(path, openapiPath === false ? path : openapiPath)

  const page: Resource = {
    path,
    body: encode(
      html.documentation({
        title: options.title ?? `${document.info.title} - Swagger UI`,
        stylesheet: relative(path, style.path),
        favicon: options.favicon ?? relative(path, favicon.path),
        scripts: [relative(path, script.path), relative(path, pageScript.path)],
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
        documents.unique([options.favicon])
      )
    }
  }

  return [
    page,
    pageScript,
    style,
    script,
    favicon,
    ...notices,
    ...(redirectPath === false ? [] : [redirectScript, redirectPage(redirectPath, redirectScript.path)]),
    ...(openapiPath === false ? [] : [documentResource(openapiPath, document)])
  ]
})

// The URLs contain the version, so browsers may cache the files for a year.
const packageResources = ({ files, notice, version }: assets.Assets, below: (name: string) => Path) => {
  const one = (name: string, body: Resource["body"], contentType: string): Resource => ({
    path: below(`swagger-ui-dist@${version}/${name}`),
    body,
    contentType,
    cacheControl: immutable,
    headers: {}
  })
  const file = (name: assets.FileName) => one(name, files[name], assets.contentTypes[name])
  return {
    style: file("swagger-ui.css"),
    script: file("swagger-ui-bundle.js"),
    favicon: file("favicon-32x32.png"),
    notices: notice === undefined ? [] : [one(assets.noticeName, notice, "text/plain; charset=utf-8")]
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
