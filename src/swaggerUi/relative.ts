/** Relative references between paths, which stay correct below any prefix of a router or a proxy. */

/**
 * Returns the relative reference from one path to another (RFC 3986 §4.2).
 *
 * It starts with a dot, because a first segment such as `docs:x` would be read as a URL scheme.
 */
export const relative = (from: string, to: string): string => {
  // The last segment is the document's name.
  const folders = from.split("/").slice(0, -1)
  const target = to.split("/")
  let common = 0
  while (common < folders.length && common < target.length - 1 && folders[common] === target[common]) common++
  const up = folders.length - common
  return `${up === 0 ? "./" : "../".repeat(up)}${target.slice(common).join("/")}`
}

/**
 * Returns a relative redirect to a page if the requested URL has a missing or an extra slash at its end. Returns
 * `undefined` if the URL is correct. At the wrong URL, the page's relative references would not resolve.
 */
export const canonical = (path: string, originalUrl: string): string | undefined => {
  const [, requested = "/", search = ""] = /^(?:https?:\/\/[^/?]*)?([^?#]*)([^#]*)/.exec(originalUrl) ?? []
  // A loop, because a regular expression would take quadratic time for a path of slashes.
  let end = requested.length
  while (requested[end - 1] === "/") end--
  const slashes = requested.slice(end)
  const name = requested.slice(requested.lastIndexOf("/", end - 1) + 1, end)
  if (path.endsWith("/") === (slashes !== "")) return undefined
  return slashes === "" ? `./${name}/${search}` : `${"../".repeat(slashes.length)}${name}${search}`
}
