/** Identifies requests, so that a decision about one request is never used for another. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { fieldValue } from "../../core/authorizationHeader.ts"

/**
 * The request of a decision, with its credentials. A program outside HTTP has no request. `request.modify` keeps the
 * source and can change the `Authorization` header, so `same` compares both.
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
