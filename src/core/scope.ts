/**
 * The one home of the syntax of scopes (RFC 6749 §3.3), and of sets and lists of them.
 *
 *     scope       = scope-token *( SP scope-token )
 *     scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
 */

import { GrantedScopes } from "./lib/grantedScopes.ts"

const scopeToken = /^[\x21\x23-\x5B\x5D-\x7E]+$/

const isScopeToken = (value: unknown): value is string => typeof value === "string" && scopeToken.test(value)

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

/**
 * The scopes that a claim grants: a string separated by single spaces (RFC 6749 §3.3), or an array of strings. Whatever is not a scope-token
 * (an empty part, a TAB, a number) grants nothing; it is never an error, so that an odd claim is a 403 and not a 500.
 */
export const fromClaim = (claim: unknown): ReadonlySet<string> => new GrantedScopes(namesIn(claim).filter(isScopeToken))

const namesIn = (claim: unknown): ReadonlyArray<unknown> =>
  typeof claim === "string" ? claim.split(" ") : Array.isArray(claim) ? claim : []

/** An immutable set. */
export const setOf = (names: Iterable<string>): ReadonlySet<string> => new GrantedScopes(names)

/** `outer` then `inner`, each scope once, in the order of first appearance. */
export const union = (outer: ReadonlyArray<string>, inner: ReadonlyArray<string>): ReadonlyArray<string> =>
  Array.from(new Set([...outer, ...inner]))
