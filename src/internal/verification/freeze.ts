/** Freezes what many requests are given, and says how much it is. */
import type { VerifiedToken } from "../../AccessToken.ts"

const perEntry = 1024
const perValue = 32
const maxDepth = 64

/**
 * Freezes a token, so that no request changes what the next one sees, and says about how many bytes it takes with what was read from it: `Infinity` where
 * that cannot be said, or is more than `most`. Frozen are arrays, and objects that are of no class; what an object of a class holds is its own.
 */
export const freezeAndMeasure = (text: string, token: VerifiedToken, most: number): number => {
  const seen = new Set<object>()
  const frozen = new Set<object>()
  let size = perEntry + text.length
  const add = (value: unknown, depth: number, isOwn: boolean): void => {
    size += perValue
    if (typeof value === "string") size += value.length
    if (typeof value !== "object" || value === null || (isOwn ? frozen : seen).has(value)) return
    if (depth === maxDepth || size > most) {
      size = Infinity
      return
    }
    seen.add(value)
    if (isOwn) frozen.add(value)
    const isOurs = isOwn && isData(value)
    for (const [name, member] of Object.entries(value)) {
      if (size > most) return
      add(name, depth + 1, isOurs)
      add(member, depth + 1, isOurs)
    }
    if (isOurs) Object.freeze(value)
  }
  try {
    add(token, 0, true)
    return size
  } catch {
    // Claims of somebody's own making may throw when they are looked at.
    return Infinity
  }
}

/** Freezes a token, whatever its size. */
export const freeze = (token: VerifiedToken): void => {
  freezeAndMeasure("", token, Infinity)
}

const isData = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Array.isArray(value)
}
