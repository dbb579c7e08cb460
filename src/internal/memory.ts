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

/** What an authenticator remembers of one request: the credential of its `Authorization` field, and the last token that a program brought besides. */
export class Memory {
  readonly authenticator: Authenticator
  readonly source: object
  own: Remembered | undefined
  last: Remembered | undefined

  constructor(authenticator: Authenticator, source: object) {
    this.authenticator = authenticator
    this.source = source
  }
}

// A class that extends this puts its private names on the target itself.
const Given = function (target: object) {
  return target
} as unknown as new (target: object) => object

const none: ReadonlyArray<Memory> = []

/**
 * What is remembered for as long as an object lives, under a private name of the object itself: nobody else finds it. A `WeakMap` would do; with a key for
 * each request it costs more, in the garbage collector, than all else that is done about the request.
 */
export class Memories extends Given {
  readonly #list: Array<Memory> = []

  static of(target: object): ReadonlyArray<Memory> {
    return #list in target ? target.#list : none
  }

  static add(target: object, memory: Memory): void {
    const memories = #list in target ? target : new Memories(target)
    memories.#list.push(memory)
  }
}
