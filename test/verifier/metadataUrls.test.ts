/** URLs that the metadata of an issuer may name for its keys and for introspection, in every spelling of the host. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Layer, Logger, Option, Redacted, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "effect/http"
import { KeySet, SecurityError, TokenIntrospection, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { createServer } from "node:http"
import { times } from "../support/times.ts"

const remote = "https://idp.example.com"

/**
 * Each reader looks up its URL under its name in the metadata of the issuer, and then sends one request to that URL.
 */
const readers = {
  jwks_uri: {
    method: "GET",
    read: (issuer: string) =>
      Effect.provide(
        KeySet.KeySet.use(({ refresh }) => refresh),
        KeySet.layerDiscovery({ issuer })
      )
  },
  introspection_endpoint: {
    method: "POST",
    read: (issuer: string) =>
      Effect.provide(
        TokenVerifier.use(({ verify }) => Effect.asVoid(verify(Redacted.make("opaque")))),
        TokenIntrospection.layer({ issuer, audience: "api", clientId: "api", clientSecret: Redacted.make("secret") })
      )
  }
} as const

const names = ["jwks_uri", "introspection_endpoint"] as const

const attempt = (name: (typeof names)[number], issuer: string, Client: Layer.Layer<HttpClient.HttpClient>) =>
  Effect.exit(readers[name].read(issuer)).pipe(Effect.provide(Client), Effect.provide(Logger.layer([])))

/** Requests after the metadata, and the result of the reader, if the metadata has only this URL. */
const readNamed = (name: (typeof names)[number], named: string, issuer: string) =>
  Effect.gen(function* () {
    const requested: Array<string> = []
    const client = HttpClient.make((request, url) =>
      Effect.sync(() => {
        const isMetadata = url.pathname.startsWith("/.well-known/")
        if (!isMetadata) requested.push(`${request.method} ${url.href}`)
        const body = isMetadata ? { issuer, [name]: named } : { keys: [], active: false }
        return HttpClientResponse.fromWeb(request, Response.json(body))
      })
    )
    const exit = yield* attempt(name, issuer, Layer.succeed(HttpClient.HttpClient, client))
    return { requested, error: Option.getOrUndefined(Exit.findErrorOption(exit)) }
  })

const isRefused = (named: string, issuer = remote) =>
  Effect.forEach(
    names,
    (name) =>
      Effect.map(readNamed(name, named, issuer), ({ error, requested }) => {
        assert.deepStrictEqual(requested, [], `${name} ${named}`)
        assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
        assert.strictEqual(error.reason, "BadResponse")
      }),
    { discard: true }
  )

const isRequested = (named: string, issuer = remote) =>
  Effect.forEach(
    names,
    (name) =>
      Effect.map(readNamed(name, named, issuer), ({ error, requested }) => {
        assert.deepStrictEqual(requested, [`${readers[name].method} ${new URL(named).href}`])
        // The empty key set is read. The opaque token is not active.
        if (name === "jwks_uri") assert.isUndefined(error)
        else assert.instanceOf(error, SecurityError.InvalidToken)
      }),
    { discard: true }
  )

describe("metadata of a remote issuer", () => {
  for (const host of [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "idp.localhost",
    "a.b.localhost.",
    "%6cocalhost",
    "ｌocalhost",
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.255",
    "127.1",
    "127.0.0.1.",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "0.0.0.0",
    "0",
    "0.1.2.3",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:2]",
    "[::ffff:0.0.0.0]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[fe80::1]",
    "[febf::1]"
  ]) {
    it.effect(`cannot name ${host}`, () => isRefused(`https://${host}:9443/k`))
  }

  for (const host of [
    "keys.example.com",
    "localhost.example.com",
    "notlocalhost",
    "mylocalhost.example",
    "126.255.255.255",
    "128.0.0.1",
    "1.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "170.254.0.1",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::8.8.8.8]",
    "[64:ff9c::127.0.0.1]",
    "[2002:808:808::]",
    "[2001:db8::7f00:1]",
    "[2001:db8::1]",
    "[fd00::1]",
    "[fec0::1]",
    "[fe7f::1]"
  ]) {
    it.effect(`may name ${host}`, () => isRequested(`https://${host}:9443/k`))
  }

  for (const url of [
    "http://idp.example.com/path",
    "http://localhost/path",
    "http://127.0.0.1:8080/path",
    "http://[::1]/path",
    "https://localhost/path",
    "ftp://idp.example.com/path",
    "/path"
  ]) {
    it.effect(`cannot name the URL ${url}`, () => isRefused(url))
  }

  for (const url of ["https://idp.example.com/path", "https://other.example.com/path"]) {
    it.effect(`may name the URL ${url}`, () => isRequested(url))
  }
})

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

type Octets = readonly [number, number, number, number]

const octets = (first: Arbitrary.Arbitrary<number>, second = int(0, 255)) =>
  Arbitrary.all([first, second, int(0, 255), int(0, 255)])

/** Spellings of an IPv4 address, and the IPv6 addresses that embed it. */
const spellings = ([a, b, c, d]: Octets): ReadonlyArray<string> => {
  const [last3, last2] = [(b << 16) | (c << 8) | d, (c << 8) | d]
  const whole = a * 2 ** 24 + last3
  const hex = (value: number) => value.toString(16)
  const [high, low] = [hex((a << 8) | b), hex(last2)]
  const dotted = [a, b, c, d].join(".")
  const padded = (group: string) => group.padStart(4, "0").toUpperCase()
  return [
    dotted,
    `${dotted}.`,
    `${whole}`,
    `0x${hex(whole)}`,
    `0${whole.toString(8)}`,
    `${a}.${last3}`,
    `${a}.${b}.${last2}`,
    [a, b, c, d].map((octet) => `0x${hex(octet)}`).join("."),
    [a, b, c, d].map((octet) => `0${octet.toString(8)}`).join("."),
    dotted.replaceAll(".", "。"),
    ...["::", "::ffff:", "::ffff:0:", "64:ff9b::", "64:ff9b:1::"].flatMap((prefix) => [
      `[${prefix}${dotted}]`,
      `[${prefix}${high}:${low}]`,
      `[${prefix.toUpperCase()}${padded(high)}:${padded(low)}]`
    ]),
    `[0:0:0:0:0:ffff:${high}:${low}]`,
    `[0000:0000:0000:0000:0000:0000:${padded(high)}:${padded(low)}]`,
    `[2002:${high}:${low}::]`,
    `[2002:${high}:${low}:0:0:0:0:1]`
  ]
}

const arbitrary = { runs: 8, seed: "spellings" }

describe("metadata with any spelling of an address", () => {
  for (const [name, address] of [
    ["a loopback address", octets(int(127, 127))],
    ["an address of 0.0.0.0/8", octets(int(0, 0))],
    ["a link-local address", octets(int(169, 169), int(254, 254))]
  ] as const) {
    it.effect.prop(
      `cannot name ${name}`,
      { address },
      ({ address }) => Effect.forEach(spellings(address), (host) => isRefused(`https://${host}/k`), { discard: true }),
      { arbitrary }
    )
  }

  it.effect.prop(
    "may name a remote address",
    { address: octets(Arbitrary.filter(int(1, 255), (first) => first !== 127 && first !== 169)) },
    ({ address }) => Effect.forEach(spellings(address), (host) => isRequested(`https://${host}/k`), { discard: true }),
    { arbitrary }
  )

  it.effect.prop(
    "may name a remote IPv6 address",
    { first: int(0x2003, 0xfe7f), others: Arbitrary.all(times(7).map(() => int(0, 0xffff))) },
    ({ first, others }) =>
      isRequested(`https://[${[first, ...others].map((group) => group.toString(16)).join(":")}]/k`),
    { arbitrary: { runs: 100, seed: "IPv6" } }
  )
})

describe("metadata of an issuer on this machine", () => {
  for (const [issuer, named] of [
    ["http://localhost:9000", "http://localhost:9000/k"],
    ["http://localhost:9000", "http://127.0.0.1:9001/k"],
    ["http://127.0.0.1:9000", "http://[::1]:9001/k"],
    ["https://localhost:9000", "https://127.0.0.2/k"],
    ["https://idp.localhost", "https://keys.localhost/k"],
    ["https://127.0.0.2", "https://127.0.0.2/k"],
    ["https://localhost", "https://keys.example.com/k"],
    ["https://169.254.0.1", "https://169.254.0.2/k"],
    ["https://localhost:8443", "https://localhost:9443/path"],
    ["https://localhost:8443", "https://idp.example.com/path"],
    ["http://localhost:8080", "http://localhost:8080/path"],
    ["http://localhost:8080", "http://127.0.0.1:9090/path"],
    ["http://localhost:8080", "https://idp.example.com/path"]
  ] as const) {
    it.effect(`may name ${named} if the issuer is ${issuer}`, () => isRequested(named, issuer))
  }

  for (const [issuer, named] of [
    ["http://localhost:9000", "http://127.0.0.2/k"],
    ["http://localhost:9000", "http://idp.localhost/k"],
    ["http://localhost:9000", "http://keys.example.com/k"],
    ["https://localhost:9000", "http://localhost:9000/k"],
    ["https://169.254.0.1", "https://127.0.0.1/k"],
    ["https://localhost:8443", "http://localhost:8080/path"],
    ["https://localhost:8443", "http://127.0.0.1:8080/path"],
    ["https://localhost:8443", "http://idp.example.com/path"],
    ["http://localhost:8080", "http://idp.example.com/path"]
  ] as const) {
    it.effect(`cannot name ${named} if the issuer is ${issuer}`, () => isRefused(named, issuer))
  }
})

for (const [name, client] of [
  ["fetch", FetchHttpClient.layer],
  ["node:http", NodeHttpClient.layerNodeHttp],
  ["undici", NodeHttpClient.layerUndici]
] as const) {
  for (const status of [302, 307]) {
    it.live(
      `a key set and an introspection endpoint that respond with ${status} are not followed to this machine: ${name}`,
      () =>
        Effect.gen(function* () {
          const { issuer, requests, respond } = yield* TestIssuer
          const location = `${issuer}/elsewhere`
          yield* respond("jwks", { status, headers: { location }, body: "" })
          yield* respond("introspection", { status, headers: { location }, body: "" })
          for (const url of names) assert.isTrue(Exit.isFailure(yield* attempt(url, issuer, client)))
          assert.deepStrictEqual(
            (yield* requests).map(({ url }) => url.replace(issuer, "")),
            ["/.well-known/openid-configuration", "/jwks", "/.well-known/openid-configuration", "/introspect"]
          )
        }).pipe(
          Effect.provide(TestIssuer.serve({})),
          Effect.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: 0 }))
        )
    )
  }
}
