/** What the test issuer answers at its endpoints. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import { ownProperties } from "../internal/ownProperties.ts"
import type { Answer, Endpoint, IssuerRequest } from "./model.ts"
import type { State } from "./state.ts"
import type { Claims } from "./token.ts"

/** Where the issuer answers. */
interface Address {
  readonly issuer: string
  readonly origin: string
  readonly paths: ReadonlyMap<string, Endpoint>
  readonly jwksUri: string
  readonly introspectionEndpoint: string
}

export const address = (issuer: string): Address => {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, "")
  return {
    issuer,
    origin,
    // OpenID Connect Discovery 1.0 §4 appends the well-known path to the issuer, RFC 8414 §3.1 inserts it before the issuer's path.
    paths: new Map<string, Endpoint>([
      [`${path}/.well-known/openid-configuration`, "openid-configuration"],
      [`/.well-known/oauth-authorization-server${path}`, "oauth-authorization-server"],
      [`${path}/jwks`, "jwks"],
      [`${path}/introspect`, "introspection"]
    ]),
    jwksUri: `${origin}${path}/jwks`,
    introspectionEndpoint: `${origin}${path}/introspect`
  }
}

/** What RFC 8414 §2 and OpenID Connect Discovery 1.0 §3 require. The endpoints of flows have addresses, and are not there. */
export const metadata = (
  { introspectionEndpoint, issuer, jwksUri }: Address,
  { keys }: State,
  more: Readonly<Record<string, unknown>> | undefined
): Readonly<Record<string, unknown>> => ({
  issuer,
  authorization_endpoint: jwksUri.replace(/jwks$/, "authorize"),
  token_endpoint: jwksUri.replace(/jwks$/, "token"),
  jwks_uri: jwksUri,
  introspection_endpoint: introspectionEndpoint,
  response_types_supported: ["code"],
  subject_types_supported: ["public"],
  id_token_signing_alg_values_supported: Array.from(new Set(keys.map(({ alg }) => alg))),
  ...more
})

/** Remembers a request. */
export const record = (ref: Ref.Ref<State>, request: Omit<IssuerRequest, "time">): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (time) =>
    Ref.update(ref, (state) => ({ ...state, requests: [...state.requests, { ...request, time }] }))
  )

/** What an endpoint answers now; fails where nobody is to be reached. */
export const respond = Effect.fnUntraced(function* (
  ref: Ref.Ref<State>,
  { endpoint }: Omit<IssuerRequest, "time">,
  request: HttpServerRequest,
  metadata: Effect.Effect<unknown>,
  minted: ReadonlyMap<string, Claims>
) {
  if (endpoint === "other" || !methods[endpoint].includes(request.method)) {
    return HttpServerResponse.empty({ status: 404 })
  }
  const answer = (yield* Ref.get(ref)).answers[endpoint]
  if (answer === "unreachable") return yield* Effect.fail("Unreachable" as const)
  if (answer === "never") return yield* Effect.never
  const how: Exclude<Answer, string> = ownProperties(answer === "normal" ? {} : answer)
  if (how.delay !== undefined) yield* Effect.sleep(how.delay)
  switch (endpoint) {
    case "jwks":
      return response(how, { keys: (yield* Ref.get(ref)).published })
    case "introspection": {
      const answer = yield* introspect(request, minted)
      return answer === undefined
        ? response(ownProperties({ status: 401, ...how }), { error: "invalid_client" })
        : response(how, answer)
    }
    default:
      return response(how, yield* metadata)
  }
})

const reading = ["GET", "HEAD"]

const methods: Readonly<Record<Endpoint, ReadonlyArray<string>>> = {
  "openid-configuration": reading,
  "oauth-authorization-server": reading,
  jwks: reading,
  introspection: ["POST"]
}

const inactive = { active: false }

/** RFC 7662 §2. Any client will do, but there must be one. */
const introspect = Effect.fnUntraced(function* (request: HttpServerRequest, minted: ReadonlyMap<string, Claims>) {
  const form = yield* Effect.orElseSucceed(request.urlParamsBody, () => UrlParams.empty)
  const says = (name: string) => Option.getOrUndefined(UrlParams.getFirst(form, name))
  const isClient = ["client_secret", "client_assertion"].some((name) => says(name) !== undefined)
  if (request.headers["authorization"] === undefined && !isClient) return
  const claims = minted.get(says("token") ?? "")
  if (claims === undefined) return inactive
  const { exp } = claims
  const isOver = typeof exp === "number" && exp * 1000 <= (yield* Clock.currentTimeMillis)
  return isOver ? inactive : { ...claims, active: true }
})

const json = Headers.fromRecordUnsafe({ "content-type": "application/json" })

const response = (how: Exclude<Answer, string>, normal: unknown): HttpServerResponse.HttpServerResponse => {
  const body = how.body ?? JSON.stringify(normal)
  return HttpServerResponse.uint8Array(typeof body === "string" ? new TextEncoder().encode(body) : body, {
    status: how.status ?? 200,
    headers: Headers.merge(json, Headers.fromInput(how.headers))
  })
}
