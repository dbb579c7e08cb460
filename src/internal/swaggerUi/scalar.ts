type Json = Readonly<Record<string, unknown>>

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const mapValues = (object: unknown, f: (value: Json, key: string) => Json): Json =>
  isJson(object)
    ? Object.fromEntries(Object.entries(object).map(([key, value]) => [key, isJson(value) ? f(value, key) : value]))
    : {}

/** The document with what Scalar reads from its OAuth 2 flows and schemes. */
export const prepare = (
  document: Json,
  options: { readonly clientId: string; readonly scopes?: ReadonlyArray<string>; readonly usePkce?: boolean }
): Json => {
  const flow = (value: Json, name: string): Json => ({
    ...value,
    "x-scalar-client-id": options.clientId,
    // A public client names itself in the body (RFC 6749 §4.1.3). Scalar's default is Basic authentication with an empty secret.
    "x-scalar-credentials-location": "body",
    ...(name === "authorizationCode" && (options.usePkce ?? true) ? { "x-usePkce": "SHA-256" } : undefined)
  })
  const scheme = (value: Json): Json =>
    value["type"] === "oauth2"
      ? {
          ...value,
          flows: mapValues(value["flows"], flow),
          ...(options.scopes === undefined ? undefined : { "x-default-scopes": options.scopes })
        }
      : value
  const components = isJson(document["components"]) ? document["components"] : {}
  return {
    ...document,
    components: { ...components, securitySchemes: mapValues(components["securitySchemes"], scheme) }
  }
}
