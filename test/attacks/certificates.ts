/** Attacks on an app that accepts tokens that are bound to a certificate (class 20): a thief who has the token. */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { IpNetwork } from "effect/net"
import { AccessToken, Dpop, JwtVerifier, MutualTls, OAuth2 } from "effect-oauth2"
import { type DpopClient, type Issuer, makeDpopClient, TestIssuer } from "effect-oauth2/testing"
import { createHash } from "node:crypto"
import { selfSigned, type TestCertificate } from "../support/certificates.ts"
import { get, requestOverHttp2, serve } from "../support/mutualTls.ts"
import { audience } from "./Arena.ts"

const network = (text: string) => IpNetwork.fromStringUnsafe(text)
const local = [network("127.0.0.0/8"), network("::1/128")]

const behindProxy = (options: Partial<MutualTls.ProxyOptions> = {}) =>
  MutualTls.make({ proxy: { trustedProxies: local, ...options } })

const origin = "https://api.test"
const subject = Effect.map(AccessToken, ({ subject }) => HttpServerResponse.text(subject))

/** Serves one path with a scheme of its own. */
const route = (path: Path, options: { readonly dpop?: Dpop.Dpop; readonly mutualTls: MutualTls.MutualTls }) => {
  const auth = OAuth2.bearer(path.slice(1), { scopes: { read: "Read" }, responses: "rfc6750", ...options })
  return HttpRouter.add("GET", path, subject).pipe(
    auth.require("read"),
    Layer.provide(auth.layer(JwtVerifier.layer({ issuer: "https://issuer.test", audience })))
  )
}

/** Where the app finds the certificate: in its own connection, or in a header of a proxy at this computer. */
const Routes = Layer.mergeAll(
  route("/connection", { mutualTls: MutualTls.make() }),
  route("/both", { mutualTls: MutualTls.make(), dpop: Dpop.make({ origin }) }),
  route("/rfc9440", { mutualTls: behindProxy() }),
  route("/envoy", { mutualTls: behindProxy({ format: "envoy" }) }),
  route("/pem", { mutualTls: behindProxy({ format: "escapedPem", header: "X-Client-Cert" }) }),
  route("/untrusted", { mutualTls: behindProxy({ trustedProxies: [network("10.0.0.0/8")] }) })
)

export const layer = serve(Routes).pipe(
  Layer.provideMerge(TestIssuer.layer({ issuer: "https://issuer.test", audience, keys: ["ES256"] }))
)

type Path = "/connection" | "/both" | "/rfc9440" | "/envoy" | "/pem" | "/untrusted"
type Headers = Readonly<Record<string, string | ReadonlyArray<string>>>

/** The thief's certificate has the subject of the client's. */
const client = selfSigned("client")
const thief = selfSigned("client")

const base64Of = ({ der }: TestCertificate) => Buffer.from(der).toString("base64")
const hashOf = ({ der }: TestCertificate) => createHash("sha256").update(der).digest("hex")
const thumbprintOf = ({ der }: TestCertificate) => createHash("sha256").update(der).digest("base64url")
const escape = ({ cert }: TestCertificate) => encodeURIComponent(cert)

/** What a client and its thief have: the client's token and its key for proofs. */
interface Stolen {
  readonly issuer: Issuer
  readonly key: DpopClient
  readonly token: string
}

/** Makes a token, and the headers that its client sends to a path with it. */
const stolenAt = (path: Path) =>
  Effect.gen(function* () {
    const issuer = yield* TestIssuer
    const key = yield* makeDpopClient()
    const boundTo = { certificate: client.cert, ...(path === "/both" ? { jkt: key.jkt } : {}) }
    const token = yield* issuer.mint({ scopes: ["read"], subject: "good", boundTo })
    return { issuer, key, token }
  })

/** The client's certificate in the header of the proxy. */
const ofProxy: Partial<Record<Path, Headers>> = {
  "/rfc9440": { "Client-Cert": `:${base64Of(client)}:` },
  "/envoy": { "X-Forwarded-Client-Cert": `Hash=${hashOf(client)};Subject="CN=client"` },
  "/pem": { "X-Client-Cert": escape(client) },
  "/untrusted": { "Client-Cert": `:${base64Of(client)}:` }
}

const proofOf = ({ key, token }: Stolen) =>
  Effect.map(key.headers({ url: `${origin}/both`, token }), (headers) => ({ ...headers }))

/** Sends the request of the client itself. */
const valid = (path: Path, stolen: Stolen) =>
  Effect.flatMap(path === "/both" ? proofOf(stolen) : Effect.succeed({}), (proof) =>
    get({
      path,
      token: stolen.token,
      headers: { ...ofProxy[path], ...proof },
      ...(ofProxy[path] === undefined ? { certificate: client } : {})
    })
  )

type Answer = Effect.Success<ReturnType<typeof get>>
type Services = TestIssuer | Layer.Success<typeof layer>

export interface CertificateAttack {
  readonly name: string
  /** `none` is the scheme `DPoP` of an app without `dpop`: the challenge has no error. */
  readonly error: "invalid_token" | "invalid_dpop_proof" | "invalid_request" | "none"
  readonly path: Path
  readonly send: (stolen: Stolen) => Effect.Effect<Answer, Error, Services>
}

const attack = (
  name: string,
  path: Path,
  send: CertificateAttack["send"],
  error: CertificateAttack["error"] = "invalid_token"
): CertificateAttack => ({ name, path, send, error })

/** The thief sends the token with its own certificate, or with none, and with headers. */
const sending =
  (
    path: Path,
    headers: Headers | ((stolen: Stolen) => Effect.Effect<Headers>) = {},
    certificate?: TestCertificate
  ): CertificateAttack["send"] =>
  (stolen) =>
    Effect.flatMap(typeof headers === "function" ? headers(stolen) : Effect.succeed(headers), (headers) =>
      get({ path, token: stolen.token, headers, ...(certificate === undefined ? {} : { certificate }) })
    )

/** The thief's request reaches the app through a proxy at this computer, which sends these headers. */
const proxied = (
  path: "/rfc9440" | "/envoy" | "/pem",
  attacks: Readonly<Record<string, string | ReadonlyArray<string>>>
): ReadonlyArray<CertificateAttack> => {
  const [name = ""] = Object.keys(ofProxy[path] ?? {})
  return Object.entries(attacks).map(([title, value]) => attack(title, path, sending(path, { [name]: value })))
}

/** A token of the authorization server with another `cnf`, on the connection of the client. */
const confirmed = (name: string, cnf: unknown): ReadonlyArray<CertificateAttack> =>
  (["/connection", "/both"] as const).map((path) =>
    attack(name, path, ({ issuer }) =>
      Effect.flatMap(issuer.mint({ scopes: ["read"], claims: { cnf } }), (token) =>
        get({ path, token, certificate: client })
      )
    )
  )

const resumed = (version: "TLSv1.2" | "TLSv1.3", send: typeof get) =>
  attack(
    `a resumed session of ${version} with another certificate, over ${send === get ? "HTTP/1.1" : "HTTP/2"}`,
    "/connection",
    ({ token }) =>
      Effect.gen(function* () {
        const tls = { minVersion: version, maxVersion: version }
        const { session } = yield* send({ path: "/connection", token, certificate: thief, tls })
        const answer = yield* send({ path: "/connection", token, certificate: client, tls: { ...tls, session } })
        // A refusal without a resumed session would show nothing.
        return answer.isResumed ? answer : { ...answer, status: 0 }
      })
  )

const rfc9440 = ofProxy["/rfc9440"] ?? {}
const text = base64Of(client)
const element = `Hash=${hashOf(client)}`
const foreign = `Hash=${hashOf(thief)}`
const thumbprint = thumbprintOf(client)

export const certificateAttacks: ReadonlyArray<CertificateAttack> = [
  attack("no certificate", "/connection", sending("/connection")),
  attack("another certificate with the same subject", "/connection", sending("/connection", {}, thief)),
  attack("no certificate, over HTTP/2", "/connection", ({ token }) => requestOverHttp2({ path: "/connection", token })),
  attack("another certificate, over HTTP/2", "/connection", ({ token }) =>
    requestOverHttp2({ path: "/connection", token, certificate: thief })
  ),
  ...(["TLSv1.2", "TLSv1.3"] as const).flatMap((version) => [
    resumed(version, get),
    resumed(version, requestOverHttp2)
  ]),
  attack(
    "the certificate in headers, without a proxy",
    "/connection",
    sending("/connection", { ...rfc9440, ...ofProxy["/envoy"], ...ofProxy["/pem"] })
  ),
  attack("the certificate in headers, beside the thief's", "/connection", sending("/connection", rfc9440, thief)),
  attack(
    "the scheme DPoP",
    "/connection",
    sending("/connection", ({ token }) => Effect.succeed({ authorization: `DPoP ${token}` }), thief),
    "none"
  ),
  attack(
    "two tokens, one of which is a bearer token of the thief",
    "/connection",
    ({ issuer, token }) =>
      Effect.flatMap(issuer.mint({ scopes: ["read"] }), (own) =>
        get({
          path: "/connection",
          token,
          headers: { authorization: [`Bearer ${own}`, `Bearer ${token}`] },
          certificate: thief
        })
      ),
    "invalid_request"
  ),

  attack("a key and a certificate: only the proof", "/both", sending("/both", proofOf)),
  attack("a key and a certificate: the proof with another certificate", "/both", sending("/both", proofOf, thief)),
  attack("a key and a certificate: only the certificate", "/both", sending("/both", {}, client)),
  attack(
    "a key and a certificate: the certificate with the scheme DPoP and no proof",
    "/both",
    sending("/both", ({ token }) => Effect.succeed({ authorization: `DPoP ${token}` }), client),
    "invalid_dpop_proof"
  ),
  attack(
    "a key and a certificate: the certificate with a proof of another key",
    "/both",
    sending(
      "/both",
      ({ issuer, token }) => Effect.flatMap(makeDpopClient(), (key) => proofOf({ issuer, key, token })),
      client
    )
  ),
  attack("a key and a certificate: the proof beside the scheme Bearer", "/both", (stolen) =>
    Effect.flatMap(proofOf(stolen), ({ dpop }) =>
      get({ path: "/both", token: stolen.token, headers: { dpop }, certificate: client })
    )
  ),

  ...confirmed("cnf with another member beside the thumbprint", { "x5t#S256": thumbprint, kid: "a" }),
  ...confirmed("cnf with the thumbprint as x5t", { x5t: thumbprint }),
  ...confirmed("cnf with the thumbprint in another case", { "x5t#s256": thumbprint }),
  ...confirmed("cnf with a padded thumbprint", { "x5t#S256": `${thumbprint}=` }),
  ...confirmed("cnf with the thumbprint in hex", { "x5t#S256": hashOf(client) }),
  ...confirmed("cnf with a list of thumbprints", { "x5t#S256": [thumbprint, thumbprintOf(thief)] }),
  ...confirmed("cnf with an empty thumbprint", { "x5t#S256": "" }),
  ...confirmed("cnf with a jwk", { jwk: { kty: "oct", k: "AAAA" } }),
  ...confirmed("cnf with a jwe", { jwe: "x" }),
  ...confirmed("cnf with a kid", { kid: "a" }),
  ...confirmed("cnf with a jku", { jku: "https://evil.test/jwks" }),
  ...confirmed("cnf with an unknown member", { osc: {} }),
  ...confirmed("cnf without members", {}),
  ...confirmed("cnf null", null),
  ...confirmed("cnf that is the thumbprint", thumbprint),
  ...confirmed("cnf that is a list", [{ "x5t#S256": thumbprint }]),
  ...confirmed("cnf with a malformed jkt beside the thumbprint", { "x5t#S256": thumbprint, jkt: "x" }),

  attack("the header from an address that is no proxy", "/untrusted", sending("/untrusted", rfc9440)),
  attack(
    "the header from an address that is no proxy, which names a proxy",
    "/untrusted",
    sending("/untrusted", {
      ...rfc9440,
      "X-Forwarded-For": "10.0.0.1",
      Forwarded: "for=10.0.0.1",
      "X-Real-IP": "10.0.0.1"
    })
  ),
  attack(
    "the header from an address that is no proxy, beside the client's connection",
    "/untrusted",
    sending("/untrusted", rfc9440, client)
  ),

  ...proxied("/rfc9440", {
    "the proxy sends the thief's certificate": `:${base64Of(thief)}:`,
    "the thief's header before that of the proxy": [`:${text}:`, `:${base64Of(thief)}:`],
    "the thief's header after that of the proxy": [`:${base64Of(thief)}:`, `:${text}:`],
    "the header twice, with the same certificate": [`:${text}:`, `:${text}:`],
    "an empty header before that of the thief": ["", `:${text}:`],
    "a list of certificates": `:${base64Of(thief)}:, :${text}:`,
    "a list that ends with a comma": `:${text}:,`,
    "a certificate with a parameter": `:${text}:;a=1`,
    "a certificate without colons": text,
    "a certificate without the last colon": `:${text}`,
    "a certificate in quotes": `"${text}"`,
    "a certificate in base64url": `:${Buffer.from(client.der).toString("base64url")}-_:`,
    "a certificate with blanks": `:${text.slice(0, 64)} ${text.slice(64)}:`,
    "two certificates in one value": `:${Buffer.concat([thief.der, client.der]).toString("base64")}:`,
    "a certificate with bytes after it": `:${Buffer.concat([client.der, Buffer.from("x")]).toString("base64")}:`,
    "an empty value": "::",
    "the hash instead of the certificate": `:${Buffer.from(hashOf(client), "hex").toString("base64")}:`,
    "PEM instead of RFC 9440": escape(client),
    "Envoy's form instead of RFC 9440": element
  }),
  attack("the header with an underscore in its name", "/rfc9440", sending("/rfc9440", { Client_Cert: `:${text}:` })),
  attack("the header of the chain", "/rfc9440", sending("/rfc9440", { "Client-Cert-Chain": `:${text}:` })),
  attack("the connection with the proxy instead of its header", "/rfc9440", sending("/rfc9440", {}, client)),

  ...proxied("/envoy", {
    "an element of the thief before that of the proxy": `${element},${foreign}`,
    "an element of the thief after that of the proxy": `${foreign}, ${element}`,
    "two headers of Envoy": [element, foreign],
    "a second hash in an element": `${foreign};${element}`,
    "the same hash twice": `${element};${element}`,
    "a hash in the subject of the thief": `${foreign};Subject="CN=a;${element}"`,
    "a hash after a quotation mark in the subject of the thief": `${foreign};Subject="CN=\\";${element};URI="`,
    "a hash after an unquoted subject": `${foreign};Subject=CN=a;${element}`,
    "an unfinished quotation": `${element};Subject="CN=a`,
    "an unfinished pair": `${element};`,
    "a hash with blanks": `Hash= ${hashOf(client)}`,
    "a hash of another length": `Hash=${hashOf(client).slice(24)}`,
    "a hash in base64url": `Hash=${thumbprint}`,
    "an element without a hash": `Cert="${escape(client)}"`
  }),

  ...proxied("/pem", {
    "the thief's PEM before that of the client": encodeURIComponent(thief.cert + client.cert),
    "two headers with PEM": [escape(client), escape(thief)],
    "PEM without escapes": client.cert.replaceAll("\n", " "),
    "PEM with an unfinished escape": `${escape(client)}%`,
    "PEM with bytes that are not UTF-8": `%ff${escape(client)}`,
    "PEM with a text before it": `x${escape(client)}`,
    "PEM with two escapes of each character": encodeURIComponent(escape(client)),
    "PEM of a key": encodeURIComponent(client.key),
    "the text of nginx for no certificate": "(null)"
  })
]

/** Sends the attack, and then the request of the client itself. */
export const run = ({ path, send }: CertificateAttack) =>
  Effect.gen(function* () {
    const stolen = yield* stolenAt(path)
    const answer = yield* send(stolen)
    // No client has an address at which the app looks for a proxy.
    return { stolen, answer, next: yield* valid(path === "/untrusted" ? "/rfc9440" : path, stolen) }
  })
