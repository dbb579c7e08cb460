// The assertion that replaces `expression // => value` in a runnable code block.
import { deepStrictEqual } from "node:assert"

// A wrapper, because deepStrictEqual is an assertion function and would narrow the type of the expression.
export const equal = (actual: unknown, expected: unknown): void => {
  deepStrictEqual(actual, expected)
}
