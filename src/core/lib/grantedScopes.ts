/** Immutable set for the scopes of a token. */

const refuse = (): never => {
  throw new TypeError("The scopes of a verified token are read-only. Create a new Set to change them.")
}

/**
 * A set that cannot be changed. All requests with the same cached token share their scopes. A frozen `Set` is not
 * enough, because `Set.prototype.add.call` still adds to it. No method returns the private set that holds the names.
 */
export class GrantedScopes implements ReadonlySet<string> {
  readonly #names: ReadonlySet<string>
  /** Logs and structural comparisons read own properties only, so the names are repeated in this one. */
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

// `instanceof Set` must be true for schemas and structural equality. The methods of `Set.prototype` throw for this
// object, because it is not a real set.
Object.setPrototypeOf(GrantedScopes.prototype, Set.prototype)
Object.freeze(GrantedScopes.prototype)
Object.freeze(GrantedScopes)
