/** Two schemes, a verifier that reads scopes from the text of a token, and the responses to refused requests. */
import { Duration, Effect, Redacted } from "effect"
import { type Challenge, OAuth2, SecurityError, type TokenCaching, TokenVerifier } from "effect-oauth2"
import { authorizationServer } from "./authorizationServer.ts"
import { verified } from "./TestVerifier.ts"

export const schemesOf = (responses: Challenge.Responses) => ({
  A: OAuth2.authorizationCode("A", {
    ...authorizationServer,
    scopes: {
      a: "",
      b: "",
      c: "",
      d: "",
      read: "",
      write: "",
      admin: "",
      owner: "",
      "doc:read": "",
      "doc:write": "",
      "doc:write:own": "",
      "doc:*": "",
      "org:{org}:read": "",
      "org:{org}:write": "",
      "org:{org}:*": "",
      "by:{org}:{team}": ""
    },
    implies: { admin: ["write"], owner: ["by:{org}:{team}"], write: ["read"], "org:{org}:write": ["org:{org}:read"] },
    wildcards: true,
    responses
  }),
  B: OAuth2.authorizationCode("B", { ...authorizationServer, scopes: { x: "", y: "" }, responses })
})

export type Schemes = ReturnType<typeof schemesOf>

/** Returns the part of a token for one scheme: `a+b/x` -> `a+b` for A, `x` for B. Without a slash, B reads `bad`. */
export const saysAt = (scheme: "A" | "B", token: string) => token.split("/")[scheme === "A" ? 0 : 1] ?? "bad"

// A bearer token contains no colons, asterisks and braces. "doc~-" -> "doc:*", "_x_" -> "{x}"
const scopeOf = (text: string) =>
  text
    .replaceAll("~", ":")
    .replaceAll("-", "*")
    .replaceAll(/_(\w+?)_/g, "{$1}")

export const verifier = (scheme: "A" | "B", caching: TokenCaching, calls: Array<string>) =>
  TokenVerifier.layer({
    ...caching,
    verify: (token) =>
      Effect.suspend((): ReturnType<TokenVerifier["Service"]["verify"]> => {
        const value = Redacted.value(token)
        const says = saysAt(scheme, value)
        calls.push(scheme)
        if (says === "bad") return Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
        return says === "outage"
          ? Effect.fail(
              new SecurityError.AuthorizationServerUnavailable({ reason: "Timeout", retryAfter: Duration.seconds(5) })
            )
          : Effect.succeed(verified(value, says === "none" ? [] : says.split("+").map(scopeOf)))
      })
  })

interface Refused {
  readonly status: Readonly<Record<Challenge.Responses, number>>
  readonly detail: string
  readonly challenges: Readonly<Record<Challenge.Responses, ReadonlyArray<string>>>
}

const refused = (
  [fastapi, rfc6750]: readonly [number, number],
  [detail, strict = detail]: readonly [string, string?],
  ...challenges: readonly [fastapi: string, rfc6750: string] | readonly []
): Expected => ({
  status: { fastapi, rfc6750 },
  detail: { fastapi: detail, rfc6750: strict },
  challenges: {
    fastapi: challenges[0] === undefined ? [] : [challenges[0]],
    rfc6750: challenges[1] === undefined ? [] : [challenges[1]]
  }
})

export interface Expected extends Omit<Refused, "detail"> {
  readonly detail: Readonly<Record<Challenge.Responses, string>>
}

export const scope = (scopes: string) => (scopes === "" ? "" : ` scope="${scopes}"`)

export const notAuthenticated = (scopes: string, realm = "A") =>
  refused(
    [401, 401],
    ["Not authenticated"],
    "Bearer",
    `Bearer realm="${realm}"${scopes === "" ? "" : `,${scope(scopes)}`}`
  )
export const malformed = refused(
  [401, 400],
  ["Not authenticated", "Malformed credentials"],
  "Bearer",
  `Bearer error="invalid_request"`
)
export const invalidToken = (scopes: string) =>
  refused(
    [401, 401],
    ["Could not validate credentials"],
    `Bearer${scope(scopes)}`,
    `Bearer error="invalid_token"${scopes === "" ? "" : `,${scope(scopes)}`}`
  )
export const insufficientScope = (scopes: string) =>
  refused(
    [401, 403],
    ["Not enough permissions"],
    `Bearer${scope(scopes)}`,
    `Bearer error="insufficient_scope",${scope(scopes)}`
  )
export const failedCheck = refused(
  [401, 403],
  ["Not enough permissions", "Access denied"],
  "Bearer",
  `Bearer realm="A"`
)
export const outage = refused([503, 503], ["Authorization server unavailable"])

/** Returns status and body of `best`, with the challenges of all other responses in their order. */
export const combined = (best: Expected, ...all: ReadonlyArray<Expected>): Expected => ({
  ...best,
  challenges: {
    fastapi: [...new Set(all.flatMap(({ challenges }) => challenges.fastapi))],
    rfc6750: [...new Set(all.flatMap(({ challenges }) => challenges.rfc6750))]
  }
})
