/** Computes one value for each list of objects. */

/** Remembers a value as long as all objects of its list are alive. */
export class Memo<A> {
  readonly #next = new WeakMap<object, Memo<A>>()
  #value: { readonly value: A } | undefined

  get([key, ...more]: ReadonlyArray<object>, make: () => A): A {
    if (key === undefined) return (this.#value ??= { value: make() }).value
    const next = this.#next.get(key) ?? new Memo<A>()
    this.#next.set(key, next)
    return next.get(more, make)
  }
}
