/** Validates URLs from options and from the metadata of an issuer. */
import * as Effect from "effect/Effect"
import type { ConfigurationError } from "./SecurityError.ts"
import { refuseOption } from "./refuseOption.ts"

// Every resolver maps these three names to this machine. Some resolvers look up names such as `a.localhost` in DNS.
const loopback = new Set(["localhost", "127.0.0.1", "[::1]"])

// An issuer is compared as a string, so the option must already be normalized. `URL` also accepts surrounding white
// space, backslashes, any number of slashes, and an empty query.
const written = /^https?:\/\/[^/?#@\\\s]+([/?#][^\\\s]*)?$/

/** Hosts that plain http may reach, with their port unless it is 80. */
export type HttpHosts = ReadonlySet<string>

const none: HttpHosts = new Set()

/** Parses an http or https URL. Returns `undefined` if it has another form. */
export const parseHttpUrl = (value: string): URL | undefined =>
  written.test(value) && URL.canParse(value) ? new URL(value) : undefined

/** Accepts https, http on loopback, where no data leaves the machine, and http to a host that is named for it. */
export const isSecure = (url: URL, httpHosts: HttpHosts): boolean =>
  url.protocol === "https:" || loopback.has(url.hostname) || httpHosts.has(url.host)

const check = (option: string, value: string, form: RegExp, without: string, httpHosts: HttpHosts) => {
  const url = form.test(value) ? parseHttpUrl(value) : undefined
  if (url !== undefined && isSecure(url, httpHosts)) return Effect.succeed(url)
  const must = `must be an https URL (http only on loopback) without ${without}, such as https://idp.example.com`
  return refuseOption(
    option,
    url === undefined ? must : `${must}. Inside a container network, allow this host by httpHosts: ["${url.host}"]`
  )
}

/** Accepts an https URL, or an http URL on loopback or to one of `httpHosts`. */
export const requireSecureUrl = (
  option: string,
  value: string,
  httpHosts: HttpHosts = none
): Effect.Effect<URL, ConfigurationError> => check(option, value, /^/, "credentials and white space", httpHosts)

/** Accepts an issuer identifier: an https URL without query and fragment (RFC 8414 §2). */
export const requireIssuer = (
  option: string,
  value: string,
  httpHosts: HttpHosts = none
): Effect.Effect<URL, ConfigurationError> =>
  Effect.flatMap(check(option, value, /^[^?#]*$/, "credentials, query, fragment and white space", httpHosts), (url) =>
    url.pathname.includes("/.well-known/")
      ? refuseOption(
          option,
          "must be the identifier of the issuer, not the URL of its metadata. Remove the part from /.well-known/ on"
        )
      : Effect.succeed(url)
  )

/** Reads the option `httpHosts`. */
export const requireHttpHosts = (value: unknown): Effect.Effect<HttpHosts, ConfigurationError> => {
  if (value === undefined) return Effect.succeed(none)
  const isHost = (host: unknown): host is string =>
    typeof host === "string" && URL.canParse(`http://${host}`) && new URL(`http://${host}`).host === host
  return Array.isArray(value) && value.every(isHost)
    ? Effect.succeed(new Set(value))
    : refuseOption(
        "httpHosts",
        'must be a list of hosts in lower case, with their port unless it is 80, such as ["keycloak:8080"]'
      )
}
