/** Decides where a browser may go after a sign-in. A page of a stranger may have chosen the address. */

/** Attempts are stored in cookies, so the address is bounded. */
const maxLength = 512

// `//host`, `/\host` and control characters, which browsers remove, lead to another host.
const isPath = /^\/(?![/\\])[^\\\p{Cc}\s]*$/u

/** Encoded separators and control characters that a proxy may decode: `/%2F`, `/%5C`, `/%09`, also after dots. */
const encodedSeparator = /^\/(?:\.|%2e)*%(?:2f|5c|[01][0-9a-f]|7f)/i

/**
 * Returns the path, query and fragment of an address of this origin. Returns `undefined` for anything else.
 */
export const safeReturnTo = (value: unknown, origin: string): string | undefined => {
  if (typeof value !== "string" || value.length > maxLength) return
  if (!isPath.test(value) || encodedSeparator.test(value)) return
  const url = URL.canParse(value, origin) ? new URL(value, origin) : undefined
  if (url === undefined || url.origin !== origin || url.username !== "" || url.password !== "") return
  const path = url.pathname + url.search + url.hash
  // The parser resolves dots, so `/.//host` becomes `//host`.
  return isPath.test(path) && !encodedSeparator.test(path) && path.length <= maxLength ? path : undefined
}
