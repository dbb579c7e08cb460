// Tokens that are bound to the certificate of the TLS connection (RFC 8705), over real sockets.
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { MutualTls } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { selfSigned, type TestCertificate } from "../support/certificates.ts"
import { get, getOverHttp2, requestOverHttp2, routesOf, schemeOf, serve } from "../support/mutualTls.ts"

const client = selfSigned("client")
const other = selfSigned("client")

const boundTo = ({ der: certificate }: TestCertificate) =>
  TestIssuer.use(({ mint }) => mint({ scopes: ["read"], boundTo: { certificate } }))

const bearer = TestIssuer.use(({ mint }) => mint({ scopes: ["read"] }))

const Issuer = TestIssuer.layer({ keys: ["ES256"] })

describe("a token that is bound to a certificate", () => {
  layer(serve(routesOf(schemeOf({ mutualTls: MutualTls.make() }))).pipe(Layer.provideMerge(Issuer)))((it) => {
    it.effect("is accepted on a connection with this certificate, over HTTP/1.1 and HTTP/2", () =>
      Effect.gen(function* () {
        const token = yield* boundTo(client)
        // The second time, the token comes from the cache.
        for (let i = 0; i < 2; i++) {
          assert.strictEqual((yield* get({ token, certificate: client })).status, 200)
          assert.strictEqual(yield* getOverHttp2({ token, certificate: client }), 200)
        }
        assert.strictEqual((yield* get({ token, certificate: client, path: "/bound" })).status, 200)
      })
    )

    it.effect("is refused with another certificate of the same name, and without any", () =>
      Effect.gen(function* () {
        const token = yield* boundTo(client)
        assert.strictEqual((yield* get({ token, certificate: client })).status, 200)
        for (const certificate of [{ certificate: other }, {}]) {
          const { challenge, status } = yield* get({ token, ...certificate })
          assert.deepStrictEqual([status, challenge], [401, 'Bearer error="invalid_token", scope="read"'])
          assert.strictEqual(yield* getOverHttp2({ token, ...certificate }), 401)
        }
      })
    )

    const versions = ["TLSv1.2", "TLSv1.3"] as const
    it.effect.each([
      ...versions.map((version) => [version, "HTTP/1.1", get] as const),
      ...versions.map((version) => [version, "HTTP/2", requestOverHttp2] as const)
    ])("is compared with the certificate of a resumed session of %s, over %s", ([version, , send]) =>
      Effect.gen(function* () {
        const tls = { minVersion: version, maxVersion: version }
        const first = yield* send({ token: yield* boundTo(client), certificate: client, tls })
        assert.deepStrictEqual([first.status, first.isResumed], [200, false])
        const resumed = { certificate: client, tls: { ...tls, session: first.session } }
        const second = yield* send({ token: yield* boundTo(client), ...resumed })
        assert.deepStrictEqual([second.status, second.isResumed], [200, true])
        const third = yield* send({ token: yield* boundTo(other), ...resumed })
        assert.deepStrictEqual([third.status, third.isResumed], [401, true])
        // The certificate of a resumed session is that of its first handshake, whatever the client has now.
        const fourth = yield* send({ token: yield* boundTo(other), ...resumed, certificate: other })
        assert.deepStrictEqual([fourth.status, fourth.isResumed], [401, true])
        const fifth = yield* send({ token: yield* boundTo(client), ...resumed, certificate: other })
        assert.deepStrictEqual([fifth.status, fifth.isResumed], [200, true])
      })
    )

    it.effect("ignores headers of proxies", () =>
      Effect.gen(function* () {
        const token = yield* boundTo(client)
        const value = `:${Buffer.from(client.der).toString("base64")}:`
        const headers = { "Client-Cert": value, "X-Client-Cert": encodeURIComponent(client.cert) }
        assert.strictEqual((yield* get({ token, certificate: other, headers })).status, 401)
        assert.strictEqual((yield* get({ token, headers })).status, 401)
      })
    )

    it.effect("does not change how bearer tokens are accepted", () =>
      Effect.gen(function* () {
        const token = yield* bearer
        assert.strictEqual((yield* get({ token })).status, 200)
        assert.strictEqual((yield* get({ token, certificate: client })).status, 200)
        const bound = yield* get({ token, certificate: client, path: "/bound" })
        assert.deepStrictEqual([bound.status, bound.challenge], [401, 'Bearer error="invalid_token", scope="read"'])
      })
    )
  })
})

describe("a server that does not request certificates", () => {
  layer(
    serve(routesOf(schemeOf({ mutualTls: MutualTls.make() })), { requestCert: false }).pipe(Layer.provideMerge(Issuer))
  )((it) => {
    it.effect("refuses the tokens that are bound to a certificate", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* get({ token: yield* boundTo(client), certificate: client })).status, 401)
        assert.strictEqual((yield* get({ token: yield* bearer, certificate: client })).status, 200)
      })
    )
  })
})

describe("a scheme with senderConstrained: required", () => {
  layer(
    serve(routesOf(schemeOf({ mutualTls: MutualTls.make(), senderConstrained: "required" }))).pipe(
      Layer.provideMerge(Issuer)
    )
  )((it) => {
    it.effect("refuses bearer tokens", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* get({ token: yield* boundTo(client), certificate: client })).status, 200)
        const { challenge, status } = yield* get({ token: yield* bearer, certificate: client })
        assert.deepStrictEqual([status, challenge], [401, 'Bearer error="invalid_token", scope="read"'])
      })
    )
  })
})

describe("a scheme without mutualTls", () => {
  layer(serve(routesOf(schemeOf({ responses: "rfc6750" }))).pipe(Layer.provideMerge(Issuer)))((it) => {
    it.effect("refuses a token that is bound to a certificate, also with this certificate", () =>
      Effect.gen(function* () {
        const { challenge, status } = yield* get({ token: yield* boundTo(client), certificate: client })
        assert.deepStrictEqual([status, challenge], [401, 'Bearer error="invalid_token", scope="read"'])
      })
    )
  })
})
