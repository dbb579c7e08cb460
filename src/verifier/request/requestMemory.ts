/** Keeps the verifications of a request on the request itself. */
import type * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type { Verification } from "../cache/directVerifier.ts"
import type { Rejection } from "../cache/verified.ts"

// Classes, because a request holds their instances (`guard/decision/decide.ts` gives the reason).

export class Remembered implements Verification {
  readonly text: string
  readonly token: Redacted.Redacted
  readonly verified: Effect.Effect<VerifiedToken, Rejection>

  constructor(text: string, token: Redacted.Redacted, verified: Effect.Effect<VerifiedToken, Rejection>) {
    this.text = text
    this.token = token
    this.verified = verified
  }
}

/**
 * The verifications of one request by one authenticator: of the token in the `Authorization` header, and of the last token that the program itself presented.
 * A program that presents one token after the other does not fill the memory.
 */
class RequestMemory {
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
 * All verifications of a request, under a private name of the request. No other code finds them, and they end with the request. A request that `modify`
 * returns is a different one, because a verifier may decide otherwise about it. A `WeakMap` would work, but a key for each request costs the garbage
 * collector more than the whole decision.
 */
class RequestMemories extends ReturnOverride {
  readonly #list: Array<RequestMemory> = []

  static find(request: HttpServerRequest, authenticator: object): RequestMemory | undefined {
    if (!(#list in request)) return
    for (const memory of request.#list) if (memory.authenticator === authenticator) return memory
    return
  }

  static add(request: HttpServerRequest, authenticator: object): RequestMemory {
    const memories = #list in request ? request : new RequestMemories(request)
    const memory = new RequestMemory(authenticator)
    memories.#list.push(memory)
    return memory
  }
}

/** Returns the verification of a token, if the authenticator has verified it for this request. */
export const recall = (request: HttpServerRequest, authenticator: object, text: string): Remembered | undefined => {
  const memory = RequestMemories.find(request, authenticator)
  if (memory?.own?.text === text) return memory.own
  return memory?.last?.text === text ? memory.last : undefined
}

/** Keeps a verification for the rest of the request. */
export const remember = (
  request: HttpServerRequest,
  authenticator: object,
  place: "own" | "last",
  verification: Remembered
): Remembered => {
  const memory = RequestMemories.find(request, authenticator) ?? RequestMemories.add(request, authenticator)
  memory[place] = verification
  return verification
}
