/** Verifies signed introspection responses (RFC 9701 §5). */
import * as Effect from "effect/Effect"
import { isReadonlyObject } from "effect/Predicate"
import { own } from "../../core/lib/ownProperties.ts"
import type { ConfigurationError } from "../../core/SecurityError.ts"
import { Failure } from "../authorizationServer/failure.ts"
import type { ServerResponse } from "../authorizationServer/http.ts"
import type { Claims } from "../claims/policy.ts"
import { parseObject } from "../claims/strictJson.ts"
import * as compact from "../jwt/compact.ts"
import { Signatures } from "../jwt/signatures.ts"
import * as trusts from "../jwt/trust.ts"
import { verifySigned } from "../jwt/verify.ts"

export const mediaType = "application/token-introspection+jwt"

/** The `typ` of a signed response. An access token of the same issuer must not pass as a response (§8.1). */
const type = "token-introspection+jwt"

/** Longest time since a response was signed, in milliseconds. A response is signed for each request. */
const maxAge = 60_000

/** Reads the response of an introspection request. */
export type ReadResponse = (response: ServerResponse) => Effect.Effect<Claims | undefined, Failure>

const refuse = (detail: string): Effect.Effect<never, Failure> => Effect.fail(new Failure("BadResponse", { detail }))

export const make = Effect.fnUntraced(function* (
  options: {
    readonly issuer: string
    /** Identifies the API in responses. */
    readonly audience: string
    /** Milliseconds. */
    readonly clockTolerance: number
  },
  keys: Parameters<typeof trusts.make>[1]
): Effect.fn.Return<ReadResponse, ConfigurationError> {
  const { audience, clockTolerance, issuer } = options
  const trust = yield* trusts.make({ issuer, audience }, keys)
  const check = yield* Signatures

  /** Returns what is wrong with the signed claims, as the end of a sentence. */
  const faultOf = (claims: Claims, now: number): string | undefined => {
    const { aud, iat, iss } = claims
    if (iss !== issuer) return "its iss is not the issuer"
    if (!(Array.isArray(aud) ? aud : [aud]).includes(audience)) {
      return "its aud does not name this API. Set the responseAudience option to the name that the server writes there"
    }
    if (typeof iat !== "number" || iat * 1000 > now + clockTolerance || iat * 1000 < now - maxAge - clockTolerance) {
      return "its iat is missing, or its time does not fit this server's clock"
    }
    return
  }

  return ({ headers, text }) => {
    const [contentType = ""] = (headers["content-type"] ?? "").split(";")
    if (contentType.trim().toLowerCase() !== mediaType) {
      return refuse(
        "it is not signed. Let the server sign introspection responses for your client, or remove the signedResponses option"
      )
    }
    const parsed = compact.parse(text.trim())
    if (parsed === undefined) return refuse("it is not a signed JWT")
    const { alg, typ } = parsed.header
    if (typ !== type) return refuse(`its typ is not ${type}`)
    if (!trust.policy.algorithms.has(alg)) return refuse("its signature algorithm is not supported")
    return verifySigned({ token: text.trim(), parsed, trust }, check, (payload) => Effect.succeed(payload)).pipe(
      Effect.catch((error) =>
        refuse(
          error._tag === "InvalidToken"
            ? "its signature does not match a key of the issuer"
            : "the keys of the issuer are unavailable"
        )
      ),
      Effect.flatMap((payload) =>
        Effect.clockWith((clock) => {
          const claims = parseObject(payload)
          if (claims === undefined) return refuse("its claims are not strict JSON")
          const fault = faultOf(claims, clock.currentTimeMillisUnsafe())
          if (fault !== undefined) return refuse(fault)
          const answer = own(claims, "token_introspection")
          return isReadonlyObject(answer) ? Effect.succeed(answer) : refuse("it has no token_introspection claim")
        })
      )
    )
  }
})
