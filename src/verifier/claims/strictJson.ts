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
export const parseObject = (bytes: Uint8Array, maxMarks?: number): Claims | undefined => {
  try {
    return parseText(utf8.decode(bytes), maxMarks)
  } catch {
    return
  }
}

/**
 * Parses a JSON object without duplicate members and with at most 16 levels. Returns an object without a prototype, as
 * are all objects in it, or `undefined` for all other input. Two parsers can read a duplicate member differently (RFC
 * 7519 §4).
 *
 * A text with more than `maxMarks` commas, colons and opening brackets outside its strings is refused before it is
 * parsed. Small values cost much more time per byte than strings do.
 */
export const parseText = (text: string, maxMarks = Infinity): Claims | undefined => {
  try {
    const names = namesIn(text, maxMarks)
    if (names === undefined) return
    const value: unknown = JSON.parse(text)
    // `JSON.parse` drops duplicate members. A text with duplicates therefore has more names than its value.
    if (typeof value !== "object" || value === null || Array.isArray(value) || membersOf(value, maxDepth) !== names) {
      return
    }
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
const comma = 0x2c
const colon = 0x3a
const openingBracket = 0x5b
const openingBrace = 0x7b

/**
 * Counts the member names, if the text is valid JSON. Each colon outside a string follows one name. Returns `undefined`
 * if the text has too many marks.
 */
const namesIn = (text: string, maxMarks: number): number | undefined => {
  let names = 0
  let marks = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) {
      i = endOfString(text, i)
      if (i === -1) return
    } else if (code === colon || code === comma || code === openingBracket || code === openingBrace) {
      if (++marks > maxMarks) return
      if (code === colon) names++
    }
  }
  return names
}

/** Returns the index of the quotation mark that ends the string, or -1. `indexOf` is faster than a loop. */
const endOfString = (text: string, start: number): number => {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let first = end
    while (text.charCodeAt(first - 1) === backslash) first--
    if ((end - first) % 2 === 0) return end
  }
  return -1
}
