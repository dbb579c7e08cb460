/** Content-Security-Policy headers that allow only what a page needs (CSP Level 3). */
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

// Swagger UI loads its icons from `data:` URLs, and shows images in API responses from `blob:` URLs.
export const documentation = (
  connect: ReadonlyArray<string>,
  images: ReadonlyArray<string>,
  scripts: ReadonlyArray<string>,
  styles: ReadonlyArray<string>
): string =>
  write({
    "script-src": ["'self'", ...scripts],
    "style-src": ["'self'", ...styles],
    "img-src": ["'self'", "data:", "blob:", ...images],
    "connect-src": ["'self'", ...connect]
  })

export const redirect: string = write({})
