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
import type { IssuerResponse, Endpoint, IssuerRequest, MetadataPlace } from "./issuerModel.ts"
import type { State } from "./state.ts"
import type { Claims } from "./token.ts"

interface Address {
  readonly issuer: string
  readonly origin: string
  readonly paths: ReadonlyMap<string, Endpoint>
  readonly jwksUri: string
  readonly introspectionEndpoint: string
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
      [`${path}/introspect`, "introspection"]
    ]),
    jwksUri: `${origin}${jwksPath}`,
    introspectionEndpoint: `${origin}${path}/introspect`
  }
}

/**
 * The members that RFC 8414 §2 and OpenID Connect Discovery 1.0 §3 require. The URLs for authorization and tokens are
 * required too, but the issuer does not serve them.
 */
export const metadata = (
  { introspectionEndpoint, issuer, jwksUri }: Address,
  { keys }: State,
  overrides: Readonly<Record<string, unknown>> | undefined
): Readonly<Record<string, unknown>> => ({
  issuer,
  authorization_endpoint: introspectionEndpoint.replace(/introspect$/, "authorize"),
  token_endpoint: introspectionEndpoint.replace(/introspect$/, "token"),
  jwks_uri: jwksUri,
  introspection_endpoint: introspectionEndpoint,
  response_types_supported: ["code"],
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
  minted: ReadonlyMap<string, Claims>
) {
  yield* record(ref, received)
  const { endpoint } = received
  const answer = (yield* Ref.get(ref)).answers[endpoint]
  if (endpoint === "other" ? answer === "normal" : !methods[endpoint].includes(request.method)) {
    return HttpServerResponse.empty({ status: 404 })
  }
  if (answer === "unreachable") return yield* Effect.fail("Unreachable" as const)
  if (answer === "never") return yield* Effect.never
  const overrides: Exclude<IssuerResponse, string> = ownProperties(answer === "normal" ? {} : answer)
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
    default:
      return response(overrides, yield* metadata)
  }
})

/** Returns `true` if the request accepts the media type (RFC 9110 §12.5.1). */
const accepts = (request: HttpServerRequest, mediaType: string): boolean => {
  const [type] = mediaType.split("/")
  const ranges = (request.headers["accept"] ?? "*/*").split(",").map((range) => range.split(";")[0]?.trim())
  return [mediaType, `${type}/*`, "*/*"].some((range) => ranges.includes(range))
}

const readMethods = ["GET", "HEAD"]

const methods: Readonly<Record<Endpoint, ReadonlyArray<string>>> = {
  "openid-configuration": readMethods,
  "oauth-authorization-server": readMethods,
  jwks: readMethods,
  introspection: ["POST"]
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
