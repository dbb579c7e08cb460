/** Which URLs of an issuer are taken from settings and from metadata. */
import * as Effect from "effect/Effect"
import type { ConfigurationError } from "../SecurityError.ts"
import { refuseSetting } from "./setting.ts"

const loopback = new Set(["localhost", "127.0.0.1", "[::1]"])

const check = (setting: string, value: string, holds: (url: URL) => boolean, without: string) => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const secure =
    url !== undefined && (url.protocol === "https:" || (url.protocol === "http:" && loopback.has(url.hostname)))
  return secure && url.username === "" && url.password === "" && holds(url)
    ? Effect.succeed(url)
    : refuseSetting(
        setting,
        `must be an https URL (http only on loopback) without ${without}, such as https://idp.example.com`
      )
}

/** An https URL; http only where nothing leaves the machine. */
export const requireSecureUrl = (setting: string, value: string): Effect.Effect<URL, ConfigurationError> =>
  check(setting, value, () => true, "credentials")

/** An issuer's identifier: an https URL without query and fragment (RFC 8414 §2). */
export const requireIssuer = (setting: string, value: string): Effect.Effect<URL, ConfigurationError> =>
  check(setting, value, (url) => url.search === "" && url.hash === "", "credentials, query and fragment")
