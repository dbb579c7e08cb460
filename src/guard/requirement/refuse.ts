/** The errors with which a demand refuses, and how each is answered. Those that are the same for many requests are made once. */
import * as Effect from "effect/Effect"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import * as Challenge from "../../core/Challenge.ts"
import { InsufficientScope, type SecurityError } from "../../core/SecurityError.ts"
import { SecurityScopes } from "../../core/SecurityScopes.ts"
import { constant, isConstant } from "../../core/constantErrors.ts"
import { asked, holds, type Part, settingsOf } from "./policy.ts"
import { Refusal } from "./refusal.ts"
import { satisfies } from "../scheme/implication.ts"
import * as requiredScopes from "../../core/requiredScopes.ts"
import * as scope from "../../core/scope.ts"
import type { Scheme } from "../scheme/scheme.ts"

/** The error that names all that is asked. */
export const insufficient = (
  part: Part,
  outer: ReadonlyArray<string>,
  token: VerifiedToken,
  failed: ReadonlyArray<string>
): InsufficientScope => {
  const required = outer.length === 0 ? part.settings.scopes : asked(part, outer)
  const missing = required.filter((name) => !satisfies(part.scheme.implication, token.scopes, name))
  if (failed.length > 0) return new InsufficientScope({ required, missing, checks: failed })
  return outer.length === 0 ? constantOf(part, missing) : new InsufficientScope({ required, missing })
}

// Few different sets of scopes are missing, and clients do not choose how many.
const maxConstants = 64

const constantOf = ({ insufficient, settings }: Part, missing: ReadonlyArray<string>): InsufficientScope => {
  const key = missing.join(" ")
  const known = insufficient.get(key)
  if (known !== undefined) return known
  const error = new InsufficientScope({ required: settings.scopes, missing })
  if (insufficient.size < maxConstants) insufficient.set(key, constant(error))
  return error
}

export const refuse = (part: Part, outer: ReadonlyArray<string>, error: SecurityError): Refusal => {
  if (outer.length > 0) return new Refusal(error, settingsOf(part, outer))
  const known = part.refusals.get(error)
  if (known !== undefined) return known
  const refusal = new Refusal(error, part.settings)
  if (isConstant(error)) part.refusals.set(error, refusal)
  return refusal
}

/** Fails with an error that was made elsewhere, answered as the scheme does: with the scopes that are required of it here, and those that the error names. */
export const raise = <E extends SecurityError>(scheme: Scheme, error: E): Effect.Effect<never, E> =>
  Effect.flatMap(SecurityScopes, (required) => {
    const own = error._tag === "InsufficientScope" ? error.required : []
    const scopes = scope.union(requiredScopes.ofScheme(required, scheme), own)
    return Effect.fail(Challenge.within(error, scheme.settings(scheme.implication.minimal(scopes))))
  })

/** The decision about a verified token: nothing, or the error. */
export const decide = (
  part: Part,
  outer: ReadonlyArray<string>,
  token: VerifiedToken
): Effect.Effect<InsufficientScope | undefined> => {
  const failed: Array<string> = []
  return Effect.mapEager(holds(part, outer, token, failed), (holds) =>
    holds ? undefined : insufficient(part, outer, token, failed)
  )
}

/** The failure of a demand, of whose clauses these were refused, each with the refusals of all its parts. */
export const failureOf = (clauses: ReadonlyArray<ReadonlyArray<Refusal>>): Effect.Effect<never, SecurityError> => {
  // Every clause has to hold: where one is refused, it does not help to wait for another.
  const certain = clauses.filter((refusals) => !isOutage(best(refusals)))
  const refusals = (certain.length > 0 ? certain : clauses).flat()
  const [refusal] = refusals
  return refusal !== undefined && refusals.length === 1 ? refusal.failure : Effect.fail(bestError(refusals))
}

// A token that one scheme knows and finds too weak says more than one that another scheme does not know; and while a scheme cannot tell, the
// token is not refused.
const precedence: ReadonlyArray<SecurityError["_tag"]> = [
  "InsufficientScope",
  "AuthorizationServerUnavailable",
  "InvalidToken",
  "InvalidRequest",
  "NotAuthenticated"
]

const best = (refusals: ReadonlyArray<Refusal>): Refusal => {
  const [best] = refusals.toSorted((a, b) => precedence.indexOf(a.error._tag) - precedence.indexOf(b.error._tag))
  if (best === undefined) throw new Error("There is no refusal to answer with.")
  return best
}

const isOutage = ({ error }: Refusal): boolean => error._tag === "AuthorizationServerUnavailable"

const bestError = (refusals: ReadonlyArray<Refusal>): SecurityError => {
  const { error, settings } = best(refusals)
  if (error._tag === "AuthorizationServerUnavailable") return Challenge.within(error, settings)
  const challenges = refusals.flatMap(
    ({ error, settings }) => Challenge.answer(error, settings).headers["www-authenticate"] ?? []
  )
  return Challenge.within(error, settings, Array.from(new Set(challenges)))
}
