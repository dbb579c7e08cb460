/** Returns the numbers from 0 to n - 1. */
export const times = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i)
