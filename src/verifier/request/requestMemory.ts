/** Keeps the verifications of a request on the request itself. */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { Authenticator, Verification } from "./authenticator.ts"

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
  readonly authenticator: Authenticator
  own: Remembered | undefined
  last: Remembered | undefined

  constructor(authenticator: Authenticator) {
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

  static of(request: HttpServerRequest, authenticator: Authenticator): RequestMemory {
    const memories = #list in request ? request : new RequestMemories(request)
    const known = memories.#list.find((memory) => memory.authenticator === authenticator)
    if (known !== undefined) return known
    const memory = new RequestMemory(authenticator)
    memories.#list.push(memory)
    return memory
  }
}
