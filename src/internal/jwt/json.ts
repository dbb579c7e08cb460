/** How deeply objects and arrays may be nested in a header or in claims. */
const maxDepth = 16

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/**
 * An object in JSON, strictly: valid UTF-8 without a byte order mark, no member twice (RFC 7519 §4 lets a parser take the last, and two
 * parsers may take two), and bounded depth. `undefined` for everything else.
 */
export const parseObject = (bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined => {
  try {
    const text = utf8.decode(bytes)
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value) && isStrict(text)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return
  }
}

// Of text that `JSON.parse` takes: so a string that a colon follows is a member's name, and every bracket outside of strings counts.
const isStrict = (text: string): boolean => {
  const names: Array<Set<string>> = []
  const tokens = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g
  for (const [token, colon] of text.matchAll(tokens)) {
    if (token === "{" || token === "[") {
      names.push(new Set())
      if (names.length > maxDepth) return false
    } else if (token === "}" || token === "]") {
      names.pop()
    } else if (colon !== undefined) {
      const name: unknown = JSON.parse(token.slice(0, token.length - colon.length))
      const known = names.at(-1)
      if (typeof name !== "string" || known === undefined || known.has(name)) return false
      known.add(name)
    }
  }
  return true
}
