// A class that extends this puts its private names on the target itself.
const Given = function (target: object) {
  return target
} as unknown as new (target: object) => object

/**
 * Lists that are kept with objects, under a private name of the object itself: nobody else finds them. A `WeakMap` would do; with a key for each request it
 * costs more, in the garbage collector, than all else that is done about the request.
 */
export class Memories<A> extends Given {
  readonly #list: Array<A> = []

  static of<A>(target: object): Array<A> {
    const known = #list in target ? target : new Memories<A>(target)
    return (known as Memories<A>).#list
  }
}
