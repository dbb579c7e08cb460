/** Creates similar token texts. */
import { times } from "./times.ts"

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

/** Returns a token of this length. */
export const textOf = (length: number) =>
  times(length)
    .map((i) => alphabet[(i * 7 + (i >> 5)) % alphabet.length])
    .join("")

/** Returns the text with another character at this position. */
export const changedAt = (text: string, i: number) =>
  text.slice(0, i) + (text[i] === "A" ? "B" : "A") + text.slice(i + 1)
