// Typed clients of an api with two schemes, whose tokens come from two authorization servers.
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { AccessToken, JwtVerifier, OAuth2 } from "effect-oauth2"
import { ClientAuthentication, ClientCredentials } from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"

const schemeOf = <const Name extends string>(name: Name, issuer: string) =>
  OAuth2.authorizationCode(name, {
    authorizationUrl: `${issuer}/authorize`,
    tokenUrl: `${issuer}/token`,
    scopes: { read: "", write: "" },
    responses: "rfc6750"
  })
const users = schemeOf("Users", "https://users.test")
const partners = schemeOf("Partners", "https://partners.test")

const who = Effect.map(AccessToken, ({ issuer, scopes }) => [issuer, ...Array.from(scopes).toSorted()].join(" "))

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("items")
    .add(HttpApiEndpoint.get("mine", "/mine", { success: Schema.String }).middleware(users.require("write")))
    .middleware(users.require("read"))
    .add(HttpApiEndpoint.get("theirs", "/theirs", { success: Schema.String }).middleware(partners.require("read")))
    .add(
      HttpApiEndpoint.get("both", "/both", { success: Schema.String }).middleware(
        OAuth2.either(partners.require("write"), users.require("write"))
      )
    )
)
const Procedures = RpcGroup.make(
  Rpc.make("Mine", { success: Schema.String }).middleware(users.require("read").rpc),
  Rpc.make("Theirs", { success: Schema.String }).middleware(partners.require("write").rpc)
)

const world = Effect.gen(function* () {
  const issuerAt = (issuer: string) => Layer.build(TestIssuer.layer({ issuer, keys: ["ES256"] }))
  const [own, foreign] = [yield* issuerAt("https://users.test"), yield* issuerAt("https://partners.test")]
  const verifierOf = (issuer: string, context: typeof own) =>
    JwtVerifier.layer({ issuer, audience: "https://api.test" }).pipe(Layer.provide(Layer.succeedContext(context)))
  const Items = HttpApiBuilder.group(Api, "items", (handlers) =>
    handlers
      .handle("mine", () => who)
      .handle("theirs", () => who)
      .handle("both", () => who)
  )
  const context = yield* Layer.build(
    HttpRouter.serve(
      Layer.mergeAll(
        HttpApiBuilder.layer(Api).pipe(Layer.provide(Items)),
        RpcServer.layerHttp({ group: Procedures, path: "/rpc", protocol: "http" }).pipe(
          Layer.provide(Procedures.toLayer({ Mine: () => who, Theirs: () => who }))
        )
      ).pipe(Layer.provide(RpcSerialization.layerNdjson)),
      { disableLogger: true, disableListenLog: true }
    ).pipe(
      Layer.provide([
        users.layer(verifierOf("https://users.test", own)),
        partners.layer(verifierOf("https://partners.test", foreign))
      ]),
      Layer.provideMerge(NodeHttpServer.layerTest)
    )
  )
  const sourceOf = (issuer: string, context: typeof own) =>
    ClientCredentials.make({
      issuer,
      clientId: "worker",
      authentication: ClientAuthentication.secret(Redacted.make("secret"))
    }).pipe(Effect.provide(context))
  const { address } = Context.get(context, HttpServer.HttpServer)
  const asked = (context: typeof own) =>
    Effect.map(Context.get(context, TestIssuer).requests, (requests) =>
      requests.flatMap(({ endpoint, parameters }) => (endpoint === "token" ? [parameters?.["scope"]] : []))
    )
  return {
    context,
    url: `http://127.0.0.1:${"port" in address ? address.port : 0}/rpc`,
    users: yield* sourceOf("https://users.test", own),
    partners: yield* sourceOf("https://partners.test", foreign),
    asked: Effect.all({ users: asked(own), partners: asked(foreign) })
  }
})

describe("a typed client of two schemes", () => {
  it.effect("gets each token from the issuer of the scheme, with the scopes of the endpoint", () =>
    Effect.gen(function* () {
      const { asked, context, ...sources } = yield* world
      const { items } = yield* HttpApiClient.make(Api).pipe(
        Effect.provide([users.client(sources.users), partners.client(sources.partners)]),
        Effect.provide(context)
      )
      assert.strictEqual(yield* items.mine(), "https://users.test read write")
      assert.strictEqual(yield* items.theirs(), "https://partners.test read")
      // Of either, the layer of the first scheme sends the token.
      assert.strictEqual(yield* items.both(), "https://partners.test write")
      assert.deepStrictEqual(yield* asked, { users: ["read write"], partners: ["read", "write"] })
    })
  )

  it.effect("is refused with the tokens of the other issuer, after one more try", () =>
    Effect.gen(function* () {
      const { asked, context, ...sources } = yield* world
      const { items } = yield* HttpApiClient.make(Api).pipe(
        Effect.provide([users.client(sources.partners), partners.client(sources.users)]),
        Effect.provide(context)
      )
      assert.strictEqual((yield* Effect.flip(items.mine()))._tag, "InvalidToken")
      // Two requirements are around the endpoint, and the client still repeats the request once.
      assert.deepStrictEqual(yield* asked, { users: [], partners: ["read write", "read write"] })
    })
  )

  it.effect("gets each token from the issuer of the scheme for procedures, too", () =>
    Effect.gen(function* () {
      const { asked, url, ...sources } = yield* world
      const client = yield* RpcClient.make(Procedures).pipe(
        Effect.provide([
          users.client(sources.users),
          partners.client(sources.partners),
          RpcClient.layerProtocolHttp({ url }).pipe(
            Layer.provide([RpcSerialization.layerNdjson, FetchHttpClient.layer])
          )
        ])
      )
      assert.strictEqual(yield* client.Mine(), "https://users.test read")
      assert.strictEqual(yield* client.Theirs(), "https://partners.test write")
      assert.deepStrictEqual(yield* asked, { users: ["read"], partners: ["write"] })
    })
  )
})
