/** Content-Security-Policy (CSP Level 3): nothing but what a page needs. */
const write = (directives: Readonly<Record<string, ReadonlyArray<string>>>): string =>
  Object.entries({
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    ...directives,
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "frame-ancestors": ["'none'"]
  })
    .map(([name, sources]) => `${name} ${sources.join(" ")}`)
    .join("; ")

/** Swagger UI draws its icons from `data:` URLs, and shows images that an API answers with from `blob:` URLs. */
export const documentation = (connect: ReadonlyArray<string>, images: ReadonlyArray<string>): string =>
  write({
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:", "blob:", ...images],
    "connect-src": ["'self'", ...connect]
  })

export const redirect: string = write({})
