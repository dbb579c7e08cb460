/** Texts of tokens that look alike. */
import { times } from "./times.ts"

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

/** Some token of a length. */
export const textOf = (length: number) =>
  times(length)
    .map((i) => alphabet[(i * 7 + (i >> 5)) % alphabet.length])
    .join("")

/** With another character at a place. */
export const changedAt = (text: string, i: number) =>
  text.slice(0, i) + (text[i] === "A" ? "B" : "A") + text.slice(i + 1)
