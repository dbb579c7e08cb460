/** What a `TokenVerifier` of the user's own gives. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { VerifiedToken } from "../../AccessToken.ts"
import { InvalidToken } from "../../SecurityError.ts"
import type { Rejection } from "./directVerifier.ts"
import { constant } from "../constantErrors.ts"
import { fromClaim } from "../requirement/scope.ts"

const expired = Effect.fail(constant(new InvalidToken({ reason: "Expired" })))

/**
 * What a verifier of the user's own gives: a copy of the token, since the user may hold on to what it is made of (a session, say) and change it; and no token
 * whose time is over.
 */
export const copyUnexpired = (
  verified: Effect.Effect<VerifiedToken, Rejection>,
  clock: Clock.Clock
): Effect.Effect<VerifiedToken, Rejection> =>
  Effect.flatMapEager(verified, (token) =>
    token.expiresAt.epochMilliseconds > clock.currentTimeMillisUnsafe() ? Effect.succeed(copyOf(token)) : expired
  )

const copyOf = (token: VerifiedToken): VerifiedToken => {
  try {
    // By name: a class of the user's may have getters.
    return {
      subject: token.subject,
      clientId: token.clientId,
      issuer: token.issuer,
      expiresAt: token.expiresAt,
      issuedAt: token.issuedAt,
      tokenId: token.tokenId,
      scopes: fromClaim(Array.from(token.scopes)),
      audience: Array.from(token.audience),
      claims: copyOfData(token.claims)
    }
  } catch {
    // Claims of somebody's own making may throw when they are looked at; nothing is kept of them.
    return token
  }
}

const maxDepth = 64

/**
 * Arrays, and objects that are of no class, which the copy has without a prototype: who reads a claim that is not there reads `undefined`. All else is taken as
 * it is. What is nested deeper than that is kept for no other request (`freezeAndMeasure`).
 */
export const copyOfData = <A>(value: A, copies = new Map<unknown, unknown>(), depth = maxDepth): A => {
  if (typeof value !== "object" || value === null || depth === 0) return value
  const known = copies.get(value)
  if (known !== undefined) return known as A
  const prototype: unknown = Object.getPrototypeOf(value)
  const isArray = Array.isArray(value)
  if (!isArray && prototype !== null && prototype !== Object.prototype) return value
  const copy = isArray ? [] : Object.create(null)
  copies.set(value, copy)
  for (const [name, member] of Object.entries(value)) {
    const value: unknown = copyOfData(member, copies, depth - 1)
    // Set as every other, it would be the copy's prototype.
    if (name === "__proto__") {
      Object.defineProperty(copy, name, { value, enumerable: true, configurable: true, writable: true })
    } else {
      copy[name] = value
    }
  }
  return copy as A
}
