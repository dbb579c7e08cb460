/**
 * A documentation page that can log in: [Swagger UI](https://github.com/swagger-api/swagger-ui), served by the app itself, with the authorization
 * code flow and PKCE. FastAPI's `/docs`.
 *
 * **Details**
 *
 * The files come from the package `swagger-ui-dist`, an optional peer: `npm install swagger-ui-dist`. Nothing is loaded from elsewhere. The
 * page's `Content-Security-Policy` allows scripts and styles of the app alone, and requests to the origins that the document names: its servers
 * and the endpoints of its security schemes. Every URL in the page is relative to it, and the document names its server relative to itself, so both
 * work below a router's prefix and behind a proxy's without being told.
 *
 * PKCE (RFC 7636, S256) is on. `{path}/oauth2-redirect`, which is what to register as the client's redirect URI, refuses an answer whose `state`
 * is not the one that was sent (RFC 6749 §10.12).
 *
 * **Example** (An api with its page)
 *
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { OAuth2, SwaggerUi } from "effect-oauth2"
 * import { createServer } from "node:http"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items" }
 * })
 *
 * const Api = HttpApi.make("api")
 *   .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items")).middleware(auth.require("items:read")))
 *   .pipe(OAuth2.secured, OAuth2.openApi)
 *
 * const Items = HttpApiBuilder.group(Api, "items", (handlers) => handlers.handle("list", () => Effect.void))
 *
 * const Routes = Layer.mergeAll(
 *   HttpApiBuilder.layer(Api).pipe(Layer.provide(Items)),
 *   SwaggerUi.layer(Api, { initOAuth: { clientId: "docs", scopes: ["items:read"] } })
 * )
 *
 * export const App = HttpRouter.serve(Routes).pipe(
 *   Layer.provide(auth.layerTest({ scopes: ["items:read"] })),
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 3000 }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type * as Schema from "effect/Schema"
import { isDocument as isOpenApi } from "./internal/openApi/openApiDocument.ts"
import { ownProperties } from "./internal/ownProperties.ts"
import * as scalar from "./internal/swaggerUi/scalar.ts"
import type { ConfigurationError } from "./SecurityError.ts"

/**
 * An OpenAPI 3 document, as far as the layer reads it by itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface Document {
  /** The version of OpenAPI. */
  readonly openapi: string
  /** Whose title is the page's, where the option `title` is not given. */
  readonly info: { readonly title: string }
}

/**
 * The client as which the page logs in, and what it asks for: FastAPI's `swagger_ui_init_oauth`, Swagger UI's `initOAuth`.
 *
 * @category models
 * @since 0.1.0
 */
export interface InitOAuth {
  /** The registered client: a public one, with the page's `{path}/oauth2-redirect` as its redirect URI. */
  readonly clientId: string
  /** The scopes that are ticked when the dialog opens. Default: none. */
  readonly scopes?: ReadonlyArray<string>
  /** Proof Key for Code Exchange (RFC 7636), S256. Default: `true`. */
  readonly usePkce?: boolean
  /** What the dialog calls the page. Default: none. */
  readonly appName?: string
  /** Sent as `realm` to the authorization and token endpoints. Default: none. */
  readonly realm?: string
  /** What stands between scopes. Default: a space (RFC 6749 §3.3). */
  readonly scopeSeparator?: string
  /** Further parameters of the authorization request, such as `audience`. Default: none. */
  readonly additionalQueryStringParams?: Readonly<Record<string, string>>
  /** The client id and secret go into an `Authorization` field, not into the body (RFC 6749 §2.3.1). Default: `false`. */
  readonly useBasicAuthenticationWithAccessCodeGrant?: boolean
  /**
   * A client secret, **which everybody who opens the page can read**. It is for an authorization server that knows no public clients, with a client
   * that may do nothing else. Default: none; `clientSecret` is refused.
   */
  readonly unsafeClientSecret?: string
}

/**
 * What the page shows and where it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Where the page is. Default: `"/docs"`. */
  readonly path?: `/${string}`
  /** Where the document is served. Default: `"/openapi.json"`. `false` serves none: then `url` says where it is. */
  readonly openApiPath?: `/${string}` | false
  /** Where the page finds the document, relative to the page or absolute. Default: at `openApiPath`. */
  readonly url?: string
  /** Default: the document's title, ` - Swagger UI`. */
  readonly title?: string
  /** The icon's URL, relative to the page or absolute. Default: Swagger UI's. */
  readonly favicon?: string
  /**
   * The page that the authorization server sends the browser back to. Default: `{path}/oauth2-redirect`. (FastAPI's stays at
   * `/docs/oauth2-redirect` wherever the page is.) `false` serves none.
   */
  readonly oauth2RedirectPath?: `/${string}` | false
  /** The client as which the page logs in. Default: none, and the reader types a client id. */
  readonly initOAuth?: InitOAuth
  /** Keeps tokens in the browser's local storage, so that they outlive a reload. Default: `false`. */
  readonly persistAuthorization?: boolean
  /** Puts the operation that is open into the page's URL. Default: `true`. */
  readonly deepLinking?: boolean
  /**
   * Any other [parameter of Swagger UI](https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration/) that is JSON: FastAPI's
   * `swagger_ui_parameters`. Default: `layout: "BaseLayout"`, `showExtensions` and `showCommonExtensions`.
   */
  readonly parameters?: Readonly<Record<string, Schema.Json>>
  /**
   * Origins that the page may call beside those that the document names, such as the token endpoint's where the document only has an
   * `openIdConnectUrl`, or a server whose URL has variables. Default: none.
   */
  readonly connectSources?: ReadonlyArray<string>
}

/**
 * Adds the page, its files, the redirect page and the document to the `HttpRouter`.
 *
 * **Details**
 *
 * The source is an `HttpApi`, which `OAuth2.openApi` has written its security into, or a document. A document without `servers` is served with one
 * that is relative to it.
 *
 * | path | what | cached |
 * |---|---|---|
 * | `{path}` | the page | revalidated (`ETag`) |
 * | `{path}/oauth2-redirect` | the redirect page | revalidated |
 * | `{path}/…` | scripts, styles, icon; the version is in the URL | for a year, `immutable` |
 * | `{openApiPath}` | the document | revalidated |
 *
 * **Gotchas**
 *
 * Fails at start-up with a `ConfigurationError` when `swagger-ui-dist` is not installed, when an option contradicts another, and when a client
 * secret would be published. Files are read through the `FileSystem` and `Path` of the platform, which `NodeHttpServer.layer` brings along.
 *
 * The page is open to everybody, like the document. To close both, put a middleware around the layer.
 *
 * **Example** (A page for routes without an api)
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
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const { serve } = yield* Effect.promise(() => import("./internal/swaggerUi/serve.ts"))
      yield* serve(router, () => (isDocument(source) ? source : OpenApi.fromApi(source)), ownProperties(options))
    })
  )

const isDocument = (source: object): source is Document => !HttpApi.isHttpApi(source)

/**
 * Writes into an api's document what Scalar needs to log in: the client, PKCE (S256), and the scopes that are ticked. For Effect's own
 * `HttpApiScalar.layer`.
 *
 * **Details**
 *
 * Scalar reads them from the document: `x-scalar-client-id`, `x-scalar-credentials-location` and `x-usePkce` in a flow, `x-default-scopes` in a
 * scheme. The redirect URI to register is the page's own URL. Scalar chooses its `state` itself, and its page has inline scripts.
 *
 * **Gotchas**
 *
 * Call it after `OAuth2.openApi`, which writes the schemes.
 *
 * **Example** (A page of Scalar)
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
 * @category combinators
 * @since 0.1.0
 */
export const forScalar =
  (options: {
    /** The registered client: a public one. */
    readonly clientId: string
    /** The scopes that are ticked. Default: none. */
    readonly scopes?: ReadonlyArray<string>
    /** Proof Key for Code Exchange (RFC 7636), S256, in the authorization code flow. Default: `true`. */
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
