/** Sends requests to the token endpoint. oauth4webapi writes and reads the messages; Effect sends them. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { isReadonlyObject } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as oauth from "oauth4webapi"
import { toMillis } from "../../core/duration.ts"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import { httpClient } from "../../core/missing.ts"
import { refuseOption } from "../../core/refuseOption.ts"
import { requireHttpHosts, requireIssuer, requireSecureUrl } from "../../core/url.ts"
import { codeOf, Failure } from "../../verifier/authorizationServer/failure.ts"
import { makeReader, readText } from "../../verifier/authorizationServer/http.ts"
import { givenMetadata, type Metadata, readMetadata } from "../../verifier/authorizationServer/metadata.ts"
import { readRetryAfter } from "../../verifier/authorizationServer/retryAfter.ts"
import type { ClientAuthentication } from "../ClientAuthentication.ts"
import { ReauthenticationRequired, type TokenError, TokenRefused, TokenUnavailable } from "../ClientError.ts"
import type { Registration } from "./options.ts"

const maxBytes = 512 * 1024

export type Parameters = Readonly<Record<string, string>>

/** A successful response of the token endpoint. */
export interface TokenResponse {
  readonly accessToken: Redacted.Redacted
  readonly type: "Bearer" | "DPoP"
  readonly scopes: ReadonlySet<string> | undefined
  /** Milliseconds from the moment when the request was sent. `undefined` if the server does not say. */
  readonly lifetime: number | undefined
  /** Milliseconds since 1970. */
  readonly sentAt: number
  readonly refreshToken: Redacted.Redacted | undefined
  readonly idToken: Redacted.Redacted | undefined
  readonly issuedTokenType: string | undefined
}

/** What oauth4webapi needs for one call. */
export interface Call {
  readonly server: oauth.AuthorizationServer
  readonly client: oauth.Client
  readonly authentication: oauth.ClientAuth
  readonly options: oauth.TokenEndpointRequestOptions
}

export interface TokenEndpoint {
  readonly issuer: string
  readonly metadata: Effect.Effect<Metadata, TokenError>
  /** Sends a request of a grant type, and reads the response. */
  readonly request: (grantType: string, parameters: Parameters) => Effect.Effect<TokenResponse, TokenError>
  /** Revokes a token (RFC 7009). Fails if the server has no endpoint for that. */
  readonly revoke: (token: Redacted.Redacted) => Effect.Effect<void, TokenError>
  /** Sends the parameters of an authorization request, and returns their `request_uri` (RFC 9126). */
  readonly push: (parameters: Parameters) => Effect.Effect<string, TokenError>
  /** Runs another message of oauth4webapi at an endpoint of the server. */
  readonly call: <A>(endpoint: string, run: (call: Call) => Promise<A>) => Effect.Effect<A, TokenError>
}

/** What makes a server differ from the standards. */
export interface Deviations {
  /** Members of the metadata of a server that publishes none, or whose metadata names another issuer. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** Changes the body of a response before it is read. */
  readonly adapt?: ((response: RawResponse) => RawResponse) | undefined
  /** The endpoint whose responses are changed. Default: the token endpoint. */
  readonly adapted?: string
}

export interface RawResponse {
  readonly status: number
  readonly contentType: string | undefined
  readonly text: string
}

const day = 86_400_000

export const make = Effect.fnUntraced(function* (
  registration: Registration,
  { adapt, adapted = "token_endpoint", metadata: fixed }: Deviations = {}
) {
  const options = ownProperties(registration)
  const httpHosts = yield* requireHttpHosts(options.httpHosts)
  const issuerUrl = yield* requireIssuer("issuer", options.issuer, httpHosts)
  const tokenUrl =
    options.tokenUrl === undefined ? undefined : yield* requireSecureUrl("tokenUrl", options.tokenUrl, httpHosts)
  if (typeof options.clientId !== "string" || options.clientId === "") {
    return yield* refuseOption("clientId", "must be the identifier of your client at the authorization server")
  }
  const timeout = toMillis(options.timeout ?? "10 seconds")
  if (!(timeout > 0 && timeout <= day)) {
    return yield* refuseOption("timeout", 'must be a duration between 0 and 1 day, such as "10 seconds"')
  }
  const reader = yield* makeReader(maxBytes)
  const client = HttpClient.withScope(yield* httpClient)
  const { issuer } = options
  const unavailable = (reason: TokenUnavailable["reason"], millis = 1000) =>
    new TokenUnavailable({ issuer, reason, retryAfter: Duration.millis(millis) })
  if (options.metadata !== undefined && options.metadata["issuer"] !== issuer) {
    return yield* refuseOption("metadata", "must be the metadata of the issuer in the option issuer")
  }
  const given = options.metadata && givenMetadata(ownProperties(options.metadata), issuerUrl, httpHosts)
  // Metadata changes rarely, and a failed request must not stay.
  let known: Metadata | undefined = fixed === undefined ? given : fixedMetadata(fixed)
  const metadata = Effect.suspend(() =>
    known === undefined
      ? readMetadata(reader, issuerUrl, issuer, httpHosts).pipe(
          Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(new Failure("Timeout")) }),
          Effect.provideService(HttpClient.TracerPropagationEnabled, false),
          Effect.mapError(({ reason }) => unavailable(reason === "Unspecified" ? "BadResponse" : reason)),
          Effect.tap((metadata) =>
            Effect.sync(() => {
              known = metadata
            })
          )
        )
      : Effect.succeed(known)
  )

  const serverOf = Effect.fnUntraced(function* (endpoint: string) {
    if (endpoint === "token_endpoint" && tokenUrl !== undefined) {
      return { issuer, token_endpoint: tokenUrl.href }
    }
    const { json, urlOf } = yield* metadata
    // oauth4webapi would choose the alias, too, but it would not check the URL as `urlOf` does.
    const aliases = json["mtls_endpoint_aliases"]
    const ofTls = options.authentication._tag === "Tls" && isReadonlyObject(aliases) ? ownProperties(aliases) : {}
    const found = ofTls[endpoint] === undefined ? urlOf(endpoint) : urlOf(endpoint, ofTls)
    const url = yield* Effect.mapError(found, () => unavailable("BadResponse"))
    return { ...json, issuer, [endpoint]: url.href } as unknown as oauth.AuthorizationServer
  })

  let handle: { readonly dpop: oauth.DPoPHandle; readonly skew: number } | undefined
  const dpopAt = (skew: number): oauth.DPoPHandle | undefined => {
    if (options.dpop === undefined) return
    // A handle keeps the clock of its creation, and the nonces that servers gave.
    if (handle === undefined || Math.abs(handle.skew - skew) > 1) {
      handle = { dpop: oauth.DPoP({ [oauth.clockSkew]: skew }, options.dpop), skew }
    }
    return handle.dpop
  }

  const call: TokenEndpoint["call"] = (endpoint, run) =>
    Effect.gen(function* () {
      const server = yield* serverOf(endpoint)
      const context = yield* Effect.context<never>()
      let answered: { readonly status: number; readonly retryAfter: string | undefined } | undefined
      const send = (url: string, init: oauth.CustomFetchOptions<"GET" | "POST", unknown>) =>
        Effect.runPromiseWith(context)(
          Effect.tap(fetchWith(client, url, init, endpoint === adapted ? adapt : undefined), (response) =>
            Effect.sync(() => {
              answered = { status: response.status, retryAfter: response.headers.get("retry-after") ?? undefined }
            })
          ),
          { signal: init.signal }
        )
      // oauth4webapi adds this to the time of the machine, so that the program's `Clock` decides.
      // oxlint-disable-next-line eslint/no-restricted-properties
      const skew = Math.round((yield* Clock.currentTimeMillis) / 1000) - Math.floor(Date.now() / 1000)
      const dpop = dpopAt(skew)
      const attempt = Effect.tryPromise({
        try: (signal) =>
          run({
            server,
            client: { client_id: options.clientId, [oauth.clockSkew]: skew },
            authentication: authenticationOf(options.authentication, (effect) =>
              Effect.runPromiseWith(context)(credentialFrom(effect), { signal })
            ),
            options: {
              signal,
              [oauth.customFetch]: send,
              // `requireSecureUrl` decides which hosts http may reach.
              [oauth.allowInsecureRequests]: true,
              ...(dpop !== undefined && { DPoP: dpop })
            }
          }),
        catch: (error) => error
      })
      return yield* Effect.catch(attempt, (error) =>
        oauth.isDPoPNonceError(error) ? attempt : Effect.fail(error)
      ).pipe(
        Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(new Failure("Timeout")) }),
        Effect.catch((error) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(errorOf(error, issuer, answered, now)))
        )
      )
    })

  const endpoint: TokenEndpoint = {
    issuer,
    metadata,
    call,
    revoke: (token) =>
      call("revocation_endpoint", async ({ authentication, client, options, server }) => {
        await oauth.processRevocationResponse(
          await oauth.revocationRequest(server, client, authentication, Redacted.value(token), options)
        )
      }),
    push: (parameters) =>
      call("pushed_authorization_request_endpoint", async ({ authentication, client, options, server }) => {
        const { request_uri: requestUri } = await oauth.processPushedAuthorizationResponse(
          server,
          client,
          await oauth.pushedAuthorizationRequest(
            server,
            client,
            authentication,
            new URLSearchParams(parameters),
            options
          )
        )
        return requestUri
      }),
    request: (grantType, parameters) =>
      Effect.gen(function* () {
        const sentAt = yield* Clock.currentTimeMillis
        const response = yield* call("token_endpoint", async ({ authentication, client, options, server }) =>
          oauth.processGenericTokenEndpointResponse(
            server,
            client,
            await oauth.genericTokenEndpointRequest(server, client, authentication, grantType, parameters, options),
            // A token for a resource server of another kind has the type N_A (RFC 8693 §2.2.1).
            { recognizedTokenTypes: { n_a: () => undefined } }
          )
        )
        return tokenResponseOf(response, sentAt)
      })
  }
  return endpoint
})

const fixedMetadata = (json: Readonly<Record<string, string>>): Metadata => ({
  json: ownProperties(json),
  urlOf: (name) => {
    const value = json[name]
    return value === undefined ? Effect.fail(new Failure("BadResponse")) : Effect.succeed(new URL(value))
  }
})

/**
 * Name of an ID token that oauth4webapi does not look at. It accepts one issuer, and keys from a cache of its own. A
 * caller of the endpoint that verifies the token itself renames `id_token` by `adapt`.
 */
export const unverifiedIdToken = "unverified_id_token"

export const tokenResponseOf = (response: oauth.TokenEndpointResponse, sentAt: number): TokenResponse => {
  const {
    access_token,
    expires_in,
    id_token = response[unverifiedIdToken],
    issued_token_type,
    refresh_token,
    scope,
    token_type
  } = response
  const redacted = (value: string | undefined) => (value === undefined ? undefined : Redacted.make(value))
  return {
    accessToken: Redacted.make(access_token),
    type: token_type === "dpop" ? "DPoP" : "Bearer",
    scopes: scope === undefined ? undefined : new Set(scope.split(" ").filter((name) => name !== "")),
    lifetime: expires_in === undefined ? undefined : expires_in * 1000,
    sentAt,
    refreshToken: redacted(refresh_token),
    idToken: redacted(typeof id_token === "string" ? id_token : undefined),
    issuedTokenType: typeof issued_token_type === "string" ? issued_token_type : undefined
  }
}

/** Sends a request of oauth4webapi. Follows no redirect, and adds no headers of the tracer. */
const fetchWith = (
  client: HttpClient.HttpClient.With<HttpClientError, Scope.Scope>,
  url: string,
  { body, headers, method }: oauth.CustomFetchOptions<"GET" | "POST", unknown>,
  adapt: Deviations["adapt"]
) =>
  Effect.gen(function* () {
    const request = HttpClientRequest.make(method)(url).pipe(HttpClientRequest.setHeaders(headers))
    // A registration is JSON. All other requests are forms.
    const { "content-type": type = "application/x-www-form-urlencoded;charset=UTF-8" } = ownProperties(headers)
    const withBody = HttpClientRequest.bodyText(String(body), type)
    const response = yield* client.execute(method === "POST" ? withBody(request) : request)
    const text = yield* readText(response, maxBytes)
    const isEmpty = [204, 205, 304].includes(response.status)
    if (adapt !== undefined && !isEmpty) {
      const adapted = adapt({ status: response.status, contentType: response.headers["content-type"], text })
      return new Response(adapted.text, {
        status: adapted.status,
        headers: { ...response.headers, "content-type": adapted.contentType ?? "" }
      })
    }
    return new Response(isEmpty ? null : text, { status: response.status, headers: response.headers })
  }).pipe(
    Effect.scoped,
    Effect.provideContext(
      Context.make(FetchHttpClient.RequestInit, { redirect: "manual" }).pipe(
        Context.add(HttpClient.TracerPropagationEnabled, false)
      )
    ),
    Effect.updateService(Headers.CurrentRedactedNames, (names) => [...names, "dpop", "dpop-nonce"])
  )

const credentialFailure: unique symbol = Symbol("effect-oauth2/client/credentialFailure")

/** Runs the effect of a credential. Its error may contain the secret, so the log does not get the error. */
const credentialFrom = (effect: Effect.Effect<Redacted.Redacted, unknown>) =>
  Effect.catchCause(effect, (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.interrupt
      : Effect.andThen(
          Effect.logWarning(
            "The credential of the client could not be read. The effect of ClientAuthentication.secretFrom or ClientAuthentication.assertion failed. Check what the effect reads, and log its error inside the effect."
          ),
          Effect.fail(credentialFailure)
        )
  )

/**
 * RFC 6749 §2.3.1 encodes both parts as in a form (§B). oauth4webapi encodes also the characters `-`, `.`, `_` and `*`,
 * which a form leaves as they are. Servers that decode nothing then refuse identifiers such as `my-client`.
 */
const basic =
  (secret: string): oauth.ClientAuth =>
  (_server, { client_id: id }, _body, headers) => {
    headers.set("authorization", `Basic ${btoa(`${formEncoded(id)}:${formEncoded(secret)}`)}`)
  }

const formEncoded = (value: string): string => new URLSearchParams({ "": value }).toString().slice(1)

const authenticationOf = (
  authentication: ClientAuthentication,
  run: (effect: Effect.Effect<Redacted.Redacted, unknown>) => Promise<Redacted.Redacted>
): oauth.ClientAuth => {
  switch (authentication._tag) {
    case "Secret": {
      const secret = Redacted.value(authentication.secret)
      return authentication.method === "client_secret_post" ? oauth.ClientSecretPost(secret) : basic(secret)
    }
    case "SecretFrom":
      return async (server, client, body, headers) => {
        // A file ends with a line break, which no secret contains (RFC 6749 §A.2).
        const secret = Redacted.make(Redacted.value(await run(authentication.secret)).replace(/\r?\n$/, ""))
        const known = authenticationOf({ ...authentication, _tag: "Secret", secret }, run)
        await known(server, client, body, headers)
      }
    case "PrivateKeyJwt": {
      const { key, kid } = authentication
      return oauth.PrivateKeyJwt(kid === undefined ? key : { key, kid })
    }
    case "Assertion":
      return async (_server, client, body) => {
        const assertion = await run(authentication.assertion)
        body.set("client_id", client.client_id)
        body.set("client_assertion_type", authentication.type)
        body.set("client_assertion", Redacted.value(assertion).trim())
      }
    case "Tls":
      return oauth.TlsClientAuth()
    case "None":
      return oauth.None()
  }
}

/** Error codes that mean that the user must act (RFC 6749 §5.2, OpenID Connect Core 1.0 §3.1.2.6, RFC 9470). */
const forUser: ReadonlySet<string> = new Set([
  "invalid_grant",
  "interaction_required",
  "login_required",
  "consent_required",
  "account_selection_required",
  "unmet_authentication_requirements",
  "access_denied",
  "expired_token"
])

const temporary: ReadonlySet<string> = new Set(["temporarily_unavailable", "server_error"])

const maxRetryAfter = 60_000

const errorOf = (
  error: unknown,
  issuer: string,
  answered: { readonly status: number; readonly retryAfter: string | undefined } | undefined,
  now: number
): TokenError => {
  const unavailable = (reason: TokenUnavailable["reason"]) => {
    const asked = readRetryAfter(answered?.retryAfter, now) ?? 1000
    return new TokenUnavailable({ issuer, reason, retryAfter: Duration.millis(Math.min(asked, maxRetryAfter)) })
  }
  if (error === credentialFailure) return unavailable("Credential")
  if (error instanceof Failure) return unavailable(error.reason === "Unspecified" ? "BadResponse" : error.reason)
  if (answered !== undefined && (answered.status >= 500 || answered.status === 429)) return unavailable("ServerError")
  const code = errorCodeOf(error)
  if (code !== undefined) {
    if (temporary.has(code)) return unavailable("ServerError")
    if (!forUser.has(code)) return new TokenRefused({ issuer, error: code })
    const claims = error instanceof oauth.ResponseBodyError ? error.cause["claims"] : undefined
    return new ReauthenticationRequired({ issuer, error: code, ...(typeof claims === "string" && { claims }) })
  }
  // Its errors have codes of their own, which are not those of connections.
  const isOfMessage =
    error instanceof oauth.OperationProcessingError || error instanceof oauth.UnsupportedOperationError
  const isLost = codeOf(error) !== undefined && !isOfMessage
  return unavailable(answered === undefined || isLost ? "Unreachable" : "BadResponse")
}

/** Returns the error code of a message of oauth4webapi, or `undefined` for another failure. */
export const authorizationErrorOf = (error: unknown): string | undefined =>
  error instanceof oauth.AuthorizationResponseError ? wordOf(error.error) : undefined

const wordOf = (code: string): string => (/^[\w.-]{1,64}$/.test(code) ? code : "unknown_error")

/** A code is a word of the server. Anything that does not look like one is not shown. */
const errorCodeOf = (error: unknown): string | undefined => {
  if (error instanceof oauth.ResponseBodyError) return wordOf(error.error)
  return error instanceof oauth.WWWAuthenticateChallengeError ? "invalid_client" : undefined
}
