/**
 * Signs a user in with the browser of the same machine, for commands and desktop programs (RFC 8252).
 *
 * **Details**
 *
 * The program listens on a loopback port, and the authorization server redirects the browser there with a code. PKCE
 * (S256), `state`, `nonce` and `iss` (RFC 9207) bind the code to this program and this sign-in.
 *
 * | request to the port | response |
 * |---|---|
 * | another path or method, or another `state` | an error page; the sign-in goes on |
 * | the redirect of this sign-in | a page without the code; the port is then closed |
 * | the redirect with an error, or with another `iss` | the same page; the sign-in fails with `SignInFailed` |
 * | none within 3 minutes | the sign-in fails with `Expired` |
 *
 * **Gotchas**
 *
 * Over SSH and in a container, the browser cannot reach the port. Use `DeviceAuthorization` there.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { TracerDisabledWhen } from "effect/http/HttpMiddleware"
import type * as HttpServer from "effect/http/HttpServer"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as NetAddress from "effect/net/NetAddress"
import type * as Scope from "effect/Scope"
import * as Clock from "effect/Clock"
import * as oauth from "oauth4webapi"
import { toMillis } from "../core/duration.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { NeedsHttpClient } from "../core/missing.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import type { Renewal } from "./cache/options.ts"
import { lifetimesOf } from "./cache/tokenCache.ts"
import { SignInFailed, type TokenError } from "./ClientError.ts"
import { grantOf, type StoredGrant } from "./protocol/grant.ts"
import type { Registration } from "./protocol/options.ts"
import * as tokenEndpoint from "./protocol/tokenEndpoint.ts"

/**
 * Options for `signIn`.
 *
 * **Example** (Listening with Node)
 *
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { createServer } from "node:http"
 *
 * export const listen = (port: number) => NodeHttpServer.make(createServer, { host: "127.0.0.1", port })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R> extends Registration, Pick<Renewal, "defaultLifetime"> {
  /**
   * Listens on a port of 127.0.0.1, such as with `NodeHttpServer.make(createServer, { host: "127.0.0.1", port })`. The
   * server ends with the scope.
   */
  readonly listen: (port: number) => Effect.Effect<HttpServer.HttpServer["Service"], unknown, R>
  /**
   * Ports to try, in this order. 0 lets the operating system choose. Name ports if your authorization server does not
   * accept any port (RFC 8252 §7.3).
   *
   * @default [0]
   */
  readonly ports?: readonly [number, ...ReadonlyArray<number>]
  /** Path of the redirect URI. Default: `"/callback"`. */
  readonly path?: string
  /**
   * Host of the redirect URI. Some servers accept only `localhost`.
   *
   * Default: the address that `listen` returns, `"127.0.0.1"` or `"[::1]"`.
   */
  readonly redirectHost?: "127.0.0.1" | "[::1]" | "localhost"
  /** Shows the URL to the user. It always runs, because the browser may not open. */
  readonly show: (url: string) => Effect.Effect<void>
  /** Opens the URL in the browser. A failure is ignored. Default: the user opens it. */
  readonly open?: (url: string) => Effect.Effect<unknown, unknown>
  /** Scopes to ask for. With `openid`, the response must have an ID token. Default: none. */
  readonly scopes?: ReadonlyArray<string>
  /** API that the tokens are for (RFC 8707). Default: none. */
  readonly resource?: string
  /**
   * Refuses an authorization server whose metadata does not name S256, as MCP wants. Default: refuses it only if its
   * metadata names other methods of PKCE.
   */
  readonly requirePkce?: boolean
  /** Other parameters of the authorization request, such as `login_hint`. Default: none. */
  readonly parameters?: Readonly<Record<string, string>>
  /** Time limit of the sign-in. Default: 3 minutes. */
  readonly timeLimit?: Duration.Input
}

const headers = {
  "cache-control": "no-store",
  connection: "close",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

const page = (status: number, text: string) =>
  HttpServerResponse.text(`<!doctype html><html lang="en"><title>Sign-in</title><p>${text}</p></html>`, {
    status,
    headers,
    contentType: "text/html; charset=utf-8"
  })

const done = page(200, "The program has received the response. You can close this window.")
const unknown = page(404, "This address is not part of a sign-in.")

/**
 * Signs the user in, and returns the granted tokens.
 *
 * **Example** (Signing in from a command)
 *
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Console } from "effect"
 * import { ClientAuthentication, LoopbackLogin } from "effect-oauth2/client"
 * import { createServer } from "node:http"
 *
 * export const signIn = LoopbackLogin.signIn({
 *   issuer: "https://idp.example.com",
 *   clientId: "items-cli",
 *   authentication: ClientAuthentication.none,
 *   scopes: ["openid", "items:read", "offline_access"],
 *   listen: (port) => NodeHttpServer.make(createServer, { host: "127.0.0.1", port }),
 *   show: (url) => Console.log(`Sign in at ${url}`)
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const signIn = <R>(
  given: Options<R>
): Effect.Effect<
  StoredGrant,
  ConfigurationError | TokenError | SignInFailed,
  NeedsHttpClient | Exclude<R, Scope.Scope>
> =>
  Effect.gen(function* () {
    const options = ownProperties(given)
    const endpoint = yield* tokenEndpoint.make(options)
    const { defaultLifetime } = yield* lifetimesOf(options)
    const { clientId, issuer, path = "/callback", ports = [0], scopes = [] } = options
    const timeLimit = toMillis(options.timeLimit ?? "3 minutes")
    if (!(timeLimit > 0 && Number.isFinite(timeLimit))) {
      return yield* refuseOption("timeLimit", 'must be a finite duration, such as "3 minutes"')
    }
    if (!/^\/[\w./~-]*$/.test(path)) return yield* refuseOption("path", 'must be a path, such as "/callback"')
    const failed = (reason: SignInFailed["reason"], error?: string) =>
      Effect.fail(new SignInFailed({ issuer, reason, ...(error !== undefined && { error }) }))

    const { json, urlOf } = yield* endpoint.metadata
    const pkce = json["code_challenge_methods_supported"] ?? (options.requirePkce === true ? [] : undefined)
    // Without PKCE, a stolen code can be redeemed by another program (RFC 9700 §2.1.1).
    if (pkce !== undefined && !(Array.isArray(pkce) && pkce.includes("S256"))) return yield* failed("PkceUnsupported")
    const authorizationUrl = yield* Effect.catch(urlOf("authorization_endpoint"), () => failed("BadResponse"))

    const server = yield* ports
      .reduce(
        (found: Effect.Effect<HttpServer.HttpServer["Service"], unknown, R>, port) =>
          Effect.catch(found, () => options.listen(port)),
        Effect.fail("no port")
      )
      .pipe(Effect.catch(() => failed("NoPort")))
    const { address } = server
    const host = NetAddress.isUnixPathAddress(address) ? "" : NetAddress.formatUrlHost(address.address)
    if (NetAddress.isUnixPathAddress(address) || !isLoopback(host)) {
      return yield* refuseOption("listen", "must listen on 127.0.0.1, because other machines must not reach the port")
    }
    const { redirectHost = host === "[::1]" ? "[::1]" : "127.0.0.1" } = options
    const redirectUri = `http://${redirectHost}:${address.port}${path}`

    const [state, nonce, verifier] = [
      oauth.generateRandomState(),
      oauth.generateRandomNonce(),
      oauth.generateRandomCodeVerifier()
    ]
    const challenge = yield* Effect.promise(() => oauth.calculatePKCECodeChallenge(verifier))
    const { resource } = options
    const query = {
      ...options.parameters,
      ...(resource !== undefined && { resource }),
      response_type: "code",
      client_id: clientId,
      redirect_uri: redirectUri,
      state,
      code_challenge: challenge,
      code_challenge_method: "S256",
      ...(scopes.length > 0 && { scope: scopes.join(" ") }),
      ...(scopes.includes("openid") && { nonce })
    }
    for (const [name, value] of Object.entries(query)) authorizationUrl.searchParams.set(name, value)

    const received = yield* Deferred.make<URLSearchParams>()
    const serve = server.serve(
      Effect.flatMap(HttpServerRequest, ({ method, url }) => {
        const target = URL.parse(url, "http://localhost")
        const parameters = target?.searchParams
        // Another page can send requests here, too. Only the redirect of this sign-in knows the state.
        const isOurs = method === "GET" && target?.pathname === path && parameters?.get("state") === state
        if (!isOurs || parameters === undefined) return Effect.succeed(unknown)
        return Effect.map(Deferred.succeed(received, parameters), (isFirst) => (isFirst ? done : unknown))
      })
    )
    // The URL of the redirect has the code, and the span of a request has the URL.
    yield* Effect.provideService(serve, TracerDisabledWhen, () => true)
    yield* options.show(authorizationUrl.href)
    if (options.open !== undefined) yield* Effect.forkScoped(Effect.ignore(options.open(authorizationUrl.href)))
    const parameters = yield* Effect.timeoutOrElse(Deferred.await(received), {
      duration: timeLimit,
      orElse: () => failed("Expired")
    })
    // A parameter must not occur twice (RFC 6749 §3.1).
    if (new Set(parameters.keys()).size !== parameters.size) return yield* failed("BadResponse")
    const authorizationServer = { ...json, issuer } as unknown as oauth.AuthorizationServer
    const callback = yield* Effect.try({
      try: () => oauth.validateAuthResponse(authorizationServer, { client_id: clientId }, parameters, state),
      catch: (error) => tokenEndpoint.authorizationErrorOf(error)
    }).pipe(
      Effect.catch((code) =>
        code === undefined
          ? failed("BadResponse")
          : code === "access_denied"
            ? failed("Denied")
            : failed("Refused", code)
      )
    )

    // The scope ends after this request, so the browser has its page by then.
    const sentAt = yield* Clock.currentTimeMillis
    const response = yield* endpoint.call("token_endpoint", async ({ authentication, client, options, server }) =>
      oauth.processAuthorizationCodeResponse(
        { ...authorizationServer, ...server },
        client,
        await oauth.authorizationCodeGrantRequest(server, client, authentication, callback, redirectUri, verifier, {
          ...options,
          ...(resource !== undefined && { additionalParameters: { resource } })
        }),
        scopes.includes("openid") ? { expectedNonce: nonce, requireIdToken: true } : {}
      )
    )
    return grantOf(tokenEndpoint.tokenResponseOf(response, sentAt), options, scopes, defaultLifetime)
  }).pipe(Effect.scoped)

const isLoopback = (host: string): boolean => host.startsWith("127.") || host === "[::1]"
