/**
 * The one home of the syntax of scopes (RFC 6749 §3.3), and of sets and lists of them.
 *
 *     scope       = scope-token *( SP scope-token )
 *     scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
 */

const scopeToken = /^[\x21\x23-\x5B\x5D-\x7E]+$/

const isScopeToken = (value: string): boolean => scopeToken.test(value)

/** Throws unless every name is a scope-token: the mistake is the programmer's, so it shows at start-up. */
export const assertScopeTokens = (where: string, scopes: Iterable<string>): void => {
  for (const scope of scopes) {
    if (!isScopeToken(scope)) {
      throw new TypeError(
        `${where}: ${JSON.stringify(scope)} is not a scope name. ` +
          `A scope name has one or more printable ASCII characters and no space, quotation mark or backslash (RFC 6749 §3.3).`
      )
    }
  }
}

const refuse = (): never => {
  throw new TypeError("What a token grants does not change.")
}

/** Scopes that nobody adds to: what is kept of a token is given to every request that brings it. */
class Scopes extends Set<string> {
  constructor(names: Iterable<unknown>) {
    super()
    for (const name of names) if (typeof name === "string" && isScopeToken(name)) super.add(name)
  }

  override add(): never {
    return refuse()
  }

  override delete(): never {
    return refuse()
  }

  override clear(): never {
    return refuse()
  }
}

/**
 * The scopes that a claim grants: a string separated by single spaces (RFC 6749 §3.3), or an array of strings. Whatever is not a scope-token
 * (an empty part, a TAB, a number) grants nothing; it is never an error, so that an odd claim is a 403 and not a 500.
 */
export const fromClaim = (claim: unknown): ReadonlySet<string> =>
  new Scopes(typeof claim === "string" ? claim.split(" ") : Array.isArray(claim) ? claim : [])

/** `outer` then `inner`, each scope once, in the order of first appearance. */
export const union = (outer: ReadonlyArray<string>, inner: ReadonlyArray<string>): ReadonlyArray<string> =>
  Array.from(new Set([...outer, ...inner]))
