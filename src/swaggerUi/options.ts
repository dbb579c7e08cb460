/** What the documentation page shows, and what it can be told. */
import type * as Schema from "effect/Schema"

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
