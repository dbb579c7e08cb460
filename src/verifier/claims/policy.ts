/** Validates the options of a verifier and converts them to a policy. */
import { own, ownProperties } from "../../core/lib/ownProperties.ts"
import * as Effect from "effect/Effect"
import { isReadonlyObject } from "effect/Predicate"
import type { ConfigurationError } from "../../core/SecurityError.ts"
import * as duration from "../../core/duration.ts"
import * as confirmation from "../../core/confirmation.ts"
import { refuseOption } from "../../core/refuseOption.ts"
import type { Policy as Options } from "./options.ts"
import { otherClaims, type Profile } from "./profile.ts"
import * as issuers from "./issuers.ts"
import type { IssuerOf } from "./issuers.ts"
import type { Claims } from "./strictJson.ts"
import * as scopes from "./scopes.ts"

/** Validated options with their defaults. */
export interface CheckedPolicy {
  /** The `issuer` option, for messages. A token has the issuer that `issuerOf` returns. */
  readonly issuer: string
  readonly issuerOf: IssuerOf
  /** `undefined` accepts any audience. */
  readonly audience: ReadonlySet<string> | undefined
  readonly audienceClaim: string
  readonly subjectClaims: ReadonlyArray<string>
  readonly algorithms: ReadonlySet<string>
  readonly profile: Profile
  /** Milliseconds. */
  readonly clockTolerance: number
  /** Milliseconds. */
  readonly maxTokenAge: number | undefined
  /** Milliseconds. */
  readonly maxLifetime: number
  /** Characters. */
  readonly maxTokenLength: number
  readonly requiredClaims: ReadonlyArray<readonly [name: string, value: string | true]>
  /** `undefined` uses the default of the profile. */
  readonly forbiddenClaims: ReadonlyArray<string> | undefined
  readonly clientIdClaims: ReadonlyArray<string>
  readonly scopes: scopes.Scopes
  /** Names of the claims that mark access tokens, for messages. */
  readonly accessTokenMarks: ReadonlyArray<string>
  readonly marksAccessTokens: (claims: Claims) => boolean
}

export type { Claims } from "./strictJson.ts"

export const make = Effect.fnUntraced(function* (
  algorithms: ReadonlySet<string>,
  given: Options
): Effect.fn.Return<CheckedPolicy, ConfigurationError> {
  const options = ownProperties(given)
  if (!isName(options.issuer)) {
    return yield* refuseOption(
      "issuer",
      "must be the exact iss of the tokens, a non-empty string without surrounding white space"
    )
  }
  const audience = typeof options.audience === "string" ? [options.audience] : options.audience
  if (audience !== false && (!isListOfNames(audience) || audience.length === 0)) {
    return yield* refuseOption(
      "audience",
      "must name this API as its tokens do. Pass at least one non-empty string without surrounding white space"
    )
  }
  const clockTolerance = duration.toMillis(options.clockTolerance ?? "5 seconds")
  if (!(clockTolerance >= 0 && clockTolerance <= 60_000)) {
    return yield* refuseOption("clockTolerance", 'must be a duration between 0 and 60 seconds, such as "5 seconds"')
  }
  const maxTokenAge = options.maxTokenAge === undefined ? undefined : duration.toMillis(options.maxTokenAge)
  if (maxTokenAge !== undefined && !(maxTokenAge > 0 && Number.isFinite(maxTokenAge))) {
    return yield* refuseOption("maxTokenAge", 'must be a positive, finite duration, such as "1 hour"')
  }
  const maxLifetime = duration.toMillis(options.maxLifetime === undefined ? "365250 days" : options.maxLifetime)
  if (!(maxLifetime > 0 && Number.isFinite(maxLifetime))) {
    return yield* refuseOption("maxLifetime", 'must be a positive, finite duration, such as "1 hour"')
  }
  const maxTokenLength = options.maxTokenLength ?? 8192
  if (!Number.isInteger(maxTokenLength) || maxTokenLength < 1) {
    return yield* refuseOption("maxTokenLength", "must be a whole number of characters above 0")
  }
  const { accessTokenClaims, audienceClaim = "aud", clientIdClaim, forbiddenClaims, profile = "at+jwt" } = options
  const { readScopes, scopesFormat = "spaces", scopesPath, subjectClaims = ["sub"] } = options
  if (!Object.hasOwn(otherClaims, profile)) {
    return yield* refuseOption("profile", `must be one of ${Object.keys(otherClaims).join(", ")}`)
  }
  for (const [option, names, least] of [
    ["forbiddenClaims", forbiddenClaims, 0],
    ["audienceClaim", [audienceClaim], 1],
    ["subjectClaims", subjectClaims, 1],
    ["clientIdClaim", clientIdClaim === undefined ? undefined : [clientIdClaim], 1]
  ] as const) {
    if (names === undefined || (isListOfNames(names) && names.length >= least)) continue
    return yield* refuseOption(option, mustNameClaims)
  }
  const paths = scopesPath === undefined ? [] : pathsOf(scopesPath)
  if (paths === undefined) return yield* refuseOption("scopesPath", mustNameClaims)
  if (!scopes.formats.includes(scopesFormat)) {
    return yield* refuseOption("scopesFormat", `must be one of ${scopes.formats.join(", ")}`)
  }
  if (readScopes !== undefined && typeof readScopes !== "function") {
    return yield* refuseOption("readScopes", "must be a function from claims to a list of scopes")
  }
  if (readScopes !== undefined && (scopesPath !== undefined || options.scopesFormat !== undefined)) {
    return yield* refuseOption(
      "readScopes",
      "must be the only option for scopes, so remove scopesPath and scopesFormat"
    )
  }
  for (const option of ["requiredClaims", "accessTokenClaims"] as const) {
    const expected = options[option] === undefined ? {} : options[option]
    if (!isReadonlyObject(expected))
      return yield* refuseOption(option, "must be an object that maps each claim to its value")
    // An undefined value, such as an unset variable, would match every token that lacks the claim.
    const bad = Object.entries(expected).find(([name, value]) => name === "" || !isExpected(value))
    if (bad === undefined) continue
    return yield* refuseOption(
      option,
      `must map each claim to a non-empty string, or to true for any value, but ${JSON.stringify(bad[0])} has neither`
    )
  }
  if (accessTokenClaims !== undefined && Object.keys(accessTokenClaims).length === 0) {
    return yield* refuseOption(
      "accessTokenClaims",
      "must name at least one claim that access tokens have, because an empty object refuses every token"
    )
  }
  const marks = Object.entries(accessTokenClaims ?? { scope: true, scp: true, client_id: true })
  const requiredClaims = Object.entries(options.requiredClaims ?? {})
  const read = readScopes === undefined ? scopes.make(paths, scopesFormat) : scopes.fromFunction(readScopes)
  return {
    issuer: options.issuer,
    issuerOf: yield* issuers.make(options),
    audience: audience === false ? undefined : new Set(audience),
    audienceClaim,
    subjectClaims,
    algorithms,
    profile,
    clockTolerance,
    maxTokenAge,
    maxLifetime,
    maxTokenLength,
    requiredClaims,
    forbiddenClaims,
    clientIdClaims: clientIdClaim === undefined ? ["client_id", "azp"] : [clientIdClaim],
    scopes: read,
    accessTokenMarks: marks.map(([name]) => name),
    marksAccessTokens: (claims) =>
      marks.some(([name, value]) => has(claims, name, value)) ||
      (accessTokenClaims === undefined && read.isPresent(claims))
  }
})

// Options can come from the environment, so their values can differ from their types.
const isName = (value: unknown): boolean => typeof value === "string" && value !== "" && value.trim() === value

export const mustNameClaims = "must name claims as non-empty strings without surrounding white space"

export const isListOfNames = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every(isName)

/** Returns one path or several as a list, or `undefined` if a path is empty or names no claims. */
const pathsOf = (given: unknown): ReadonlyArray<ReadonlyArray<string>> | undefined => {
  const paths: unknown = isListOfNames(given) ? [given] : given
  return Array.isArray(paths) && paths.length > 0 && paths.every((path) => isListOfNames(path) && path.length > 0)
    ? paths
    : undefined
}

const isExpected = (value: unknown): boolean => value === true || (typeof value === "string" && value !== "")

/**
 * Returns `true` if a token has the claim. The value `true` accepts any value except `null`. Keycloak marks an access
 * token by the claim `typ`: `Bearer`, or `DPoP` if the token is bound to a key.
 */
export const has = (claims: Claims, name: string, value: string | true): boolean => {
  const found = claims[name]
  if (value === true) return found !== undefined && found !== null
  return found === value || (name === "typ" && value === "Bearer" && found === "DPoP" && isBound(claims))
}

/** Returns `true` if the claims bind the token to a key. */
export const isBound = (claims: Claims): boolean => own(confirmation.fromClaim(claims["cnf"]), "jkt") !== undefined
