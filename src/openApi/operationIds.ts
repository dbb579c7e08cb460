/** Names the operations of a document. Generated clients use the names as identifiers, so each is one, and unique. */

const capitalized = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)

/** `get` and `/users/{id}/items` -> `getUsersByIdItems` */
const idOf = (method: string, path: string): string => {
  const words = path
    .replace(/\{([^{}]*)\}/g, "/by/$1/")
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== "")
  return method + (words.length === 0 ? "Root" : words.map(capitalized).join(""))
}

/** Returns a function that names operations, none of them as one that the document already has. */
export const allocate = (taken: Iterable<unknown>): ((method: string, path: string) => string) => {
  const used = new Set(taken)
  return (method, path) => {
    const id = idOf(method, path)
    let free = id
    for (let n = 2; used.has(free); n++) free = `${id}${n}`
    used.add(free)
    return free
  }
}
