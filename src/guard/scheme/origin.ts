/** Identifies the request that a decision is about, so that no decision counts for another request. */
import * as Context from "effect/Context"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { authorizationOf } from "../../core/effect/receivedRequest.ts"
import * as message from "../../core/message.ts"

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

/** Returns the origin of the connection that carried a message. */
export const connectionOf = ({ request }: Origin): Origin | undefined => {
  const connection = request && message.connectionOf(request)
  return connection && of(connection)
}

/**
 * Returns `true` if both origins are the same request with the same credentials. The messages of one connection share
 * its source, so a message is the same only as itself.
 */
export const same = ({ request: left }: Origin, { request: right }: Origin): boolean =>
  left === right ||
  (left !== undefined &&
    right !== undefined &&
    left.source === right.source &&
    !message.isMessage(left) &&
    !message.isMessage(right) &&
    authorizationOf(left) === authorizationOf(right))

/**
 * The mark that a guard or `OAuth2.Public` has decided about a request. A route of `OAuth2.route` runs only with a mark
 * for its request.
 */
export class Stamp {
  // A look-alike object must not pass as a mark: only the constructor sets #genuine.
  readonly #genuine = true
  readonly origin: Origin

  constructor(origin: Origin) {
    this.origin = origin
  }

  static isGenuine(value: unknown): boolean {
    return typeof value === "object" && value !== null && #genuine in value && value.#genuine
  }
}

export const LastStamp = Context.Reference<Stamp | undefined>("effect-oauth2/Decision", {
  defaultValue: () => undefined
})

/** Returns the mark in the context, if it is genuine. */
export const lastStamp = (context: Context.Context<never>): Stamp | undefined => {
  const stamp = Context.get(context, LastStamp)
  return stamp !== undefined && Stamp.isGenuine(stamp) ? stamp : undefined
}
