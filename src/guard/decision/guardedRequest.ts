/** What a guard stands for, what it is asked, and what it says. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type { RequiredScopes } from "../../core/requiredScopes.ts"
import { SecurityScopes } from "../../core/SecurityScopes.ts"
import type { Policy, Part } from "../requirement/policy.ts"
import type { Refusal } from "../requirement/refusal.ts"
import type { Authentication, Scheme } from "../scheme/scheme.ts"
import type { Place } from "./place.ts"

// What a handler gives, needs and fails with is in the types of whoever calls the guard (`SecurityRequirement`, `auth.prove`).
export type Handler = Effect.Effect<unknown, unknown, unknown>

export type Authentications = ReadonlyMap<Scheme, Authentication>

export interface Guard {
  readonly policy: Policy
  readonly authentications: Authentications
  readonly handler: Handler
  /** Where it stands in an `HttpApi`. */
  readonly place: Place | undefined
}

// What holds a request is made by a constructor. V8 learns of an object literal that its objects live long (those of the first requests, which wait for the
// issuer's keys), and then makes the later ones where they live until the next full collection, with the whole request that they hold.

/** One decision: what is demanded, and of which request. */
export class GuardedRequest {
  readonly guard: Guard
  readonly policy: Policy
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly context: Context.Context<never>
  readonly request: HttpServerRequest | undefined
  /** What is required further out. */
  readonly required: RequiredScopes

  constructor(guard: Guard, policy: Policy, fiber: Fiber.Fiber<unknown, unknown>) {
    this.guard = guard
    this.policy = policy
    this.fiber = fiber
    this.context = fiber.context
    this.request = Context.getOrUndefined(fiber.context, HttpServerRequest)
    this.required = Context.get(fiber.context, SecurityScopes)
  }
}

export class Accepted {
  readonly part: Part
  /** `undefined` for an anonymous request, where the part is optional. */
  readonly token: Redacted.Redacted | undefined
  readonly accessToken: VerifiedToken | undefined

  constructor(part: Part, token: Redacted.Redacted | undefined, accessToken: VerifiedToken | undefined) {
    this.part = part
    this.token = token
    this.accessToken = accessToken
  }
}

/** About one clause. */
export type Verdict = Accepted | Refusal | ReadonlyArray<Refusal>
