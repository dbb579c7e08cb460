/** Reads the proof of a request, for `auth.granted`. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import { VerifiedCredential } from "../../core/verifiedCredential.ts"
import * as invalidations from "../../verifier/cache/invalidations.ts"
import * as sessionEnds from "../../verifier/request/sessionEnds.ts"
import { failWith } from "../requirement/refuse.ts"
import { authenticationNames, boundTokenName, type Expression, scopeNamed } from "../requirement/expression.ts"
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
  needed: ReadonlyArray<Expression>,
  use: (proof: Proof, has: (needed: Expression) => boolean) => A | undefined
): Effect.Effect<A> =>
  Effect.withFiber((fiber) => {
    const proof = current(fiber.context, scheme)
    const result = typeof proof === "string" ? undefined : use(proof, (needed) => has(proof, needed))
    if (result !== undefined) return Effect.succeed(result)
    const names = needed.length === 0 ? "a token" : needed.map(nameOf).join(", ")
    const why = typeof proof === "string" ? proof : "its requirements do not include the scope"
    const defect = new NotProven(
      `A handler relies on ${names} of the scheme ${JSON.stringify(scheme.name)}, which its route or endpoint has not proven: ${why}. Add a requirement of the scheme to the route or endpoint.`
    )
    return Effect.andThen(Effect.logError(defect.message), Effect.die(defect))
  })

/** Returns `true` if a proof contains what is needed. No proof contains a check. */
const has = (proof: Proof, needed: Expression): boolean => {
  switch (needed._tag) {
    case "Scope":
      return isProven(proof.scheme.implication, proof.scopes, needed.scope)
    case "Authentication":
      return authenticationNames(needed).some((name) => proof.authentications.has(name))
    case "SenderConstrained":
      return proof.authentications.has(boundTokenName)
    case "All":
      // Without members, the proof would contain nothing.
      return needed.of.length > 0 && needed.of.every((one) => has(proof, one))
    case "Any":
      return needed.of.some((one) => has(proof, one))
    default:
      return false
  }
}

const nameOf = (needed: Expression): string => {
  switch (needed._tag) {
    case "All":
    case "Any":
      if (needed.of.length === 0) return "a requirement without conditions"
      return needed.of.map(nameOf).join(needed._tag === "All" ? ", " : " or ")
    case "Authentication":
      return authenticationNames(needed)
        .map((name) => JSON.stringify(name))
        .join(" or ")
    case "SenderConstrained":
      return "a key or certificate of the client"
    case "Check":
      return `the check ${JSON.stringify(needed.name)}`
    default:
      return JSON.stringify(needed.scope)
  }
}

export const all = (scheme: Scheme, needed: ReadonlyArray<Expression>): Effect.Effect<VerifiedToken> =>
  withProof(scheme, needed, (proof, has) => (needed.every(has) ? proof.token : undefined))

export const any = <Scope extends string>(scheme: Scheme, scopes: ReadonlyArray<Scope>): Effect.Effect<Scope> =>
  withProof(scheme, scopes.map(scopeNamed), (_, has) => scopes.find((scope) => has(scopeNamed(scope))))

/** Returns the credential of the proof. A proof of `layerTestGranted` has none, because no request has brought it. */
export const credential = (scheme: Scheme): Effect.Effect<VerifiedCredential> =>
  Effect.flatten(
    withProof(scheme, [], ({ credential, token }) =>
      credential === undefined
        ? Effect.die(
            new NotProven(
              `The token of the scheme ${JSON.stringify(scheme.name)} has no credential, because it is from a layer for tests. Send a request with a token of TestIssuer instead.`
            )
          )
        : Effect.succeed(new VerifiedCredential(credential, token.expiresAt.epochMilliseconds))
    )
  )

/** Fails when the token of the proof expires or is invalidated, or when the session of the proof ends. */
export const expiry = (scheme: Scheme): Effect.Effect<never, InvalidToken> =>
  Effect.flatten(withProof(scheme, [], (proof) => endOf(proof)))

const endOf = ({ credential, invalidations: since, scheme, token }: Proof): Effect.Effect<never, InvalidToken> => {
  const end = (reason: "Expired" | "Rejected") => failWith(scheme, new InvalidToken({ reason }))
  const expired = Effect.andThen(until(token.expiresAt.epochMilliseconds), end("Expired"))
  const text = credential && textOf(credential)
  const rejections = [
    text === undefined ? undefined : invalidations.next(text, since),
    credential && sessionEnds.endOf(credential)
  ]
  return rejections.reduce<Effect.Effect<never, InvalidToken>>(
    (ends, rejection) =>
      rejection === undefined ? ends : Effect.raceFirst(ends, Effect.andThen(rejection, end("Rejected"))),
    expired
  )
}

/** A handler may have wiped the token. */
const textOf = (credential: Redacted.Redacted): string | undefined => {
  try {
    return Redacted.value(credential)
  } catch {
    return
  }
}

// A timer of JavaScript with a longer delay runs at once.
const maxDelay = 2 ** 31 - 1

const until = (time: number): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    now >= time ? Effect.void : Effect.andThen(Effect.sleep(Math.min(time - now, maxDelay)), until(time))
  )

/** Runs an effect that fails when a token of the schemes expires or is invalidated. */
export const whileValid = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  schemes: ReadonlySet<Scheme>
): Effect.Effect<A, E | InvalidToken, R> =>
  Effect.withFiber(({ context }) => {
    const origin = Origin.of(Context.getOrUndefined(context, HttpServerRequest))
    const proofs = Array.from(schemes).flatMap(
      (scheme) => Proof.find(context, scheme, origin) ?? Proof.find(context, scheme, origin, "optionalProof") ?? []
    )
    return proofs.reduce<Effect.Effect<A, E | InvalidToken, R>>(
      (self, proof) => Effect.raceFirst(self, endOf(proof)),
      self
    )
  })

/** Returns the token that the scheme verified for the current request, or `None` if the request is anonymous. */
export const optional = (scheme: Scheme): Effect.Effect<Option.Option<VerifiedToken>> =>
  Effect.withFiber(({ context }) => {
    const origin = Origin.of(Context.getOrUndefined(context, HttpServerRequest))
    const proof = Proof.find(context, scheme, origin) ?? Proof.find(context, scheme, origin, "optionalProof")
    return Effect.succeed(Option.map(Option.fromUndefinedOr(proof), ({ token }) => token))
  })
