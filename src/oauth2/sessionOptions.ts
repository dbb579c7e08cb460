/** Checks the options of a session cookie, which a JavaScript program may give any type. */
import type { SessionCookie } from "../core/sessionCookie.ts"

/** Throws a `TypeError` that names the option if an option is not valid. */
export const assertSession = (where: string, session: SessionCookie): void => {
  const { cookie, csrfHeader, isPage, login, trustedOrigins } = session
  const isToken = (value: unknown): boolean => typeof value === "string" && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value)
  if (cookie !== undefined && !isToken(cookie))
    throw new TypeError(`${where}: session.cookie must be the name of a cookie.`)
  if (csrfHeader !== undefined && csrfHeader !== false && !isToken(csrfHeader)) {
    throw new TypeError(`${where}: session.csrfHeader must be the name of a header, or false.`)
  }
  if (login !== undefined && login !== false && !(typeof login === "string" && /^\/(?![/\\])[^?#\s\\]*$/.test(login))) {
    throw new TypeError(
      `${where}: session.login must be a path that begins with one slash, such as "/login", or false.`
    )
  }
  if (isPage !== undefined && typeof isPage !== "function") {
    throw new TypeError(`${where}: session.isPage must be a function.`)
  }
  const origins: unknown = trustedOrigins ?? []
  const invalid: unknown = Array.isArray(origins)
    ? origins.find(
        (origin: unknown) => typeof origin !== "string" || !URL.canParse(origin) || new URL(origin).origin !== origin
      )
    : origins
  if (invalid !== undefined) {
    throw new TypeError(
      `${where}: session.trustedOrigins has ${JSON.stringify(invalid)}, which is not an origin. Write it as https://app.example.com, without a path.`
    )
  }
}
