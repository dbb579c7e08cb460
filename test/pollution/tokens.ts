/** A valid token, invalid tokens, and the servers of the tests. */
import { Effect } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestIssuer, type SigningKey } from "effect-oauth2/testing"
import * as jose from "jose"

export const issuer = "https://issuer.test"
export const audience = "https://api.test"
export const secret = "0123456789abcdef0123456789abcdef"

/** The attacker's server, which serves the attacker's key and reports every token as active. */
export const attackersUrl = "https://attacker.test/"

const keys = await Effect.runPromise(
  Effect.all({
    issuers: TestIssuer.makeKey("key", "ES256"),
    attackers: TestIssuer.makeKey("key", "ES256"),
    shared: TestIssuer.makeSecretKey("key", secret),
    guessed: TestIssuer.makeSecretKey("key", secret.toUpperCase())
  })
)

export const jwk = keys.issuers.jwk

const mintRaw = await Effect.runPromise(
  Effect.provide(
    TestIssuer.useSync(({ mintRaw }) => mintRaw),
    TestIssuer.layer({ keys: [keys.issuers] })
  )
)

const now = Math.floor(Date.now() / 1000)

const claims = {
  iss: issuer,
  aud: audience,
  sub: "good",
  client_id: "client",
  scope: "read",
  jti: "token-1",
  iat: now,
  exp: now + 3600,
  nested: {}
}

const without = (name: string) => Object.fromEntries(Object.entries(claims).filter(([other]) => other !== name))

/** Refused claims, with the reason and the claim that the error names. */
const badClaims: Readonly<Record<string, readonly [why: string, claims: object]>> = {
  "that has expired": ["Expired exp", { ...claims, exp: now - 600 }],
  "for another API": ["Claim aud", { ...claims, aud: "https://other.test" }],
  "of another issuer": ["Claim iss", { ...claims, iss: "https://other.test" }],
  "bound to a key": ["Claim cnf", { ...claims, cnf: { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }],
  "of tomorrow": ["Claim nbf", { ...claims, nbf: now + 86_400 }],
  "without exp": ["Claim exp", without("exp")],
  "without iss": ["Claim iss", without("iss")],
  "without aud": ["Claim aud", without("aud")],
  "without sub": ["Claim sub", without("sub")],
  "without client_id": ["Claim client_id", without("client_id")]
}

const mint = (key: SigningKey, payload: object, header: object = {}): Promise<string> =>
  Effect.runPromise(
    mintRaw({
      header: JSON.stringify({ alg: key.alg, kid: key.kid, typ: "at+jwt", ...header }),
      payload: JSON.stringify(payload),
      key
    })
  )

/** A token, and the reason why it is refused. */
export interface Bad {
  readonly token: string
  readonly why: string
}

export interface Tokens {
  readonly good: string | undefined
  readonly bad: Readonly<Record<string, Bad>>
}

const jwtsOf = async (key: SigningKey, other: SigningKey): Promise<Tokens> => {
  const good = await mint(key, claims)
  const unsigned = `${jose.base64url.encode('{"alg":"none","typ":"at+jwt"}')}.${good.split(".")[1]}.`
  const bad: Record<string, Bad> = {
    "by another key": { why: "Signature", token: await mint(other, claims) },
    "by another key, without kid": { why: "Signature", token: await mint(other, claims, { kid: undefined }) },
    "without alg": { why: "Algorithm", token: await mint(key, claims, { alg: undefined }) },
    "without typ": { why: "Claim typ", token: await mint(key, claims, { typ: undefined }) },
    "with crit": { why: "Malformed", token: await mint(key, claims, { crit: ["exp"] }) },
    "without a signature": { why: "Malformed", token: unsigned }
  }
  for (const [name, [why, payload]] of Object.entries(badClaims)) bad[name] = { why, token: await mint(key, payload) }
  return { good, bad }
}

export const jwts = await jwtsOf(keys.issuers, keys.attackers)
export const hmacs = await jwtsOf(keys.shared, keys.guessed)

/** The introspection response for each token. */
const introspected: Readonly<Record<string, readonly [why: string, answer: object]>> = {
  good: ["", { active: true, token_type: "Bearer", ...claims }],
  "without active": ["BadResponse", { token_type: "Bearer", ...claims }],
  "that is inactive": ["Rejected", { active: false, token_type: "Bearer", ...claims }],
  "without token_type": ["Claim token_type", { active: true, ...claims }],
  "of another type": ["Claim token_type", { active: true, token_type: "refresh_token", ...claims }],
  ...Object.fromEntries(
    Object.entries(badClaims)
      // An introspection response needs no `exp`, `iss` or `client_id`.
      .filter(([name]) => !["without exp", "without iss", "without client_id"].includes(name))
      .map(([name, [why, claims]]) => [name, [why, { active: true, token_type: "Bearer", ...claims }] as const])
  )
}

const textOf = (name: string): string => name.replaceAll(" ", "-")

const answers = new Map(Object.entries(introspected).map(([name, [, answer]]) => [textOf(name), answer]))

export const opaque: Tokens = {
  good: "good",
  bad: Object.fromEntries(
    Object.entries(introspected)
      .filter(([name]) => name !== "good")
      .map(([name, [why]]) => [name, { why, token: textOf(name) }])
  )
}

/** Issuers whose metadata or key set lacks a member that a pollution could supply. */
export const lacking: Readonly<Record<string, string>> = {
  issuer: "https://without-issuer.test",
  jwks_uri: "https://without-jwks-uri.test",
  keys: "https://without-keys.test"
}

/** Tokens of these issuers, signed with the attacker's key. */
export const ofLacking = new Map(
  await Promise.all(
    Object.values(lacking).map(async (iss) => [iss, await mint(keys.attackers, { ...claims, iss })] as const)
  )
)

const bodies: ReadonlyMap<string, object> = new Map<string, object>([
  [
    `${issuer}/.well-known/openid-configuration`,
    { issuer, jwks_uri: `${issuer}/jwks`, introspection_endpoint: `${issuer}/introspect` }
  ],
  [`${issuer}/jwks`, { keys: [jwk] }],
  [`${lacking["issuer"]}/.well-known/openid-configuration`, { jwks_uri: attackersUrl }],
  [`${lacking["jwks_uri"]}/.well-known/openid-configuration`, { issuer: lacking["jwks_uri"] }],
  [
    `${lacking["keys"]}/.well-known/openid-configuration`,
    { issuer: lacking["keys"], jwks_uri: `${lacking["keys"]}/jwks` }
  ],
  [`${lacking["keys"]}/jwks`, {}],
  [attackersUrl, { keys: [keys.attackers.jwk], active: true, token_type: "Bearer", ...claims }]
])

export const attackersKey = keys.attackers.jwk

/** The HTTP client of all programs. Its servers do not depend on polluted properties. */
export const client = HttpClient.make((request, url) =>
  Effect.sync(() => {
    const form = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
    const token = new URLSearchParams(form).get("token") ?? ""
    const body = url.href === `${issuer}/introspect` ? answers.get(token) : bodies.get(url.href)
    return HttpClientResponse.fromWeb(
      request,
      new Response(body === undefined ? "" : JSON.stringify(body), { status: body === undefined ? 404 : 200 })
    )
  })
)
