/** Attacks on an app that accepts bound tokens (class 20): a thief who has the token, or who has seen a request. */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { AccessToken, Dpop, JwtVerifier, OAuth2, Requirement } from "effect-oauth2"
import { type DpopClient, type Issuer, makeDpopClient, type ProofOptions, TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import { serve } from "../conformance/Wire.ts"
import { audience } from "./Arena.ts"

const auth = OAuth2.bearer("Dpop", { scopes: { read: "Read" }, dpop: Dpop.make({ origin: "https://api.test" }) })

const subject = Effect.map(AccessToken, ({ subject }) => HttpServerResponse.text(subject))

/** `/dpop` accepts both kinds of tokens, and `/bound` only bound tokens. */
const Routes = Layer.mergeAll(
  HttpRouter.add("*", "/dpop", subject).pipe(auth.require("read")),
  HttpRouter.add("*", "/bound", subject).pipe(auth.require("read", Requirement.senderConstrained))
).pipe(Layer.provide(auth.layer(JwtVerifier.layer({ issuer: "https://issuer.test", audience }))))

export const layer = serve(Routes).pipe(
  Layer.provideMerge(TestIssuer.layer({ issuer: "https://issuer.test", audience, keys: ["ES256"] }))
)

export const paths = ["/dpop", "/bound"] as const

/** What the thief has: the token of a client, and the client that can still make proofs. */
interface Stolen {
  readonly issuer: Issuer
  readonly client: DpopClient
  readonly token: string
  readonly url: string
}

export interface ProofAttack {
  readonly name: string
  readonly error: "invalid_token" | "invalid_dpop_proof" | "invalid_request"
  readonly lines: (stolen: Stolen) => Effect.Effect<ReadonlyArray<string>>
}

/** Makes the header lines of a valid request. */
export const valid = ({ client, token, url }: Stolen, options: Partial<ProofOptions> = {}) =>
  Effect.map(client.headers({ url, ...options, token }), ({ authorization, dpop }) => [
    `Authorization: ${authorization}`,
    `DPoP: ${dpop}`
  ])

const attack = (name: string, error: ProofAttack["error"], lines: ProofAttack["lines"]): ProofAttack => ({
  name,
  error,
  lines
})

const publicOf = ({ key }: DpopClient) => {
  const { alg: _alg, kid: _kid, use: _use, ...jwk } = key.jwk
  return jwk
}

const proofWith = (name: string, options: Partial<ProofOptions> | ((stolen: Stolen) => Partial<ProofOptions>)) =>
  attack(name, "invalid_dpop_proof", (stolen) =>
    valid(stolen, typeof options === "function" ? options(stolen) : options)
  )

const ofThief =
  (lines: (stolen: Stolen, thief: DpopClient) => Effect.Effect<ReadonlyArray<string>>): ProofAttack["lines"] =>
  (stolen) =>
    Effect.flatMap(makeDpopClient(), (thief) => lines(stolen, thief))

const base64 = (text: string) => jose.base64url.encode(text)

export const proofAttacks: ReadonlyArray<ProofAttack> = [
  attack("a bound token as Bearer", "invalid_token", ({ token }) => Effect.succeed([`Authorization: Bearer ${token}`])),
  attack("a bound token as bearer in lower case", "invalid_token", ({ token }) =>
    Effect.succeed([`authorization: bearer ${token}`])
  ),
  attack("a bound token as Bearer, with a proof of the client", "invalid_token", (stolen) =>
    Effect.map(valid(stolen), ([, proof = ""]) => [`Authorization: Bearer ${stolen.token}`, proof])
  ),
  attack("a bound token as DPoP without a proof", "invalid_dpop_proof", ({ token }) =>
    Effect.succeed([`Authorization: DPoP ${token}`])
  ),
  attack("an empty proof", "invalid_dpop_proof", ({ token }) =>
    Effect.succeed([`Authorization: DPoP ${token}`, "DPoP:"])
  ),
  attack(
    "the proof of another key",
    "invalid_token",
    ofThief((stolen, client) => valid({ ...stolen, client }))
  ),
  attack(
    "the jwk of the client, and a signature of another key",
    "invalid_dpop_proof",
    ofThief((stolen, { key }) => valid(stolen, { signWith: key }))
  ),
  attack(
    "the kid of the client's key, and the jwk of another key",
    "invalid_token",
    ofThief((stolen, client) => valid({ ...stolen, client }, { header: { kid: stolen.client.jkt } }))
  ),
  attack(
    "an own token that is bound to the thief's key, with the proof of the client",
    "invalid_token",
    ofThief((stolen, thief) =>
      Effect.flatMap(stolen.issuer.mint({ scopes: ["read"], boundTo: thief }), (token) => valid({ ...stolen, token }))
    )
  ),
  attack("an unbound token with a proof", "invalid_token", (stolen) =>
    Effect.flatMap(stolen.issuer.mint({ scopes: ["read"] }), (token) => valid({ ...stolen, token }))
  ),
  attack("two proofs, the second of which is valid", "invalid_dpop_proof", (stolen) =>
    Effect.flatMap(makeDpopClient(), (client) =>
      Effect.map(Effect.all([valid({ ...stolen, client }), valid(stolen)]), ([[, other = ""], own]) => [
        own[0] ?? "",
        other,
        own[1] ?? ""
      ])
    )
  ),
  attack("two proofs, the first of which is valid", "invalid_dpop_proof", (stolen) =>
    Effect.map(Effect.all([valid(stolen), valid(stolen)]), ([own, [, other = ""]]) => [...own, other])
  ),
  attack("two proofs in one header", "invalid_dpop_proof", (stolen) =>
    Effect.map(Effect.all([valid(stolen), valid(stolen)]), ([[authorization = "", proof = ""], [, other = ""]]) => [
      authorization,
      `${proof}, ${other.slice("DPoP: ".length)}`
    ])
  ),
  attack("Bearer and DPoP in two headers", "invalid_request", (stolen) =>
    Effect.map(valid(stolen), (lines) => [`Authorization: Bearer ${stolen.token}`, ...lines])
  ),
  attack("two tokens with the scheme DPoP", "invalid_request", (stolen) =>
    Effect.map(valid(stolen), (lines) => [...lines, `Authorization: DPoP ${stolen.token}`])
  ),
  attack("no token after DPoP", "invalid_request", (stolen) =>
    Effect.map(valid(stolen), ([, proof = ""]) => ["Authorization: DPoP", proof])
  ),
  proofWith("the proof of another method", { method: "POST" }),
  proofWith("the proof of another path", { url: "https://api.test/other" }),
  proofWith("the proof of another host", { url: "https://evil.test/dpop" }),
  proofWith("the proof for the Host header of the request", ({ url }) => ({ url: url.replace("https", "http") })),
  proofWith("a path that only looks equal (%2F)", ({ url }) => ({ url: url.replace(/\/(\w+)$/, "%2F$1") })),
  proofWith("a path with a double slash", ({ url }) => ({ url: url.replace(/\/(\w+)$/, "//$1") })),
  proofWith("credentials in htu", ({ url }) => ({ url: url.replace("https://", "https://api.test@") })),
  proofWith("the proof of another token", { claims: { ath: "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" } }),
  proofWith("a proof without ath", { without: ["ath"] }),
  proofWith("a proof without jti", { without: ["jti"] }),
  proofWith("a jti of 8 KiB", { claims: { jti: "j".repeat(8192) } }),
  proofWith("a proof of an hour ago", () => ({ claims: { iat: Math.floor(Date.now() / 1000) - 3600 } })),
  proofWith("a proof of the next hour", () => ({ claims: { iat: Math.floor(Date.now() / 1000) + 3600 } })),
  proofWith("an iat of 1e300", { claims: { iat: 1e300 } }),
  proofWith("an iat that is a text", { claims: { iat: "9999999999" } }),
  proofWith("alg none", { header: { alg: "none" } }),
  attack("alg none without a signature", "invalid_dpop_proof", ({ client, token, url }) =>
    Effect.succeed([
      `Authorization: DPoP ${token}`,
      `DPoP: ${base64(JSON.stringify({ typ: "dpop+jwt", alg: "none", jwk: publicOf(client) }))}.${base64(
        JSON.stringify({ jti: "1", htm: "GET", htu: url, iat: 1 })
      )}.`
    ])
  ),
  attack("HS256 with the public key as the secret", "invalid_dpop_proof", (stolen) =>
    Effect.flatMap(TestIssuer.makeSecretKey("dpop", JSON.stringify(publicOf(stolen.client))), (key) =>
      valid(stolen, { header: { alg: "HS256" }, signWith: key })
    )
  ),
  proofWith("a symmetric jwk", { header: { jwk: { kty: "oct", k: "AAAA" } } }),
  proofWith("a private jwk", ({ client }) => ({ header: { jwk: { ...publicOf(client), d: "AAAA" } } })),
  proofWith("a jwk with a weak RSA key", {
    header: { alg: "PS256", jwk: { kty: "RSA", e: "AQAB", n: base64("n".repeat(128)) } }
  }),
  proofWith("a jwk with the exponent 1", {
    header: { alg: "PS256", jwk: { kty: "RSA", e: "AQ", n: base64("n".repeat(257)) } }
  }),
  proofWith("an Ed25519 key of small order", {
    header: { alg: "EdDSA", jwk: { kty: "OKP", crv: "Ed25519", x: "A".repeat(43) } }
  }),
  proofWith("a URL of a key (jku) in place of jwk", { header: { jwk: undefined, jku: "https://evil.test/jwks" } }),
  proofWith("crit", { header: { crit: ["htu"], htu: "x" } }),
  proofWith("another typ", { header: { typ: "at+jwt" } }),
  attack("the access token as its own proof", "invalid_dpop_proof", ({ token }) =>
    Effect.succeed([`Authorization: DPoP ${token}`, `DPoP: ${token}`])
  ),
  attack("a proof with duplicate claims", "invalid_dpop_proof", ({ client, issuer, token, url }) =>
    Effect.map(
      issuer.mintRaw({
        header: JSON.stringify({ typ: "dpop+jwt", alg: "ES256", jwk: publicOf(client) }),
        payload: `{"jti":"1","htm":"GET","htu":"https://evil.test/","htu":${JSON.stringify(url)},"iat":1,"ath":"x"}`,
        key: client.key
      }),
      (proof) => [`Authorization: DPoP ${token}`, `DPoP: ${proof}`]
    )
  )
]
