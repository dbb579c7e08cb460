/** Merges refusals into the responses that an app declares for the same status. */
import { isReadonlyObject } from "effect/Predicate"
import { field, type Json, mapValues, membersOf } from "../core/lib/json.ts"

const contentOf = (response: unknown): Json => membersOf(field(response, "content"))
const headersOf = (response: unknown): Json => membersOf(field(response, "headers"))

// A response without these headers is the app's own, even if its status is that of a refusal.
export const isRefusal = (response: unknown): boolean => {
  const headers = headersOf(response)
  return Object.hasOwn(headers, "www-authenticate") || Object.hasOwn(headers, "retry-after")
}

/**
 * Returns the schema of a body that fits one of the schemas. A schema that allows everything makes the others useless.
 */
const anyOf = (schemas: ReadonlyArray<unknown>): unknown => {
  const distinct = new Map(schemas.flatMap(alternativesOf).map((schema) => [JSON.stringify(schema), schema]))
  if (distinct.size === 0 || distinct.has("{}")) return {}
  const [first, ...others] = distinct.values()
  return others.length === 0 ? first : { anyOf: [first, ...others] }
}

const alternativesOf = (schema: unknown): ReadonlyArray<unknown> => {
  if (!isReadonlyObject(schema)) return schema === undefined ? [] : [schema]
  const { anyOf, ...rest } = schema
  return Array.isArray(anyOf) && Object.keys(rest).length === 0 ? anyOf : [schema]
}

// The app's own response has none of the refusal's headers.
const optional = (headers: Json): Json =>
  mapValues(headers, (header) => (isReadonlyObject(header) ? { ...header, required: false } : header))

/** Returns a response that is either the app's own or the refusal. */
export const merge = (own: unknown, refusal: unknown): unknown => {
  const [before, after] = [contentOf(own), contentOf(refusal)]
  const content = {
    ...before,
    ...mapValues(after, (media, type) => ({
      ...membersOf(before[type]),
      schema: Object.hasOwn(before, type) ? anyOf([schemaOf(before[type]), schemaOf(media)]) : schemaOf(media)
    }))
  }
  const headers = { ...optional(headersOf(refusal)), ...headersOf(own) }
  return {
    ...membersOf(own),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(Object.keys(content).length === 0 ? {} : { content })
  }
}

// A media type without a schema allows every body.
const schemaOf = (media: unknown): unknown => field(media, "schema") ?? {}

/**
 * Returns a response without the refusals that error schemas declared, which Effect lists one by one beside the
 * schemas of the app.
 */
export const withoutDeclared = (response: unknown, declared: ReadonlyArray<unknown>): unknown => {
  const media = contentOf(response)["application/json"]
  const ours = declared.map((schema) => JSON.stringify(schema))
  const own = alternativesOf(field(media, "schema")).filter((schema) => {
    // An error of the app may look like a refusal, so remove no more than were declared.
    const index = ours.indexOf(JSON.stringify(schema))
    if (index !== -1) ours.splice(index, 1)
    return index === -1
  })
  const { "application/json": _, ...others } = contentOf(response)
  const headers = optional(headersOf(response))
  return {
    ...membersOf(response),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    content: own.length === 0 ? others : { ...others, "application/json": { ...membersOf(media), schema: anyOf(own) } }
  }
}

/**
 * Adds the range of client errors to responses that declare none. A server may answer every request with one, for
 * example if a header is too long (RFC 9110 §15.5). Linters ask for the response.
 */
export const withClientErrors = (responses: Json): Json =>
  Object.keys(responses).some((status) => status.startsWith("4"))
    ? responses
    : { ...responses, "4XX": { description: "The server does not accept the request" } }
