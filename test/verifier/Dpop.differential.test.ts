// Compares decisions with those of oauth4webapi. The proofs come from the package dpop, as a real client makes them.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestIssuer } from "effect-oauth2/testing"
import * as dpop from "dpop"
import * as oauth from "oauth4webapi"
import { appOf, schemeOf, sendTo, url } from "../support/dpopApp.ts"

interface Proven {
  readonly token: string
  readonly proof: string
  readonly keys: dpop.KeyPair
}

const make = (keys: dpop.KeyPair, token: string, method = "GET", htu = url, additional?: Record<string, string>) =>
  Effect.promise(() => dpop.generateProof(keys, htu, method, undefined, token, additional))

const encode = (value: unknown) =>
  btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")

type Json = Readonly<Record<string, unknown>>

const decode = (segment: string): Json => JSON.parse(atob(segment.replaceAll("-", "+").replaceAll("_", "/"))) as Json

/** Signs a changed proof with the client's key. */
const resigned = (
  { keys, proof }: Proven,
  change: { readonly header?: (header: Json) => unknown; readonly payload?: (payload: Json) => unknown }
) =>
  Effect.promise(async () => {
    const [header = "", payload = ""] = proof.split(".")
    const input = `${encode((change.header ?? ((of) => of))(decode(header)))}.${encode((change.payload ?? ((of) => of))(decode(payload)))}`
    const signature = await crypto.subtle.sign(
      { name: "ECDSA", hash: "SHA-256" },
      keys.privateKey,
      new TextEncoder().encode(input)
    )
    const text = btoa(String.fromCharCode(...new Uint8Array(signature)))
    return `${input}.${text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`
  })

const seconds = () => Math.floor(Date.now() / 1000)

type Case = (proven: Proven) => Effect.Effect<{ readonly authorization: string; readonly dpop?: string }>

const withProof =
  (of: (proven: Proven) => Effect.Effect<string>): Case =>
  (proven) =>
    Effect.map(of(proven), (dpop) => ({ authorization: `DPoP ${proven.token}`, dpop }))

const payload = (change: (payload: Json) => unknown) => withProof((proven) => resigned(proven, { payload: change }))
const header = (change: (header: Json) => unknown) => withProof((proven) => resigned(proven, { header: change }))

const leavingOut = (name: string) => (of: Json) =>
  Object.fromEntries(Object.entries(of).filter(([other]) => other !== name))

const cases: Readonly<Record<string, Case>> = {
  "a proof of the client": withProof(({ proof }) => Effect.succeed(proof)),
  "a proof that was signed again": payload((of) => of),
  "another claim": payload((of) => ({ ...of, note: 1 })),
  "no proof": ({ token }) => Effect.succeed({ authorization: `DPoP ${token}` }),
  "the scheme Bearer": ({ proof, token }) => Effect.succeed({ authorization: `Bearer ${token}`, dpop: proof }),
  "the scheme in lower case": ({ proof, token }) => Effect.succeed({ authorization: `dpop ${token}`, dpop: proof }),
  "another method": withProof(({ keys, token }) => make(keys, token, "POST")),
  "another path": withProof(({ keys, token }) => make(keys, token, "GET", `${url}/1`)),
  "another host": withProof(({ keys, token }) => make(keys, token, "GET", "https://evil.test/items")),
  "an upper-case host with port": withProof((proven) =>
    resigned(proven, { payload: (of) => ({ ...of, htu: "https://API.TEST:443/items" }) })
  ),
  "another token": withProof(({ keys }) => make(keys, "other")),
  "no ath": payload(leavingOut("ath")),
  "no jti": payload(leavingOut("jti")),
  "a jti that is a number": payload((of) => ({ ...of, jti: 1 })),
  "no iat": payload(leavingOut("iat")),
  "an iat that is a text": payload((of) => ({ ...of, iat: String(of["iat"]) })),
  "an iat an hour ago": payload((of) => ({ ...of, iat: seconds() - 3600 })),
  "an iat in an hour": payload((of) => ({ ...of, iat: seconds() + 3600 })),
  "no htm": payload(leavingOut("htm")),
  "no htu": payload(leavingOut("htu")),
  "an htu that is no URL": payload((of) => ({ ...of, htu: "items" })),
  "no typ": header(leavingOut("typ")),
  "another typ": header((of) => ({ ...of, typ: "jwt" })),
  "no jwk": header(leavingOut("jwk")),
  "a private jwk": header((of) => ({ ...of, jwk: { ...(of["jwk"] as Json), d: "AAAA" } })),
  "alg none": header((of) => ({ ...of, alg: "none" })),
  "alg HS256": header((of) => ({ ...of, alg: "HS256" })),
  "a crit": header((of) => ({ ...of, crit: ["x"], x: 1 })),
  "a proof of another client": withProof(({ token }) =>
    Effect.flatMap(
      Effect.promise(() => dpop.generateKeyPair("ES256")),
      (keys) => make(keys, token)
    )
  ),
  "a changed signature": withProof(({ proof }) => Effect.succeed(`${proof.slice(0, -8)}AAAAAAAA`)),
  "a changed payload": withProof((proven) =>
    Effect.map(make(proven.keys, proven.token), (other) => {
      const [header, , signature] = proven.proof.split(".")
      return `${header}.${other.split(".")[1]}.${signature}`
    })
  ),
  "two proofs in one header": withProof((proven) =>
    Effect.map(make(proven.keys, proven.token), (other) => `${proven.proof}, ${other}`)
  )
}

/** A new object for each test, because oauth4webapi caches the keys by this object. */
const server = (): oauth.AuthorizationServer => ({
  issuer: "https://issuer.test",
  jwks_uri: "https://issuer.test/jwks"
})

/** The cases that both accept. Otherwise, a mistake of the test could make both refuse everything. */
const accepted = new Set([
  "a proof of the client",
  "a proof that was signed again",
  "another claim",
  "the scheme in lower case",
  "an upper-case host with port"
])

describe("a request with DPoP", () => {
  it.live.each(Object.entries(cases))("with %s is decided as by oauth4webapi", ([name, change]) =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf())
      const keys = yield* Effect.promise(() => dpop.generateKeyPair("ES256"))
      const jkt = yield* Effect.promise(() => dpop.calculateThumbprint(keys.publicKey))
      const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"], boundTo: { jkt } }))
      const proof = yield* make(keys, token)
      const headers = yield* change({ token, proof, keys })
      const published = yield* TestIssuer.use(({ keys }) => keys)
      const jwks = JSON.stringify({ keys: published.map(({ jwk }) => jwk) })
      const expected = yield* Effect.promise(() =>
        oauth
          .validateJwtAccessToken(server(), new Request(url, { headers }), "https://api.test", {
            requireDPoP: true,
            [oauth.customFetch]: () =>
              Promise.resolve(new Response(jwks, { headers: { "content-type": "application/json" } }))
          })
          .then(
            () => true,
            () => false
          )
      )
      const { status } = yield* sendTo(app, headers)
      assert.strictEqual(status === 200, expected)
      assert.strictEqual(expected, accepted.has(name))
    }).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)
  )

  it.live.each(["ES256", "PS256", "Ed25519"] as const)("of a client with %s is accepted by both", (algorithm) =>
    Effect.gen(function* () {
      const app = yield* appOf(schemeOf())
      const keys = yield* Effect.promise(() => dpop.generateKeyPair(algorithm))
      const jkt = yield* Effect.promise(() => dpop.calculateThumbprint(keys.publicKey))
      const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read"], boundTo: { jkt } }))
      const headers = { authorization: `DPoP ${token}`, dpop: yield* make(keys, token) }
      assert.strictEqual((yield* sendTo(app, headers)).status, 200)
    }).pipe(Effect.provide(TestIssuer.layer({ keys: ["ES256"] })), Effect.scoped)
  )
})
