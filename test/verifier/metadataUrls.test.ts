/** Which URLs an issuer's metadata may name: how near their hosts are, whatever their spelling. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Layer, Logger, Redacted, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "effect/http"
import { KeySet, TokenIntrospection, TokenVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { createServer } from "node:http"
import { times } from "../support/times.ts"

const remote = "https://idp.example.com"

/** Fetches the keys, and asks about a token; says whether the keys were there. */
const askBoth = (issuer: string, Client: Layer.Layer<HttpClient.HttpClient>) =>
  Effect.gen(function* () {
    const refreshed = yield* KeySet.KeySet.use(({ refresh }) => refresh).pipe(
      Effect.provide(KeySet.layerDiscovery({ issuer }).pipe(Layer.provide(Client))),
      Effect.exit
    )
    const clientSecret = Redacted.make("secret")
    yield* TokenVerifier.use(({ verify }) => verify(Redacted.make("opaque"))).pipe(
      Effect.provide(
        TokenIntrospection.layer({ issuer, audience: "api", clientId: "api", clientSecret }).pipe(Layer.provide(Client))
      ),
      Effect.exit
    )
    return Exit.isSuccess(refreshed)
  }).pipe(Effect.provide(Logger.layer([])))

/** The URLs that a key set and an introspection asked for, besides metadata, where the metadata names this URL. */
const asked = (named: string, issuer = remote) =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    const client = HttpClient.make((request, url) =>
      Effect.sync(() => {
        const isMetadata = url.pathname.startsWith("/.well-known/")
        if (!isMetadata) asked.push(`${request.method} ${url.href}`)
        const body = isMetadata
          ? { issuer, jwks_uri: named, introspection_endpoint: named }
          : { keys: [], active: false }
        return HttpClientResponse.fromWeb(request, new Response(JSON.stringify(body)))
      })
    )
    const hasKeys = yield* askBoth(issuer, Layer.succeed(HttpClient.HttpClient, client))
    assert.strictEqual(hasKeys, asked.length > 0)
    return asked
  })

const isRefused = (named: string, issuer?: string) =>
  Effect.map(asked(named, issuer), (asked) => assert.deepStrictEqual(asked, [], named))

const isAsked = (named: string, issuer?: string) =>
  Effect.map(asked(named, issuer), (asked) => {
    const { href } = new URL(named)
    assert.deepStrictEqual(asked, [`GET ${href}`, `POST ${href}`])
  })

describe("metadata of an issuer on the network", () => {
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
    it.effect(`may name ${host}`, () => isAsked(`https://${host}:9443/k`))
  }
})

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

type Octets = readonly [number, number, number, number]

const octets = (first: Arbitrary.Arbitrary<number>, second = int(0, 255)) =>
  Arbitrary.all([first, second, int(0, 255), int(0, 255)])

/** Every spelling of an IPv4 address, and every IPv6 address that stands for it. */
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

describe("an address is compared, and not its spelling", () => {
  for (const [name, address] of [
    ["this machine", octets(int(127, 127))],
    ["this machine, as the address of no host", octets(int(0, 0))],
    ["this machine's link", octets(int(169, 169), int(254, 254))]
  ] as const) {
    it.effect.prop(
      `of ${name}`,
      { address },
      ({ address }) => Effect.forEach(spellings(address), (host) => isRefused(`https://${host}/k`), { discard: true }),
      { arbitrary }
    )
  }

  it.effect.prop(
    "of the network",
    { address: octets(Arbitrary.filter(int(1, 255), (first) => first !== 127 && first !== 169)) },
    ({ address }) => Effect.forEach(spellings(address), (host) => isAsked(`https://${host}/k`), { discard: true }),
    { arbitrary }
  )

  it.effect.prop(
    "of the network, in IPv6",
    { first: int(0x2003, 0xfe7f), others: Arbitrary.all(times(7).map(() => int(0, 0xffff))) },
    ({ first, others }) => isAsked(`https://[${[first, ...others].map((group) => group.toString(16)).join(":")}]/k`),
    { arbitrary: { runs: 100, seed: "IPv6" } }
  )
})

describe("metadata of an issuer of this machine", () => {
  for (const [issuer, named] of [
    ["http://localhost:9000", "http://localhost:9000/k"],
    ["http://localhost:9000", "http://127.0.0.1:9001/k"],
    ["http://127.0.0.1:9000", "http://[::1]:9001/k"],
    ["https://localhost:9000", "https://127.0.0.2/k"],
    ["https://idp.localhost", "https://keys.localhost/k"],
    ["https://127.0.0.2", "https://127.0.0.2/k"],
    ["https://localhost", "https://keys.example.com/k"],
    ["https://169.254.0.1", "https://169.254.0.2/k"]
  ] as const) {
    it.effect(`may name ${named}, where it is ${issuer}`, () => isAsked(named, issuer))
  }

  for (const [issuer, named] of [
    ["http://localhost:9000", "http://127.0.0.2/k"],
    ["http://localhost:9000", "http://idp.localhost/k"],
    ["http://localhost:9000", "http://keys.example.com/k"],
    ["https://localhost:9000", "http://localhost:9000/k"],
    ["https://169.254.0.1", "https://127.0.0.1/k"]
  ] as const) {
    it.effect(`cannot name ${named}, where it is ${issuer}`, () => isRefused(named, issuer))
  }
})

for (const [name, client] of [
  ["fetch", FetchHttpClient.layer],
  ["node:http", NodeHttpClient.layerNodeHttp],
  ["undici", NodeHttpClient.layerUndici]
] as const) {
  for (const status of [302, 307]) {
    it.live(`a key set and an introspection that answer ${status} send nobody to this machine: ${name}`, () =>
      Effect.gen(function* () {
        const { issuer, requests, respond } = yield* TestIssuer
        const location = `${issuer}/elsewhere`
        yield* respond("jwks", { status, headers: { location }, body: "" })
        yield* respond("introspection", { status, headers: { location }, body: "" })
        assert.isFalse(yield* askBoth(issuer, client))
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
