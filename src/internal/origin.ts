import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { fieldValue } from "./authorizationHeader.ts"

/**
 * Which request something was decided for: the one that the server received, with the credentials that it had then. `modify` keeps the source, so a
 * program that forwards a request with other credentials, or with none, has another origin. A program without HTTP has none.
 */
export interface Origin {
  readonly source: object | undefined
  readonly authorization: string | undefined
}

const outside: Origin = { source: undefined, authorization: undefined }

export const of = (request: HttpServerRequest | undefined): Origin =>
  request === undefined ? outside : { source: request.source, authorization: fieldValue(request) }

export const same = (left: Origin, right: Origin): boolean =>
  left === right || (left.source === right.source && left.authorization === right.authorization)
