/** A proof for one request never authorizes another request. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { Headers, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { AccessToken, BearerToken, Requirement, SecurityError, TokenVerifier } from "effect-oauth2"
import { Verifier, verified } from "../support/TestVerifier.ts"
import { adapters, auth, cast, type Handler, other, secret, serveWithLog } from "../support/untypedApps.ts"
import { fromContext } from "../support/contextVerifier.ts"

for (const [name, adapter] of Object.entries(adapters)) {
  describe(`${name}: requests are isolated`, () => {
    it.effect("each concurrent request reads its own token and scopes", () =>
      Effect.gen(function* () {
        const slow = cast(
          Effect.gen(function* () {
            const before = yield* auth.granted("a")
            for (let i = 0; i < 5; i++) yield* Effect.yieldNow
            const after = yield* auth.granted("a")
            const token = yield* AccessToken
            const credential = Redacted.value(yield* BearerToken)
            return HttpServerResponse.text([before.subject, after.subject, token.subject, credential].join())
          })
        )
        const { send } = yield* serveWithLog(
          adapter.make([{ path: "/", handler: slow, requirement: auth.require("a") }])
        )
        const names = Array.from({ length: 60 }, (_, i) => ["a", "none", "ab", "mallory", undefined][i % 5])
        const answers = yield* Effect.all(
          names.map((name) => send("/", name)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          answers.map(({ body, status }) => (status === 200 ? body : status)),
          names.map((name) => (name === undefined || name === "none" ? 401 : [name, name, name, name].join()))
        )
      })
    )

    describe("a request that a handler dispatches within its own request", () => {
      type Rewrite = (request: HttpServerRequest.HttpServerRequest) => HttpServerRequest.HttpServerRequest

      const headersOf = (token: string | undefined): Record<string, string> =>
        token === undefined ? {} : { authorization: `Bearer ${token}` }
      const kinds: Readonly<Record<string, (path: string, token: string | undefined) => Rewrite>> = {
        "a new request": (path, token) => () =>
          HttpServerRequest.fromWeb(new Request(`http://localhost${path}`, { headers: headersOf(token) })),
        "a modified request": (path, token) => (request) =>
          request.modify({ url: path, headers: Headers.fromInput(headersOf(token)) })
      }

      /** Returns a function that sends a request to `/a`, whose handler dispatches the rewritten request. */
      const forwarding = Effect.gen(function* () {
        let rewrite: Rewrite = (request) => request
        let app: Effect.Effect<HttpServerResponse.HttpServerResponse, any, any> | undefined
        const handler: Handler = cast(
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
            request.headers["x-forward"] === undefined || app === undefined
              ? secret
              : Effect.provideService(app, HttpServerRequest.HttpServerRequest, rewrite(request))
          )
        )
        const shared = auth.require("a")
        const routes = adapter.make([
          { path: "/a", handler, requirement: shared },
          { path: "/shared", handler, requirement: shared },
          { path: "/equal", handler, requirement: auth.require("a") },
          { path: "/both", handler, requirement: auth.require("a", "b") },
          { path: "/open", handler }
        ])
        const { send } = yield* serveWithLog(
          Layer.merge(
            routes,
            HttpRouter.use((router) =>
              Effect.sync(() => {
                app = router.asHttpEffect()
              })
            )
          )
        )
        return (next: Rewrite, token = "a") => {
          rewrite = next
          return Effect.map(send("/a", token, { headers: { "x-forward": "1" } }), ({ body, status }) =>
            status === 200 ? body : status
          )
        }
      })

      for (const [kind, to] of Object.entries(kinds)) {
        for (const path of ["/a", "/shared", "/equal"]) {
          it.effect(`${kind} to ${path} is authorized by its own token`, () =>
            Effect.gen(function* () {
              const forward = yield* forwarding
              assert.strictEqual(yield* forward(to(path, undefined)), 401)
              assert.strictEqual(yield* forward(to(path, "none")), 401)
              assert.strictEqual(yield* forward(to(path, "bad")), 401)
              assert.strictEqual(yield* forward(to(path, "mallory")), "the secret of mallory")
              assert.strictEqual(yield* forward(to(path, "a")), "the secret of a")
            })
          )
        }

        it.effect(`${kind} to a route with more scopes is authorized by its own token`, () =>
          Effect.gen(function* () {
            const forward = yield* forwarding
            assert.strictEqual(yield* forward(to("/both", "a"), "ab"), 401)
            assert.strictEqual(yield* forward(to("/both", "ab")), "the secret of ab")
          })
        )
      }

      it.effect("a new request to a route without a requirement has no grant of the outer request", () =>
        Effect.gen(function* () {
          const forward = yield* forwarding
          for (const token of [undefined, "a"]) {
            assert.strictEqual(yield* forward(kinds["a new request"]!("/open", token)), 500)
          }
        })
      )
    })

    describe("a request that a handler forwards with the same credentials", () => {
      it.effect("runs the check of the same requirement with the new URL", () =>
        Effect.gen(function* () {
          let app: Effect.Effect<HttpServerResponse.HttpServerResponse, any, any> | undefined
          const here = Requirement.check("here", () =>
            Effect.map(Effect.serviceOption(HttpServerRequest.HttpServerRequest), (request) =>
              Option.exists(request, ({ url }) => !url.startsWith("/hidden"))
            )
          )
          const forward = cast(
            Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
              Effect.provideService(app!, HttpServerRequest.HttpServerRequest, request.modify({ url: "/hidden" }))
            )
          )
          const requirement = auth.require("a", here)
          const routes = adapter.make([
            { path: "/hidden", handler: secret, requirement },
            { path: "/seen", handler: secret, requirement },
            { path: "/forward", handler: forward, requirement }
          ])
          const capture = HttpRouter.use((router) =>
            Effect.sync(() => {
              app = router.asHttpEffect()
            })
          )
          const { send } = yield* serveWithLog(Layer.merge(routes, capture))
          assert.strictEqual((yield* send("/seen", "a")).status, 200)
          assert.strictEqual((yield* send("/hidden", "a")).status, 401)
          assert.strictEqual((yield* send("/forward", "a")).status, 401)
        })
      )

      it.effect("is verified by the verifier of the other app", () =>
        Effect.gen(function* () {
          const requirement = auth.require("a")
          const strict = new Verifier({})
          const inner = yield* HttpRouter.toHttpEffect(
            adapter
              .make([{ path: "/", handler: secret, requirement }])
              .pipe(
                Layer.provide([auth.layer(fromContext), other.layer(fromContext)]),
                Layer.provide(strict.layer)
              ) as Layer.Layer<never>
          )
          const { send } = yield* serveWithLog(
            adapter.make([
              { path: "/", handler: cast(inner), requirement },
              { path: "/direct", handler: secret, requirement }
            ])
          )
          assert.strictEqual((yield* send("/direct", "a")).status, 200)
          assert.strictEqual((yield* send("/", "a")).status, 401)
          assert.deepStrictEqual(strict.calls, ["a"])
        })
      )
    })

    it.effect("a request object that is served twice is verified twice", () =>
      Effect.gen(function* () {
        let revoked = false
        const tokens = TokenVerifier.layer({
          cache: false,
          verify: () =>
            Effect.suspend(() =>
              revoked
                ? Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
                : Effect.succeed(verified("a", ["a"]))
            )
        })
        const app = adapter
          .make([{ path: "/", handler: secret, requirement: auth.require("a") }])
          .pipe(Layer.provide([auth.layer(fromContext), other.layer(fromContext)]), Layer.provide(tokens))
        const handler = yield* Effect.map(
          Effect.acquireRelease(
            Effect.sync(() => HttpRouter.toWebHandler(app as Layer.Layer<never>, { disableLogger: true })),
            ({ dispose }) => Effect.promise(dispose)
          ),
          ({ handler }) => handler
        )
        const request = new Request("http://localhost/", { headers: { authorization: "Bearer a" } })
        assert.strictEqual((yield* Effect.promise(() => handler(request))).status, 200)
        revoked = true
        assert.strictEqual((yield* Effect.promise(() => handler(request))).status, 401)
      })
    )
  })
}
