/** Reads the proof of a request, for `auth.granted`. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { isProven } from "../scheme/implication.ts"
import * as Origin from "../scheme/origin.ts"
import { Proof, type Scheme } from "../scheme/scheme.ts"

/** Defect of a handler that relies on a scope that no requirement has proven. */
class NotProven extends Error {
  override readonly name = "NotProven"
}

/** Returns the proof for the current request, or the reason why there is none. */
const current = (context: Context.Context<never>, scheme: Scheme): Proof | string => {
  const origin = Origin.of(Context.getOrUndefined(context, HttpServerRequest))
  const proof = Proof.find(context, scheme, origin)
  if (proof !== undefined) return proof
  const other = Proof.ofAnyRequest(context, scheme)
  if (other === undefined) return "no requirement of the scheme guards this route"
  return other.origin.source === undefined
    ? "the proof is from outside the request (auth.layerTestGranted is for tests without HTTP; auth.layerTest is for requests)"
    : "the proof is for another request"
}

/** Runs `use` with the proof. Without a proof, logs the reason and dies. */
const withProof = <A>(
  scheme: Scheme,
  scopes: ReadonlyArray<string>,
  use: (proof: Proof, has: (scope: string) => boolean) => A | undefined
): Effect.Effect<A> =>
  Effect.withFiber((fiber) => {
    const proof = current(fiber.context, scheme)
    const result =
      typeof proof === "string" ? undefined : use(proof, (scope) => isProven(scheme.implication, proof.scopes, scope))
    if (result !== undefined) return Effect.succeed(result)
    const needed = scopes.length === 0 ? "a token" : scopes.map((scope) => JSON.stringify(scope)).join(", ")
    const why = typeof proof === "string" ? proof : "its requirements do not include the scope"
    const defect = new NotProven(
      `A handler relies on ${needed} of the scheme ${JSON.stringify(scheme.name)}, which its route or endpoint has not proven: ${why}. Add a requirement of the scheme to the route or endpoint.`
    )
    return Effect.andThen(Effect.logError(defect.message), Effect.die(defect))
  })

export const all = (scheme: Scheme, scopes: ReadonlyArray<string>): Effect.Effect<VerifiedToken> =>
  withProof(scheme, scopes, (proof, has) => (scopes.every(has) ? proof.token : undefined))

export const any = <Scope extends string>(scheme: Scheme, scopes: ReadonlyArray<Scope>): Effect.Effect<Scope> =>
  withProof(scheme, scopes, (_, has) => scopes.find(has))

/** Returns the token that the scheme verified for the current request, or `None` if the request is anonymous. */
export const optional = (scheme: Scheme): Effect.Effect<Option.Option<VerifiedToken>> =>
  Effect.withFiber(({ context }) => {
    const origin = Origin.of(Context.getOrUndefined(context, HttpServerRequest))
    const proof = Proof.find(context, scheme, origin) ?? Proof.find(context, scheme, origin, "optionalProof")
    return Effect.succeed(Option.map(Option.fromUndefinedOr(proof), ({ token }) => token))
  })
