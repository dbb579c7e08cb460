/** Parses untrusted JSON strictly. */

/**
 * Claims on an object without a prototype, as `parseText` returns them. An absent claim therefore reads as `undefined`,
 * even if a program has added a property to `Object.prototype`.
 */
export type Claims = Readonly<Record<string, unknown>>

/** Maximum nesting of objects and arrays. */
const maxDepth = 16

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Parses valid UTF-8 without a byte order mark as `parseText` does. Returns `undefined` for all other input. */
export const parseObject = (bytes: Uint8Array): Claims | undefined => {
  try {
    return parseText(utf8.decode(bytes))
  } catch {
    return
  }
}

/**
 * Parses a JSON object without duplicate members and with at most 16 levels. Returns an object without a prototype, as
 * are all objects in it, or `undefined` for all other input. Two parsers can read a duplicate member differently (RFC
 * 7519 §4).
 */
export const parseText = (text: string): Claims | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== "object" || value === null || Array.isArray(value) || !isStrict(text, value)) return
    takePrototypes(value)
    return value as Claims
  } catch {
    return
  }
}

// Prototype pollution: a claim that is absent must not read as a value of `Object.prototype`.
const takePrototypes = (value: unknown): void => {
  if (typeof value !== "object" || value === null) return
  for (const member of Object.values(value)) takePrototypes(member)
  if (!Array.isArray(value)) Object.setPrototypeOf(value, null)
}

// `JSON.parse` drops duplicate members. A text with duplicates therefore has more names than its value.
const isStrict = (text: string, value: object): boolean => membersOf(value, maxDepth) === namesIn(text)

/** Counts the members of all nested objects. Returns `NaN` if the nesting is too deep. */
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

/** Counts the member names in valid JSON. Each colon outside a string follows one name. */
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
