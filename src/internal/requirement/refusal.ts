/** The errors with which a demand refuses, and how each is answered. Those that are the same for many requests are made once. */
import * as Effect from "effect/Effect"
import type { VerifiedToken } from "../../AccessToken.ts"
import * as Challenge from "../../Challenge.ts"
import { InsufficientScope, type SecurityError } from "../../SecurityError.ts"
import { SecurityScopes } from "../../SecurityScopes.ts"
import { constant, isConstant } from "../constantErrors.ts"
import { asked, holds, type Part, settingsOf } from "./demand.ts"
import { toEffect } from "../eventual.ts"
import { satisfies } from "./implication.ts"
import * as requiredScopes from "./requiredScopes.ts"
import * as scope from "./scope.ts"
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

/** An error, and how it is answered. */
export class Refusal {
  readonly error: SecurityError
  readonly settings: Challenge.Settings
  #failure: Effect.Effect<never, SecurityError> | undefined

  constructor(error: SecurityError, settings: Challenge.Settings) {
    this.error = error
    this.settings = settings
  }

  /** Fails with it, where it is all that is to be said. */
  get failure(): Effect.Effect<never, SecurityError> {
    return (this.#failure ??= Effect.fail(Challenge.within(this.error, this.settings)))
  }
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
  return Effect.map(toEffect(holds(part, outer, token, failed)), (holds) =>
    holds ? undefined : insufficient(part, outer, token, failed)
  )
}
