/** Computes how long a fetched key set is fresh, within bounds (RFC 9111 §4.2). */
export interface FreshnessBounds {
  readonly min: number
  readonly max: number
  /** Used if the response has no `max-age`. */
  readonly fallback: number
}

/** All durations are in milliseconds. A malformed value counts as 0 (RFC 9111 §4.2.1). */
export const freshFor = (headers: { readonly [name: string]: string | undefined }, bounds: FreshnessBounds): number => {
  const clamp = (millis: number) => Math.min(Math.max(millis, bounds.min), bounds.max)
  const directives = (headers["cache-control"] ?? "").split(",").map((directive) => directive.trim().toLowerCase())
  if (directives.some((directive) => /^no-(store|cache)\b/.test(directive))) return bounds.min
  const ages = directives.flatMap((directive) => {
    const [name, value = ""] = directive.split("=", 2)
    return name?.trim() === "max-age" ? [seconds(value.trim().replace(/^"(.*)"$/, "$1"))] : []
  })
  if (ages.length === 0) return clamp(bounds.fallback)
  // A shared cache may have stored the response for `Age` seconds (RFC 9111 §5.1).
  const age = headers["age"] === undefined ? 0 : seconds(headers["age"].trim())
  return clamp((Math.min(...ages) - age) * 1000)
}

const seconds = (text: string): number => (/^\d{1,10}$/.test(text) ? Number(text) : 0)
