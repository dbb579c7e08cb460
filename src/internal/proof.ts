import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { VerifiedToken } from "../AccessToken.ts"
import { satisfies } from "./implication.ts"
import type { Scheme } from "./scheme.ts"

/** The request that the server received; none in a program without HTTP. */
type For = object | undefined

/**
 * That a token of this scheme was verified, with these scopes, for this request. Only the guard and `auth.grant` make one: the class is not
 * exported from the package, and a look-alike in the context is not an instance of it.
 */
export class Proof {
  readonly scheme: Scheme
  readonly for: For
  readonly token: VerifiedToken
  /** Those that a requirement demanded and the token has: what the types know, not all that the token could do. */
  readonly scopes: ReadonlySet<string>

  constructor(scheme: Scheme, forRequest: For, token: VerifiedToken, scopes: ReadonlySet<string>) {
    this.scheme = scheme
    this.for = forRequest
    this.token = token
    this.scopes = scopes
  }
}

/** A program demanded a grant where no requirement has proven it: the programmer's mistake, so a defect. */
export class NotProven extends Error {
  override readonly name = "NotProven"
}

/** The proof in force, or why there is none. */
const current = (context: Context.Context<never>, scheme: Scheme): Proof | string => {
  const proof = Context.get(context, scheme.proof)
  const request = Context.getOrUndefined(context, HttpServerRequest)
  if (!(proof instanceof Proof) || proof.scheme !== scheme) return "no requirement of the scheme guards this route"
  if (request?.source === proof.for) return proof
  return proof.for === undefined
    ? "what was proven was proven outside of the request (auth.grant is for tests without HTTP; auth.layerTest is for requests)"
    : "what was proven was proven for another request"
}

/** Runs `use` with the proof; without one the request fails, the log says what is wrong, and nobody is let in. */
const withProof = <A>(
  scheme: Scheme,
  scopes: ReadonlyArray<string>,
  use: (proof: Proof, has: (scope: string) => boolean) => A | undefined
): Effect.Effect<A> =>
  Effect.withFiber((fiber) => {
    const proof = current(fiber.context, scheme)
    const result =
      typeof proof === "string" ? undefined : use(proof, (scope) => satisfies(scheme.implication, proof.scopes, scope))
    if (result !== undefined) return Effect.succeed(result)
    const needed = scopes.map((scope) => JSON.stringify(scope)).join(", ")
    const why = typeof proof === "string" ? proof : "its requirements do not demand the scope"
    const defect = new NotProven(
      `A handler relies on ${needed} of the scheme ${JSON.stringify(scheme.name)}, which its route or endpoint has not proven: ${why}.`
    )
    return Effect.andThen(Effect.logError(defect.message), Effect.die(defect))
  })

export const all = (scheme: Scheme, scopes: ReadonlyArray<string>): Effect.Effect<VerifiedToken> =>
  withProof(scheme, scopes, (proof, has) => (scopes.every(has) ? proof.token : undefined))

export const any = <Scope extends string>(scheme: Scheme, scopes: ReadonlyArray<Scope>): Effect.Effect<Scope> =>
  withProof(scheme, scopes, (_, has) => scopes.find(has))
