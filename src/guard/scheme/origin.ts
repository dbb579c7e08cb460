/** Tells requests apart, so that what was decided for one is nothing to another. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { fieldValue } from "../../core/authorizationHeader.ts"

/**
 * Which request something was decided for: the one that the server received, with the credentials that it has. `modify` keeps the source, so a program
 * that forwards a request with other credentials, or with none, has another origin. A program without HTTP has none.
 */
export class Origin {
  readonly request: HttpServerRequest | undefined

  constructor(request: HttpServerRequest | undefined) {
    this.request = request
  }

  get source(): object | undefined {
    return this.request?.source
  }
}

const outside = new Origin(undefined)

export const of = (request: HttpServerRequest | undefined): Origin =>
  request === undefined ? outside : new Origin(request)

export const same = ({ request: left }: Origin, { request: right }: Origin): boolean =>
  left === right ||
  (left !== undefined && right !== undefined && left.source === right.source && fieldValue(left) === fieldValue(right))
