/** Finds out who signed in, from an ID token (OpenID Connect Core 1.0 §3.1.3.7) or by asking the provider. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Base64Url from "effect/encoding/Base64Url"
import type { TokenError } from "../../client/ClientError.ts"
import type { TokenResponse } from "../../client/protocol/tokenEndpoint.ts"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type { Claims } from "../provider/model.ts"
import * as crypto from "../../stores/seal.ts"
import type { Parameters } from "../web/parameters.ts"
import { Failed } from "../web/problem.ts"
import type { Connection } from "./context.ts"

export interface Person {
  readonly issuer: string
  readonly subject: string
  readonly claims: Claims
  readonly sessionId: string | undefined
  readonly authenticatedAt: number | undefined
  readonly acr: string | undefined
}

interface Expected {
  /** `undefined` for the ID token of a refresh, which may leave it out (OpenID Connect Core 1.0 §12.2). */
  readonly nonce: string | undefined
  readonly maxAge: number | undefined
  readonly form: Parameters
}

const clockTolerance = 5

const failed = (check: string) => Effect.fail(new Failed("CheckFailed", check))

/** Says what went wrong in an answer of the provider. */
export const failedBy = (error: TokenError): Failed => {
  switch (error._tag) {
    case "TokenUnavailable":
      return new Failed("ProviderUnavailable", undefined, error.reason)
    case "TokenRefused":
      return new Failed("ProviderRefused", undefined, error.error)
    // The code was used before, or has expired.
    case "ReauthenticationRequired":
      return new Failed("Expired")
  }
}

export const identify = Effect.fnUntraced(function* (
  { identity, provider }: Connection,
  response: TokenResponse,
  expected: Expected
): Effect.fn.Return<Person, Failed> {
  if (identity._tag === "Request") {
    const { claims, subject } = yield* Effect.mapError(identity.identify(response.accessToken), failedBy)
    return {
      issuer: provider.issuer,
      subject,
      claims,
      sessionId: undefined,
      authenticatedAt: undefined,
      acr: undefined
    }
  }
  const { accessToken, idToken } = response
  if (idToken === undefined) return yield* failed("id_token")
  const token = yield* Effect.mapError(identity.verify(idToken), (error) =>
    error._tag === "InvalidToken"
      ? new Failed("CheckFailed", error.claim ?? error.reason)
      : new Failed("ProviderUnavailable")
  )
  const { claims } = token
  if (typeof claims["iat"] !== "number") return yield* failed("iat")
  if (expected.nonce !== undefined && claims["nonce"] !== expected.nonce) return yield* failed("nonce")
  const authorizedParty = claims["azp"]
  if (authorizedParty === undefined ? token.audience.length > 1 : authorizedParty !== provider.clientId) {
    return yield* failed("azp")
  }
  const authTime = claims["auth_time"]
  if (authTime !== undefined && typeof authTime !== "number") return yield* failed("auth_time")
  if (expected.maxAge !== undefined) {
    const age = (yield* Clock.currentTimeMillis) / 1000 - (authTime ?? -Infinity)
    if (!(age <= expected.maxAge + clockTolerance)) return yield* failed("auth_time")
  }
  if (claims["at_hash"] !== undefined && claims["at_hash"] !== (yield* halfHash(accessToken, idToken))) {
    return yield* failed("at_hash")
  }
  return yield* personOf(token, provider, expected.form)
})

const personOf = Effect.fnUntraced(function* (
  { claims, issuer }: VerifiedToken,
  { identity }: Connection["provider"],
  form: Parameters
): Effect.fn.Return<Person, Failed> {
  const { check, read, subjectClaim = "sub" } = identity as Extract<typeof identity, { readonly _tag: "IdToken" }>
  const refused = check?.(claims)
  if (refused !== undefined) return yield* failed(refused)
  const subject = claims[subjectClaim]
  if (typeof subject !== "string" || subject === "") return yield* failed(subjectClaim)
  const { acr, auth_time: authTime, sid } = claims
  return {
    issuer,
    subject,
    claims: read === undefined ? claims : read(claims, form),
    sessionId: typeof sid === "string" && sid !== "" ? sid : undefined,
    authenticatedAt: typeof authTime === "number" ? authTime * 1000 : undefined,
    acr: typeof acr === "string" ? acr : undefined
  }
})

/** Left half of the hash of the access token (OpenID Connect Core 1.0 §3.1.3.6). */
const halfHash = (accessToken: Redacted.Redacted, idToken: Redacted.Redacted): Effect.Effect<string> =>
  Effect.promise(async () => {
    const [header = ""] = Redacted.value(idToken).split(".")
    // The verifier accepted the header.
    const { alg } = JSON.parse(new TextDecoder().decode(crypto.decode(header))) as { readonly alg: string }
    const bytes = new TextEncoder().encode(Redacted.value(accessToken))
    const digest = await globalThis.crypto.subtle.digest(`SHA-${/(?:256|384|512)$/.exec(alg)?.[0] ?? "512"}`, bytes)
    return Base64Url.encode(new Uint8Array(digest, 0, digest.byteLength / 2))
  })

/** Claims about the token itself, which a session does not need. */
const aboutToken: ReadonlySet<string> = new Set(
  "iss aud exp iat nbf jti nonce at_hash c_hash s_hash azp sid auth_time".split(" ")
)

export const keptClaims = (claims: Claims, kept: ReadonlySet<string> | undefined): Claims =>
  Object.fromEntries(
    Object.entries(claims).filter(([name]) => (kept === undefined ? !aboutToken.has(name) : kept.has(name)))
  )

export const scopesOf = (
  { scopes }: TokenResponse,
  { scopeNames, scopes: asked }: Connection["provider"]
): ReadonlyArray<string> =>
  Array.from(
    new Set(Array.from(scopes ?? asked, (scope) => (Object.hasOwn(scopeNames, scope) ? scopeNames[scope] : scope)))
  ).filter((scope) => scope !== undefined)
