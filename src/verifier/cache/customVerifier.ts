/** Copies the tokens that custom verifiers return. */
import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { type Confirmation, confirmationOf } from "../../core/confirmation.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import { failConstant } from "../../core/constantErrors.ts"
import { isData, isDateTime } from "../../core/lib/freeze.ts"
import { own } from "../../core/lib/ownProperties.ts"
import { GrantedScopes } from "../../core/lib/grantedScopes.ts"
import { fromClaim } from "../../core/scope.ts"
import { frozen, type FrozenToken, type Rejection } from "./verified.ts"

const expired = failConstant(new InvalidToken({ reason: "Expired" }))

/**
 * Returns a frozen copy of the token of a custom verifier, because the program may change the original later, such as a
 * session. Refuses an expired token.
 */
export const copyUnexpired = (
  verified: Effect.Effect<VerifiedToken, Rejection>,
  clock: Clock.Clock
): Effect.Effect<FrozenToken, Rejection> =>
  Effect.flatMapEager(verified, (token) =>
    token.expiresAt.epochMilliseconds > clock.currentTimeMillisUnsafe() ? Effect.succeed(frozenCopyOf(token)) : expired
  )

const frozenCopyOf = (token: VerifiedToken): FrozenToken => {
  try {
    return frozen(copyOfToken(token))
  } catch {
    // Getters of custom claims may throw. Such a token is not cached.
    return { token, bytes: Infinity }
  }
}

/**
 * Returns the key to which the token of a custom verifier is bound. Without a `confirmation`, the claim `cnf` counts. A
 * verifier that copies the claims of a bound token must not make a bearer token of it.
 */
const boundTo = (token: VerifiedToken): Confirmation | undefined =>
  // Safe cast: a binding that has another form never matches a key.
  confirmationOf(token) ?? (own(token.claims, "cnf") as Confirmation | undefined)

// Reads each property by its name, because the token may be an instance of a class with getters.
const copyOfToken = (token: VerifiedToken): VerifiedToken => {
  const confirmation = boundTo(token)
  return {
    subject: token.subject,
    clientId: copyOfOption(token.clientId, copyOfData),
    issuer: token.issuer,
    expiresAt: copyOfDateTime(token.expiresAt),
    issuedAt: copyOfOption(token.issuedAt, copyOfDateTime),
    tokenId: copyOfOption(token.tokenId, copyOfData),
    // A verifier in JavaScript may not know these properties. They then satisfy no requirement.
    acr: copyOfOption(token.acr ?? Option.none(), copyOfData),
    authenticatedAt: copyOfOption(token.authenticatedAt ?? Option.none(), copyOfDateTime),
    amr: Array.from(token.amr ?? []),
    authorizationDetails: copyOfData(token.authorizationDetails ?? []),
    scopes: GrantedScopes.is(token.scopes) ? token.scopes : fromClaim(Array.from(token.scopes)),
    audience: Array.from(token.audience),
    ...(confirmation === undefined ? {} : { confirmation: copyOfData(confirmation) }),
    claims: copyOfData(token.claims)
  }
}

const copyOfOption = <A>(option: Option.Option<A>, copyOfValue: (value: A) => A): Option.Option<A> =>
  Option.isSome(option) ? Option.some(copyOfValue(option.value)) : Option.none()

const copyOfDateTime = ({ epochMilliseconds }: DateTime.Utc): DateTime.Utc => DateTime.makeUnsafe(epochMilliseconds)

/** Copies a value and its nested values if they are data (`isData`). Other values are not copied. */
export const copyOfData = <A>(value: A): A => {
  if (typeof value !== "object" || value === null) return value
  // `copyOf` adds nested objects while the loop below runs. A recursion could overflow the stack.
  const copies = new Map<object, Members>()
  const copyOf = (member: unknown): unknown => {
    if (typeof member !== "object" || member === null || !isData(member)) return member
    if (isDateTime(member)) return copyOfDateTime(member)
    const copy = copies.get(member) ?? emptyCopyOf(member)
    copies.set(member, copy)
    return copy
  }
  const result = copyOf(value)
  for (const [object, copy] of copies) {
    for (const [name, member] of Object.entries(object)) set(copy, name, copyOf(member))
  }
  // Safe cast: the copy has the type of the value.
  return result as A
}

type Members = Record<string, unknown>

const emptyCopyOf = (value: object): Members => {
  const prototype: unknown = Object.getPrototypeOf(value)
  // Safe cast: the members of an array have names, too.
  if (Array.isArray(value)) return [] as unknown as Members
  // Prototype pollution: the copy of a plain object has no prototype, so an absent claim is always `undefined`.
  return Object.create(prototype === Object.prototype ? null : (prototype as object | null)) as Members
}

const set = (object: Members, name: string, value: unknown): void => {
  // An assignment to `__proto__` would replace the prototype of the object.
  if (name !== "__proto__") object[name] = value
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
}
