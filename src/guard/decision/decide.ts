/** Decides about one clause of a demand: at once, where the token is known. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { BearerToken } from "../../core/BearerToken.ts"
import { Authenticator } from "../../verifier/request/authenticator.ts"
import { errorOf, exitOf } from "../../core/lib/exit.ts"
import { toEffect, type ValueOrEffect } from "../../core/lib/valueOrEffect.ts"
import { type Clause, holds, type Part } from "../requirement/policy.ts"
import { Refusal } from "../requirement/refusal.ts"
import { insufficient, refuse } from "../requirement/refuse.ts"
import * as requiredScopes from "../../core/requiredScopes.ts"
import { Accepted, type GuardedRequest, type Verdict } from "./guardedRequest.ts"

/** The first part that accepts; else every part's refusal. */
export const decideClause = (
  question: GuardedRequest,
  clause: Clause,
  index = 0,
  refusals: ReadonlyArray<Refusal> = []
): ValueOrEffect<Verdict> => {
  const part = clause.at(index)
  if (part === undefined) return refusals
  const verdict = decidePart(question, part)
  if (verdict instanceof Accepted || (verdict instanceof Refusal && clause.length === 1)) return verdict
  const next = (refusal: Refusal) => decideClause(question, clause, index + 1, [...refusals, refusal])
  return verdict instanceof Refusal
    ? next(verdict)
    : Effect.flatMap(verdict, (verdict) => toEffect(verdict instanceof Accepted ? verdict : next(verdict)))
}

const decidePart = (question: GuardedRequest, part: Part): ValueOrEffect<Accepted | Refusal> => {
  const { context, fiber, guard, request, required } = question
  const { scheme } = part
  const authentication = guard.authentications.get(scheme) ?? Context.getOrUndefined(context, scheme.service)
  if (!(authentication?.authenticator instanceof Authenticator && authentication.scheme === scheme)) {
    const why = authentication === undefined ? "is not provided" : "is that of another scheme with the same name"
    return Effect.die(new Error(`The layer of the scheme ${JSON.stringify(scheme.name)} ${why}.`))
  }
  const outer = requiredScopes.ofScheme(required, scheme)
  const credential = credentialOf(authentication.authenticator, request, fiber)
  if (credential instanceof Error) {
    return part.optional && credential._tag === "NotAuthenticated"
      ? new Accepted(part, undefined, undefined)
      : refuse(part, outer, credential)
  }
  const { token, verified } = credential
  const exit = exitOf(verified)
  if (exit?._tag === "Success") return judge(part, outer, token, exit.value)
  const error = errorOf(verified)
  if (error !== undefined) return refuse(part, outer, error)
  return Effect.matchEffect(verified, {
    onFailure: (error) => Effect.succeed<Accepted | Refusal>(refuse(part, outer, error)),
    onSuccess: (accessToken) => toEffect(judge(part, outer, token, accessToken))
  })
}

const judge = (
  part: Part,
  outer: ReadonlyArray<string>,
  token: Redacted.Redacted,
  accessToken: VerifiedToken
): ValueOrEffect<Accepted | Refusal> => {
  const failed: Array<string> = []
  const verdict = holds(part, outer, accessToken, failed)
  if (verdict === true) return new Accepted(part, token, accessToken)
  const judged = (holds: boolean): Accepted | Refusal =>
    holds ? new Accepted(part, token, accessToken) : refuse(part, outer, insufficient(part, outer, accessToken, failed))
  return verdict === false ? judged(verdict) : Effect.map(verdict, judged)
}

/** Of a request its own credential counts, whatever `BearerToken` the context has; a program without HTTP brings one. */
const credentialOf = (
  authenticator: Authenticator,
  request: HttpServerRequest | undefined,
  fiber: Fiber.Fiber<unknown, unknown>
): ReturnType<Authenticator["fromRequest"]> => {
  if (request !== undefined) return authenticator.fromRequest(request, fiber)
  const token = Context.getUnsafe(fiber.context, BearerToken)
  return { token, verified: authenticator.fromToken(token, fiber) }
}
