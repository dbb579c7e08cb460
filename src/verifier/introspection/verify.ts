/** Builds the verifier of `TokenIntrospection` from its options. */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import type { NeedsHttpClient } from "../../core/missing.ts"
import * as Redacted from "effect/Redacted"
import { type ConfigurationError, InvalidToken } from "../../core/SecurityError.ts"
import type { TokenVerifier } from "../TokenVerifier.ts"
import { makeReader } from "../authorizationServer/http.ts"
import { discover } from "../authorizationServer/metadata.ts"
import { constant } from "../../core/constantErrors.ts"
import { isToken } from "../../core/authorizationHeader.ts"
import * as claims from "../claims/claims.ts"
import * as policies from "../claims/policy.ts"
import type { Claims } from "../claims/policy.ts"
import { refuseOption } from "../../core/refuseOption.ts"
import { type HttpHosts, requireHttpHosts, requireIssuer, requireSecureUrl } from "../../core/url.ts"
import { isGiven, refuse } from "../report/advice.ts"
import type { TokenCaching } from "../cache/options.ts"
import * as cachedVerifier from "../cache/cachedVerifier.ts"
import { RequestIsolation } from "../../core/RequestIsolation.ts"
import * as outcome from "../report/telemetry.ts"
import { alwaysValid, frozen, type Rejection } from "../cache/verified.ts"
import * as responses from "./introspectionResponse.ts"
import type { ClientSecret, Credentials, OtherCredentials, Policy as Options } from "./options.ts"
import * as introspectionRequest from "./introspectionRequest.ts"

const maxBytes = 512 * 1024

const malformed = constant(new InvalidToken({ reason: "Malformed" }))
const tooLong = constant(new InvalidToken({ reason: "Malformed" }))

/** A token that is too long, which the log must explain once. */
const unexplained = Symbol("unexplained")

const adviceOnLength = ({ issuer, maxTokenLength }: responses.ResponsePolicy["claims"]): string =>
  `A token for ${issuer} was refused, because it is longer than the maxTokenLength option allows. If tokens of the issuer are longer than ${maxTokenLength} characters, raise the option, and BearerToken.MaxLength for the whole Authorization header.`

/** A positive or negative response, and the time when it was requested, in milliseconds since the epoch. */
export interface Answer {
  readonly response: Claims
  readonly askedAt: number
  /** The time from which the response must be requested again. */
  readonly validUntil: number
}

/** Shares accepted responses with other processes. */
export interface SharedAnswers {
  readonly find: (token: string, ask: Effect.Effect<Claims, Rejection>) => Effect.Effect<Answer, Rejection>
  /** Shares a response that the verifier has accepted. */
  readonly add: (token: string, answer: Answer, expiresAt: number) => Effect.Effect<void>
}

const unshared: SharedAnswers = {
  find: (_, ask) =>
    Effect.clockWith((clock) => {
      const askedAt = clock.currentTimeMillisUnsafe()
      return Effect.map(ask, (response) => ({ response, askedAt, validUntil: Infinity }))
    }),
  add: () => Effect.void
}

export const make = Effect.fnUntraced(function* (
  options: Options & (ClientSecret | OtherCredentials) & TokenCaching,
  shared: SharedAnswers = unshared
): Effect.fn.Return<TokenVerifier["Service"], ConfigurationError, NeedsHttpClient> {
  const httpHosts = yield* requireHttpHosts(options.httpHosts)
  const endpoint = options.endpoint === undefined ? undefined : yield* requireEndpoint(options.endpoint, httpHosts)
  const policy = yield* policyOf(options)
  const reader = yield* makeReader(maxBytes)
  const count = outcome.counters(yield* Effect.context<never>())
  const introspect = introspectionRequest.make({
    issuer: options.issuer,
    reader,
    isIsolated: (yield* RequestIsolation) !== undefined,
    endpoint:
      endpoint === undefined
        ? discover(
            reader,
            yield* requireIssuer("issuer", options.issuer, httpHosts),
            options.issuer,
            "introspection_endpoint",
            httpHosts
          )
        : Effect.succeed(endpoint),
    credentials: yield* credentialsOf(options)
  })
  const verify = (text: string) =>
    Effect.flatMap(shared.find(text, introspect(text)), (answer) =>
      Effect.clockWith((clock) => {
        const now = clock.currentTimeMillisUnsafe()
        const token = responses.read(answer.response, policy, now, Math.min(now, answer.askedAt))
        if (responses.isRefused(token)) return refuse(token.error, token.advice, policy)
        const verified = {
          ...frozen(token),
          validUntil: Math.min(answer.validUntil, claims.validUntil(token, policy.claims)),
          validity: alwaysValid
        }
        return Effect.as(shared.add(text, answer, token.expiresAt.epochMilliseconds), verified)
      })
    )
  return yield* cachedVerifier.make({
    cache: options.cache,
    read: (token) =>
      !isToken(token)
        ? malformed
        : token.length <= policy.claims.maxTokenLength
          ? token
          : isGiven(policy, "TooLong")
            ? tooLong
            : unexplained,
    verify: (presented, fiber) => {
      const verified =
        presented instanceof InvalidToken
          ? Effect.fail(presented)
          : presented === unexplained
            ? refuse(tooLong, adviceOnLength(policy.claims), policy, "TooLong")
            : verify(presented)
      return outcome.observed(verified, "TokenIntrospection.verify", count, fiber)
    },
    refused: count
  })
})

const policyOf = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<responses.ResponsePolicy, ConfigurationError> {
  const { accessTokenClaims, subjectClaims = ["sub"] } = options
  const claimsPolicy = yield* policies.make(new Set(), options)
  if (!policies.isListOfNames(subjectClaims) || subjectClaims.length === 0) {
    return yield* refuseOption("subjectClaims", policies.mustNameClaims)
  }
  return { claims: claimsPolicy, accessTokenClaims, subjectClaims }
})

const requireEndpoint = (value: string, httpHosts: HttpHosts) =>
  Effect.flatMap(requireSecureUrl("endpoint", value, httpHosts), (url) =>
    url.hash === "" ? Effect.succeed(url) : refuseOption("endpoint", "must not have a fragment.")
  )

// JavaScript callers can pass options that contradict the types.
const credentialsOf = (
  options: Partial<ClientSecret> | OtherCredentials
): Effect.Effect<Effect.Effect<Credentials, unknown>, ConfigurationError> => {
  const { authMethod = "client_secret_basic", clientId, clientSecret, credentials } = options
  if (credentials !== undefined) {
    return Effect.isEffect(credentials) && clientId === undefined && clientSecret === undefined
      ? Effect.succeed(credentials)
      : refuseOption("credentials", "must be an effect. Remove clientId and clientSecret if you pass credentials.")
  }
  if (!isVisible(clientId)) {
    return refuseOption("clientId", `must be your API's client ID at the authorization server. ${visibleOnly}`)
  }
  const secret = Redacted.isRedacted(clientSecret) ? Redacted.value(clientSecret) : undefined
  if (!isVisible(secret)) return refuseOption("clientSecret", `must be Redacted. ${visibleOnly}`)
  switch (authMethod) {
    case "client_secret_basic": {
      // Both are form-encoded before they are joined (RFC 6749 §2.3.1).
      const value = Base64.encode(`${encoded(clientId)}:${encoded(secret)}`)
      return Effect.succeed(Effect.succeed({ authorization: Redacted.make(`Basic ${value}`) }))
    }
    case "client_secret_post":
      return Effect.succeed(
        Effect.succeed({ parameters: { client_id: clientId, client_secret: Redacted.make(secret) } })
      )
    default:
      return refuseOption("authMethod", "must be client_secret_basic or client_secret_post.")
  }
}

// RFC 6749 §A.1 and §A.2. A value that was read from a file often ends with a line break.
const visibleOnly = "It may contain only spaces and visible ASCII characters."
const isVisible = (value: unknown): value is string => typeof value === "string" && /^[\x20-\x7e]+$/.test(value)

const encoded = (value: string): string => new URLSearchParams({ _: value }).toString().slice(2)
