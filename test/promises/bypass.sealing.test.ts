/**
 * A route of `OAuth2.route` runs only if a requirement, `OAuth2.Public`, or a test layer has authorized the request.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Redacted, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { OAuth2 } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { serve } from "../support/web.ts"
import {
  adapters,
  type App,
  auth,
  cast,
  reference,
  secret,
  serveWithLog,
  stubs,
  stubToken
} from "../support/untypedApps.ts"

describe("the `OAuth2.secured` check", () => {
  const handled: Array<string> = []
  const handler = Effect.sync(() => {
    handled.push("handled")
    return HttpServerResponse.text("the secret")
  })
  /** Provides a look-alike of a decision about this request. */
  const lookAlike = HttpRouter.middleware((effect) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.provideService(effect, reference("effect-oauth2/Decision"), { origin: { request } })
    )
  )
  const secured = (path: `/${string}`) => OAuth2.route("GET", path, handler) as App
  const provided = (layer: unknown) => Layer.provide(layer as App)

  it.effect("a route of OAuth2.route runs only if a requirement or Public wraps it", () =>
    Effect.gen(function* () {
      handled.length = 0
      const { log, send } = yield* serveWithLog(
        Layer.mergeAll(
          secured("/cast"),
          secured("/stub").pipe(HttpRouter.provideRequest(stubs["AccessToken"]!), provided(lookAlike.layer)),
          secured("/required").pipe(provided(auth.require("a").route.layer)),
          secured("/optional").pipe(provided(auth.optional("a").route.layer)),
          secured("/public").pipe(provided(OAuth2.Public("it is a test").route.layer))
        ) as App
      )
      for (const token of [undefined, "a"]) {
        assert.deepStrictEqual((yield* send("/cast", token)).status, 500)
        assert.deepStrictEqual((yield* send("/stub", token)).status, 500)
      }
      assert.deepStrictEqual(handled, [])
      assert.include(
        log,
        `Error The route "GET /cast" has neither a requirement nor OAuth2.Public. Add auth.require, auth.optional or OAuth2.Public.`
      )
      assert.strictEqual((yield* send("/required")).status, 401)
      assert.strictEqual((yield* send("/optional", "bad")).status, 401)
      assert.deepStrictEqual(handled, [])
      assert.strictEqual((yield* send("/required", "a")).status, 200)
      assert.strictEqual((yield* send("/optional")).status, 200)
      assert.strictEqual((yield* send("/public")).status, 200)
      assert.strictEqual((yield* send("/public", "bad")).status, 200)
    })
  )

  it.effect("a route of OAuth2.route does not accept a decision about another request", () =>
    Effect.gen(function* () {
      handled.length = 0
      const forwarding = HttpRouter.middleware((effect) =>
        Effect.updateService(effect, HttpServerRequest.HttpServerRequest, () =>
          HttpServerRequest.fromWeb(new Request("http://localhost/x", { headers: { authorization: "Bearer bad" } }))
        )
      )
      const { log, send } = yield* serveWithLog(
        secured("/forwarded").pipe(provided(forwarding.layer), provided(auth.require("a").route.layer)) as App
      )
      assert.strictEqual((yield* send("/forwarded", "a")).status, 500)
      assert.deepStrictEqual(handled, [])
      assert.include(log.join(), "GET /forwarded")
    })
  )

  it.effect("an authentication with a genuine scheme and a foreign authenticator authorizes no request", () =>
    Effect.gen(function* () {
      const key = reference("effect-oauth2/OAuth2/OAuth2")
      const genuine = Context.get(yield* Layer.build(auth.layerTest("anonymous")), key) as object
      const verified = Effect.succeed(stubToken)
      const fake = Object.assign((effect: unknown) => effect, genuine, {
        authenticator: {
          fromRequest: () => ({ token: Redacted.make("x"), verified }),
          fromToken: () => verified
        }
      })
      const route = HttpRouter.add("GET", "/", secret).pipe(provided(auth.require("a").route.layer))
      const send = yield* serve(Layer.provide(route as App, [Layer.succeed(key, fake), Logger.layer([])]) as App)
      assert.strictEqual((yield* send("/", "a")).status, 500)
    })
  )

  it.effect("Public inside a requirement authorizes no request", () =>
    Effect.gen(function* () {
      const publicEndpoint = OAuth2.Public("it is a test")
      const group = HttpApiGroup.make("group")
        .add(HttpApiEndpoint.get("get", "/api", { success: Schema.String }).middleware(publicEndpoint))
        .middleware(auth.require("a"))
      const Api = HttpApi.make("api").add(group)
      const Group = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => Effect.succeed("x")))
      const { send } = yield* serveWithLog(
        Layer.merge(
          secured("/route").pipe(provided(publicEndpoint.route.layer), provided(auth.require("a").route.layer)),
          HttpApiBuilder.layer(Api).pipe(Layer.provide(Group), Layer.provide(HttpServer.layerServices))
        ) as App
      )
      for (const path of ["/api", "/route"]) {
        assert.strictEqual((yield* send(path)).status, 401)
        assert.strictEqual((yield* send(path, "a")).status, 200)
      }
    })
  )

  it("secured throws for unprotected endpoints of an HttpApi and names each one", () => {
    const get = (name: string) => HttpApiEndpoint.get(name, `/${name}`)
    const group = HttpApiGroup.make("items")
      .add(get("guarded"))
      .middleware(auth.require("a"))
      .add(get("late"), get("public").middleware(OAuth2.Public("it is a test")), get("later"))
    const Api = HttpApi.make("api").add(group)
    assert.throws(
      () => OAuth2.secured(Api as never),
      TypeError,
      `these endpoints have neither a requirement nor OAuth2.Public: "items.late", "items.later". Add auth.require, auth.optional or OAuth2.Public to each.`
    )
    const withPublicInside = () => OAuth2.secured(Api.middleware(auth.require("a")) as never)
    assert.throws(
      withPublicInside,
      TypeError,
      `a requirement or HttpApiSecurity around these Public endpoints protects them: "items.public".`
    )
  })

  it("secured throws for a middleware that only looks like a requirement", () => {
    class Fake extends HttpApiMiddleware.Service<Fake>()("effect-oauth2/OAuth2/OAuth2") {}
    const Api = HttpApi.make("api").add(
      HttpApiGroup.make("items").add(HttpApiEndpoint.get("get", "/").middleware(Fake))
    )
    assert.throws(() => OAuth2.secured(Api as never), TypeError, `"items.get"`)
  })

  it("Public throws without a reason, and keeps a given reason", () => {
    assert.throws(() => OAuth2.Public(" "), TypeError, "the reason must not be empty")
    assert.strictEqual(OAuth2.Public("health checks").reason, "health checks")
  })
})

describe("test layers", () => {
  const scheme = OAuth2.authorizationCode("Test", {
    ...authorizationServer,
    scopes: { read: "", write: "", admin: "" },
    implies: { admin: ["write"], write: ["read"] }
  })
  const subject = Effect.map(scheme.granted("read"), (token) => token.subject)

  it.effect("grant proves its scopes and the implied scopes to domain code, and no others", () =>
    Effect.gen(function* () {
      const provided = (scope: "read" | "write" | "admin") =>
        Effect.provide(cast(subject), scheme.layerTestGranted({ subject: "demo", scopes: [scope] }))
      assert.strictEqual(yield* provided("read"), "demo")
      assert.strictEqual(yield* provided("admin"), "demo")
      const write = cast(scheme.granted("write"))
      const exit = yield* Effect.exit(Effect.provide(write, scheme.layerTestGranted({ scopes: ["read"] })))
      assert.strictEqual(exit._tag, "Failure")
      const none = yield* Effect.exit(cast(subject))
      assert.strictEqual(none._tag, "Failure")
      const foreign = yield* Effect.exit(Effect.provide(cast(subject), auth.layerTestGranted({ scopes: ["a"] })))
      assert.strictEqual(foreign._tag, "Failure")
      assert.strictEqual((yield* Effect.provide(scheme.token, scheme.layerTestGranted({}))).subject, "demo")
      const token = yield* Effect.exit(Effect.provide(cast(scheme.token), auth.layerTestGranted({ scopes: ["a"] })))
      assert.strictEqual(token._tag, "Failure")
    }).pipe(Effect.provide(Logger.layer([])))
  )

  for (const [name, adapter] of Object.entries(adapters)) {
    it.effect(`${name}: layerTest authenticates every request, and its scopes are checked as usual`, () =>
      Effect.gen(function* () {
        const handler = cast(
          Effect.map(scheme.granted("read"), ({ claims, subject }) =>
            HttpServerResponse.text(`${subject} ${String(claims["tenant"])}`)
          )
        )
        const app = adapter.make([
          { path: "/read", handler, requirement: scheme.require("read") },
          { path: "/admin", handler, requirement: scheme.require("admin") }
        ])
        const layer = scheme.layerTest({ subject: "alice", scopes: ["write"], claims: { tenant: "t1" } })
        const send = yield* serve(Layer.provide(app, layer) as App)
        assert.strictEqual((yield* send("/read")).body, "alice t1")
        assert.strictEqual((yield* send("/read", "x y")).body, "alice t1")
        assert.strictEqual((yield* send("/admin", "admin")).challenge, `Bearer scope="admin"`)
      })
    )
  }
})
