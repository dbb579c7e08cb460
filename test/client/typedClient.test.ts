// Typed clients of protected apis: HttpApiClient and RpcClient with the tokens of a source, over HTTP.
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Redacted, Schema } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware
} from "effect/http-api"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { AccessToken, JwtVerifier, OAuth2, TokenVerifier } from "effect-oauth2"
import { ClientAuthentication, ClientCredentials, type ClientToken, TokenSource } from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import * as Jose from "jose"
import { layerOf } from "../support/testIssuers.ts"

const issuer = "https://issuer.test"
const schemeOf = <const Name extends string>(name: Name) =>
  OAuth2.authorizationCode(name, {
    authorizationUrl: `${issuer}/authorize`,
    tokenUrl: `${issuer}/token`,
    scopes: { "items:read": "", "items:write": "", admin: "", "read:{org}": "" },
    responses: "rfc6750"
  })
const users = schemeOf("Users")
const partners = schemeOf("Partners")

/** The next response of the API, before its requirements decide. */
class Scripted extends HttpApiMiddleware.Service<Scripted>()("test/Scripted") {}

const subject = Effect.map(AccessToken, ({ scopes }) => Array.from(scopes).toSorted().join(" "))
const get = <const Name extends string, const Path extends `/${string}`>(name: Name, path: Path) =>
  HttpApiEndpoint.get(name, path, { success: Schema.String })

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("items")
    .add(get("list", "/items"))
    .add(get("write", "/write").middleware(users.require("items:write")))
    .add(
      HttpApiEndpoint.get("org", "/orgs/:org", { params: { org: Schema.String }, success: Schema.String }).middleware(
        users.require("read:{org}")
      )
    )
    .middleware(users.require("items:read"))
    .add(get("health", "/health").middleware(OAuth2.Public("no data")))
    .add(get("partner", "/partner").middleware(partners.require("items:read")))
    .middleware(Scripted)
)

const Procedures = RpcGroup.make(
  Rpc.make("Read", { success: Schema.String }),
  Rpc.make("Write", { success: Schema.String }).middleware(users.require("items:write").rpc)
)
  .middleware(users.require("items:read").rpc)
  .add(Rpc.make("Health", { success: Schema.String }).middleware(OAuth2.Public("no data").rpc))

const anonymous = () => users.client("anonymous")

interface Seen {
  readonly authorization: string | undefined
  readonly dpop: string | undefined
}

/** An API over HTTP, its issuer in memory, and a source that counts. */
const world = Effect.gen(function* () {
  const script: Array<HttpServerResponse.HttpServerResponse> = []
  const seen: Array<Seen> = []
  const issuerContext = yield* Layer.build(layerOf({ keys: ["ES256"] }))
  const Verifier = JwtVerifier.layer({ issuer, audience: "https://api.test" }).pipe(
    Layer.provide(Layer.succeedContext(issuerContext))
  )
  const Items = HttpApiBuilder.group(Api, "items", (handlers) =>
    handlers
      .handle("list", () => subject)
      .handle("write", () => subject)
      .handle("org", () => subject)
      .handle("health", () => Effect.succeed("healthy"))
      .handle("partner", () => subject)
  )
  const Calls = Procedures.toLayer({
    Read: () => subject,
    Write: () => subject,
    Health: () => Effect.succeed("healthy")
  })
  const Script = Layer.succeed(Scripted, (handler) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
      seen.push({ authorization: headers["authorization"], dpop: headers["dpop"] })
      const next = script.shift()
      return next === undefined ? handler : Effect.succeed(next)
    })
  )
  const verifierContext = yield* Layer.build(Verifier)
  const own = Layer.succeedContext(verifierContext)
  const context = yield* Layer.build(
    HttpRouter.serve(
      Layer.mergeAll(
        HttpApiBuilder.layer(Api).pipe(Layer.provide(Items)),
        RpcServer.layerHttp({ group: Procedures, path: "/rpc", protocol: "http" }).pipe(Layer.provide(Calls))
      ).pipe(Layer.provide([Script, RpcSerialization.layerNdjson])),
      { disableLogger: true, disableListenLog: true }
    ).pipe(Layer.provide([users.layer(own), partners.layer(own)]), Layer.provideMerge(NodeHttpServer.layerTest))
  )
  const { address } = Context.get(context, HttpServer.HttpServer)
  const origin = `http://127.0.0.1:${"port" in address ? address.port : 0}`
  const make = (options: Partial<ClientCredentials.Options> = {}) =>
    Effect.map(
      Effect.provide(
        ClientCredentials.make({
          issuer,
          clientId: "worker",
          authentication: ClientAuthentication.secret(Redacted.make("secret")),
          ...options
        }),
        issuerContext
      ),
      (source) => {
        const asked: Array<ReadonlyArray<string>> = []
        const forgotten: Array<ClientToken> = []
        const counted = TokenSource.of({
          get: (request) =>
            Effect.andThen(
              Effect.sync(() => asked.push(request?.scopes ?? [])),
              source.get(request)
            ),
          forget: (token) =>
            Effect.andThen(
              Effect.sync(() => forgotten.push(token)),
              source.forget(token)
            )
        })
        return { source: counted, asked, forgotten }
      }
    )
  const http = (
    source: Parameters<typeof users.client>[0],
    options?: Parameters<typeof users.client>[1],
    other: Parameters<typeof users.client>[0] = "anonymous",
    built: ReturnType<typeof anonymous> = users.client(source as "anonymous", options)
  ) =>
    HttpApiClient.make(Api).pipe(
      Effect.map(({ items }) => items),
      Effect.provide([built, partners.client(other as "anonymous")]),
      Effect.provide(context)
    )
  const rpc = (source: TokenSource["Service"]) =>
    RpcClient.make(Procedures).pipe(
      Effect.provide([
        users.client(source),
        RpcClient.layerProtocolHttp({ url: `${origin}/rpc` }).pipe(
          Layer.provide([RpcSerialization.layerNdjson, FetchHttpClient.layer])
        )
      ])
    )
  const { invalidate } = Context.get(verifierContext, TokenVerifier)
  return { make, http, rpc, script, seen, invalidate, issuer: Context.get(issuerContext, TestIssuer) }
})

const refusal = (status: number, challenge: string, headers: Readonly<Record<string, string>> = {}) =>
  HttpServerResponse.empty({ status, headers: { ...headers, "www-authenticate": challenge } })

describe("a typed client of an HttpApi", () => {
  it.effect("asks for exactly the scopes of each endpoint, and sends nothing to a public one", () =>
    Effect.gen(function* () {
      const { http, make, seen } = yield* world
      const { asked, source } = yield* make()
      const items = yield* http(source)
      assert.strictEqual(yield* items.list(), "items:read")
      assert.strictEqual(yield* items.write(), "items:read items:write")
      assert.strictEqual(
        yield* items.org({ params: { org: "a b" } }).pipe(Effect.exit, Effect.map(Exit.isFailure)),
        true
      )
      assert.strictEqual(yield* items.org({ params: { org: "acme" } }), "items:read read:acme")
      assert.strictEqual(yield* items.health(), "healthy")
      assert.deepStrictEqual(asked, [
        ["items:read"],
        ["items:read", "items:write"],
        ["items:read"],
        ["items:read", "read:acme"]
      ])
      assert.isUndefined(seen.at(-1)?.authorization)
    })
  )

  it.effect("uses the source of each scheme", () =>
    Effect.gen(function* () {
      const { http, make } = yield* world
      const [mine, theirs] = [yield* make(), yield* make({ clientId: "partner" })]
      const items = yield* http(mine.source, {}, theirs.source)
      yield* items.list()
      yield* items.partner()
      assert.strictEqual(mine.asked.length, 1)
      assert.deepStrictEqual(theirs.asked, [["items:read"]])
    })
  )

  it.effect("builds its source from an effect, and fails without one", () =>
    Effect.gen(function* () {
      const { http, make } = yield* world
      const made = yield* Layer.build(
        users.client(
          Effect.map(make(), ({ source }) => source),
          {}
        )
      )
      const items = yield* http("anonymous", {}, "anonymous", Layer.succeedContext(made))
      assert.strictEqual(yield* items.list(), "items:read")
      const anonymous = yield* http("anonymous")
      assert.strictEqual((yield* Effect.flip(anonymous.list()))._tag, "NotAuthenticated")
      assert.throws(
        () => OAuth2.basic("Basic", {}).client(TokenSource.fromToken(Redacted.make("a"))),
        /client of "Basic"/
      )
    })
  )

  it.effect("sends once more after invalid_token, however many requirements there are", () =>
    Effect.gen(function* () {
      const { http, make, script, seen } = yield* world
      const { forgotten, source } = yield* make()
      const items = yield* http(source)
      script.push(refusal(401, 'Bearer error="invalid_token"'))
      assert.strictEqual(yield* items.write(), "items:read items:write")
      assert.strictEqual(seen.length, 2)
      assert.notStrictEqual(seen[0]?.authorization, seen[1]?.authorization)
      assert.strictEqual(forgotten.length, 1)
      script.push(refusal(401, 'Bearer error="invalid_token"'), refusal(401, 'Bearer error="invalid_token"'))
      yield* Effect.flip(items.write())
      assert.strictEqual(seen.length, 4)
    })
  )

  it.effect("asks for more scopes within its ceiling, once, and remembers them for the endpoint", () =>
    Effect.gen(function* () {
      const { http, make, script, seen } = yield* world
      const { asked, source } = yield* make()
      const items = yield* http(source, { ceiling: ["admin"] })
      script.push(refusal(403, 'Bearer error="insufficient_scope", scope="admin"'))
      assert.strictEqual(yield* items.write(), "admin items:read items:write")
      assert.strictEqual(yield* items.write(), "admin items:read items:write")
      assert.strictEqual(yield* items.list(), "items:read")
      assert.strictEqual(seen.length, 4)
      assert.strictEqual(asked.length, 4)
      script.push(refusal(403, 'Bearer error="insufficient_scope", scope="root"'))
      const error = yield* Effect.flip(items.list())
      assert.deepInclude(error, { _tag: "ScopesRequired", scopes: ["root"] })
    })
  )

  it.effect("fails with StepUpRequired if the API wants another authentication", () =>
    Effect.gen(function* () {
      const { http, make, script, seen } = yield* world
      const { source } = yield* make()
      const items = yield* http(source)
      script.push(refusal(401, 'Bearer error="insufficient_user_authentication", acr_values="mfa", max_age=60'))
      const error = yield* Effect.flip(items.list())
      assert.deepInclude(error, { _tag: "StepUpRequired", acrValues: ["mfa"], maxAge: 60 })
      assert.strictEqual(seen.length, 1)
    })
  )

  it.effect("fails with the error of its source", () =>
    Effect.gen(function* () {
      const { http, issuer, make, seen } = yield* world
      const { source } = yield* make()
      yield* issuer.respond("token", { status: 400, body: '{"error":"invalid_client"}' })
      const error = yield* Effect.flip((yield* http(source)).list())
      assert.deepInclude(error, { _tag: "TokenRefused", error: "invalid_client" })
      assert.strictEqual(seen.length, 0)
    })
  )

  it.effect("sends DPoP proofs for the address of its API, with the nonce that the API wants", () =>
    Effect.gen(function* () {
      const { http, make, script, seen } = yield* world
      const algorithm = { name: "ECDSA", namedCurve: "P-256" }
      const dpop = yield* Effect.promise(() => crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]))
      const { source } = yield* make({ dpop })
      const items = yield* http(source, { baseUrl: "https://api.example.com/v1" })
      script.push(
        refusal(401, 'DPoP error="use_dpop_nonce"', { "dpop-nonce": "n1" }),
        HttpServerResponse.text('"ok"', { contentType: "application/json" })
      )
      assert.strictEqual(yield* items.list(), "ok")
      const [first, second] = seen.map(({ dpop = "" }) => Jose.decodeJwt(dpop))
      assert.deepInclude(first, { htm: "GET", htu: "https://api.example.com/v1/items" })
      assert.isUndefined(first?.["nonce"])
      assert.strictEqual(second?.["nonce"], "n1")
      assert.match(seen[0]?.authorization ?? "", /^DPoP /)
      const exit = yield* Effect.exit((yield* http(source)).list())
      assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "Set the baseUrl option of auth.client.")
    })
  )

  it.effect("does not follow a redirect with the token", () =>
    Effect.gen(function* () {
      const { http, make, script, seen } = yield* world
      const { source } = yield* make()
      script.push(HttpServerResponse.redirect("/health"))
      yield* Effect.flip((yield* http(source)).list())
      assert.strictEqual(seen.length, 1)
    })
  )
})

describe("a typed client of procedures", () => {
  it.effect("asks for exactly the scopes of each procedure", () =>
    Effect.gen(function* () {
      const { make, rpc } = yield* world
      const { asked, source } = yield* make()
      const client = yield* rpc(source)
      assert.strictEqual(yield* client.Read(), "items:read")
      assert.strictEqual(yield* client.Write(), "items:read items:write")
      assert.strictEqual(yield* client.Health(), "healthy")
      assert.deepStrictEqual(asked, [["items:read"], ["items:read", "items:write"]])
    })
  )

  it.effect("does not send a refused call again, and sends the next one with a new token", () =>
    Effect.gen(function* () {
      const { make, rpc } = yield* world
      const { source } = yield* make()
      let current: ClientToken | undefined = {
        value: Redacted.make("stale"),
        type: "Bearer",
        scopes: new Set(),
        expiresAt: Infinity
      }
      const client = yield* rpc({
        get: (request) => (current === undefined ? source.get(request) : Effect.succeed(current)),
        forget: () => Effect.void
      })
      assert.strictEqual((yield* Effect.flip(client.Write()))._tag, "InvalidToken")
      current = undefined
      assert.strictEqual(yield* client.Write(), "items:read items:write")
    })
  )

  it.effect("cannot send a token that is bound to a key", () =>
    Effect.gen(function* () {
      const { make, rpc } = yield* world
      const algorithm = { name: "ECDSA", namedCurve: "P-256" }
      const dpop = yield* Effect.promise(() => crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]))
      const exit = yield* Effect.exit((yield* rpc((yield* make({ dpop })).source)).Read())
      assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "effect/rpc carries no DPoP proofs")
    })
  )

  it.effect("fails with the error of its source", () =>
    Effect.gen(function* () {
      const { issuer, make, rpc } = yield* world
      const { source } = yield* make()
      yield* issuer.respond("token", { status: 400, body: '{"error":"invalid_scope"}' })
      const error = yield* Effect.flip((yield* rpc(source)).Read())
      assert.deepInclude(error, { _tag: "TokenRefused", error: "invalid_scope" })
    })
  )
})
