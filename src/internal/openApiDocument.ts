type Json = Readonly<Record<string, unknown>>
type Security = ReadonlyArray<Readonly<Record<string, ReadonlyArray<string>>>>

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const mapValues = (object: unknown, f: (value: unknown, key: string) => unknown): Json =>
  isJson(object) ? Object.fromEntries(Object.entries(object).map(([key, value]) => [key, f(value, key)])) : {}

/** The document with these schemes, and with the security of the operations that have one here. */
export const secure = (
  document: Json,
  options: { readonly schemes: Json; readonly securityOf: (operationId: string) => Security | undefined }
): Json => {
  const operation = (value: unknown): unknown => {
    if (!isJson(value) || typeof value["operationId"] !== "string") return value
    const security = options.securityOf(value["operationId"])
    return security === undefined ? value : { ...value, security: both(value["security"], security) }
  }
  const components = isJson(document["components"]) ? document["components"] : {}
  const securitySchemes = isJson(components["securitySchemes"]) ? components["securitySchemes"] : {}
  return {
    ...document,
    // The methods that OpenAPI 3.1 has no field for, such as QUERY, stand in an extension of the path item.
    paths: mapValues(document["paths"], (item) =>
      mapValues(item, (value, key) =>
        key === "x-oai-additionalOperations" ? mapValues(value, operation) : operation(value)
      )
    ),
    components: { ...components, securitySchemes: { ...securitySchemes, ...options.schemes } }
  }
}

/** What Effect wrote for its own security middleware is needed too. */
const both = (own: unknown, ours: Security): ReadonlyArray<Json> => {
  const alternatives: ReadonlyArray<unknown> = Array.isArray(own) && own.length > 0 ? own : [{}]
  return alternatives.filter(isJson).flatMap((left) => ours.map((right) => ({ ...left, ...right })))
}
