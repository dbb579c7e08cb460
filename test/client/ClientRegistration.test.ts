// How a client gets an identifier: which way is used, and what the registration request contains.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { ClientAuthentication, ClientRegistration } from "effect-oauth2/client"
import { TestClock } from "effect/testing"
import { type Answer, idp, network, serverMetadata } from "./discoveringClients.ts"

const endpoint = serverMetadata.registration_endpoint
const server = { issuer: idp, metadata: serverMetadata }
const withMembers = (members: object) => ({ issuer: idp, metadata: { ...serverMetadata, ...members } })
const document = { url: "https://items.example.com/client.json" }
const register = { name: "Items", redirectUris: ["http://127.0.0.1/callback"] } as const

const registered = (members: object = {}) =>
  Response.json({ client_id: "new", client_secret: "s", ...members }, { status: 201 })

/** Makes registrations over a network on which the server registers clients. */
const setUp = (options: ClientRegistration.Options, answer: Answer = () => registered()) => {
  const { layer, received } = network({ [endpoint]: answer })
  return Effect.map(Effect.provide(ClientRegistration.make(options), layer), ({ get }) => ({
    get,
    received,
    bodies: () => received.map(({ body }) => JSON.parse(body) as Readonly<Record<string, unknown>>)
  }))
}

describe("the registration of a client", () => {
  it.effect("is the one made beforehand, before any other way", () =>
    Effect.gen(function* () {
      const clients = { [idp]: { clientId: "known", authentication: ClientAuthentication.tls } }
      const { get, received } = yield* setUp({ clients, document, register })
      const found = yield* get(withMembers({ client_id_metadata_document_supported: true }))
      assert.deepInclude(found, { issuer: idp, clientId: "known", authentication: ClientAuthentication.tls })
      assert.isEmpty(received)
    })
  )

  it.effect("never gives the client of one issuer to another one", () =>
    Effect.gen(function* () {
      const clients = { "https://other.example.com": { clientId: "known", authentication: Redacted.make("secret") } }
      const { get } = yield* setUp({ clients })
      assert.deepInclude(yield* Effect.flip(get(server)), { _tag: "RegistrationFailed", reason: "Unsupported" })
      // A name of Object.prototype is not an issuer.
      const inherited = { issuer: "constructor", metadata: {} }
      assert.deepInclude(yield* Effect.flip(get(inherited)), { reason: "Unsupported" })
    })
  )

  it.effect("sends a secret with the method that the server supports", () =>
    Effect.gen(function* () {
      const clients = { [idp]: { clientId: "known", authentication: Redacted.make("secret") } }
      const { get } = yield* setUp({ clients })
      for (const [supported, method] of [
        [undefined, "client_secret_basic"],
        [["client_secret_basic", "client_secret_post"], "client_secret_basic"],
        [["client_secret_post"], "client_secret_post"]
      ] as const) {
        const { authentication } = yield* get(
          withMembers(supported === undefined ? {} : { token_endpoint_auth_methods_supported: supported })
        )
        assert.deepInclude(authentication, { _tag: "Secret", method })
      }
    })
  )

  it.effect("is the URL of the document if the server reads such documents", () =>
    Effect.gen(function* () {
      const { get, received } = yield* setUp({ document, register })
      const found = yield* get(withMembers({ client_id_metadata_document_supported: true }))
      assert.deepInclude(found, { clientId: document.url, authentication: ClientAuthentication.none })
      assert.isEmpty(received)
      assert.strictEqual((yield* get(server)).clientId, "new")
    })
  )

  it.effect("is made once for each issuer, also for concurrent requests", () =>
    Effect.gen(function* () {
      const { bodies, get, received } = yield* setUp({ register })
      const metadata = withMembers({ token_endpoint_auth_methods_supported: ["none"] })
      const all = yield* Effect.all([get(metadata), get(metadata)], { concurrency: "unbounded" })
      assert.deepStrictEqual(
        all.map(({ clientId }) => clientId),
        ["new", "new"]
      )
      assert.lengthOf(received, 1)
      assert.include(received[0]?.headers["content-type"], "application/json")
      assert.deepStrictEqual(bodies()[0], {
        client_name: "Items",
        redirect_uris: ["http://127.0.0.1/callback"],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        application_type: "native",
        token_endpoint_auth_method: "none"
      })
    })
  )

  it.effect("authenticates with the method and the secret of the response", () =>
    Effect.gen(function* () {
      for (const method of ["client_secret_basic", "client_secret_post"] as const) {
        const answer = () => registered({ token_endpoint_auth_method: method })
        const { bodies, get } = yield* setUp({ register }, answer)
        const { authentication } = yield* get(withMembers({ token_endpoint_auth_methods_supported: [method] }))
        assert.deepStrictEqual(authentication, ClientAuthentication.secret(Redacted.make("s"), method))
        assert.strictEqual(bodies()[0]?.["token_endpoint_auth_method"], method)
      }
    })
  )

  it.effect("fails if the response has no secret for its method, or a method of another kind", () =>
    Effect.gen(function* () {
      for (const method of ["client_secret_basic", "private_key_jwt"]) {
        const answer = () => registered({ client_secret: undefined, token_endpoint_auth_method: method })
        const { get } = yield* setUp({ register }, answer)
        assert.deepInclude(yield* Effect.flip(get(server)), { reason: "BadResponse" })
      }
    })
  )

  it.effect("fails with the code of a server that refuses", () =>
    Effect.gen(function* () {
      const refusal = () => Response.json({ error: "invalid_redirect_uri" }, { status: 400 })
      const { get } = yield* setUp({ register }, refusal)
      const error = yield* Effect.flip(get(server))
      assert.deepInclude(error, { _tag: "RegistrationFailed", reason: "Refused", error: "invalid_redirect_uri" })
    })
  )

  it.effect("is not tried where the server registers no clients", () =>
    Effect.gen(function* () {
      const { get, received } = yield* setUp({ register })
      const { registration_endpoint: _, ...metadata } = serverMetadata
      assert.deepInclude(yield* Effect.flip(get({ issuer: idp, metadata })), { reason: "Unsupported" })
      const onlyKeys = withMembers({ token_endpoint_auth_methods_supported: ["private_key_jwt"] })
      assert.deepInclude(yield* Effect.flip(get(onlyKeys)), { reason: "Unsupported" })
      assert.isEmpty(received)
    })
  )

  it.effect("sends no request to an endpoint without https", () =>
    Effect.gen(function* () {
      const { get, received } = yield* setUp({ register })
      const error = yield* Effect.flip(get(withMembers({ registration_endpoint: "http://idp.example.com/register" })))
      assert.strictEqual(error._tag, "TokenUnavailable")
      assert.isEmpty(received)
    })
  )

  it.effect("is made again once its secret has ended", () =>
    Effect.gen(function* () {
      const answer = () => registered({ client_secret_expires_at: 60 })
      const { get, received } = yield* setUp({ register }, answer)
      yield* get(server)
      yield* TestClock.adjust("59 seconds")
      yield* get(server)
      assert.lengthOf(received, 1)
      yield* TestClock.adjust("1 second")
      yield* get(server)
      assert.lengthOf(received, 2)
    })
  )

  it.effect("comes from the store, and goes into it", () =>
    Effect.gen(function* () {
      const written = new Map<string, ClientRegistration.RegisteredClient>()
      const store: ClientRegistration.RegistrationStore = {
        read: (issuer) => Effect.sync(() => Option.fromUndefinedOr(written.get(issuer))),
        write: (issuer, client) => Effect.sync(() => written.set(issuer, client))
      }
      const first = yield* setUp({ register, store })
      yield* first.get(server)
      const second = yield* setUp({ register, store })
      assert.strictEqual((yield* second.get(server)).clientId, "new")
      assert.isEmpty(second.received)
      const failing = yield* setUp({ register, store: { ...store, read: () => Effect.fail("disk") } })
      assert.deepInclude(yield* Effect.flip(failing.get(server)), { reason: "Store" })
    })
  )

  it.effect("sends the initial access token of its issuer only", () =>
    Effect.gen(function* () {
      for (const [issuer, sent] of [
        [idp, "Bearer first"],
        ["https://other.example.com", undefined]
      ] as const) {
        const { get, received } = yield* setUp({ register, initialAccessTokens: { [issuer]: Redacted.make("first") } })
        yield* get(server)
        assert.strictEqual(received[0]?.headers["authorization"], sent)
      }
    })
  )
})

describe("a client ID metadata document", () => {
  it("names its own URL, and has no secret", () => {
    assert.deepStrictEqual(
      ClientRegistration.metadataDocument(document.url, { ...register, members: { scope: "read" } }),
      {
        client_id: document.url,
        scope: "read",
        client_name: "Items",
        redirect_uris: ["http://127.0.0.1/callback"],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: "none"
      }
    )
  })

  for (const url of [
    "http://items.example.com/client.json",
    "https://items.example.com",
    "https://items.example.com/",
    "https://items.example.com/client.json?a",
    "https://items.example.com/client.json#a",
    "https://user@items.example.com/client.json",
    "https://items.example.com/a/../client.json"
  ]) {
    it.effect(`is not at ${url}`, () =>
      Effect.gen(function* () {
        assert.throws(() => ClientRegistration.metadataDocument(url, register), TypeError)
        const error = yield* Effect.flip(setUp({ document: { url } }))
        assert.deepInclude(error, { _tag: "ConfigurationError", setting: "document.url" })
      })
    )
  }
})
