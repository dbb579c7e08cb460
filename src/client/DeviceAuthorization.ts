/**
 * Signs a user in on another device, such as a phone (RFC 8628).
 *
 * **When to use**
 *
 * Use in a command that runs where no browser can reach it: over SSH, in a container. `LoopbackLogin` is safer where it
 * works, because an attacker can send a user code of their own to a user (RFC 8628 §5.4).
 *
 * **Details**
 *
 * | response to a poll | what happens |
 * |---|---|
 * | `authorization_pending` | the next poll comes after the interval: 5 seconds, unless the server says otherwise |
 * | `slow_down` | the interval grows by 5 seconds, for good |
 * | none, or status 500 or more | the next poll comes after twice the time, at most after 1 minute |
 * | `access_denied` | `SignInFailed` with `Denied` |
 * | `expired_token`, or the time is over | `SignInFailed` with `Expired` |
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as oauth from "oauth4webapi"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { NeedsHttpClient } from "../core/missing.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import type { Renewal } from "./cache/options.ts"
import { lifetimesOf } from "./cache/tokenCache.ts"
import { SignInFailed, type TokenError, TokenUnavailable } from "./ClientError.ts"
import { grantOf, type StoredGrant } from "./protocol/grant.ts"
import type { Registration } from "./protocol/options.ts"
import * as tokenEndpoint from "./protocol/tokenEndpoint.ts"

/**
 * Options for `start`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Registration, Pick<Renewal, "defaultLifetime"> {
  /** Scopes to ask for. Most servers give a refresh token only for `offline_access`. Default: none. */
  readonly scopes?: ReadonlyArray<string>
  /** Other parameters of the first request. Default: none. */
  readonly parameters?: Readonly<Record<string, string>>
}

/**
 * A sign-in that waits for the user.
 *
 * **Example** (Showing the code, and waiting for the user)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import type { DeviceAuthorization } from "effect-oauth2/client"
 *
 * export const signIn = (device: DeviceAuthorization.DeviceSignIn) =>
 *   Effect.andThen(Console.log(`Your code is ${device.userCode}.`), device.wait)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface DeviceSignIn {
  /** The code that the user types. */
  readonly userCode: string
  /** The page where the user types the code. */
  readonly verificationUri: string
  /** The page with the code in its URL, for a QR code. `undefined` if the server has none. */
  readonly verificationUriComplete: string | undefined
  /** Time at which the codes end, in milliseconds since 1970. */
  readonly expiresAt: number
  /** Waits until the user has signed in. */
  readonly wait: Effect.Effect<StoredGrant, TokenError | SignInFailed>
}

const maxPause = 60_000

/**
 * Starts a sign-in. Show the code and the page to the user, and then wait.
 *
 * **Example** (Signing in from a terminal)
 *
 * ```ts
 * import { Console, Effect } from "effect"
 * import { ClientAuthentication, DeviceAuthorization } from "effect-oauth2/client"
 *
 * export const signIn = Effect.gen(function* () {
 *   const { userCode, verificationUri, wait } = yield* DeviceAuthorization.start({
 *     issuer: "https://idp.example.com",
 *     clientId: "items-cli",
 *     authentication: ClientAuthentication.none,
 *     scopes: ["items:read", "offline_access"]
 *   })
 *   yield* Console.log(`Open ${verificationUri} and type ${userCode}`)
 *   return yield* wait
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = (given: Options): Effect.Effect<DeviceSignIn, ConfigurationError | TokenError, NeedsHttpClient> =>
  Effect.gen(function* () {
    const options = ownProperties(given)
    const endpoint = yield* tokenEndpoint.make(options)
    const { defaultLifetime } = yield* lifetimesOf(options)
    const { issuer, parameters = {}, scopes = [] } = options
    const sentAt = yield* Clock.currentTimeMillis
    const device = yield* endpoint.call(
      "device_authorization_endpoint",
      async ({ authentication, client, options, server }) =>
        oauth.processDeviceAuthorizationResponse(
          server,
          client,
          await oauth.deviceAuthorizationRequest(
            server,
            client,
            authentication,
            { ...parameters, ...(scopes.length > 0 && { scope: scopes.join(" ") }) },
            options
          )
        )
    )
    const { user_code: userCode, verification_uri: page, verification_uri_complete: complete } = device
    // A terminal shows both, so neither may contain a control character.
    if (!isPage(page) || (complete !== undefined && !isPage(complete)) || !/^[\x20-\x7e]+$/.test(userCode)) {
      const retryAfter = Duration.seconds(1)
      return yield* Effect.fail(new TokenUnavailable({ issuer, reason: "BadResponse", retryAfter }))
    }
    const expiresAt = sentAt + device.expires_in * 1000
    const request = endpoint.request("urn:ietf:params:oauth:grant-type:device_code", {
      device_code: device.device_code
    })
    const failed = (reason: SignInFailed["reason"]) => Effect.fail(new SignInFailed({ issuer, reason }))

    const poll = (interval: number, pause: number): DeviceSignIn["wait"] =>
      Effect.gen(function* () {
        const left = expiresAt - (yield* Clock.currentTimeMillis)
        yield* Effect.sleep(Math.min(pause, Math.max(left, 0)))
        if (pause >= left) return yield* failed("Expired")
        const result = yield* Effect.result(request)
        if (result._tag === "Success") return grantOf(result.success, options, scopes, defaultLifetime)
        const error = result.failure
        if (error._tag === "TokenUnavailable") {
          const next = Math.max(Duration.toMillis(error.retryAfter), Math.min(pause * 2, maxPause))
          return yield* poll(interval, next)
        }
        switch (error.error) {
          case "authorization_pending":
            return yield* poll(interval, interval)
          case "slow_down":
            return yield* poll(interval + 5000, interval + 5000)
          case "access_denied":
            return yield* failed("Denied")
          case "expired_token":
            return yield* failed("Expired")
          default:
            return yield* Effect.fail(error)
        }
      })

    const interval = (device.interval ?? 5) * 1000
    return {
      userCode,
      verificationUri: page,
      verificationUriComplete: complete,
      expiresAt,
      wait: poll(interval, interval)
    }
  })

const isPage = (text: string): boolean =>
  /^[\x21-\x7e]+$/.test(text) && ["https:", "http:"].includes(URL.parse(text)?.protocol ?? "")
