import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { fieldValue } from "./authorizationHeader.ts"

/**
 * Which request something was decided for: the one that the server received, with the credentials that it had then. `modify` keeps the source, so a
 * program that forwards a request with other credentials, or with none, has another origin. A program without HTTP has none.
 */
export class Origin {
  readonly source: object | undefined
  readonly authorization: string | undefined

  constructor(source: object | undefined, authorization: string | undefined) {
    this.source = source
    this.authorization = authorization
  }
}

const outside = new Origin(undefined, undefined)

export const of = (request: HttpServerRequest | undefined): Origin =>
  request === undefined ? outside : new Origin(request.source, fieldValue(request))

export const same = (left: Origin, right: Origin): boolean =>
  left === right || (left.source === right.source && left.authorization === right.authorization)
