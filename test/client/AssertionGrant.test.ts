// Tokens for an assertion of another issuer: of a workload, or of the user's identity provider.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { AssertionGrant, ClientAuthentication } from "effect-oauth2/client"
import { type Answer, idp, network, serverMetadata } from "./discoveringClients.ts"

const token = { access_token: "t", token_type: "Bearer", expires_in: 3600 }
const jag = "urn:ietf:params:oauth:token-type:id-jag"
const parametersOf = (body: string | undefined) => Object.fromEntries(new URLSearchParams(body))

const server = { issuer: idp, metadata: serverMetadata }
const client = { clientId: "my-client", authentication: ClientAuthentication.none }
const assertion = Effect.succeed(Redacted.make("signed"))

const withServer = (answer: Answer) => network({ [serverMetadata.token_endpoint]: answer })

describe("an assertion grant", () => {
  it.effect("exchanges the assertion for a token, and caches the token", () =>
    Effect.gen(function* () {
      const { layer, received } = withServer(token)
      const options = { ...server, ...client, assertion, resource: "https://api.example.com", scopes: ["read"] }
      const { get } = yield* Effect.provide(AssertionGrant.make(options), layer)
      const { value } = yield* get()
      assert.strictEqual(Redacted.value(value), "t")
      yield* get()
      assert.lengthOf(received, 1)
      assert.deepStrictEqual(parametersOf(received[0]?.body), {
        grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
        assertion: "signed",
        client_id: "my-client",
        resource: "https://api.example.com",
        scope: "read"
      })
    }).pipe(Effect.scoped)
  )

  it.effect("keeps the parameters of its start, and asks for an assertion each time", () =>
    Effect.gen(function* () {
      const { layer, received } = withServer(token)
      const parameters: Record<string, string> = { audience: "mine" }
      let asked = 0
      const assertion = Effect.sync(() => Redacted.make(`signed-${(asked += 1)}`))
      const options = { ...server, ...client, assertion, parameters }
      const { forget, get } = yield* Effect.provide(AssertionGrant.make(options), layer)
      parameters["audience"] = "other"
      yield* forget(yield* get())
      yield* get()
      assert.deepStrictEqual(
        received.map(({ body }) => [parametersOf(body)["audience"], parametersOf(body)["assertion"]]),
        [
          ["mine", "signed-1"],
          ["mine", "signed-2"]
        ]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("does not try again, or another grant, after a refusal", () =>
    Effect.gen(function* () {
      const { layer, received } = withServer(() => Response.json({ error: "invalid_grant" }, { status: 400 }))
      const { get } = yield* Effect.provide(AssertionGrant.make({ ...server, ...client, assertion }), layer)
      for (const _ of [1, 2]) {
        assert.deepInclude(yield* Effect.flip(get()), { _tag: "ReauthenticationRequired", error: "invalid_grant" })
      }
      assert.lengthOf(received, 1)
    }).pipe(Effect.scoped)
  )

  it.effect("sends identifiers such as my-client in the form that servers without decoding accept, too", () =>
    Effect.gen(function* () {
      const { layer, received } = withServer(token)
      const authentication = ClientAuthentication.secret(Redacted.make("a-b.c_d*e f:%é"))
      const { get } = yield* Effect.provide(
        AssertionGrant.make({ ...server, ...client, authentication, assertion }),
        layer
      )
      yield* get()
      const [, credentials = ""] = (received[0]?.headers["authorization"] ?? "").split("Basic ")
      assert.strictEqual(atob(credentials), "my-client:a-b.c_d*e+f%3A%25%C3%A9")
    }).pipe(Effect.scoped)
  )
})

describe("an identity assertion", () => {
  const options = {
    ...server,
    ...client,
    idToken: Effect.succeed(Redacted.make("id")),
    audience: "https://other.example.com",
    resource: "https://api.example.com",
    scopes: ["read"]
  }

  it.effect("is what the identity provider gives for the ID token", () =>
    Effect.gen(function* () {
      const { layer, received } = withServer({ access_token: "jag", issued_token_type: jag, token_type: "N_A" })
      const effect = yield* Effect.provide(AssertionGrant.identityAssertion(options), layer)
      assert.strictEqual(Redacted.value(yield* effect), "jag")
      assert.deepStrictEqual(parametersOf(received[0]?.body), {
        grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token: "id",
        subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
        requested_token_type: jag,
        client_id: "my-client",
        audience: "https://other.example.com",
        resource: "https://api.example.com",
        scope: "read"
      })
    })
  )

  it.effect("is never a token of another type", () =>
    Effect.gen(function* () {
      for (const type of ["urn:ietf:params:oauth:token-type:access_token", undefined]) {
        const { layer } = withServer({ ...token, ...(type !== undefined && { issued_token_type: type }) })
        const effect = yield* Effect.provide(AssertionGrant.identityAssertion(options), layer)
        assert.deepInclude(yield* Effect.flip(effect), { _tag: "TokenUnavailable", reason: "BadResponse" })
      }
    })
  )
})
