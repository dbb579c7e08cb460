/** Validates URLs from options and from the metadata of an issuer. */
import * as Effect from "effect/Effect"
import type { ConfigurationError } from "./SecurityError.ts"
import { refuseSetting } from "./setting.ts"

// Every resolver maps these three names to this machine. Some resolvers look up names such as `a.localhost` in DNS.
const loopback = new Set(["localhost", "127.0.0.1", "[::1]"])

// An issuer is compared as a string, so the option must already be normalized. `URL` also accepts surrounding white
// space, backslashes, any number of slashes, and an empty query.
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

/** Accepts an https URL, or an http URL on loopback, where no data leaves the machine. */
export const requireSecureUrl = (setting: string, value: string): Effect.Effect<URL, ConfigurationError> =>
  check(setting, value, /^/, "credentials and white space")

/** Accepts an issuer identifier: an https URL without query and fragment (RFC 8414 §2). */
export const requireIssuer = (setting: string, value: string): Effect.Effect<URL, ConfigurationError> =>
  Effect.flatMap(check(setting, value, /^[^?#]*$/, "credentials, query, fragment and white space"), (url) =>
    url.pathname.includes("/.well-known/")
      ? refuseSetting(
          setting,
          "must be the identifier of the issuer, not the URL of its metadata. Remove the part from /.well-known/ on"
        )
      : Effect.succeed(url)
  )
