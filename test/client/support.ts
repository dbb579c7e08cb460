// A user who has signed in at a test issuer, and the requests that its token endpoint got.
import { it } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import type { StoredGrant } from "effect-oauth2/client"
import { TestIssuer, type TestIssuerOptions } from "effect-oauth2/testing"

export const clientId = "cli"

/** Runs a test with an issuer whose key is generated fast. */
export const testWithIssuer = (
  name: string,
  body: () => Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Scope.Scope>,
  options: TestIssuerOptions = {}
) => it.effect(name, () => Effect.provide(body(), TestIssuer.layer({ keys: ["ES256"], ...options })))

/** Signs the user in with the code flow, and returns the grant of the client. */
export const signIn = (scope = "items:read items:write") =>
  Effect.gen(function* () {
    const { endpoints, issuer } = yield* TestIssuer
    const client = yield* HttpClient.HttpClient
    const verifier = "a".repeat(43)
    const digest = yield* Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)))
    const parameters = new URLSearchParams({
      client_id: clientId,
      response_type: "code",
      redirect_uri: "http://127.0.0.1/callback",
      code_challenge: Buffer.from(digest).toString("base64url"),
      code_challenge_method: "S256",
      scope
    })
    const redirect = yield* client.get(`${endpoints.authorization}?${parameters.toString()}`)
    const code = new URL(redirect.headers["location"] ?? "").searchParams.get("code") ?? ""
    const response = yield* client.execute(
      HttpClientRequest.post(endpoints.token).pipe(
        HttpClientRequest.bodyUrlParams({
          grant_type: "authorization_code",
          client_id: clientId,
          redirect_uri: "http://127.0.0.1/callback",
          code,
          code_verifier: verifier
        })
      )
    )
    const body = (yield* response.json) as Record<string, string>
    const redacted = (name: string) => (body[name] === undefined ? undefined : Redacted.make(body[name]))
    const grant: StoredGrant = {
      issuer,
      clientId,
      accessToken: Redacted.make(body["access_token"] ?? ""),
      refreshToken: redacted("refresh_token"),
      idToken: redacted("id_token"),
      type: "Bearer",
      scopes: scope.split(" "),
      sentAt: 0,
      expiresAt: 600_000
    }
    return grant
  })

/** Parameters of the refresh requests so far. */
export const refreshes = Effect.map(
  TestIssuer.use(({ requests }) => requests),
  (requests) =>
    requests.flatMap(({ endpoint, parameters }) =>
      endpoint === "token" && parameters?.["grant_type"] === "refresh_token" ? [parameters] : []
    )
)

export const count = Effect.map(refreshes, (all) => all.length)
