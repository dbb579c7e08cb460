// A user who has signed in at a test issuer, and the requests that its token endpoint got.
import { Effect, Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import type { StoredGrant } from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import { settle } from "../support/settle.ts"

export const clientId = "cli"

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

/** Runs pending work until the effect returns the value. On a busy machine, a signature takes thousands of turns. */
export const until = <A, E, R>(effect: Effect.Effect<A, E, R>, expected: (value: A) => boolean) =>
  Effect.gen(function* () {
    const end = performance.now() + 8000
    while (performance.now() < end) {
      if (expected(yield* effect)) return
      yield* settle
    }
    return yield* Effect.die(new Error("The value did not come."))
  })
