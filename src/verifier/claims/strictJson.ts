/** Reads JSON from strangers. */

/** How deeply objects and arrays may be nested in a header or in claims. */
const maxDepth = 16

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** An object in JSON that is strict, as `parseText` has it, and in valid UTF-8 without a byte order mark. `undefined` for everything else. */
export const parseObject = (bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined => {
  try {
    return parseText(utf8.decode(bytes))
  } catch {
    return
  }
}

/**
 * An object in JSON, and strictly: no member twice (RFC 7519 §4 lets a parser take the last, and two parsers may take two), and bounded depth. `undefined` for
 * everything else. Neither the object nor any object in it has a prototype: who reads a member that is not there reads `undefined`.
 */
export const parseText = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== "object" || value === null || Array.isArray(value) || !isStrict(text, value)) return
    takePrototypes(value)
    return value as Readonly<Record<string, unknown>>
  } catch {
    return
  }
}

// A claim that a token does not have would otherwise have the value that a program has put on `Object.prototype`.
const takePrototypes = (value: unknown): void => {
  if (typeof value !== "object" || value === null) return
  for (const member of Object.values(value)) takePrototypes(member)
  if (!Array.isArray(value)) Object.setPrototypeOf(value, null)
}

// `JSON.parse` keeps one of several members with the same name: then the text names more than the value has.
const isStrict = (text: string, value: object): boolean => membersOf(value, maxDepth) === namesIn(text)

/** How many members the value and all in it have; `NaN` where it is nested too deeply. */
const membersOf = (value: unknown, depth: number): number => {
  if (typeof value !== "object" || value === null) return 0
  if (depth === 0) return NaN
  const members: ReadonlyArray<unknown> = Object.values(value)
  let count = Array.isArray(value) ? 0 : members.length
  for (const member of members) count += membersOf(member, depth - 1)
  return count
}

const quote = 0x22
const backslash = 0x5c
const colon = 0x3a

/** How many names there are in a text that `JSON.parse` takes: each colon outside of strings follows one. */
const namesIn = (text: string): number => {
  let names = 0
  let isString = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) isString = !isString
    else if (isString && code === backslash) i++
    else if (!isString && code === colon) names++
  }
  return names
}
