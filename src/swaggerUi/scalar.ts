/** Adds to a document the fields with which Scalar logs in. */
import { isReadonlyObject } from "effect/Predicate"
import { undeclared } from "./servedDocument.ts"
import { type Json, mapValues, membersOf } from "../core/lib/json.ts"

const mapObjects = (object: unknown, f: (value: Json, key: string) => Json): Json =>
  mapValues(object, (value, key) => (isReadonlyObject(value) ? f(value, key) : value))

export const prepare = (
  document: Json,
  options: { readonly clientId: string; readonly scopes?: ReadonlyArray<string>; readonly usePkce?: boolean }
): Json => {
  const unknown = undeclared(document, options.scopes)
  if (unknown !== undefined) {
    throw new TypeError(
      `SwaggerUi.forScalar: scopes contains ${unknown.scope}, which no scheme of the document declares. Scalar would not request it. Use these scopes: ${unknown.instead}.`
    )
  }
  const flow = (value: Json, name: string): Json => ({
    ...value,
    "x-scalar-client-id": options.clientId,
    // A public client sends its ID in the body (RFC 6749 §4.1.3). Scalar's default is Basic authentication without a
    // secret.
    "x-scalar-credentials-location": "body",
    ...(name === "authorizationCode" && (options.usePkce ?? true) ? { "x-usePkce": "SHA-256" } : undefined)
  })
  const scheme = (value: Json): Json =>
    value["type"] === "oauth2"
      ? {
          ...value,
          flows: mapObjects(value["flows"], flow),
          ...(options.scopes === undefined ? undefined : { "x-default-scopes": options.scopes })
        }
      : value
  const components = membersOf(document["components"])
  return {
    ...document,
    components: { ...components, securitySchemes: mapObjects(components["securitySchemes"], scheme) }
  }
}
