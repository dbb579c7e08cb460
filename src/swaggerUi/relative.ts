/**
 * The reference that leads from one path to another (RFC 3986 §4.2), for a document whose own URL nobody knows: a prefix that a router or a proxy
 * puts before both changes nothing. It begins with a dot, so that no segment reads as a scheme.
 */
export const relative = (from: string, to: string): string => {
  // The last segment is the document; what stands before it is its folder.
  const folders = from.split("/").slice(0, -1)
  const target = to.split("/")
  let common = 0
  while (common < folders.length && common < target.length - 1 && folders[common] === target[common]) common++
  const up = folders.length - common
  return `${up === 0 ? "./" : "../".repeat(up)}${target.slice(common).join("/")}`
}

/**
 * Where a page that was asked for with one slash too many or too few at its end really is, relative to where it was asked for; `undefined` where
 * it is there. Relative references mean something else one folder off.
 */
export const canonical = (path: string, originalUrl: string): string | undefined => {
  const [, asked = "/", search = ""] = /^(?:https?:\/\/[^/?]*)?([^?#]*)([^#]*)/.exec(originalUrl) ?? []
  // By hand: a regular expression for this takes quadratic time for a path of slashes.
  let end = asked.length
  while (asked[end - 1] === "/") end--
  const slashes = asked.slice(end)
  const name = asked.slice(asked.lastIndexOf("/", end - 1) + 1, end)
  if (path.endsWith("/") === (slashes !== "")) return undefined
  return slashes === "" ? `./${name}/${search}` : `${"../".repeat(slashes.length)}${name}${search}`
}
