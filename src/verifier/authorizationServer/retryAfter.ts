/** Reads the header `Retry-After` (RFC 9110 §10.2.3). */

const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/**
 * Returns the delay in milliseconds, which is negative for a date in the past. `now` is in milliseconds.
 * Returns `undefined` if the header is missing or malformed.
 */
export const readRetryAfter = (value: string | undefined, now: number): number | undefined => {
  if (value === undefined) return
  if (/^\d{1,10}$/.test(value)) return Number(value) * 1000
  const date = httpDate.test(value) ? Date.parse(value) : NaN
  return Number.isNaN(date) ? undefined : date - now
}
