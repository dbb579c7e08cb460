/** Reads the challenges of a `WWW-Authenticate` field (RFC 9110 §11.6.1). */

export interface ReceivedChallenge {
  /** In lower case. */
  readonly scheme: string
  /** Parameters by their name in lower case. */
  readonly parameters: ReadonlyMap<string, string>
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const quoted = '"((?:[^"\\\\]|\\\\.)*)"'
const parameter = new RegExp(`^(${token})[ \\t]*=[ \\t]*(?:${quoted}|(${token}))`, "s")
const start = new RegExp(`^(${token})(?:[ \\t]+|(?=,)|$)`)
const token68 = /^[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/
const separator = /^[ \t]*(?:,[ \t]*)*/

/**
 * Returns the challenges of the field, which may hold several. A field that is not well formed gives the challenges
 * before the fault: a client that reads too little asks for a new token once too often, and never sends one elsewhere.
 */
export const parse = (field: string): ReadonlyArray<ReceivedChallenge> => {
  const challenges: Array<{ readonly scheme: string; readonly parameters: Map<string, string> }> = []
  let rest = field.replace(separator, "")
  while (rest !== "") {
    const found = parameter.exec(rest)
    const last = challenges.at(-1)
    if (found !== null && last !== undefined) {
      const [all, name = "", text, word = ""] = found
      const value = text === undefined ? word : text.replace(/\\(.)/gs, "$1")
      // A parameter must not occur twice (RFC 9110 §11.2). The first one counts.
      if (!last.parameters.has(name.toLowerCase())) last.parameters.set(name.toLowerCase(), value)
      rest = rest.slice(all.length)
    } else {
      const scheme = start.exec(rest)
      if (scheme === null) return challenges
      challenges.push({ scheme: (scheme[1] ?? "").toLowerCase(), parameters: new Map() })
      rest = rest.slice(scheme[0].length)
      const credentials = parameter.test(rest) ? null : token68.exec(rest)
      // `Bearer, DPoP` has no token68: the next word is a scheme.
      if (credentials !== null && !/^[ \t]*,/.test(scheme[0] + rest)) rest = rest.slice(credentials[0].length)
    }
    const gap = separator.exec(rest)?.[0] ?? ""
    rest = rest.slice(gap.length)
  }
  return challenges
}
