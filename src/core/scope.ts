/**
 * The syntax of scopes (RFC 6749 §3.3), and sets and lists of scopes.
 *
 *     scope       = scope-token *( SP scope-token )
 *     scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
 */

import { GrantedScopes } from "./lib/grantedScopes.ts"

const scopeToken = /^[\x21\x23-\x5B\x5D-\x7E]+$/

export const isScopeToken = (value: unknown): value is string => typeof value === "string" && scopeToken.test(value)

/** Throws a `TypeError` if a name is not a scope-token. `where` is the function that received the names. */
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

/**
 * Returns the scopes that a claim grants. The claim is a string separated by single spaces (RFC 6749 §3.3), or an array
 * of strings. Any other part, such as an empty string, a TAB or a number, grants nothing. It is not an error, so a
 * malformed claim causes a 403 and not a 500.
 */
export const fromClaim = (claim: unknown): ReadonlySet<string> => new GrantedScopes(namesIn(claim).filter(isScopeToken))

const namesIn = (claim: unknown): ReadonlyArray<unknown> =>
  typeof claim === "string" ? claim.split(" ") : Array.isArray(claim) ? claim : []

/** Creates an immutable set. */
export const setOf = (names: Iterable<string>): ReadonlySet<string> => new GrantedScopes(names)

/** Returns each scope of both lists once, in the order of first appearance. */
export const union = (outer: ReadonlyArray<string>, inner: ReadonlyArray<string>): ReadonlyArray<string> =>
  Array.from(new Set([...outer, ...inner]))
