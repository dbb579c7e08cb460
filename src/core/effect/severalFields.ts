/** Sends one field of a response several times. */
import * as Context from "effect/Context"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import { rawFields } from "./receivedRequest.ts"

// One field for each challenge: a client may not split a list of challenges right (RFC 9110 §11.6.1). Effect's headers are typed as strings, and
// those of a response are handed on to Node as they are, which writes a field for each member of an array. Elsewhere a list is joined. The response
// has to be given its headers as entries: Effect joins an array in a record.
export const severalFields = (values: ReadonlyArray<string>, context: Context.Context<never>): string =>
  isNode(context) ? (values as unknown as string) : values.join(", ")

const isNode = (context: Context.Context<never>): boolean => {
  const request = Context.getOrUndefined(context, HttpServerRequest)
  return request !== undefined && rawFields(request.source) !== undefined
}
