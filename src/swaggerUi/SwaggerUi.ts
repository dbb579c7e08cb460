/**
 * Documentation page that can log in: [Swagger UI](https://github.com/swagger-api/swagger-ui), served by your app, with
 * the authorization code flow. Equivalent to FastAPI's `/docs`.
 *
 * **Details**
 *
 * - The files come from the optional peer dependency `swagger-ui-dist`. Run `npm install swagger-ui-dist`. The option
 *   `assets` takes the files, or their URL, on runtimes without a disk.
 * - The `Content-Security-Policy` allows only scripts and styles of your app and of `assets`. Requests may go to your app, to the
 *   document's servers, and to the endpoints of its security schemes.
 * - The generated URLs are relative. The page works below a router prefix and behind a reverse proxy without an option.
 * - PKCE with `S256` is on by default (RFC 7636).
 * - The dialog has no field for a client secret if `initOAuth` names a public client.
 * - A failed login shows the `error_description` of the authorization server.
 * - The lock of an optional operation is open until the reader logs in.
 * - Register the URL of `{path}/oauth2-redirect` as the client's redirect URI. The redirect page refuses a response
 *   whose `state` differs from the request's (RFC 6749 §10.12).
 *
 * **Example** (Serving an api and its documentation page)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { OAuth2, SwaggerUi } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * const Api = HttpApi.make("api")
 *   .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items")).middleware(auth.require("items:read")))
 *   .pipe(OAuth2.secured, OAuth2.openApi)
 *
 * const Items = HttpApiBuilder.group(Api, "items", (handlers) => handlers.handle("list", () => Effect.void))
 *
 * export const Routes = Layer.mergeAll(
 *   HttpApiBuilder.layer(Api).pipe(Layer.provide(Items)),
 *   SwaggerUi.layer(Api, { initOAuth: { clientId: "docs", scopes: ["items:read"] } })
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as FileSystem from "effect/FileSystem"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import { isDocument as isOpenApi } from "../openApi/document.ts"
import type { Document, Options } from "./options.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import * as scalar from "./scalar.ts"
import { serve } from "./serve.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"

export type { Assets, Document, HostedAssets, InitOAuth, Options } from "./options.ts"

/**
 * Adds a documentation page, its files, its redirect page and its OpenAPI document to the `HttpRouter`.
 *
 * **Details**
 *
 * `source` is the `HttpApi` that `OAuth2.openApi` returns, or an OpenAPI document. If the document has no `servers`
 * or only the default `/`, the layer writes a server URL that is relative to the document.
 *
 * | path | content | caching |
 * |---|---|---|
 * | `{path}` | page | revalidated with `ETag` |
 * | `{path}/oauth2-redirect` | redirect page | revalidated with `ETag` |
 * | `{path}/…` | scripts, styles and icon, with their version in the URL | 1 year, `immutable` |
 * | `{openapiPath}` | OpenAPI document | revalidated with `ETag` |
 *
 * The first request of the page reads the files. The layer itself waits for nothing. If the files cannot be read, the
 * page responds with 503, and the log says why once, at level Error. The next request reads the files again. All other
 * routes work, among them the document and the redirect page.
 *
 * The layer fails at start-up with a `ConfigurationError`:
 *
 * | `setting` | cause |
 * |---|---|
 * | name of an option | the option is invalid, contradicts another option, or would publish a client secret |
 * | `"path"` | another route has one of these paths |
 *
 * **Gotchas**
 *
 * - The page and the document are public. To protect both, provide a middleware to the layer.
 * - The layer needs the `FileSystem` and the `Path` of the platform. `NodeHttpServer.layer` provides both.
 *
 * **Example** (Serving a documentation page for routes)
 *
 * ```ts
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { OpenApiSecurity, SwaggerUi } from "effect-oauth2"
 *
 * export const App = HttpRouter.add("GET", "/health", HttpServerResponse.empty()).pipe(
 *   OpenApiSecurity.documented({ info: { title: "Profiles", version: "1.0.0" } }, (document) =>
 *     SwaggerUi.layer(document, { path: "/reference", persistAuthorization: true })
 *   )
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  source: HttpApi.HttpApi<Id, Groups> | Document,
  options: Options = {}
): Layer.Layer<never, ConfigurationError, HttpRouter.HttpRouter | FileSystem.FileSystem | Path.Path> =>
  HttpRouter.use((router) =>
    serve(router, () => (isDocument(source) ? source : OpenApi.fromApi(source)), ownProperties(options))
  )

const isDocument = (source: object): source is Document => !HttpApi.isHttpApi(source)

/**
 * Adds the client, PKCE and the preselected scopes to an api's document, so that Scalar can log in.
 *
 * **When to use**
 *
 * Use when you serve Effect's `HttpApiScalar.layer` instead of `SwaggerUi.layer`.
 *
 * **Details**
 *
 * Register the URL of the page as the client's redirect URI. Scalar reads these fields of the document:
 *
 * | field | place |
 * |---|---|
 * | `x-scalar-client-id`, `x-scalar-credentials-location` | every OAuth 2.0 flow |
 * | `x-usePkce` | authorization code flow |
 * | `x-default-scopes` | OAuth 2.0 security scheme |
 *
 * **Gotchas**
 *
 * - Call `forScalar` after `OAuth2.openApi`, which writes the security schemes.
 * - `OpenApi.fromApi` throws a `TypeError` if no scheme of the document declares one of the `scopes`.
 * - Scalar generates its own `state`, and its page contains inline scripts.
 *
 * **Example** (Serving a page of Scalar)
 *
 * ```ts import.meta.vitest
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiScalar, OpenApi } from "effect/http-api"
 * import { OAuth2, SwaggerUi } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items" }
 * })
 * const Api = HttpApi.make("api")
 *   .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items")).middleware(auth.require("items:read")))
 *   .pipe(OAuth2.openApi, SwaggerUi.forScalar({ clientId: "docs", scopes: ["items:read"] }))
 *
 * export const Page = HttpApiScalar.layer(Api, {
 *   path: "/reference",
 *   scalar: { authentication: { preferredSecurityScheme: "OAuth2" } }
 * })
 *
 * const scheme = OpenApi.fromApi(Api).components.securitySchemes["OAuth2"]
 *
 * JSON.stringify(scheme).includes('"x-usePkce":"SHA-256"') // => true
 * ```
 *
 * @see {@link layer} for a page of Swagger UI
 * @category combinators
 * @since 0.1.0
 */
export const forScalar =
  (options: {
    /** ID of a public client that you registered at the authorization server. */
    readonly clientId: string
    /** Scopes that are selected when the page opens. @default none */
    readonly scopes?: ReadonlyArray<string>
    /** Uses PKCE with `S256` in the authorization code flow (RFC 7636). @default true */
    readonly usePkce?: boolean
  }) =>
  <Id extends string, Groups extends HttpApiGroup.Constraint>(
    api: HttpApi.HttpApi<Id, Groups>
  ): HttpApi.HttpApi<Id, Groups> => {
    const previous = Context.getOrUndefined(api.annotations, OpenApi.Transform)
    return api.annotate(OpenApi.Transform, (document) => {
      const transformed = previous === undefined ? document : previous(document)
      return isOpenApi(transformed) ? scalar.prepare(transformed, ownProperties(options)) : transformed
    })
  }
