/** What is decided once of the options of a verifier. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Policy as Options } from "../../JwtVerifier.ts"
import type { ConfigurationError } from "../../SecurityError.ts"
import * as scope from "../requirement/scope.ts"
import { refuseSetting } from "../setting.ts"
import { own } from "./strictJson.ts"

/** What is decided once, when a verifier is built. */
export interface Policy {
  readonly issuer: string
  readonly audience: ReadonlySet<string>
  readonly audienceClaim: "aud" | "client_id"
  readonly algorithms: ReadonlySet<string>
  readonly profile: Profile
  /** Milliseconds. */
  readonly clockTolerance: number
  /** Milliseconds. */
  readonly maxTokenAge: number | undefined
  /** Characters. */
  readonly maxTokenLength: number
  readonly requiredClaims: ReadonlyArray<readonly [name: string, value: string | true]>
  /** `undefined` where it is the profile that says. */
  readonly forbiddenClaims: ReadonlyArray<string> | undefined
  readonly clientIdClaims: ReadonlyArray<string>
  readonly scopesOf: (claims: Claims) => ReadonlySet<string>
  readonly marksAccessTokens: (claims: Claims) => boolean
}

export type Claims = Readonly<Record<string, unknown>>

/** What tells an access token from other JWTs. */
export type Profile = NonNullable<Options["profile"]>

export const make = Effect.fnUntraced(function* (
  algorithms: ReadonlySet<string>,
  options: Options
): Effect.fn.Return<Policy, ConfigurationError> {
  const audience = typeof options.audience === "string" ? [options.audience] : options.audience
  if (audience.length === 0 || audience.includes("")) {
    return yield* refuseSetting("audience", "must name this API as its tokens do: at least one non-empty string")
  }
  const clockTolerance = Duration.toMillis(options.clockTolerance ?? "5 seconds")
  if (!(clockTolerance >= 0 && clockTolerance <= 60_000)) {
    return yield* refuseSetting("clockTolerance", "must be between 0 and 60 seconds")
  }
  const maxTokenAge = options.maxTokenAge === undefined ? undefined : Duration.toMillis(options.maxTokenAge)
  if (maxTokenAge !== undefined && !(maxTokenAge > 0 && Number.isFinite(maxTokenAge))) {
    return yield* refuseSetting("maxTokenAge", "must be a positive, finite duration")
  }
  const maxTokenLength = options.maxTokenLength ?? 8192
  if (!Number.isInteger(maxTokenLength) || maxTokenLength < 1) {
    return yield* refuseSetting("maxTokenLength", "must be a whole number of characters above 0")
  }
  const { accessTokenClaims, clientIdClaim, profile = "at+jwt", scopesPath } = options
  const marks = Object.entries(accessTokenClaims ?? { scope: true, scp: true, client_id: true })
  const requiredClaims = Object.entries(options.requiredClaims ?? {})
  const scopesAt = scopesPath === undefined ? undefined : (claims: Claims) => scopesPath.reduce<unknown>(own, claims)
  return {
    issuer: options.issuer,
    audience: new Set(audience),
    audienceClaim: options.audienceClaim ?? "aud",
    algorithms,
    profile,
    clockTolerance,
    maxTokenAge,
    maxTokenLength,
    requiredClaims,
    forbiddenClaims: options.forbiddenClaims,
    clientIdClaims: clientIdClaim === undefined ? ["client_id", "azp"] : [clientIdClaim],
    scopesOf:
      scopesAt === undefined
        ? (claims) => scope.fromClaim(Object.hasOwn(claims, "scope") ? claims["scope"] : own(claims, "scp"))
        : (claims) => scope.fromClaim(scopesAt(claims)),
    marksAccessTokens: (claims) =>
      marks.some(([name, value]) => has(claims, name, value)) ||
      (accessTokenClaims === undefined && scopesAt?.(claims) !== undefined)
  }
})

/** Whether a claim is there: with a value, or `true` for any. */
export const has = (claims: Claims, name: string, value: string | true): boolean =>
  value === true ? Object.hasOwn(claims, name) : own(claims, name) === value
