/**
 * Requests tokens from the authorization server in `scratchpad/items-api` over real HTTP.
 *
 * The authorization code grant uses PKCE and signs in on the server's page, as a browser does (RFC 7636).
 */
import { Effect, Ref, Schema } from "effect"
import {
  type Cookies,
  FetchHttpClient,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  HttpClientResponse
} from "effect/http"
import { createHash, randomBytes } from "node:crypto"

/** Successful response of the token endpoint (RFC 6749 §5.1). */
export class TokenResponse extends Schema.Class<TokenResponse>("TokenResponse")({
  access_token: Schema.String,
  token_type: Schema.String,
  expires_in: Schema.Number,
  scope: Schema.optionalKey(Schema.String),
  refresh_token: Schema.optionalKey(Schema.String),
  id_token: Schema.optionalKey(Schema.String)
}) {}

/** Error response of the authorization or token endpoint (RFC 6749 §4.1.2.1, §5.2). */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  endpoint: Schema.Literals(["authorization", "token"]),
  error: Schema.String,
  error_description: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `${this.endpoint} endpoint: ${this.error} ${this.error_description ?? ""}`
  }
}

/** Error page that the server shows to the user instead of a redirect to the client. */
export class ErrorPage extends Schema.TaggedError<ErrorPage>()("ErrorPage", {
  url: Schema.String,
  status: Schema.Number,
  text: Schema.String
}) {}

/** Redirect to the client with a wrong `state` or `iss` (RFC 6749 §10.12, RFC 9207). */
export class UnexpectedCallback extends Schema.TaggedError<UnexpectedCallback>()("UnexpectedCallback", {
  url: Schema.String
}) {}

export type FlowError = Refused | ErrorPage | UnexpectedCallback | HttpClientError.HttpClientError | Schema.SchemaError

export const authorizationCode: (options: {
  readonly issuer: string
  readonly clientId: string
  readonly redirectUri: string
  readonly scope: string
  /** Name on the sign-in page. It becomes the token's `sub`. */
  readonly login: string
}) => Effect.Effect<TokenResponse, FlowError> = Effect.fn("AuthorizationCodeFlow.authorizationCode")(
  function* (options) {
    const browser = yield* makeBrowser(options.redirectUri)
    const endpoints = yield* discover(options.issuer)
    const verifier = yield* randomText
    const state = yield* randomText

    const page = yield* browser(
      HttpClientRequest.get(endpoints.authorization_endpoint, {
        urlParams: {
          response_type: "code",
          client_id: options.clientId,
          redirect_uri: options.redirectUri,
          scope: options.scope,
          state,
          code_challenge: createHash("sha256").update(verifier).digest("base64url"),
          code_challenge_method: "S256"
        }
      })
    )
    // A refusal redirects at once. Otherwise the sign-in page appears, and its form posts to the page's own URL.
    const callback =
      page instanceof URL
        ? page
        : yield* browser(
            HttpClientRequest.post(page.url).pipe(HttpClientRequest.bodyUrlParams({ login: options.login }))
          )
    const answer = callback instanceof URL ? callback.searchParams : new URLSearchParams()
    if (answer.get("state") !== state || answer.get("iss") !== options.issuer) {
      return yield* new UnexpectedCallback({ url: callback instanceof URL ? callback.href : callback.url })
    }
    if (answer.has("error")) {
      const refused = yield* Schema.decodeUnknownEffect(ErrorResponse)(Object.fromEntries(answer))
      return yield* new Refused({ endpoint: "authorization", ...refused })
    }
    return yield* requestToken(
      HttpClientRequest.post(endpoints.token_endpoint).pipe(
        HttpClientRequest.bodyUrlParams({
          grant_type: "authorization_code",
          client_id: options.clientId,
          redirect_uri: options.redirectUri,
          code: answer.get("code") ?? "",
          code_verifier: verifier
        })
      )
    )
  },
  (effect) => Effect.provide(effect, FetchHttpClient.layer)
)

export const clientCredentials: (options: {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly scope?: string
}) => Effect.Effect<TokenResponse, FlowError> = Effect.fn("AuthorizationCodeFlow.clientCredentials")(
  function* ({ issuer, clientId, clientSecret, scope }) {
    const endpoints = yield* discover(issuer)
    return yield* requestToken(
      HttpClientRequest.post(endpoints.token_endpoint).pipe(
        HttpClientRequest.basicAuth(clientId, clientSecret),
        HttpClientRequest.bodyUrlParams({ grant_type: "client_credentials", scope })
      )
    )
  },
  (effect) => Effect.provide(effect, FetchHttpClient.layer)
)

const ErrorResponse = Schema.Struct({
  error: Schema.String,
  error_description: Schema.optionalKey(Schema.String)
})

const Metadata = Schema.Struct({ authorization_endpoint: Schema.String, token_endpoint: Schema.String })

const randomText = Effect.sync(() => randomBytes(32).toString("base64url"))

const discover = (issuer: string) =>
  HttpClient.get(`${issuer}/.well-known/openid-configuration`).pipe(
    Effect.flatMap(HttpClientResponse.filterStatusOk),
    Effect.flatMap(HttpClientResponse.schemaBodyJson(Metadata))
  )

const requestToken = Effect.fnUntraced(function* (request: HttpClientRequest.HttpClientRequest) {
  const response = yield* HttpClient.execute(HttpClientRequest.acceptJson(request))
  if (response.status === 200) return yield* HttpClientResponse.schemaBodyJson(TokenResponse)(response)
  const refused = yield* HttpClientResponse.schemaBodyJson(ErrorResponse)(response)
  return yield* new Refused({ endpoint: "token", ...refused })
})

/** A page that the browser displays. */
interface DisplayedPage {
  readonly url: string
}

/** Follows redirects with cookies. Returns the displayed page, or the redirect to the client without opening it. */
const makeBrowser = Effect.fnUntraced(function* (redirectUri: string) {
  const jar = yield* Ref.make<ReadonlyArray<Cookies.Cookie>>([])
  const client = HttpClient.withCookiesRef(yield* HttpClient.HttpClient, jar)

  const browse = (
    request: HttpClientRequest.HttpClientRequest
  ): Effect.Effect<DisplayedPage | URL, ErrorPage | HttpClientError.HttpClientError> =>
    client.execute(request).pipe(
      Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }),
      Effect.flatMap((response) => {
        const location = response.headers["location"]
        if (location === undefined) return display(response)
        const url = new URL(location, response.request.url)
        return url.href.startsWith(redirectUri) ? Effect.succeed(url) : browse(HttpClientRequest.get(url))
      })
    )
  return browse
})

// The server must display some errors instead of redirecting, such as an unknown client (RFC 6749 §4.1.2.1).
const display = Effect.fnUntraced(function* ({
  request: { url },
  status,
  text
}: HttpClientResponse.HttpClientResponse) {
  if (status === 200) return { url }
  return yield* new ErrorPage({ url, status, text: yield* text })
})
