/** Which URLs a setting, or an issuer's metadata, may name. */
import * as Effect from "effect/Effect"
import type { ConfigurationError } from "./SecurityError.ts"
import { refuseSetting } from "./setting.ts"

// Only these three, which are this machine for every resolver. Some resolvers ask DNS for names such as `a.localhost`.
const loopback = new Set(["localhost", "127.0.0.1", "[::1]"])

// What is compared as a string has to be written as it is: `URL` takes white space around it, backslashes and any number of slashes, and an empty query.
const written = /^https?:\/\/[^/?#@\\\s]+([/?#][^\\\s]*)?$/

const check = (setting: string, value: string, form: RegExp, without: string) => {
  const url = written.test(value) && form.test(value) && URL.canParse(value) ? new URL(value) : undefined
  return url !== undefined && (url.protocol === "https:" || loopback.has(url.hostname))
    ? Effect.succeed(url)
    : refuseSetting(
        setting,
        `must be an https URL (http only on loopback) without ${without}, such as https://idp.example.com`
      )
}

/** An https URL; http only where nothing leaves the machine. */
export const requireSecureUrl = (setting: string, value: string): Effect.Effect<URL, ConfigurationError> =>
  check(setting, value, /^/, "credentials and white space")

/** An issuer's identifier: an https URL without query and fragment (RFC 8414 §2). */
export const requireIssuer = (setting: string, value: string): Effect.Effect<URL, ConfigurationError> =>
  Effect.flatMap(check(setting, value, /^[^?#]*$/, "credentials, query, fragment and white space"), (url) =>
    url.pathname.includes("/.well-known/")
      ? refuseSetting(
          setting,
          "must be the issuer's identifier, not where its metadata is: what stands before /.well-known/"
        )
      : Effect.succeed(url)
  )
