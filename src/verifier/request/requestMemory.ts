/** Stores the verifications of a request on the request itself. */
import type * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type { Verification } from "../cache/directVerifier.ts"
import type { NotAuthenticated } from "../../core/SecurityError.ts"
import type { Rejection } from "../cache/verified.ts"

// Classes instead of object literals: `guard/decision/decide.ts` gives the reason.

export class Remembered<E = Rejection> implements Verification<E> {
  readonly text: string
  /** For a session, `undefined` until the session is read. */
  token: Redacted.Redacted | undefined
  readonly verified: Effect.Effect<VerifiedToken, E>

  constructor(text: string, token: Redacted.Redacted | undefined, verified: Effect.Effect<VerifiedToken, E>) {
    this.text = text
    this.token = token
    this.verified = verified
  }
}

/** The verification of a session, which may have ended. */
export type RememberedSession = Remembered<NotAuthenticated | Rejection>

/** The verifications of one request by one authenticator. */
class RequestMemory {
  readonly authenticator: object
  /** The token in the `Authorization` header. */
  own: Remembered | undefined
  /** The token of the session cookie. Its text is the value of the cookie. */
  session: RememberedSession | undefined
  /** The last token that the program itself presented. Only the last, so that many tokens cannot fill the memory. */
  last: Remembered | undefined

  constructor(authenticator: object) {
    this.authenticator = authenticator
  }
}

// A subclass defines its private fields on the target itself.
const ReturnOverride = function (target: object) {
  return target
} as unknown as new (target: object) => object

/**
 * All verifications of a request, in a private field of the request. No other code can read the field, and it ends with
 * the request. The request that `modify` returns does not have it, because a verifier may refuse the modified request.
 * A `WeakMap` with one key per request would cost the garbage collector more than the whole decision.
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

/** Returns the verification of a token if the authenticator has verified the token for this request. */
export const recall = (request: HttpServerRequest, authenticator: object, text: string): Remembered | undefined => {
  const memory = RequestMemories.find(request, authenticator)
  if (memory?.own?.text === text) return memory.own
  return memory?.last?.text === text ? memory.last : undefined
}

/** Returns the verification of a session cookie. A token with the text of the cookie is another credential. */
export const recallSession = (
  request: HttpServerRequest,
  authenticator: object,
  cookie: string
): RememberedSession | undefined => {
  const session = RequestMemories.find(request, authenticator)?.session
  return session?.text === cookie ? session : undefined
}

/** Stores a verification for the rest of the request. */
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

/** Stores the verification of a session cookie for the rest of the request. */
export const rememberSession = (
  request: HttpServerRequest,
  authenticator: object,
  session: RememberedSession
): RememberedSession => {
  const memory = RequestMemories.find(request, authenticator) ?? RequestMemories.add(request, authenticator)
  memory.session = session
  return session
}
