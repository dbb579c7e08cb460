/** Keeps the verifications of a request on the request itself. */
import type * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type { Rejection } from "../cache/verified.ts"

/** One credential and its verification, which is remembered; an `Exit` where the token is known. */
export interface Verification {
  readonly token: Redacted.Redacted
  readonly verified: Effect.Effect<VerifiedToken, Rejection>
}

// Classes, as everything that holds a request (`guard.ts` says why).

export class Remembered {
  readonly text: string
  readonly verification: Verification

  constructor(text: string, verification: Verification) {
    this.text = text
    this.verification = verification
  }
}

/** What an authenticator remembers of a request: the credential of its `Authorization` field, and the last token that a program brought besides. */
export class RequestMemory {
  readonly authenticator: object
  own: Remembered | undefined
  last: Remembered | undefined

  constructor(authenticator: object) {
    this.authenticator = authenticator
  }
}

// A class that extends this puts its private names on the target itself.
const ReturnOverride = function (target: object) {
  return target
} as unknown as new (target: object) => object

/**
 * What is remembered of a request, by each authenticator, under a private name of the request itself: nobody else finds it, it ends with the request, and what
 * `modify` makes is another one, about which a verifier may think otherwise. A `WeakMap` would do; with a key for each request it costs more, in the garbage
 * collector, than all else that is done about the request.
 */
export class RequestMemories extends ReturnOverride {
  readonly #list: Array<RequestMemory> = []

  static of(request: HttpServerRequest, authenticator: object): RequestMemory {
    const memories = #list in request ? request : new RequestMemories(request)
    const known = memories.#list.find((memory) => memory.authenticator === authenticator)
    if (known !== undefined) return known
    const memory = new RequestMemory(authenticator)
    memories.#list.push(memory)
    return memory
  }
}
