/** How long a fetched key set is fresh (RFC 9111 §4.2), within bounds. */
export interface Bounds {
  readonly least: number
  readonly most: number
  /** Where the answer does not say. */
  readonly otherwise: number
}

/** All in milliseconds; what is malformed counts as stale, as RFC 9111 §4.2.1 advises. */
export const freshFor = (headers: { readonly [name: string]: string | undefined }, bounds: Bounds): number => {
  const clamp = (millis: number) => Math.min(Math.max(millis, bounds.least), bounds.most)
  const directives = (headers["cache-control"] ?? "").split(",").map((directive) => directive.trim().toLowerCase())
  if (directives.some((directive) => /^no-(store|cache)\b/.test(directive))) return bounds.least
  const ages = directives.flatMap((directive) => {
    const [name, value = ""] = directive.split("=", 2)
    return name?.trim() === "max-age" ? [seconds(value.trim().replace(/^"(.*)"$/, "$1"))] : []
  })
  if (ages.length === 0) return clamp(bounds.otherwise)
  // The answer may have been in a cache already: `Age` (RFC 9111 §5.1).
  const age = headers["age"] === undefined ? 0 : seconds(headers["age"].trim())
  return clamp((Math.min(...ages) - age) * 1000)
}

const seconds = (text: string): number => (/^\d{1,10}$/.test(text) ? Number(text) : 0)
