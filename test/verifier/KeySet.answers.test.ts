import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger } from "effect"
import { FetchHttpClient } from "effect/http"
import { KeySet } from "effect-oauth2"
import { type IssuerResponse, TestIssuer } from "effect-oauth2/testing"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { createServer } from "node:http"
import { assertUnavailable, first, issuer, jwks, rs256, withClient, withDiscovery } from "../support/keySets.ts"

describe("KeySet", () => {
  describe("a response", () => {
    const set = JSON.stringify({ keys: [first.jwk] })
    const bad: ReadonlyArray<readonly [name: string, answer: IssuerResponse]> = [
      ["that is not UTF-8", { body: Uint8Array.from(`{"note":"\xff",${set.slice(1)}`, (char) => char.charCodeAt(0)) }],
      ["that ends within a character", { body: Uint8Array.from([...new TextEncoder().encode(set), 0xe2, 0x82]) }],
      ["that nests 100 000 deep", { body: `{"keys":${"[".repeat(100_000)}${"]".repeat(100_000)}` }],
      ["with text after the JSON", { body: `${set}{}` }],
      ["of more than 512 KiB", { body: set + " ".repeat(512 * 1024) }],
      ["with status 206", { status: 206 }],
      ["with a redirect and no body", { status: 302, headers: { location: `${issuer}/other` }, body: "" }],
      ["with a redirect and a key set", { status: 307, headers: { location: "/other" } }]
    ]
    for (const [name, answer] of bad) {
      it.effect(`${name} is refused`, () =>
        withDiscovery(({ requests, respond }, keySet) =>
          Effect.gen(function* () {
            yield* respond("jwks", answer)
            assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "BadResponse")
            assert.lengthOf(yield* requests, 2)
          })
        )
      )
    }

    /** Response of a `fetch` that follows redirects against its options. */
    const from = (url: string) => Object.defineProperty(new Response(set), "url", { value: url })

    const others: ReadonlyArray<readonly [name: string, answer: () => Response]> = [
      ["of more than 512 KiB without content-length", () => new Response(set + " ".repeat(512 * 1024))],
      ["whose content-length is over 512 KiB", () => new Response(set, { headers: { "content-length": "524289" } })],
      ...["https://evil.test/jwks", `${issuer}/other`, `${jwks}?x`, `${jwks}/`, "http://issuer.test/jwks"].map(
        (url) => [`from ${url} to a request for ${jwks}`, () => from(url)] as const
      )
    ]
    for (const [name, answer] of others) {
      it.effect(`${name} is refused`, () => {
        let requestCount = 0
        const counted = () => {
          requestCount++
          return answer()
        }
        return withClient(counted, (keySet) =>
          Effect.gen(function* () {
            assertUnavailable(yield* Effect.exit(keySet.find(rs256("k1"))), "BadResponse")
            assert.strictEqual(requestCount, 1)
          })
        )
      })
    }

    it.effect("from the requested URL, or without a URL, is accepted", () =>
      Effect.forEach([jwks, ""], (url) =>
        withClient(
          () => from(url),
          (keySet) => Effect.map(keySet.find(rs256("k1")), (keys) => assert.lengthOf(keys, 1))
        )
      )
    )

    it.effect("with any content type is accepted up to 512 KiB", () =>
      withDiscovery(({ respond }, keySet) =>
        Effect.gen(function* () {
          const body = set + " ".repeat(512 * 1024 - set.length)
          yield* respond("jwks", { body, headers: { "content-type": "text/html" } })
          assert.lengthOf(yield* keySet.find(rs256("k1")), 1)
        })
      )
    )

    it.effect("without an end is aborted", () => {
      let read = 0
      let cancelled = false
      const source: UnderlyingDefaultSource<Uint8Array> = {
        pull: (controller) => {
          read += 1024
          controller.enqueue(new Uint8Array(1024).fill(0x20))
        },
        cancel: () => {
          cancelled = true
        }
      }
      return withClient(
        () => new Response(new ReadableStream(source, { highWaterMark: 0 })),
        (keySet) =>
          Effect.gen(function* () {
            assertUnavailable(yield* Effect.exit(keySet.refresh), "BadResponse")
            assert.isAtMost(read, 8192)
            assert.isTrue(cancelled)
          }),
        { maxBytes: 4096 }
      )
    })

    it.effect("is not downloaded if it is refused", () => {
      const signals: Array<AbortSignal> = []
      const answer = (signal: AbortSignal) => {
        signals.push(signal)
        return new Response("sorry", { status: 500 })
      }
      return withClient(answer, (keySet) =>
        Effect.gen(function* () {
          yield* Effect.exit(keySet.refresh)
          assert.deepStrictEqual(
            signals.map((signal) => signal.aborted),
            [true]
          )
        })
      )
    })

    it.effect("with metadata of a remote issuer that names a loopback URL is refused", () =>
      withDiscovery(({ metadata, requests, respond }, keySet) =>
        Effect.gen(function* () {
          const body = JSON.stringify({ ...(yield* metadata), jwks_uri: "http://localhost:8080/jwks" })
          yield* respond("discovery", { body })
          assertUnavailable(yield* Effect.exit(keySet.refresh), "BadResponse")
          assert.lengthOf(yield* requests, 1)
        })
      )
    )

    for (const [name, client] of [
      ["fetch", FetchHttpClient.layer],
      ["node:http", NodeHttpClient.layerNodeHttp],
      ["undici", NodeHttpClient.layerUndici]
    ] as const) {
      it.live(`with a redirect is not followed: ${name}`, () =>
        Effect.gen(function* () {
          const { issuer, jwksUri, requests, respond } = yield* TestIssuer
          const read = (url: string) =>
            Effect.exit(Effect.flatMap(KeySet.KeySet, (keySet) => keySet.refresh)).pipe(
              Effect.provide(KeySet.layerRemote({ url }).pipe(Layer.provide(client))),
              Effect.provide(Logger.layer([]))
            )
          yield* respond("openid-configuration", { status: 302, headers: { location: jwksUri }, body: "" })
          assertUnavailable(yield* read(`${issuer}/.well-known/openid-configuration`), "BadResponse")
          assert.deepStrictEqual(
            (yield* requests).map(({ endpoint }) => endpoint),
            ["openid-configuration"]
          )
          assert(Exit.isSuccess(yield* read(`${jwksUri}?x=a%20b+c&y=%C3%A9#part`)))
          assert.lengthOf(yield* requests, 2)
        }).pipe(
          Effect.provide(TestIssuer.serve({ keys: [first] })),
          Effect.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: 0 }))
        )
      )
    }
  })
})
