import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { Scope } from "effect/Scope"
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

/**
 * What an authenticator remembers of one handling of a request: the credential of its `Authorization` field, and the last token that a program brought
 * besides.
 */
export class Memory {
  readonly authenticator: Authenticator
  readonly request: HttpServerRequest
  readonly scope: Scope | undefined
  own: Remembered | undefined
  last: Remembered | undefined

  constructor(authenticator: Authenticator, request: HttpServerRequest, scope: Scope | undefined) {
    this.authenticator = authenticator
    this.request = request
    this.scope = scope
  }

  /**
   * `Effect.scoped` is another scope around the same request; `modify` makes another request in the same scope, which is the same where it changes nothing
   * that a verifier may look at.
   */
  isOf(request: HttpServerRequest, scope: Scope | undefined): boolean {
    const { method, originalUrl, url } = this.request
    return (
      this.request === request ||
      (this.scope === scope &&
        request.url === url &&
        request.method === method &&
        request.originalUrl === originalUrl &&
        request.headers === this.request.headers)
    )
  }
}

// A class that extends this puts its private names on the target itself.
const Given = function (target: object) {
  return target
} as unknown as new (target: object) => object

/**
 * What is remembered of a request, by each authenticator of its last handling, under a private name of what the server received: nobody else finds it, and
 * it ends with the request. A `WeakMap` would do; with a key for each request it costs more, in the garbage collector, than all else that is done about the
 * request.
 */
export class Memories extends Given {
  #list: ReadonlyArray<Memory> = []

  static of(source: object, authenticator: Authenticator): Memory | undefined {
    return #list in source ? source.#list.find((memory) => memory.authenticator === authenticator) : undefined
  }

  static set(source: object, memory: Memory): void {
    const memories = #list in source ? source : new Memories(source)
    memories.#list = [...memories.#list.filter(({ authenticator }) => authenticator !== memory.authenticator), memory]
  }
}
