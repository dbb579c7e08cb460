/** Which URLs an issuer's metadata may name: where the client's secret is sent, and where the keys come from. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Option, Redacted } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { KeySet, SecurityError, TokenIntrospection, TokenVerifier } from "effect-oauth2"

const readers = {
  introspection_endpoint: (issuer: string) =>
    Effect.provide(
      TokenVerifier.use(({ verify }) => verify(Redacted.make("opaque"))),
      TokenIntrospection.layer({
        issuer,
        audience: "api",
        clientId: "api",
        clientSecret: Redacted.make("secret")
      })
    ),
  jwks_uri: (issuer: string) =>
    Effect.provide(
      KeySet.KeySet.use(({ refresh }) => refresh),
      KeySet.layerDiscovery({ issuer })
    )
}

/** The URLs that are requested after the metadata, and how the attempt ends. */
const read = (name: keyof typeof readers, issuer: string, url: string) =>
  Effect.suspend(() => {
    const requested: Array<string> = []
    const client = HttpClient.make((request) =>
      Effect.sync(() => {
        const { href } = Option.getOrThrow(HttpClientRequest.toUrl(request))
        const isMetadata = href.includes("/.well-known/")
        if (!isMetadata) requested.push(href)
        return HttpClientResponse.fromWeb(
          request,
          isMetadata ? Response.json({ issuer, [name]: url }) : new Response("no", { status: 500 })
        )
      })
    )
    return Effect.map(
      Effect.exit(readers[name](issuer)).pipe(
        Effect.provide(Layer.succeed(HttpClient.HttpClient, client)),
        Effect.provide(Logger.layer([]))
      ),
      (exit) => {
        const error = Option.getOrThrow(Exit.findErrorOption(exit))
        assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
        assert.strictEqual(error.reason, "BadResponse")
        return requested
      }
    )
  })

const network = "https://idp.example.com"
const secureLoopback = "https://localhost:8443"
const loopback = "http://localhost:8080"

const cases: ReadonlyArray<readonly [issuer: string, url: string, isRequested: boolean]> = [
  [network, "https://idp.example.com/path", true],
  [network, "https://other.example.com/path", true],
  [network, "http://idp.example.com/path", false],
  [network, "http://localhost/path", false],
  [network, "http://127.0.0.1:8080/path", false],
  [network, "http://[::1]/path", false],
  [network, "https://localhost/path", false],
  [network, "ftp://idp.example.com/path", false],
  [network, "/path", false],
  [secureLoopback, "https://localhost:9443/path", true],
  [secureLoopback, "https://idp.example.com/path", true],
  [secureLoopback, "http://localhost:8080/path", false],
  [secureLoopback, "http://127.0.0.1:8080/path", false],
  [secureLoopback, "http://idp.example.com/path", false],
  [loopback, "http://localhost:8080/path", true],
  [loopback, "http://127.0.0.1:9090/path", true],
  [loopback, "https://idp.example.com/path", true],
  [loopback, "http://idp.example.com/path", false]
]

describe("The metadata of an issuer", () => {
  for (const name of ["introspection_endpoint", "jwks_uri"] as const) {
    for (const [issuer, url, isRequested] of cases) {
      it.effect(`${isRequested ? "may" : "may not"} name ${url} as its ${name} if the issuer is ${issuer}`, () =>
        Effect.map(read(name, issuer, url), (requested) => {
          assert.deepStrictEqual(requested, isRequested ? [url] : [])
        })
      )
    }
  }
})
