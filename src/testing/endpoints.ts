/** What the test issuer answers at its endpoints. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Ref from "effect/Ref"
import type { Answer, Endpoint, IssuerRequest } from "./model.ts"
import type { State } from "./state.ts"

/** Where the issuer answers. */
interface Address {
  readonly issuer: string
  readonly origin: string
  readonly paths: ReadonlyMap<string, Endpoint>
  readonly jwksUri: string
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
      [`${path}/jwks`, "jwks"]
    ]),
    jwksUri: `${origin}${path}/jwks`
  }
}

/** What RFC 8414 §2 and OpenID Connect Discovery 1.0 §3 require. The endpoints of flows have addresses, and are not there. */
export const metadata = (
  { issuer, jwksUri }: Address,
  { keys }: State,
  more: Readonly<Record<string, unknown>> | undefined
): Readonly<Record<string, unknown>> => ({
  issuer,
  authorization_endpoint: jwksUri.replace(/jwks$/, "authorize"),
  token_endpoint: jwksUri.replace(/jwks$/, "token"),
  jwks_uri: jwksUri,
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
  { endpoint, method }: Omit<IssuerRequest, "time">,
  metadata: Effect.Effect<unknown>
) {
  if (endpoint === "other" || (method !== "GET" && method !== "HEAD")) return HttpServerResponse.empty({ status: 404 })
  const answer = (yield* Ref.get(ref)).answers[endpoint]
  if (answer === "unreachable") return yield* Effect.fail("Unreachable" as const)
  if (answer === "never") return yield* Effect.never
  const how = answer === "normal" ? {} : answer
  if (how.delay !== undefined) yield* Effect.sleep(how.delay)
  const normal = endpoint === "jwks" ? { keys: (yield* Ref.get(ref)).published } : yield* metadata
  return response(how, JSON.stringify(normal))
})

const json = Headers.fromRecordUnsafe({ "content-type": "application/json" })

const response = (how: Exclude<Answer, string>, normal: string): HttpServerResponse.HttpServerResponse => {
  const body = how.body ?? normal
  return HttpServerResponse.uint8Array(typeof body === "string" ? new TextEncoder().encode(body) : body, {
    status: how.status ?? 200,
    headers: Headers.merge(json, Headers.fromInput(how.headers))
  })
}
