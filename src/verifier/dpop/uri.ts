/** Normalizes http URIs, so that the two spellings of one resource are equal (RFC 3986 §6.2.2 and §6.2.3). */

// `URL` removes line breaks and tabs, and reads a backslash as a slash. Both would hide that two texts differ.
const written = /^https?:\/\/[^\s\\]+$/i

/** A path that normalization does not change. Most paths of APIs are of this kind. */
const plainPath = /^\/(?:[\w~-][\w~.-]*\/?)*$/

const escape = /%([0-9A-Fa-f]{2})/g

// RFC 3986 §2.3
const unreserved = /^[A-Za-z0-9._~-]$/

/** Decodes unreserved characters, and writes all other escapes in upper case. `%2F` stays, because it is not a slash. */
const normalizeEscapes = (path: string): string =>
  path.replace(escape, (text, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return unreserved.test(character) ? character : text.toUpperCase()
  })

/**
 * Returns the URI without query and fragment, in its normal form: lower-case scheme and host, no default port, no dot
 * segments, normalized escapes. The case of the path, double slashes and a trailing slash stay. Returns `undefined` if
 * the text is not an http or https URI, or has credentials.
 */
export const normalize = (text: string): string | undefined => {
  if (!written.test(text) || !URL.canParse(text)) return
  const url = new URL(text)
  if (url.username !== "" || url.password !== "") return
  return `${url.protocol}//${url.host}${normalizeEscapes(url.pathname)}`
}

/** Returns the normal form of a path below a base, which is a normal origin or begins with one. */
export const normalizeBelow = (base: string, path: string): string | undefined =>
  plainPath.test(path) ? base + path : normalize(base + path)
