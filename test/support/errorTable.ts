/** Table of errors and their responses, and an app that fails with each error. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { DateTime, Duration, Effect, Layer, Redacted } from "effect"
import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { AccessToken, Challenge, OAuth2, SecurityError, TokenVerifier } from "effect-oauth2"
import { authorizationServer } from "./authorizationServer.ts"

export const secret = "s3cr3t"

export const errors = {
  NotAuthenticated: new SecurityError.NotAuthenticated({ reason: "NoCredentials" }),
  InvalidRequest: new SecurityError.InvalidRequest({ reason: "SeveralCredentials" }),
  InvalidToken: new SecurityError.InvalidToken({ reason: "Claim", claim: secret }),
  InvalidDpopProof: new SecurityError.InvalidDpopProof({ reason: "Claim", claim: secret }),
  UseDpopNonce: new SecurityError.UseDpopNonce({ reason: "Missing", nonce: "n-1" }),
  InsufficientScope: new SecurityError.InsufficientScope({ required: [secret], missing: [secret] }),
  FailedCheck: new SecurityError.FailedCheck({ checks: [secret] }),
  InsufficientUserAuthentication: new SecurityError.InsufficientUserAuthentication({
    reason: "TooWeakAndTooOld",
    acrValues: ["phr", "mfa"],
    maxAge: Duration.minutes(5),
    required: [secret],
    missing: [secret]
  }),
  AuthorizationServerUnavailable: new SecurityError.AuthorizationServerUnavailable({
    issuer: `https://${secret}.example.com`,
    reason: "Timeout",
    retryAfter: Duration.seconds(7)
  })
} as const
export type Tag = keyof typeof errors

export const variants: ReadonlyArray<SecurityError.SecurityError> = [
  ...(["NoCredentials", "OtherScheme"] as const).map((reason) => new SecurityError.NotAuthenticated({ reason })),
  ...(["Malformed", "TooLong", "SeveralCredentials"] as const).map(
    (reason) => new SecurityError.InvalidRequest({ reason })
  ),
  ...(["Malformed", "Algorithm", "UnknownKey", "Signature", "Claim", "Expired", "Rejected"] as const).flatMap(
    (reason) => [
      new SecurityError.InvalidToken({ reason }),
      new SecurityError.InvalidToken({ reason, claim: `${secret}"\r\nX-Injected: 1` })
    ]
  ),
  ...(
    ["Missing", "Malformed", "Algorithm", "Key", "Signature", "Claim", "Expired", "Replayed", "Unspecified"] as const
  ).flatMap((reason) => [
    new SecurityError.InvalidDpopProof({ reason }),
    new SecurityError.InvalidDpopProof({ reason, claim: `${secret}"\r\nX-Injected: 1` })
  ]),
  ...(["Missing", "Unknown"] as const).map((reason) => new SecurityError.UseDpopNonce({ reason, nonce: "n-1" })),
  new SecurityError.InsufficientScope({ required: [secret, "b"], missing: [`${secret}\r\n`] }),
  new SecurityError.FailedCheck({ checks: [] }),
  new SecurityError.FailedCheck({ checks: [secret, `${secret}\r\n`] }),
  ...(["TooWeak", "TooOld", "TooWeakAndTooOld"] as const).map(
    (reason) =>
      new SecurityError.InsufficientUserAuthentication({
        reason,
        acrValues: ["phr", "mfa"],
        maxAge: Duration.minutes(5),
        required: [secret],
        missing: [`${secret}\r\n`]
      })
  ),
  ...(["Unreachable", "Timeout", "BadResponse", "IssuerMismatch"] as const).map(
    (reason) =>
      new SecurityError.AuthorizationServerUnavailable({
        issuer: `${secret}\r\nX-Injected: 1`,
        reason,
        retryAfter: Duration.seconds(7)
      })
  )
]

interface Row {
  readonly tag: Tag
  readonly responses: Challenge.Responses
  readonly scopes: ReadonlyArray<string>
  readonly status: number
  readonly challenge: string | undefined
  readonly retryAfter?: string
  readonly nonce?: string
  readonly body: string
}

export const notAuthenticated = '{"detail":"Not authenticated"}'
const malformed = '{"detail":"Malformed credentials"}'
export const notValidated = '{"detail":"Could not validate credentials"}'
export const notEnough = '{"detail":"Not enough permissions"}'
const denied = '{"detail":"Access denied"}'
const badProof = '{"detail":"Invalid DPoP proof"}'
const noNonce = '{"detail":"DPoP nonce required"}'
const tooWeak = '{"detail":"Authentication too weak or too old"}'
export const unavailable = '{"detail":"Authorization server unavailable"}'

/** The table in the first comment of `Challenge.ts`, with the realm `the "realm"`. */
export const table: ReadonlyArray<Row> = [
  row("NotAuthenticated", "fastapi", [], 401, "Bearer", notAuthenticated),
  row("NotAuthenticated", "fastapi", ["a", "b"], 401, "Bearer", notAuthenticated),
  row("NotAuthenticated", "rfc6750", [], 401, 'Bearer realm="the \\"realm\\""', notAuthenticated),
  row("NotAuthenticated", "rfc6750", ["a", "b"], 401, 'Bearer realm="the \\"realm\\"", scope="a b"', notAuthenticated),
  row("InvalidRequest", "fastapi", [], 401, "Bearer", notAuthenticated),
  row("InvalidRequest", "fastapi", ["a", "b"], 401, "Bearer", notAuthenticated),
  row("InvalidRequest", "rfc6750", [], 400, 'Bearer error="invalid_request"', malformed),
  row("InvalidRequest", "rfc6750", ["a", "b"], 400, 'Bearer error="invalid_request"', malformed),
  row("InvalidToken", "fastapi", [], 401, "Bearer", notValidated),
  row("InvalidToken", "fastapi", ["a", "b"], 401, 'Bearer scope="a b"', notValidated),
  row("InvalidToken", "rfc6750", [], 401, 'Bearer error="invalid_token"', notValidated),
  row("InvalidToken", "rfc6750", ["a", "b"], 401, 'Bearer error="invalid_token", scope="a b"', notValidated),
  row("InsufficientScope", "fastapi", ["a"], 401, 'Bearer scope="a"', notEnough),
  row("InsufficientScope", "fastapi", ["a", "b"], 401, 'Bearer scope="a b"', notEnough),
  row("InsufficientScope", "rfc6750", ["a"], 403, 'Bearer error="insufficient_scope", scope="a"', notEnough),
  row("InsufficientScope", "rfc6750", ["a", "b"], 403, 'Bearer error="insufficient_scope", scope="a b"', notEnough),
  ...[[], ["a", "b"]].flatMap((scopes) => [
    row("FailedCheck", "fastapi", scopes, 401, "Bearer", notEnough),
    row("FailedCheck", "rfc6750", scopes, 403, 'Bearer realm="the \\"realm\\""', denied)
  ]),
  ...(["fastapi", "rfc6750"] as const).flatMap((responses) => {
    const stepUp = 'Bearer error="insufficient_user_authentication", acr_values="phr mfa", max_age="300"'
    return [
      row("InvalidDpopProof", responses, ["a"], 401, 'DPoP error="invalid_dpop_proof"', badProof),
      { ...row("UseDpopNonce", responses, ["a"], 401, 'DPoP error="use_dpop_nonce"', noNonce), nonce: "n-1" },
      row("InsufficientUserAuthentication", responses, [], 401, stepUp, tooWeak),
      row("InsufficientUserAuthentication", responses, ["a", "b"], 401, `${stepUp}, scope="a b"`, tooWeak)
    ]
  }),
  ...(["fastapi", "rfc6750"] as const).flatMap((responses) =>
    [[], ["a", "b"]].map((scopes) => ({
      ...row("AuthorizationServerUnavailable", responses, scopes, 503, undefined, unavailable),
      retryAfter: "7"
    }))
  )
]

export function row(
  tag: Tag,
  responses: Challenge.Responses,
  scopes: ReadonlyArray<string>,
  status: number,
  challenge: string | undefined,
  body: string
): Row {
  return { tag, responses, scopes, status, challenge, body }
}

export const realm = 'the "realm"'
export const settings = (overrides: Partial<Challenge.Settings> = {}): Challenge.Settings => ({
  responses: "fastapi",
  realm: "api",
  scopes: [],
  renderers: {},
  ...overrides
})

export const flow = { ...authorizationServer, scopes: { a: "A", b: "B" } }

/** The token `scopes.a.b` grants a and b. `rejected` is refused, and `down` simulates an outage. */
export const verifierLayer = TokenVerifier.layer({
  verify: (bearer) => {
    const token = Redacted.value(bearer)
    if (token === "rejected") return Effect.fail(errors.InvalidToken)
    if (token === "down") return Effect.fail(errors.AuthorizationServerUnavailable)
    return Effect.succeed(
      AccessToken.make({
        subject: "demo",
        scopes: token.split(".").slice(1),
        issuer: "https://idp.example.com",
        expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z")
      })
    )
  }
})

export const guarded = <const Name extends string>(
  scheme: OAuth2.OAuth2Scheme<Name, "a" | "b">,
  path: HttpRouter.PathInput,
  scopes: ReadonlyArray<"a" | "b">
) =>
  HttpRouter.add("GET", path, HttpServerResponse.text("open")).pipe(
    scheme.require(...scopes),
    Layer.provide(scheme.layer(verifierLayer))
  )

export const served = <A, E, R>(routes: Layer.Layer<A, E, R>) =>
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerTest)
  )

export const get = Effect.fnUntraced(function* (path: string, authorization?: string) {
  const client = yield* HttpClient.HttpClient
  const response = yield* client.get(path, authorization === undefined ? undefined : { headers: { authorization } })
  return {
    status: response.status,
    challenge: response.headers["www-authenticate"],
    retryAfter: response.headers["retry-after"],
    contentType: response.headers["content-type"],
    headers: JSON.stringify(response.headers),
    body: yield* response.text
  }
})

export const expected = (row: Row) => ({
  status: row.status,
  challenge: row.challenge,
  retryAfter: row.retryAfter,
  contentType: "application/json",
  body: row.body
})

export const without = <K extends string, A extends { readonly [_ in K]: unknown }>(value: A, key: K): Omit<A, K> => {
  const { [key]: _, ...rest } = value
  return rest
}
