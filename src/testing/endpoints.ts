/** The endpoints of a test issuer: their addresses and their responses. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { Answer } from "./authorizationServer/answer.ts"
import type { ProtocolEndpoint, TestEndpoints } from "./authorizationServer/model.ts"
import { grantTypes } from "./authorizationServer/tokens.ts"
import type { IssuerResponse, Endpoint, IssuerRequest, MetadataPlace } from "./issuerModel.ts"
import type { State } from "./state.ts"
import type { Claims } from "./token.ts"

interface Address {
  readonly issuer: string
  readonly origin: string
  readonly paths: ReadonlyMap<string, Endpoint>
  readonly jwksUri: string
  readonly introspectionEndpoint: string
  readonly endpoints: TestEndpoints
}

// OpenID Connect Discovery 1.0 §4 appends the well-known path to the issuer. RFC 8414 §3.1 inserts it before the path.
const metadataPath = (place: MetadataPlace, path: string): readonly [string, Endpoint] => {
  const openId = "/.well-known/openid-configuration"
  const oauth = "/.well-known/oauth-authorization-server"
  switch (place) {
    case "openid":
      return [path + openId, "openid-configuration"]
    case "oauth":
      return [oauth + path, "oauth-authorization-server"]
    case "openid-inserted":
      return [openId + path, "openid-configuration"]
    case "oauth-appended":
      return [path + oauth, "oauth-authorization-server"]
  }
}

/** The issuer responds with 404 at the places where it serves no metadata. */
export const allPlaces: ReadonlyArray<MetadataPlace> = ["openid", "oauth", "openid-inserted", "oauth-appended"]

const places: ReadonlyArray<MetadataPlace> = ["openid", "oauth"]

export const address = (issuer: string, metadataAt = places, givenJwksPath?: string): Address => {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, "")
  const jwksPath = givenJwksPath ?? `${path}/jwks`
  return {
    issuer,
    origin,
    paths: new Map<string, Endpoint>([
      ...metadataAt.map((place) => metadataPath(place, path)),
      [jwksPath, "jwks"],
      [`${path}/introspect`, "introspection"],
      [`${path}/authorize`, "authorization"],
      [`${path}/token`, "token"],
      [`${path}/device-authorization`, "device-authorization"],
      [`${path}/revoke`, "revocation"],
      [`${path}/end-session`, "end-session"]
    ]),
    jwksUri: `${origin}${jwksPath}`,
    introspectionEndpoint: `${origin}${path}/introspect`,
    endpoints: {
      authorization: `${origin}${path}/authorize`,
      token: `${origin}${path}/token`,
      deviceAuthorization: `${origin}${path}/device-authorization`,
      revocation: `${origin}${path}/revoke`,
      endSession: `${origin}${path}/end-session`
    }
  }
}

/** The members that RFC 8414 §2 and OpenID Connect Discovery 1.0 §3 require, and what the issuer serves beside them. */
export const metadata = (
  { endpoints, introspectionEndpoint, issuer, jwksUri }: Address,
  { keys }: State,
  overrides: Readonly<Record<string, unknown>> | undefined
): Readonly<Record<string, unknown>> => ({
  issuer,
  authorization_endpoint: endpoints.authorization,
  token_endpoint: endpoints.token,
  device_authorization_endpoint: endpoints.deviceAuthorization,
  revocation_endpoint: endpoints.revocation,
  end_session_endpoint: endpoints.endSession,
  jwks_uri: jwksUri,
  introspection_endpoint: introspectionEndpoint,
  response_types_supported: ["code"],
  response_modes_supported: ["query", "form_post"],
  grant_types_supported: Object.values(grantTypes),
  code_challenge_methods_supported: ["S256"],
  token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
  token_endpoint_auth_signing_alg_values_supported: ["RS256", "PS256", "ES256", "EdDSA"],
  authorization_response_iss_parameter_supported: true,
  dpop_signing_alg_values_supported: ["ES256", "PS256", "EdDSA"],
  backchannel_logout_supported: true,
  backchannel_logout_session_supported: true,
  frontchannel_logout_supported: true,
  frontchannel_logout_session_supported: true,
  // The default is `true` (OpenID Connect Discovery 1.0 §3).
  request_uri_parameter_supported: false,
  subject_types_supported: ["public"],
  id_token_signing_alg_values_supported: Array.from(new Set(keys.map(({ alg }) => alg))),
  ...overrides
})

export const record = (ref: Ref.Ref<State>, request: Omit<IssuerRequest, "time">): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (time) =>
    Ref.update(ref, (state) => ({ ...state, requests: [...state.requests, { ...request, time }] }))
  )

/**
 * Records a request and returns the response of its endpoint. Fails if the endpoint is set to `"unreachable"`.
 * `metadata` returns the document of the current state.
 */
export const respond = Effect.fnUntraced(function* (
  ref: Ref.Ref<State>,
  received: Omit<IssuerRequest, "time">,
  request: HttpServerRequest,
  metadata: Effect.Effect<unknown>,
  minted: ReadonlyMap<string, Claims>,
  respondTo: (endpoint: ProtocolEndpoint, request: HttpServerRequest) => Effect.Effect<Answer>
) {
  const { endpoint } = received
  const parameters = isProtocolEndpoint(endpoint) && request.method === "POST" ? yield* formOf(request) : undefined
  yield* record(ref, { ...received, ...(parameters !== undefined && { parameters }) })
  const answer = (yield* Ref.get(ref)).answers[endpoint]
  if (
    endpoint === "other" ? answer === "normal" : !(methods[endpoint] as ReadonlyArray<string>).includes(request.method)
  ) {
    return HttpServerResponse.empty({ status: 404 })
  }
  if (answer === "unreachable" || (answer === "lost" && !isProtocolEndpoint(endpoint)))
    return yield* Effect.fail("Unreachable" as const)
  if (answer === "never") return yield* Effect.never
  const overrides: Exclude<IssuerResponse, string> = ownProperties(typeof answer === "string" ? {} : answer)
  if (overrides.delay !== undefined) yield* Effect.sleep(overrides.delay)
  const { mediaType } = overrides
  if (mediaType !== undefined && !accepts(request, mediaType)) return HttpServerResponse.empty({ status: 406 })
  switch (endpoint) {
    case "other":
      return response(ownProperties({ status: 404, body: "", ...overrides }), undefined)
    case "jwks":
      return response(overrides, { keys: (yield* Ref.get(ref)).published })
    case "introspection": {
      const tokenState = yield* introspect(request, minted)
      return tokenState === undefined
        ? response(ownProperties({ status: 401, ...overrides }), { error: "invalid_client" })
        : response(overrides, tokenState)
    }
    case "openid-configuration":
    case "oauth-authorization-server":
      return response(overrides, yield* metadata)
    default: {
      const { body, headers, status } = yield* respondTo(endpoint, request)
      if (answer === "lost") return yield* Effect.fail("Unreachable" as const)
      const merged = {
        ...(status !== undefined && { status }),
        ...overrides,
        headers: { ...headers, ...overrides.headers }
      }
      return response(ownProperties(typeof body === "string" ? { body, ...merged } : merged), body)
    }
  }
})

// The request was received whatever its body is.
const formOf = (request: HttpServerRequest): Effect.Effect<Readonly<Record<string, string>>> =>
  request.urlParamsBody.pipe(
    Effect.map((form) => Object.fromEntries(new URLSearchParams(UrlParams.toString(form)))),
    Effect.orElseSucceed(() => ({}))
  )

/** Returns `true` if the request accepts the media type (RFC 9110 §12.5.1). */
const accepts = (request: HttpServerRequest, mediaType: string): boolean => {
  const [type] = mediaType.split("/")
  const ranges = (request.headers["accept"] ?? "*/*").split(",").map((range) => range.split(";")[0]?.trim())
  return [mediaType, `${type}/*`, "*/*"].some((range) => ranges.includes(range))
}

const isProtocolEndpoint = (endpoint: Endpoint | "other"): endpoint is ProtocolEndpoint =>
  !(
    ["openid-configuration", "oauth-authorization-server", "jwks", "introspection", "other"] as ReadonlyArray<string>
  ).includes(endpoint)

type Method = "GET" | "HEAD" | "POST"

const readMethods: ReadonlyArray<Method> = ["GET", "HEAD"]

/** HTTP methods of the endpoints. */
export const methods: Readonly<Record<Endpoint, ReadonlyArray<Method>>> = {
  "openid-configuration": readMethods,
  "oauth-authorization-server": readMethods,
  jwks: readMethods,
  introspection: ["POST"],
  authorization: ["GET", "POST"],
  token: ["POST"],
  "device-authorization": ["POST"],
  revocation: ["POST"],
  "end-session": ["GET", "POST"]
}

const inactive = { active: false }

/** Introspects a token (RFC 7662 §2). Accepts any client credentials. Returns `undefined` if the request has none. */
const introspect = Effect.fnUntraced(function* (request: HttpServerRequest, minted: ReadonlyMap<string, Claims>) {
  const form = yield* Effect.orElseSucceed(request.urlParamsBody, () => UrlParams.empty)
  const parameter = (name: string) => Option.getOrUndefined(UrlParams.getFirst(form, name))
  const hasCredentials = ["client_secret", "client_assertion"].some((name) => parameter(name) !== undefined)
  if (request.headers["authorization"] === undefined && !hasCredentials) return
  const claims = minted.get(parameter("token") ?? "")
  if (claims === undefined) return inactive
  const { exp } = claims
  const isExpired = typeof exp === "number" && exp * 1000 <= (yield* Clock.currentTimeMillis)
  return isExpired ? inactive : { ...claims, active: true }
})

const json = Headers.fromRecordUnsafe({ "content-type": "application/json" })

const response = (
  overrides: Exclude<IssuerResponse, string>,
  normal: unknown
): HttpServerResponse.HttpServerResponse => {
  const body = overrides.body ?? JSON.stringify(normal)
  const type =
    overrides.mediaType === undefined ? json : Headers.fromRecordUnsafe({ "content-type": overrides.mediaType })
  return HttpServerResponse.uint8Array(typeof body === "string" ? new TextEncoder().encode(body) : body, {
    status: overrides.status ?? 200,
    headers: Headers.merge(type, Headers.fromInput(overrides.headers))
  })
}
