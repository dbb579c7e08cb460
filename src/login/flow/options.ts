/** Validates the options of a login. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import { toMillis } from "../../core/duration.ts"
import { refuseOption } from "../../core/refuseOption.ts"
import { requireSecureUrl } from "../../core/url.ts"
import type { LoginProvider } from "../provider/model.ts"
import type { Secrets } from "../../stores/keyRing.ts"
import type { Problem } from "../web/problem.ts"
import { safeReturnTo } from "../web/returnTo.ts"

/**
 * Options for `Login.layer`.
 *
 * **Example** (Showing your own page for a failed sign-in)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import type { LoginOptions } from "effect-oauth2/login"
 *
 * export const problemPage: LoginOptions["problemPage"] = () =>
 *   Effect.succeed(HttpServerResponse.text("The sign-in failed. Try again."))
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface LoginOptions {
  /**
   * Public origin of the app, such as `"https://app.example.com"`. Redirect URIs are built from this option, and never
   * from the `Host` header of a request.
   */
  readonly baseUrl: string
  /**
   * Secret of at least 32 bytes that encrypts the cookies of attempts. To rotate it, pass the new secret and the old
   * one, and remove the old one after 10 minutes. All processes of a fleet need the same list.
   */
  readonly secret: Secrets
  /** The identity provider, or several by name: `{ google: …, github: … }`. */
  readonly provider: LoginProvider | Readonly<Record<string, LoginProvider>>
  /**
   * Path before the paths of the login. Default: none, which serves `/login`, `/callback`, `/logout`, `/session` and
   * `/backchannel-logout`.
   */
  readonly prefix?: `/${string}`
  /** Where a browser goes after a sign-in without `return_to`. @default "/" */
  readonly afterLogin?: string
  /** Where a browser goes after a sign-out without `return_to`. @default "/" */
  readonly afterLogout?: string
  /** Names of the claims that a session keeps. Default: all claims of the user. */
  readonly claims?: ReadonlyArray<string>
  /** Lifetime of the session's cookie in the browser. Default: until the browser is closed. */
  readonly cookieMaxAge?: Duration.Input
  /** Whether the provider may end sessions by `/frontchannel-logout`. Prefer back-channel logout. @default false */
  readonly frontChannelLogout?: boolean
  /**
   * Whether `baseUrl` may be `http` on loopback. The cookies then have neither `Secure` nor the prefix `__Host-`.
   *
   * @default false
   */
  readonly localDevelopment?: boolean
  /** Returns your own page for a problem. Default: a short page in English. */
  readonly problemPage?: (problem: Problem) => Effect.Effect<HttpServerResponse>
}

/** A name becomes a part of cookie names. */
const nameForm = /^[A-Za-z0-9][\w-]{0,63}$/
/** The name of a provider becomes a segment of paths. */
const providerForm = /^[a-z0-9][a-z0-9-]{0,31}$/
const prefixForm = /^(?:\/[A-Za-z0-9_-]+)+$/

export const read = Effect.fnUntraced(function* (name: string, options: LoginOptions) {
  if (!nameForm.test(name)) {
    return yield* refuseOption(
      "name",
      "must have letters, digits, hyphens and underscores only, because cookies have it"
    )
  }
  const url = yield* requireSecureUrl("baseUrl", options.baseUrl)
  if (url.href !== `${url.origin}/`) {
    return yield* refuseOption("baseUrl", `must be an origin without a path, such as "${url.origin}"`)
  }
  if (url.protocol === "http:" && options.localDevelopment !== true) {
    return yield* refuseOption("baseUrl", "must be https. On your own machine, set localDevelopment: true")
  }
  const { origin } = url
  const prefix = options.prefix ?? ""
  if (prefix !== "" && !prefixForm.test(prefix)) {
    return yield* refuseOption("prefix", 'must be a path without a slash at its end, such as "/auth"')
  }
  const places = { afterLogin: options.afterLogin ?? "/", afterLogout: options.afterLogout ?? "/" }
  for (const [option, place] of Object.entries(places)) {
    if (safeReturnTo(place, origin) !== place)
      return yield* refuseOption(option, 'must be a path of this app, such as "/"')
  }
  const providers: ReadonlyArray<readonly [string | undefined, LoginProvider]> = isProvider(options.provider)
    ? [[undefined, options.provider]]
    : Object.entries(options.provider)
  if (providers.length === 0 || providers.some(([name]) => name !== undefined && !providerForm.test(name))) {
    return yield* refuseOption(
      "provider",
      "must be a provider, or providers by names in lower case letters, digits and hyphens"
    )
  }
  const pairs = providers.map(([, { clientId, issuer }]) => JSON.stringify([issuer, clientId]))
  if (new Set(pairs).size < pairs.length) {
    return yield* refuseOption("provider", "must name each client of an issuer once, because sessions belong to it")
  }
  if (providers.some(([, { authentication }]) => authentication._tag === "None")) {
    return yield* refuseOption("provider", "must have an authentication, because a web app is a confidential client")
  }
  if (url.protocol === "http:" && providers.some(([, { responseMode }]) => responseMode === "form_post")) {
    return yield* refuseOption(
      "provider",
      "must not send its response as a form if baseUrl is http, because browsers then send no cookie with the form"
    )
  }
  const maxAge = options.cookieMaxAge === undefined ? undefined : toMillis(options.cookieMaxAge)
  if (maxAge !== undefined && !(maxAge >= 60_000 && maxAge <= 400 * 86_400_000)) {
    return yield* refuseOption("cookieMaxAge", 'must be a duration between 1 minute and 400 days, such as "7 days"')
  }
  return {
    origin,
    isSecure: url.protocol === "https:",
    ...places,
    providers,
    cookieMaxAge: maxAge === undefined ? undefined : Duration.millis(maxAge),
    keptClaims: options.claims && new Set(options.claims),
    paths: {
      login: `${prefix}/login`,
      callback: `${prefix}/callback`,
      logout: `${prefix}/logout`,
      session: `${prefix}/session`,
      backChannelLogout: `${prefix}/backchannel-logout`,
      frontChannelLogout: `${prefix}/frontchannel-logout`
    }
  }
})

const isProvider = (given: LoginOptions["provider"]): given is LoginProvider =>
  Object.hasOwn(given, "issuer") && typeof given["issuer"] === "string"
