/** Sends several HTTP headers with one name. */
import * as Context from "effect/Context"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import { rawFields } from "./receivedRequest.ts"

// Each challenge needs its own header, because some clients cannot split a list of challenges (RFC 9110 §11.6.1).
// Safe cast: Effect passes the headers of a response to Node unchanged, and Node writes one header per array member.
// The caller must pass headers as entries, because Effect joins an array in a record. Other platforms get a joined
// list.
export const severalFields = (values: ReadonlyArray<string>, context: Context.Context<never>): string =>
  isNode(context) ? (values as unknown as string) : values.join(", ")

const isNode = (context: Context.Context<never>): boolean => {
  const request = Context.getOrUndefined(context, HttpServerRequest)
  return request !== undefined && rawFields(request.source) !== undefined
}
