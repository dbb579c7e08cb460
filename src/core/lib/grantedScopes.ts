/** The scopes of a token: an immutable set. */

const refuse = (): never => {
  throw new TypeError("The scopes of a token cannot be changed.")
}

/**
 * A set without methods that change it. Every request with a cached token gets the same scopes. A frozen `Set` is not enough: `Set.prototype.add.call` adds to
 * it. So the names are in a private set, which no method hands out.
 */
export class GrantedScopes implements ReadonlySet<string> {
  readonly #names: ReadonlySet<string>
  /** The same names in an own property, so that logs show them, and structural comparisons do not take two different sets for equal. */
  readonly names: ReadonlyArray<string>

  constructor(names: Iterable<string>) {
    this.#names = new Set(names)
    this.names = Object.freeze(Array.from(this.#names))
    Object.freeze(this)
  }

  static is(value: unknown): value is GrantedScopes {
    return typeof value === "object" && value !== null && #names in value
  }

  get size(): number {
    return this.#names.size
  }

  get [Symbol.toStringTag](): string {
    return "Set"
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }

  forEach(f: (name: string, same: string, scopes: ReadonlySet<string>) => void, thisArg?: unknown): void {
    for (const name of this.#names) f.call(thisArg, name, name, this)
  }

  [Symbol.iterator](): SetIterator<string> {
    return this.#names.values()
  }

  keys(): SetIterator<string> {
    return this.#names.keys()
  }

  values(): SetIterator<string> {
    return this.#names.values()
  }

  entries(): SetIterator<[string, string]> {
    return this.#names.entries()
  }

  union<A>(other: ReadonlySetLike<A>): Set<string | A> {
    return this.#names.union(other)
  }

  intersection<A>(other: ReadonlySetLike<A>): Set<string & A> {
    return this.#names.intersection(other)
  }

  difference<A>(other: ReadonlySetLike<A>): Set<string> {
    return this.#names.difference(other)
  }

  symmetricDifference<A>(other: ReadonlySetLike<A>): Set<string | A> {
    return this.#names.symmetricDifference(other)
  }

  isSubsetOf(other: ReadonlySetLike<unknown>): boolean {
    return this.#names.isSubsetOf(other)
  }

  isSupersetOf(other: ReadonlySetLike<unknown>): boolean {
    return this.#names.isSupersetOf(other)
  }

  isDisjointFrom(other: ReadonlySetLike<unknown>): boolean {
    return this.#names.isDisjointFrom(other)
  }

  add(): never {
    return refuse()
  }

  delete(): never {
    return refuse()
  }

  clear(): never {
    return refuse()
  }
}

// `instanceof Set` holds, so that schemas and structural equality know scopes as a set. The methods of `Set.prototype` refuse an object that is not a real set.
Object.setPrototypeOf(GrantedScopes.prototype, Set.prototype)
Object.freeze(GrantedScopes.prototype)
Object.freeze(GrantedScopes)
