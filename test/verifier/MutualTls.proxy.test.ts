// Tokens that are bound to a certificate, behind a proxy that sends the certificate in a header.
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerRespondable } from "effect/http"
import { IpNetwork } from "effect/net"
import { MutualTls } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { createHash } from "node:crypto"
import { selfSigned } from "../support/certificates.ts"
import { get, routesOf, schemeOf, serve } from "../support/mutualTls.ts"

const client = selfSigned("client")
const other = selfSigned("client")

const base64Of = ({ der }: { readonly der: Uint8Array }) => Buffer.from(der).toString("base64")
const hashOf = ({ der }: { readonly der: Uint8Array }) => createHash("sha256").update(der).digest("hex")

const network = (text: string) => IpNetwork.fromStringUnsafe(text)
const trustedProxies = [network("10.0.0.0/8"), network("::1/128")]

const Issuer = TestIssuer.layer({ keys: ["ES256"] })

const boundToken = TestIssuer.use(({ mint }) => mint({ scopes: ["read"], boundTo: { certificate: client.cert } }))

interface Case {
  readonly options?: Partial<MutualTls.ProxyOptions>
  readonly headers: HeadersInit
  readonly address?: string | undefined
  readonly token?: string
}

/** Returns the status of a request that has come from an address. */
const statusOf = ({ address = "10.1.2.3", headers, options, token }: Case) =>
  Effect.gen(function* () {
    const auth = schemeOf({ mutualTls: MutualTls.make({ proxy: { trustedProxies, ...options } }) })
    const app = yield* HttpRouter.toHttpEffect(routesOf(auth))
    const authorization = `Bearer ${token ?? (yield* boundToken)}`
    const all = new Headers(headers)
    all.set("authorization", authorization)
    const request = HttpServerRequest.fromWeb(new Request("https://api.test/items", { headers: all })).modify({
      remoteAddress: address === "none" ? Option.none() : Option.some(address)
    })
    const response = yield* app.pipe(
      Effect.catch((error) => HttpServerRespondable.toResponse(error)),
      Effect.provideService(HttpServerRequest.HttpServerRequest, request)
    )
    return response.status
  }).pipe(Effect.scoped, Effect.provide(Issuer))

const rfc9440 = { "client-cert": `:${base64Of(client)}:` }
const envoy = { format: "envoy" } as const
const pem = { format: "escapedPem", header: "X-Client-Cert" } as const
const escaped = encodeURIComponent(client.cert)

// The example of RFC 9440 (appendix A) and of RFC 9421 (appendix B.3).
const example =
  "MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk="

// RFC 8705, appendix A.
const certificateOfRfc8705 =
  "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY="

describe("the certificate in the header of a trusted proxy is accepted", () => {
  const accepted: Readonly<Record<string, Case>> = {
    "as RFC 9440 describes it": { headers: rfc9440 },
    "under another name": { headers: { "X-Cert": `:${base64Of(client)}:` }, options: { header: "X-Cert" } },
    "from an IPv6 address": { headers: rfc9440, address: "::1" },
    "from an IPv4 address inside of IPv6": { headers: rfc9440, address: "::ffff:10.0.0.1" },
    "if a predicate trusts the address": {
      headers: rfc9440,
      address: "192.0.2.1",
      options: { trustedProxies: (address) => address._tag === "Ipv4Address" }
    },
    "as the hash of Envoy": { options: envoy, headers: { "x-forwarded-client-cert": `Hash=${hashOf(client)}` } },
    "as the element of Envoy with all pairs": {
      options: envoy,
      headers: {
        "x-forwarded-client-cert": `By=spiffe://api;Hash=${hashOf(client)};Cert="${escaped}";Subject="CN=\\"a, b\\";Hash=x";URI=spiffe://client;DNS=a.test;DNS=b.test`
      }
    },
    "as the hash of Envoy in other case": {
      options: envoy,
      headers: { "x-forwarded-client-cert": `hash=${hashOf(client).toUpperCase()}` }
    },
    "as escaped PEM of nginx": { options: pem, headers: { "x-client-cert": escaped } },
    "as escaped PEM of a load balancer, which does not escape +, / and =": {
      options: pem,
      headers: {
        "x-client-cert": escaped.replaceAll(/%2B/g, "+").replaceAll(/%2F/g, "/").replaceAll(/%3D/g, "=")
      }
    }
  }
  for (const [name, given] of Object.entries(accepted)) {
    it.effect(name, () => Effect.map(statusOf(given), (status) => assert.strictEqual(status, 200)))
  }

  it.effect("with the examples of RFC 9440 and RFC 8705", () =>
    Effect.gen(function* () {
      for (const [text, thumbprint] of [
        [example, createHash("sha256").update(Buffer.from(example, "base64")).digest("base64url")],
        [certificateOfRfc8705, "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"]
      ] as const) {
        const app = yield* HttpRouter.toHttpEffect(
          routesOf(schemeOf({ mutualTls: MutualTls.make({ proxy: { trustedProxies } }) }))
        )
        const bound = yield* TestIssuer.use(({ mint }) =>
          mint({ scopes: ["read"], claims: { cnf: { "x5t#S256": thumbprint } } })
        )
        const request = HttpServerRequest.fromWeb(
          new Request("https://api.test/items", {
            headers: { authorization: `Bearer ${bound}`, "client-cert": `:${text}:` }
          })
        ).modify({ remoteAddress: Option.some("10.0.0.1") })
        const response = yield* Effect.provideService(app, HttpServerRequest.HttpServerRequest, request)
        assert.strictEqual(response.status, 200)
      }
    }).pipe(Effect.scoped, Effect.provide(Issuer))
  )
})

describe("a token that is bound to a certificate is refused", () => {
  const text = base64Of(client)
  const element = `Hash=${hashOf(client)}`
  const refused: Readonly<Record<string, Case>> = {
    "without the header": { headers: {} },
    "with the certificate of another client": { headers: { "client-cert": `:${base64Of(other)}:` } },
    "with a header from an untrusted address": { headers: rfc9440, address: "192.0.2.1" },
    "with a header from an unknown address": { headers: rfc9440, address: "none" },
    "with a header from an address that is no IP address": { headers: rfc9440, address: "10.0.0.1.attacker.test" },
    "with a header from an untrusted address that names a trusted one": {
      headers: { ...rfc9440, "x-forwarded-for": "10.0.0.1", forwarded: "for=10.0.0.1" },
      address: "192.0.2.1"
    },
    "with a predicate that returns a promise": {
      headers: rfc9440,
      options: { trustedProxies: (async () => true) as unknown as () => boolean }
    },
    "with an empty header": { headers: { "client-cert": "" } },
    "with two headers": { headers: [["client-cert", `:${text}:`] as [string, string], ["client-cert", `:${text}:`]] },
    "with a list of certificates": { headers: { "client-cert": `:${base64Of(other)}:, :${text}:` } },
    "with the certificate in the header of the chain": { headers: { "client-cert-chain": `:${text}:` } },
    "without colons": { headers: { "client-cert": text } },
    "with a quoted text": { headers: { "client-cert": `"${text}"` } },
    "with base64url": { headers: { "client-cert": `:${Buffer.from(client.der).toString("base64url")}_-:` } },
    "without padding": { headers: { "client-cert": `:${text.replace(/=*$/, "")}A:` } },
    "with blanks in base64": { headers: { "client-cert": `:${text.slice(0, 64)} ${text.slice(64)}:` } },
    "with no bytes": { headers: { "client-cert": "::" } },
    "with bytes that are no certificate": { headers: { "client-cert": `:${Buffer.from("text").toString("base64")}:` } },
    "with the thumbprint instead of the certificate": {
      headers: { "client-cert": `:${Buffer.from(hashOf(client), "hex").toString("base64")}:` }
    },
    "with a header that is too long": { headers: { "client-cert": `:${"MIIB".repeat(5000)}:` } },
    "in the format of another proxy": { headers: { "client-cert": escaped } },
    "under the usual name of another format": { headers: rfc9440, options: envoy },
    "with two elements of Envoy, the first of which the client sent": {
      options: envoy,
      headers: { "x-forwarded-client-cert": `${element},Hash=${hashOf(other)}` }
    },
    "with two elements of Envoy, the last of which is right": {
      options: envoy,
      headers: { "x-forwarded-client-cert": `Hash=${hashOf(other)}, ${element}` }
    },
    "with a second hash": {
      options: envoy,
      headers: { "x-forwarded-client-cert": `Hash=${hashOf(other)};${element}` }
    },
    "with a hash inside of the subject": {
      options: envoy,
      headers: { "x-forwarded-client-cert": `Hash=${hashOf(other)};Subject="CN=a;${element}"` }
    },
    "with a hash after a quotation mark in the subject": {
      options: envoy,
      headers: { "x-forwarded-client-cert": `Subject="CN=\\";${element};URI="` }
    },
    "with a hash in the URI of the certificate": {
      options: envoy,
      headers: { "x-forwarded-client-cert": `Hash=${hashOf(other)};URI=spiffe://a;${element}` }
    },
    "with an unfinished quotation": {
      options: envoy,
      headers: { "x-forwarded-client-cert": `${element};Subject="CN=a` }
    },
    "with a pair that is not finished": { options: envoy, headers: { "x-forwarded-client-cert": `${element};` } },
    "with a hash of SHA-1": {
      options: envoy,
      headers: { "x-forwarded-client-cert": `Hash=${hashOf(client).slice(24)}` }
    },
    "with an element without hash": { options: envoy, headers: { "x-forwarded-client-cert": `Cert="${escaped}"` } },
    "with PEM that is not escaped": { options: pem, headers: { "x-client-cert": client.cert.replaceAll("\n", " ") } },
    "with a wrong escape": { options: pem, headers: { "x-client-cert": `${escaped}%` } },
    "with an escape that is not UTF-8": { options: pem, headers: { "x-client-cert": `%ff${escaped}` } },
    "with two certificates in PEM": {
      options: pem,
      headers: { "x-client-cert": encodeURIComponent(other.cert + client.cert) }
    },
    "with a text before PEM": { options: pem, headers: { "x-client-cert": `a${escaped}` } },
    "with a key in PEM": { options: pem, headers: { "x-client-cert": encodeURIComponent(client.key) } }
  }
  for (const [name, given] of Object.entries(refused)) {
    it.effect(name, () => Effect.map(statusOf(given), (status) => assert.strictEqual(status, 401)))
  }
})

describe("over a socket, the header counts only from a trusted address", () => {
  const routesWith = (networks: ReadonlyArray<IpNetwork.IpNetwork>) =>
    routesOf(schemeOf({ mutualTls: MutualTls.make({ proxy: { trustedProxies: networks } }) }))
  const local = [network("127.0.0.0/8"), network("::1/128")]

  layer(serve(routesWith(local)).pipe(Layer.provideMerge(Issuer)))((it) => {
    it.effect("and only once", () =>
      Effect.gen(function* () {
        const token = yield* boundToken
        assert.strictEqual((yield* get({ token, headers: rfc9440 })).status, 200)
        const value = rfc9440["client-cert"]
        assert.strictEqual((yield* get({ token, headers: { "Client-Cert": [value, value] } })).status, 401)
        assert.strictEqual((yield* get({ token, headers: { "Client-Cert": ["", value] } })).status, 401)
        // The certificate of the connection is that of the proxy.
        assert.strictEqual((yield* get({ token, certificate: client })).status, 401)
        const elsewhere = `:${base64Of(other)}:`
        assert.strictEqual(
          (yield* get({ token, certificate: client, headers: { "Client-Cert": elsewhere } })).status,
          401
        )
      })
    )
  })

  layer(serve(routesWith(trustedProxies.slice(0, 1))).pipe(Layer.provideMerge(Issuer)))((it) => {
    it.effect("and not from a client that forges it", () =>
      Effect.gen(function* () {
        const token = yield* boundToken
        const headers = { ...rfc9440, "X-Forwarded-For": "10.0.0.1" }
        assert.strictEqual((yield* get({ token, headers })).status, 401)
      })
    )
  })

  // Effect's middleware replaces `remoteAddress` by an address that the client may choose.
  const Forwarded = HttpRouter.middleware(HttpMiddleware.xForwardedHeaders({ trustedProxies: local }), { global: true })
  layer(serve(Layer.merge(routesWith(trustedProxies.slice(0, 1)), Forwarded)).pipe(Layer.provideMerge(Issuer)))(
    (it) => {
      it.effect("whatever address forwarded headers name", () =>
        Effect.gen(function* () {
          const token = yield* boundToken
          const headers = { ...rfc9440, "X-Forwarded-For": "10.0.0.1" }
          assert.strictEqual((yield* get({ token, headers })).status, 401)
        })
      )
    }
  )
})

describe("MutualTls.make", () => {
  it("refuses invalid options", () => {
    const make = (proxy: object) => () => MutualTls.make({ proxy: proxy as MutualTls.ProxyOptions })
    assert.throws(make({}), /^MutualTls\.make: trustedProxies must be a list of at least one network/)
    assert.throws(make({ trustedProxies: [] }), /trustedProxies must be a list/)
    assert.throws(make({ trustedProxies: ["10.0.0.0/8"] }), /trustedProxies must be a list/)
    assert.throws(make({ trustedProxies: Object.create({ 0: network("10.0.0.0/8") }) }), /trustedProxies must be/)
    assert.throws(make({ trustedProxies, format: "pem" }), /^MutualTls\.make: format must be one of rfc9440, envoy/)
    assert.throws(make({ trustedProxies, format: "toString" }), /format must be one of/)
    assert.throws(make({ trustedProxies, format: "escapedPem" }), /^MutualTls\.make: header must be the name/)
    assert.throws(make({ trustedProxies, header: "two words" }), /header must be the name/)
    assert.throws(() => MutualTls.make(null as unknown as MutualTls.Options), /Options must be an object/)
  })

  it("says where the certificate of a request is", () => {
    assert.strictEqual(MutualTls.make().from, "connection")
    assert.strictEqual(MutualTls.make({ proxy: { trustedProxies } }).from, "proxy")
  })
})
