/** Hashes of tokens. An equal hash is no proof of an equal token: callers compare the tokens. */

/** How many characters at the end of a token are all hashed. They are a signature's, so they differ between tokens. */
const ending = 16

/**
 * Hashes the text from `start` on: the last 16 characters, and 16 to 31 characters that are spread over the rest. Texts
 * of less than 48 characters are hashed as a whole. A bounded number of characters bounds the time of a lookup: to hash
 * a whole token takes longer than the rest of a lookup.
 */
export const sampleHash = (text: string, start: number): number => {
  const length = text.length - start
  const rest = Math.max(start, text.length - ending)
  const step = Math.max(1, (rest - start) >> 4)
  let hash = length
  let i = text.length - 1
  for (; i >= rest; i--) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  for (; i >= start; i -= step) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/** Hashes every character. Use it where a verification is paid for anyway. */
export const wholeHash = (text: string): number => {
  let hash = text.length
  for (let i = text.length - 1; i >= 0; i--) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
