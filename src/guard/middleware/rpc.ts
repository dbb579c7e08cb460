/** Connects guards to `effect/rpc`. Each message is decided anew, with the credential in its own headers. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Schema from "effect/Schema"
import { type Call, isStream, middlewareKey } from "../../core/effect/rpc.ts"
import * as message from "../../core/message.ts"
import * as response from "../../core/response.ts"
import { isSecurityError } from "../../core/SecurityError.ts"
import type { Authentications, Handler } from "../decision/decide.ts"
import * as guard from "../decision/guard.ts"
import { Place } from "../decision/place.ts"
import * as proof from "../decision/proof.ts"
import { custom, type RequirementPolicy } from "../requirement/policy.ts"
import * as registry from "../requirement/registry.ts"
import * as callErrors from "../scheme/callErrors.ts"
import type { Scheme } from "../scheme/scheme.ts"

/**
 * Creates the key of a requirement for procedures. Each use gets its own key: `effect/rpc` stores the keys of a procedure
 * in a `Set`, so a key that is added again would stay at its innermost place only.
 */
export const keyOf = (policy: RequirementPolicy, name: string): object => {
  const declared = new Set(custom(policy).flatMap(({ error }) => error ?? []))
  const newKey = () =>
    middlewareKey(Context.Service(name), () =>
      declared.size === 0 ? callErrors.schema() : Schema.Union([callErrors.schema(), ...declared])
    )
  const key = newKey()
  registry.register(key, policy, newKey)
  return key
}

/** Guards the handler of a call for one of the requirements of its procedure. */
export const apply = (handler: Handler, call: Call, authentications: Authentications): Handler => {
  const place = Place.next(call, call.rpc, call.rpc._tag)
  const isInnermost = place.outer + 1 === place.endpoint.requirements.length
  // The effect of a stream is the whole stream, so it must end with its token.
  const ending =
    isInnermost && isStream(call.rpc) ? proof.whileValid(handler, schemesOf(place.endpoint.policy)) : handler
  return guard.atPlace(place, authentications, ending, (guarded) => ofMessage(place, call, refusing(guarded)))
}

const schemesOf = (policy: RequirementPolicy): ReadonlySet<Scheme> =>
  new Set(policy.flatMap((clause) => clause.map(({ scheme }) => scheme)))

/** Runs the guard with the request that represents the message. */
const ofMessage = ({ endpoint }: Place, { headers }: Call, guarded: Handler): Handler =>
  Effect.withFiber(({ context }) => {
    const connection = Context.getOrUndefined(context, HttpServerRequest)
    const credentials = Array.from(schemesOf(endpoint.policy)).flatMap(({ source }) => headerOf(source) ?? [])
    return Effect.provideService(guarded, HttpServerRequest, message.make(connection, headers, credentials))
  })

const headerOf = (source: { readonly header?: string } | undefined): string | undefined =>
  source === undefined ? "authorization" : source.header

const refusing = (guarded: Handler): Handler =>
  Effect.catchIf(guarded, isSecurityError, (error) =>
    response.isFromUpstream(error)
      ? Effect.die(response.uncaughtUpstreamError)
      : Effect.fail(callErrors.refusalOf(error))
  )
