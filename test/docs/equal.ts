import { deepStrictEqual } from "node:assert"

/** What `expression // => value` in a runnable block becomes. Not an assertion function: it must not narrow. */
export const equal = (actual: unknown, expected: unknown): void => {
  deepStrictEqual(actual, expected)
}
