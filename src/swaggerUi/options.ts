/** Public types of the documentation page: its document and its options. */
import type * as Schema from "effect/Schema"

/**
 * OpenAPI 3 document that a page can show.
 *
 * @category models
 * @since 0.1.0
 */
export interface Document {
  /** Version of OpenAPI. */
  readonly openapi: string
  /** Source of the page's default title. */
  readonly info: { readonly title: string }
}

/**
 * OAuth 2.0 client of the page, and the values of its authorization request. The fields are those of Swagger UI's
 * `initOAuth`. Equivalent to FastAPI's `swagger_ui_init_oauth`.
 *
 * @category models
 * @since 0.1.0
 */
export interface InitOAuth {
  /** ID of a public client. Register the URL of `{path}/oauth2-redirect` as its redirect URI. */
  readonly clientId: string
  /** Declared scopes that are selected when the dialog opens. @default none */
  readonly scopes?: ReadonlyArray<string>
  /** Uses PKCE with `S256` (RFC 7636). @default true */
  readonly usePkce?: boolean
  /** Name of the application in the dialog. @default none */
  readonly appName?: string
  /** Parameter `realm` of the requests to the authorization and token endpoints. @default none */
  readonly realm?: string
  /** Separator between scopes (RFC 6749 §3.3). @default a space */
  readonly scopeSeparator?: string
  /** Additional parameters of the authorization request, such as `audience`. @default none */
  readonly additionalQueryStringParams?: Readonly<Record<string, string>>
  /** Sends client ID and secret in the `Authorization` header, not in the body (RFC 6749 §2.3.1). @default false */
  readonly useBasicAuthenticationWithAccessCodeGrant?: boolean
  /**
   * Client secret. **Everyone who opens the page can read it.** Use a secret only for a client without other rights.
   * Prefer a public client, if the authorization server supports public clients. The layer refuses an option named `clientSecret`.
   *
   * @default none
   */
  readonly unsafeClientSecret?: string
}

/**
 * Files of the package `swagger-ui-dist`, for runtimes without a disk.
 *
 * @category models
 * @since 0.1.0
 */
export interface Assets {
  /** Version of the package. The URLs of the files contain it. */
  readonly version: string
  /** Bytes of each file, by its name in the package. */
  readonly files: {
    readonly "swagger-ui.css": Uint8Array
    readonly "swagger-ui-bundle.js": Uint8Array
    readonly "favicon-32x32.png": Uint8Array
  }
}

/**
 * URL of the files of the package `swagger-ui-dist`, for runtimes without a disk. Browsers load the files from there.
 *
 * @category models
 * @since 0.1.0
 */
export interface HostedAssets {
  /**
   * URL of the folder with the files. It ends with a slash. It is absolute, such as
   * `https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0/`, or relative to the page, such as `./swagger-ui/`.
   */
  readonly baseUrl: string
  /**
   * Hashes of the files (Subresource Integrity), such as `sha384-` and the hash in base64. A browser refuses a file with
   * another hash. The page's `Content-Security-Policy` allows only these two files of the other origin.
   */
  readonly integrity: {
    readonly "swagger-ui.css": string
    readonly "swagger-ui-bundle.js": string
  }
}

/**
 * Options for `SwaggerUi.layer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Files of Swagger UI, or their URL. Set this option where no disk holds the package, such as on Cloudflare Workers.
   * `docs/runtimes.md` shows how to embed the files.
   *
   * @default the files of the installed package `swagger-ui-dist`
   */
  readonly assets?: Assets | HostedAssets
  /** Path of the page. @default "/docs" */
  readonly path?: `/${string}`
  /** Path of the document. If `false`, the document is not served, and `url` is required. @default "/openapi.json" */
  readonly openapiPath?: `/${string}` | false
  /** URL from which the page loads the document, absolute or relative to the page. @default the URL of `openapiPath` */
  readonly url?: string
  /** Title of the page. @default the document's title and " - Swagger UI" */
  readonly title?: string
  /** URL of the icon, absolute or relative to the page. @default Swagger UI's icon */
  readonly favicon?: string
  /**
   * Path of the page to which the authorization server redirects the browser. `false` serves no such page. FastAPI's
   * default is always `/docs/oauth2-redirect`.
   *
   * @default `{path}/oauth2-redirect`
   */
  readonly oauth2RedirectPath?: `/${string}` | false
  /** Client with which the page logs in. Without it, the reader types a client ID. @default none */
  readonly initOAuth?: InitOAuth
  /** Stores tokens in the browser's local storage, so that a reload does not log out. @default false */
  readonly persistAuthorization?: boolean
  /** Adds the opened operation to the page's URL. @default true */
  readonly deepLinking?: boolean
  /**
   * Other JSON [parameters of Swagger UI](https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration/).
   * Equivalent to FastAPI's `swagger_ui_parameters`.
   *
   * @default `layout: "BaseLayout"`, `showExtensions: true` and `showCommonExtensions: true`
   */
  readonly parameters?: Readonly<Record<string, Schema.Json>>
  /**
   * Additional origins that the page may call. Use it for server URLs with variables, and for the token endpoint if the
   * document has only an `openIdConnectUrl`.
   *
   * @default none
   */
  readonly connectSources?: ReadonlyArray<string>
}
