/** Mistakes of configuration and of clients, the message that each of them causes, and what to do. */
import { IpNetwork } from "effect/net"
import type { JwtVerifier } from "effect-oauth2"
import { type Dpop, type MutualTls, Provider, Requirement } from "effect-oauth2"
import type { IssuerResponse, Endpoint, MintOptions } from "effect-oauth2/testing"

export interface Cause {
  readonly status: 401 | 503
  readonly symptom: string
  /** The outcome that `oauth2_token_verifications_total` counts. */
  readonly outcome?: string
  /** What to do, in addition to the message. */
  readonly fix: string
  /** Options of a scheme with DPoP. The request then has a proof for another URL. */
  readonly dpop?: Dpop.Options
  /** Options of a scheme with mutual TLS. The request comes from the address 10.0.0.1. */
  readonly mutualTls?: MutualTls.Options
  readonly options?: Partial<JwtVerifier.Options>
  readonly mint?: MintOptions
  /** Signs with a key that the issuer does not publish. */
  readonly otherKey?: true
  /** Secret of the verifier. The tokens are signed with another secret. */
  readonly secret?: string
  /** Issuers of `layerIssuers`. */
  readonly issuers?: readonly [string, ...ReadonlyArray<string>]
  /** The issuer that `layerAllowedIssuers` allows. */
  readonly allowed?: string
  /** Credentials instead of a minted token. */
  readonly token?: string
  readonly several?: true
  /** What the route requires. Default: a valid token. */
  readonly requires?: ReadonlyArray<Requirement.Requirement<never, never, never, never>>
  /** Responses of the authorization server. */
  readonly answers?: ReadonlyArray<readonly [endpoint: Endpoint | "discovery", answer: IssuerResponse]>
}

/** A claim of many levels. */
const nested = (levels: number): unknown => (levels === 0 ? "end" : [nested(levels - 1)])

const tenant = "11111111-2222-3333-4444-555555555555"
const jwt = { header: { typ: "JWT" } } as const
const { issuer: entra } = Provider.entra({ tenant, audience: "https://api.test" })

export const causes: ReadonlyArray<Cause> = [
  {
    status: 401,
    symptom: "The credentials are not a bearer token",
    outcome: "MalformedCredentials",
    token: '"quoted"',
    fix: "Correct the client. A common mistake is a token with quotation marks, or `Bearer` twice."
  },
  {
    status: 401,
    symptom: "The Authorization header is longer than the limit",
    outcome: "TooLong",
    token: "x".repeat(9000),
    fix: "Provide `Layer.succeed(BearerToken.MaxLength, 16_384)` to the server, and set `maxTokenLength: 16_384`. Or make tokens shorter: remove roles and groups that the API does not need."
  },
  {
    status: 401,
    symptom: "The request has several Authorization headers",
    outcome: "SeveralCredentials",
    several: true,
    fix: "Let only the client, or only the proxy, send the header."
  },
  {
    status: 401,
    symptom: "The token does not say how the user authenticated",
    requires: [Requirement.acr("mfa"), Requirement.authenticatedWithin("5 minutes")],
    fix: "Configure the access token at the issuer. Many issuers write `acr` and `auth_time` only into the ID token. [Step-up authentication](guides/step-up.md) lists the accepted types."
  },
  {
    status: 401,
    symptom: "The token is longer than the limit",
    outcome: "Malformed",
    options: { maxTokenLength: 100 },
    fix: "Set `maxTokenLength`, or make tokens shorter."
  },
  {
    status: 401,
    symptom: "The token is not a JWT",
    outcome: "Malformed",
    token: "opaque",
    fix: "Auth0 and Okta issue opaque tokens if a client requests no audience. Request the audience of the API. For a server with opaque tokens, use `TokenIntrospection`."
  },
  {
    status: 401,
    symptom: "The token is encrypted",
    token: "a.b.c.d.e",
    fix: "Switch off the encryption of access tokens for this API at the issuer."
  },
  {
    status: 401,
    symptom: "The token is not a well-formed JWT",
    outcome: "Malformed",
    mint: { header: { crit: ["exp"] } },
    fix: "Check whether the client or a proxy changes the token. If the header has more than four certificates (`x5c`), make the issuer leave them out."
  },
  {
    status: 401,
    symptom: "The algorithm is not allowed",
    options: { algorithms: ["ES256"] },
    fix: "Add the algorithm of the issuer to `algorithms`."
  },
  {
    status: 401,
    symptom: "The issuer signs with a shared secret",
    mint: { header: { alg: "HS256" } },
    fix: "Choose a signature with a private key at the issuer, such as RS256. If you sign the tokens yourself with a secret, use `JwtVerifier.layerSecret`."
  },
  {
    status: 401,
    symptom: "The secret is wrong",
    secret: "another-secret-of-32-characters!",
    fix: 'Compare the secrets. For a secret in base64, pass `Redacted.make(Buffer.from(text, "base64"))`.'
  },
  {
    status: 401,
    symptom: "The token is not signed with the shared secret's algorithm",
    secret: "a-shared-secret-of-32-characters",
    otherKey: true,
    fix: "Verify tokens of an issuer with published keys with `JwtVerifier.layer`."
  },
  {
    status: 401,
    symptom: "The claims are not strict JSON",
    mint: { claims: { nested: nested(20) } },
    fix: "Make the issuer leave out claims with deep structures."
  },
  {
    status: 401,
    symptom: "The issuer has no key for the token",
    otherKey: true,
    fix: "Set `issuer` to the issuer that signs the tokens. If its keys are at another URL, use `JwtVerifier.layerKeySet` with `KeySet.layerRemote`."
  },
  {
    status: 401,
    symptom: "The token is of another issuer",
    mint: { claims: { iss: "https://issuer.test/" } },
    fix: "Set `issuer` to the `iss` in the message, if that is your issuer."
  },
  {
    status: 401,
    symptom: "The token is of none of several issuers",
    issuers: ["https://issuer.test/a", "https://issuer.test/b"],
    fix: "Compare the `iss` of a token with the `issuer` options of `JwtVerifier.layerIssuers`, character by character."
  },
  {
    status: 401,
    symptom: "The token has no expiry",
    mint: { without: ["exp"] },
    fix: "Configure a lifetime for access tokens at the issuer. There is no option to accept tokens without `exp`."
  },
  {
    status: 401,
    symptom: "The token has no time of issue, and maxTokenAge is set",
    options: { maxTokenAge: "1 hour", profile: "jwt" },
    mint: { without: ["iat"], ...jwt },
    fix: "Remove `maxTokenAge`. To limit lifetimes by `exp` instead, set `maxLifetime`."
  },
  {
    status: 401,
    symptom: "A time in the token is not a number",
    mint: { claims: { nbf: "tomorrow" } },
    fix: "Make the issuer write seconds since 1970, without quotation marks."
  },
  {
    status: 401,
    symptom: "The allow option refuses the issuer",
    outcome: "Claim",
    allowed: "https://issuer.test/",
    fix: "Compare the `iss` of a token with your list of issuers, character by character."
  },
  {
    status: 401,
    symptom: "The issuer is not a URL, and layerAllowedIssuers finds the issuer",
    allowed: "https://issuer.test",
    mint: { claims: { iss: "issuer.test" } },
    fix: "Configure an https URL as the issuer at the authorization server. If its tokens keep another `iss`, use `JwtVerifier.layerKeySet` for this issuer."
  },
  {
    status: 401,
    symptom: "The token is of version 1.0 of Entra ID",
    options: Provider.entra({ tenant, audience: "https://api.test" }),
    mint: { claims: { iss: `https://sts.windows.net/${tenant}/`, ver: "1.0", scp: "read" }, ...jwt },
    fix: 'Set `requestedAccessTokenVersion: 2` in the manifest of the API, or pass `version: "1.0"` to `Provider.entra`.'
  },
  {
    status: 401,
    symptom: "The token is for another API",
    mint: { claims: { aud: "https://graph.test" } },
    fix: "Clients must request the token for your API. If the token is for your API, set `audience` to the `aud` in the message."
  },
  {
    status: 401,
    symptom: "The token has no audience",
    mint: { without: ["aud"] },
    fix: "Configure the audience at the issuer. If the issuer cannot, name the claim of the client with `audienceClaim`, or read the warning of `audience: false`."
  },
  {
    status: 401,
    symptom: "The token has expired",
    mint: { lifetime: "-1 hour" },
    fix: "Clients must refresh their tokens. If new tokens are refused, synchronize the clock of the server."
  },
  {
    status: 401,
    symptom: "The clock of the server is behind",
    mint: { claims: { iat: 1009 } },
    fix: "Synchronize the clocks. Set `clockTolerance` for small differences."
  },
  {
    status: 401,
    symptom: "The token is not valid yet",
    mint: { claims: { nbf: 1060 } },
    fix: "Synchronize the clocks. Set `clockTolerance` for small differences."
  },
  {
    status: 401,
    symptom: "The token is older than maxTokenAge",
    options: { maxTokenAge: "1 minute" },
    mint: { claims: { iat: 100 } },
    fix: "Raise `maxTokenAge`, or get tokens more often."
  },
  {
    status: 401,
    symptom: "The expiry is in milliseconds",
    mint: { claims: { exp: 4e12 } },
    options: { maxLifetime: "1 day" },
    fix: "Write `exp` in seconds."
  },
  {
    status: 401,
    symptom: "The token has no sub",
    mint: { without: ["sub"] },
    fix: "Set `subjectClaims`."
  },
  {
    status: 401,
    symptom: "The token has no client_id",
    mint: { without: ["client_id"] },
    fix: 'Make the issuer write `client_id`, or set `profile: "jwt"`.'
  },
  {
    status: 401,
    symptom: "The token is bound to a key",
    mint: { claims: { cnf: { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } } },
    fix: "Set the option `dpop` of the scheme (see [Bound tokens](guides/dpop.md)), or switch off DPoP for this API at the issuer."
  },
  {
    status: 401,
    symptom: "The token is bound to a certificate",
    mint: { claims: { cnf: { "x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" } } },
    fix: "Set the option `mutualTls` of the scheme (see [Bound tokens (mutual TLS)](guides/mtls.md)), or switch off mutual TLS for this API at the issuer."
  },
  {
    status: 401,
    symptom: "The request of a token with a certificate has no certificate",
    mutualTls: {},
    mint: { claims: { cnf: { "x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" } } },
    fix: "Set `requestCert` of the server, or the option `proxy` of `MutualTls.make`."
  },
  {
    status: 401,
    symptom: "The certificate does not come from a trusted proxy",
    mutualTls: { proxy: { trustedProxies: [IpNetwork.fromStringUnsafe("192.0.2.0/24")] } },
    mint: { claims: { cnf: { "x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" } } },
    fix: "Correct `trustedProxies`."
  },
  {
    status: 401,
    symptom: "The trusted proxy sends no valid certificate",
    mutualTls: { proxy: { trustedProxies: [IpNetwork.fromStringUnsafe("10.0.0.0/8")] } },
    mint: { claims: { cnf: { "x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" } } },
    fix: "Correct `format` and `header`, or the configuration of the proxy."
  },
  {
    status: 401,
    symptom: "The token is bound in another way",
    mint: { claims: { cnf: { kid: "x" } } },
    fix: "Correct the configuration of the issuer."
  },
  {
    status: 401,
    symptom: "The URL in a DPoP proof is not the URL of the request",
    dpop: {},
    fix: "Behind a proxy, set the option `origin` of `Dpop.make`."
  },
  {
    status: 401,
    symptom: "The URL in a DPoP proof is not below the origin option",
    dpop: { origin: "https://api.test" },
    fix: "Set the option `origin` of `Dpop.make` to the URL that clients use."
  },
  {
    status: 401,
    symptom: "A required claim is missing",
    options: { requiredClaims: { tenant: "t1" } },
    fix: "Correct `requiredClaims`."
  },
  {
    status: 401,
    symptom: "The issuer does not mark its access tokens",
    mint: jwt,
    fix: 'Set `profile: "jwt"`, or use the function of your provider in `Provider`.'
  },
  {
    status: 401,
    symptom: "An access token has a nonce",
    options: { profile: "jwt" },
    mint: { claims: { nonce: "n" }, ...jwt },
    fix: "If the documentation of the issuer says so, set `forbiddenClaims` to the other claims of the list."
  },
  {
    status: 401,
    symptom: "The token is of an application, not of a user (Entra ID)",
    options: Provider.entra({ tenant, audience: "https://api.test" }),
    mint: {
      claims: { iss: entra, ver: "2.0", azp: "daemon", roles: ["Items.Read.All"] },
      without: ["client_id", "scope"],
      ...jwt
    },
    fix: 'Use `Provider.entra` with `permissions: "application"` for applications.'
  },
  {
    status: 401,
    symptom: "The token has no mark of an access token",
    options: { profile: "jwt" },
    mint: { without: ["client_id", "scope"], ...jwt },
    fix: "Clients must send their access token and not their ID token. If the token is an access token, set `accessTokenClaims`."
  },
  {
    status: 401,
    symptom: "The token is a logout token, or another JWT",
    mint: { header: { typ: "logout+jwt" } },
    fix: "Clients must send their access token."
  },
  {
    status: 503,
    symptom: "The issuer is unreachable",
    answers: [["discovery", "unreachable"]],
    fix: "Check the network, the name and the certificate of the issuer."
  },
  {
    status: 503,
    symptom: "The metadata is missing",
    answers: [["discovery", { status: 404 }]],
    fix: "Correct `issuer`. If the issuer has no metadata, use `JwtVerifier.layerKeySet` with `KeySet.layerRemote`."
  },
  {
    status: 503,
    symptom: "The metadata names another issuer",
    answers: [["discovery", { body: '{"issuer":"https://issuer.test/","jwks_uri":"https://issuer.test/jwks"}' }]],
    fix: "Set `issuer` to the `issuer` in the metadata."
  },
  {
    status: 503,
    symptom: "The metadata is an HTML page",
    answers: [["discovery", { body: "<!doctype html>" }]],
    fix: "Correct `issuer`. A page for logging in, or of a proxy, responds at this URL."
  },
  {
    status: 503,
    symptom: "The issuer redirects",
    answers: [["discovery", { status: 302, headers: { location: "https://login.test/" } }]],
    fix: "Set `issuer` to the URL after the redirect, if the tokens have it as `iss`."
  },
  {
    status: 503,
    symptom: "The key set is missing",
    answers: [["jwks", { status: 500 }]],
    fix: "Check the issuer."
  }
]
