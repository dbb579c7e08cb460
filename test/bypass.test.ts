/** Nothing but what a scheme verified for this very request opens a door; mistakes that the types would show fail closed. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Option, Redacted, Schema } from "effect"
import { Headers, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import {
  AccessToken,
  BearerToken,
  OAuth2,
  OptionalAccessToken,
  Requirement,
  SecurityError,
  SecurityScopes,
  TokenVerifier
} from "effect-oauth2"
import { authorizationServer } from "./support/authorizationServer.ts"
import { Verifier, verified } from "./support/Verifier.ts"
import { serve } from "./support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "" } })
const other = OAuth2.authorizationCode("Other", { ...authorizationServer, scopes: { a: "", b: "" } })

/** Another scheme with the name of the first. */
const twin = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "" } })

const verifier = () => new Verifier({ none: [], a: ["a"], b: ["b"], ab: ["a", "b"], mallory: ["a"] })

// ---------------------------------------------------------------------------------------------------------------------
// programs whose types are cast away
// ---------------------------------------------------------------------------------------------------------------------

// What the tests are about does not compile, so the types end here.
type App = Layer.Layer<never, never, any>
type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse>

const erase = (layer: unknown) => layer as App

const cast = <A, E, R>(effect: Effect.Effect<A, E, R>) => effect as Effect.Effect<A>

/** The answer that nobody may see without a token that has the scope `a`. */
const secret: Handler = cast(
  Effect.map(auth.granted("a"), (token) => HttpServerResponse.text(`the secret of ${token.subject}`))
)

/** The answer that nobody may see without a token of the scheme. */
const own: Handler = cast(
  Effect.map(auth.accessToken, (token) => HttpServerResponse.text(`the token of ${token.subject}`))
)

const ofTwin: Handler = cast(Effect.as(twin.accessToken, HttpServerResponse.text("an answer")))

const secretless: Handler = Effect.succeed(HttpServerResponse.text("an answer"))

interface Endpoint {
  readonly path: `/${string}`
  readonly requirement?: { readonly route: { readonly layer: unknown } }
  readonly handler: Handler
}

interface Stub {
  readonly place: string
  readonly layer: App
}

interface Adapter {
  /** Where a layer can be provided. */
  readonly places: ReadonlyArray<string>
  readonly make: (endpoints: ReadonlyArray<Endpoint>, stub?: Stub) => App
}

const at = (place: string, stub: Stub | undefined) => (stub?.place === place ? stub.layer : undefined)

const provide = (layer: App | undefined) => (app: App) => (layer === undefined ? app : Layer.provide(app, layer))

const provideRequest = (layer: App | undefined) => (app: App) =>
  layer === undefined ? app : erase(HttpRouter.provideRequest(layer)(app))

const inHandler = (handler: Handler, stub: Stub | undefined): Handler =>
  stub?.place === "the handler" ? cast(Effect.provide(handler, stub.layer)) : handler

const router: Adapter = {
  places: [
    "the handler",
    "inside of the requirement",
    "outside of the requirement",
    "the requirement's layer",
    "the route's layer",
    "the server"
  ],
  make: (endpoints, stub) =>
    Layer.mergeAll(
      Layer.empty,
      ...endpoints.map(({ handler, path, requirement }): App => {
        const layer = requirement?.route.layer as App | undefined
        return HttpRouter.add("GET", path, inHandler(handler, stub)).pipe(
          provideRequest(at("inside of the requirement", stub)),
          provide(layer?.pipe(provide(at("the requirement's layer", stub)))),
          provideRequest(at("outside of the requirement", stub)),
          provide(at("the route's layer", stub))
        )
      }),
      at("the server", stub) ?? Layer.empty
    ) as App
}

class Inside extends HttpApiMiddleware.Service<Inside>()("test/Inside") {}
class Outside extends HttpApiMiddleware.Service<Outside>()("test/Outside") {}

const api: Adapter = {
  places: [
    "the handler",
    "inside of the requirement",
    "outside of the requirement",
    "the group's layer",
    "the api's layer",
    "the api's requests",
    "the server"
  ],
  make: (endpoints, stub) => {
    const group = endpoints.reduce<any>((group, { path, requirement }) => {
      const endpoint = HttpApiEndpoint.get(path, path, { success: Schema.String }).middleware(Inside)
      return group.add(
        (requirement === undefined ? endpoint : endpoint.middleware(requirement as any)).middleware(Outside)
      )
    }, HttpApiGroup.make("group"))
    const Api: any = HttpApi.make("api").add(group)
    const middleware = (place: string) => {
      const layer = at(place, stub)
      return (effect: Effect.Effect<any, any, any>) => (layer === undefined ? effect : Effect.provide(effect, layer))
    }
    const Group: App = erase(
      HttpApiBuilder.group(Api, "group", (handlers) =>
        endpoints.reduce<any>(
          (handlers, { handler, path }) => handlers.handle(path, () => inHandler(handler, stub)),
          handlers
        )
      ).pipe(
        Layer.provide([
          Layer.succeed(Inside, middleware("inside of the requirement")),
          Layer.succeed(Outside, middleware("outside of the requirement"))
        ])
      )
    )
    return Layer.merge(
      HttpApiBuilder.layer(Api).pipe(
        Layer.provide(Group.pipe(provide(at("the group's layer", stub)))),
        Layer.provide(HttpServer.layerServices),
        provideRequest(at("the api's requests", stub)),
        provide(at("the api's layer", stub))
      ),
      at("the server", stub) ?? Layer.empty
    ) as App
  }
}

const adapters = { HttpRouter: router, HttpApi: api }

/** Serves, and keeps the log. */
const serveWithLog = Effect.fnUntraced(function* (app: App, tokens: Layer.Layer<TokenVerifier> = verifier().layer) {
  const log: Array<string> = []
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    log.push(`${logLevel} ${String(message)}`)
  })
  const send = yield* serve(
    app.pipe(
      Layer.provide([auth.layer, other.layer]),
      Layer.provide(tokens),
      Layer.merge(Logger.layer([logger]))
    ) as App
  )
  return { send, log }
})

const reference = (key: string) => Context.Reference<unknown>(key, { defaultValue: () => undefined })

// ---------------------------------------------------------------------------------------------------------------------
// stubs
// ---------------------------------------------------------------------------------------------------------------------

const stubToken = verified("stub", ["a", "b"])

const stubs: Readonly<Record<string, App>> = {
  BearerToken: BearerToken.layerTest("ab"),
  AccessToken: Layer.succeed(AccessToken, stubToken),
  OptionalAccessToken: Layer.succeed(OptionalAccessToken, Option.some(stubToken)),
  SecurityScopes: Layer.succeed(SecurityScopes, { scopes: [], scopeStr: "" }),
  "a grant": auth.grant({ subject: "stub", scopes: ["a", "b"] }),
  "a proof that looks like one": Layer.succeed(reference("effect-oauth2/OAuth2/OAuth2/Proof"), {
    scheme: auth,
    origin: { request: undefined },
    token: stubToken,
    scopes: new Set(["a", "b"])
  }),
  "a decision that looks like one": Layer.succeed(reference("effect-oauth2/Decision"), {
    origin: { request: undefined }
  }),
  "an authentication that looks like one": Layer.succeed(
    reference("effect-oauth2/OAuth2/OAuth2"),
    Object.assign((effect: unknown) => effect, { authenticator: { fromRequest: () => ({ verified: stubToken }) } })
  )
}

for (const [name, adapter] of Object.entries(adapters)) {
  const endpoints: ReadonlyArray<Endpoint> = [
    { path: "/a", requirement: auth.require("a"), handler: secret },
    { path: "/b", requirement: auth.require("b"), handler: secret },
    { path: "/optional", requirement: auth.optional("a"), handler: secret },
    { path: "/other", requirement: other.require("a"), handler: secret },
    { path: "/open", handler: secret },
    { path: "/own", requirement: auth.require(), handler: own },
    { path: "/own/optional", requirement: auth.optional(), handler: own },
    { path: "/own/other", requirement: other.require(), handler: own },
    { path: "/own/open", handler: own }
  ]

  describe(`${name}: a stub is no proof`, () => {
    for (const [what, layer] of Object.entries(stubs)) {
      for (const place of adapter.places) {
        it.effect(`${what}, provided to ${place}`, () =>
          Effect.gen(function* () {
            const { send } = yield* serveWithLog(adapter.make(endpoints, { place, layer }))
            // One that stands in the way of the real one may close the door, never open it.
            const closed = (status: number) => assert.include([401, 500], status)
            closed((yield* send("/a")).status)
            closed((yield* send("/a", "none")).status)
            closed((yield* send("/a", "b")).status)
            closed((yield* send("/a", "bad")).status)
            closed((yield* send("/own")).status)
            closed((yield* send("/own", "bad")).status)
            for (const path of ["/b", "/optional", "/other", "/open", "/own/optional", "/own/other", "/own/open"]) {
              for (const token of [undefined, "none", "a", "b", "ab"]) closed((yield* send(path, token)).status)
            }
            for (const [path, answer] of [
              ["/a", "the secret of a"],
              ["/own", "the token of a"]
            ] as const) {
              const { body, status } = yield* send(path, "a")
              if (status === 200) assert.strictEqual(body, answer)
              else
                assert.include(
                  ["a grant", "a proof that looks like one", "an authentication that looks like one"],
                  what
                )
            }
          })
        )
      }
    }
  })

  describe(`${name}: a grant that is missing fails closed`, () => {
    const anyOf = cast(
      Effect.map(auth.grantedAny("a", "b"), (scope) => HttpServerResponse.text(`the secret of ${scope}`))
    )
    const noRequirement = "no requirement of the scheme guards this route"
    const otherScopes = "its requirements do not demand the scope"

    for (const [title, requirement, handler, token, scopes, why] of [
      ["without a requirement", undefined, secret, "ab", `"a"`, noRequirement],
      ["with a requirement of another scope", auth.require("b"), secret, "ab", `"a"`, otherScopes],
      ["with a requirement of no scope", auth.require(), secret, "ab", `"a"`, otherScopes],
      ["with one of another scheme", other.require("a"), secret, "ab", `"a"`, noRequirement],
      ["where the token is optional, and sent", auth.optional("a"), secret, "ab", `"a"`, noRequirement],
      [
        "where any of two is required, and the other one had",
        auth.require(Requirement.any("a", "b")),
        secret,
        "b",
        `"a"`,
        otherScopes
      ],
      ["any of several, without a requirement", undefined, anyOf, "ab", `"a", "b"`, noRequirement],
      ["any of several, with a requirement of none of them", auth.require(), anyOf, "ab", `"a", "b"`, otherScopes],
      ["the token, without a requirement", undefined, own, "ab", "a token", noRequirement],
      ["the token, with a requirement of another scheme", other.require("a"), own, "ab", "a token", noRequirement],
      [
        "the token, with one of another scheme of the same name",
        auth.require(),
        ofTwin,
        "ab",
        "a token",
        noRequirement
      ],
      ["the token, where it is optional, and sent", auth.optional("a"), own, "ab", "a token", noRequirement],
      [
        "the token, where it may be that of another scheme, and is",
        OAuth2.either(other.require("a"), auth.require("a")),
        own,
        "a",
        "a token",
        noRequirement
      ]
    ] as const) {
      it.effect(title, () =>
        Effect.gen(function* () {
          const { log, send } = yield* serveWithLog(
            adapter.make([{ path: "/", handler, ...(requirement === undefined ? {} : { requirement }) }])
          )
          const { body, status } = yield* send("/", token)
          assert.deepStrictEqual([status, body], [500, ""])
          assert.include(
            log,
            `Error A handler relies on ${scopes} of the scheme "OAuth2", which its route or endpoint has not proven: ${why}.`
          )
        })
      )
    }

    it.effect("where a union-typed variable promised more than it held", () =>
      Effect.gen(function* () {
        const scope: string = "b"
        const { log, send } = yield* serveWithLog(
          adapter.make([{ path: "/", handler: secret, requirement: auth.require(scope as "a" | "b") }])
        )
        assert.strictEqual((yield* send("/", "ab")).status, 500)
        assert.include(log.join(), `"a" of the scheme "OAuth2"`)
      })
    )

    it.effect("and what was decided for one request is nothing to the next, however its context got there", () =>
      Effect.gen(function* () {
        let kept: Context.Context<never> = Context.empty()
        const keep = Effect.map(Effect.context<never>(), (context) => {
          kept = Context.makeUnsafe(
            new Map(Array.from(context.mapUnsafe).filter(([key]) => key.startsWith("effect-oauth2/")))
          )
          return HttpServerResponse.empty()
        })
        const replay = HttpRouter.middleware((effect) => Effect.suspend(() => Effect.provideContext(effect, kept)), {
          global: true
        })
        const requirement = auth.require("a")
        const routes = adapter.make([
          { path: "/keep", handler: keep, requirement },
          { path: "/same", handler: secret, requirement },
          { path: "/b", handler: secret, requirement: auth.require("b") },
          { path: "/open", handler: secret }
        ])
        // A verifier that caches gives one value to many requests.
        const ab = verified("ab", ["a", "b"])
        const caching = Layer.effect(
          TokenVerifier,
          Effect.map(TokenVerifier, ({ invalidate, verify }) => ({
            invalidate,
            verify: (token) => (Redacted.value(token) === "ab" ? Effect.succeed(ab) : verify(token))
          }))
        ).pipe(Layer.provide(verifier().layer))
        const { log, send } = yield* serveWithLog(Layer.merge(routes, replay) as App, caching)
        assert.strictEqual((yield* send("/keep", "ab")).status, 204)
        assert.isTrue(kept.mapUnsafe.has("effect-oauth2/OAuth2/OAuth2/Proof"))
        for (const token of [undefined, "bad", "none"]) assert.strictEqual((yield* send("/same", token)).status, 401)
        assert.strictEqual((yield* send("/same", "mallory")).body, "the secret of mallory")
        assert.strictEqual((yield* send("/b", "ab")).status, 500)
        assert.strictEqual((yield* send("/open", "a")).status, 500)
        assert.include(log.join(), "what was proven was proven for another request")
      })
    )
  })

  describe(`${name}: a forged proof`, () => {
    const forgeries: Readonly<Record<string, (real: object, origin: object) => object>> = {
      "with the fields of a real one": (real, origin) => ({ ...real, origin }),
      "with the prototype of a real one too": (real, origin) =>
        Object.assign(Object.create(Object.getPrototypeOf(real)), real, { origin })
    }
    for (const [how, forge] of Object.entries(forgeries)) {
      it.effect(`${how} proves nothing`, () =>
        Effect.gen(function* () {
          const key = reference("effect-oauth2/OAuth2/OAuth2/Proof")
          const granted = yield* Layer.build(auth.grant({ subject: "forged", scopes: ["a", "b"] }))
          const real = Context.get(granted, key) as object
          const handler = cast(
            Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
              Effect.provideService(secret, key, forge(real, { request }))
            )
          )
          assert.hasAllKeys(real, ["scheme", "origin", "token", "scopes"])
          assert.hasAllKeys((real as { readonly origin: object }).origin, ["request"])
          const { send } = yield* serveWithLog(
            adapter.make([
              { path: "/open", handler },
              { path: "/b", handler, requirement: auth.require("b") }
            ])
          )
          assert.strictEqual((yield* send("/open", "ab")).status, 500)
          assert.strictEqual((yield* send("/b", "b")).status, 500)
        })
      )
    }
  })

  describe(`${name}: each request is its own`, () => {
    it.effect("concurrent requests see their own tokens and grants", () =>
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

    describe("a request that a handler dispatches inside of its own", () => {
      type Rewrite = (request: HttpServerRequest.HttpServerRequest) => HttpServerRequest.HttpServerRequest

      const headersOf = (token: string | undefined): Record<string, string> =>
        token === undefined ? {} : { authorization: `Bearer ${token}` }
      const kinds: Readonly<Record<string, (path: string, token: string | undefined) => Rewrite>> = {
        "a new one": (path, token) => () =>
          HttpServerRequest.fromWeb(new Request(`http://localhost${path}`, { headers: headersOf(token) })),
        "a modified one": (path, token) => (request) =>
          request.modify({ url: path, headers: Headers.fromInput(headersOf(token)) })
      }

      /** `send` from `/a` with the token `a`, whose handler dispatches what `rewrite` makes of its request. */
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
          it.effect(`${kind}, to ${path}: is decided by its own token`, () =>
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

        it.effect(`${kind}, to one that requires more: is decided by its own token`, () =>
          Effect.gen(function* () {
            const forward = yield* forwarding
            assert.strictEqual(yield* forward(to("/both", "a"), "ab"), 401)
            assert.strictEqual(yield* forward(to("/both", "ab")), "the secret of ab")
          })
        )
      }

      it.effect("a new one, to one without a requirement: has no grant of the outer one", () =>
        Effect.gen(function* () {
          const forward = yield* forwarding
          for (const token of [undefined, "a"]) {
            assert.strictEqual(yield* forward(kinds["a new one"]!("/open", token)), 500)
          }
        })
      )
    })

    describe("a request that is forwarded with the same credentials", () => {
      it.effect("to another route of the same requirement: its check reads the new URL", () =>
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
          const keep = HttpRouter.use((router) =>
            Effect.sync(() => {
              app = router.asHttpEffect()
            })
          )
          const { send } = yield* serveWithLog(Layer.merge(routes, keep))
          assert.strictEqual((yield* send("/seen", "a")).status, 200)
          assert.strictEqual((yield* send("/hidden", "a")).status, 401)
          assert.strictEqual((yield* send("/forward", "a")).status, 401)
        })
      )

      it.effect("to another app: that one's verifier decides", () =>
        Effect.gen(function* () {
          const requirement = auth.require("a")
          const strict = new Verifier({})
          const inner = yield* HttpRouter.toHttpEffect(
            adapter
              .make([{ path: "/", handler: secret, requirement }])
              .pipe(Layer.provide([auth.layer, other.layer]), Layer.provide(strict.layer)) as Layer.Layer<never>
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

    it.effect("one request value that is served twice is verified twice", () =>
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
          .pipe(Layer.provide([auth.layer, other.layer]), Layer.provide(tokens))
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

  describe(`${name}: schemes are apart`, () => {
    it.effect("the layer of a scheme does not open what another scheme of the same name guards", () =>
      Effect.gen(function* () {
        const { send } = yield* serveWithLog(
          adapter.make([
            {
              path: "/",
              handler: secretless,
              requirement: twin.require("a")
            }
          ])
        )
        assert.strictEqual((yield* send("/", "a")).status, 500)
      })
    )
  })

  describe(`${name}: a check`, () => {
    for (const says of [undefined, null, 0, "", "no", {}]) {
      it.effect(`that says ${JSON.stringify(says)} has not said yes`, () =>
        Effect.gen(function* () {
          const check = Requirement.check("odd", () => Effect.succeed(says as boolean))
          const late = Requirement.check("late", () => Effect.as(Effect.yieldNow, says as boolean))
          const { send } = yield* serveWithLog(
            adapter.make([
              { path: "/alone", handler: secretless, requirement: auth.require(check) },
              { path: "/all", handler: secretless, requirement: auth.require("a", check) },
              { path: "/first", handler: secretless, requirement: auth.require(check, "a") },
              { path: "/late", handler: secretless, requirement: auth.require("a", late, "b") },
              { path: "/any", handler: secretless, requirement: auth.require(Requirement.any(check, late)) }
            ])
          )
          for (const path of ["/alone", "/all", "/first", "/late", "/any"]) {
            assert.strictEqual((yield* send(path, "ab")).status, 401, path)
          }
        })
      )
    }

    it.effect("that dies is no answer", () =>
      Effect.gen(function* () {
        const check = Requirement.check("broken", () => Effect.die("broken"))
        const thrown = Requirement.check("thrown", () => {
          throw new Error("thrown")
        })
        const { send } = yield* serveWithLog(
          adapter.make([
            { path: "/dies", handler: secret, requirement: auth.require("a", check) },
            { path: "/throws", handler: secret, requirement: auth.require(Requirement.any(thrown, "a")) }
          ])
        )
        assert.strictEqual((yield* send("/dies", "a")).status, 500)
        assert.strictEqual((yield* send("/throws", "a")).status, 500)
      })
    )
  })
}

describe("a requirement's route layer on an HttpApi group", () => {
  it.effect("is never applied, so that grants and tokens are missing", () =>
    Effect.gen(function* () {
      const Api = HttpApi.make("api").add(
        HttpApiGroup.make("group").add(
          HttpApiEndpoint.get("granted", "/granted", { success: Schema.String }),
          HttpApiEndpoint.get("token", "/token", { success: Schema.String })
        )
      )
      const Group = HttpApiBuilder.group(Api, "group", (handlers) =>
        handlers
          .handle("granted", () => secret)
          .handle("token", () => cast(Effect.map(AccessToken, (token) => token.subject)))
      ).pipe(Layer.provide(auth.require("a").route.layer))
      const app = HttpApiBuilder.layer(Api).pipe(Layer.provide(Group), Layer.provide(HttpServer.layerServices)) as App
      const { log, send } = yield* serveWithLog(app)
      for (const path of ["/granted", "/token"]) {
        for (const token of [undefined, "a"]) assert.strictEqual((yield* send(path, token)).status, 500)
      }
      assert.include(log.join(), `"a" of the scheme "OAuth2"`)
    })
  )

  it.effect("around a whole api guards all of its endpoints", () =>
    Effect.gen(function* () {
      const app = api.make([{ path: "/", handler: secret }]).pipe(Layer.provide(auth.require("a").route.layer)) as App
      const { send } = yield* serveWithLog(app)
      assert.strictEqual((yield* send("/")).status, 401)
      assert.strictEqual((yield* send("/", "none")).status, 401)
      assert.strictEqual((yield* send("/", "a")).body, "the secret of a")
    })
  )
})

describe("a middleware between two requirements that changes the credentials", () => {
  const swapped = (token: string | undefined) =>
    Effect.updateService(HttpServerRequest.HttpServerRequest, (request: HttpServerRequest.HttpServerRequest) =>
      request.modify({ headers: Headers.fromInput(token === undefined ? {} : { authorization: `Bearer ${token}` }) })
    )

  for (const token of [undefined, "none", "bad", "a", "b"]) {
    it.effect(`to ${token} is seen by the inner one, in HttpRouter`, () =>
      Effect.gen(function* () {
        const app = HttpRouter.add("GET", "/", secretless).pipe(
          Layer.provide(auth.require("b").route.layer),
          Layer.provide(HttpRouter.middleware(swapped(token)).layer),
          Layer.provide(auth.require("a").route.layer)
        )
        const { send } = yield* serveWithLog(app)
        assert.strictEqual((yield* send("/", "ab")).status, 401)
      })
    )

    it.effect(`to ${token} is seen by the inner one, in HttpApi`, () =>
      Effect.gen(function* () {
        const endpoint = HttpApiEndpoint.get("get", "/", { success: Schema.String })
          .middleware(auth.require("b"))
          .middleware(Inside)
          .middleware(auth.require("a"))
        const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(endpoint))
        const Group = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => secretless))
        const app = HttpApiBuilder.layer(Api).pipe(
          Layer.provide(Group),
          Layer.provide([HttpServer.layerServices, Layer.succeed(Inside, swapped(token))])
        )
        const { send } = yield* serveWithLog(app)
        assert.strictEqual((yield* send("/", "ab")).status, 401)
      })
    )
  }
})

describe("a stub between two requirements", () => {
  const stub = Effect.provide(
    Layer.mergeAll(
      BearerToken.layerTest("stub"),
      Layer.succeed(AccessToken, stubToken),
      Layer.succeed(OptionalAccessToken, Option.some(stubToken))
    )
  )
  const handler = cast(
    Effect.map(Effect.all([AccessToken, OptionalAccessToken, BearerToken]), ([one, other, credential]) =>
      HttpServerResponse.text([one.subject, Option.getOrThrow(other).subject, Redacted.value(credential)].join())
    )
  )

  it.effect("does not reach the handler, in HttpRouter", () =>
    Effect.gen(function* () {
      const app = HttpRouter.add("GET", "/", handler).pipe(
        Layer.provide(auth.require("a").route.layer),
        Layer.provide(HttpRouter.middleware((effect) => stub(effect)).layer),
        Layer.provide(auth.require().route.layer)
      )
      const { send } = yield* serveWithLog(app)
      assert.strictEqual((yield* send("/", "a")).body, "a,a,a")
    })
  )

  it.effect("does not reach the handler, in HttpApi", () =>
    Effect.gen(function* () {
      const endpoint = HttpApiEndpoint.get("get", "/", { success: Schema.String })
        .middleware(auth.require("a"))
        .middleware(Inside)
        .middleware(auth.require())
      const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(endpoint))
      const Group = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => handler))
      const app = HttpApiBuilder.layer(Api).pipe(
        Layer.provide(Group),
        Layer.provide([HttpServer.layerServices, Layer.succeed(Inside, (effect) => stub(effect))])
      )
      const { send } = yield* serveWithLog(erase(app))
      assert.strictEqual((yield* send("/", "a")).body, "a,a,a")
    })
  )
})

describe("a check in HttpRouter", () => {
  it.effect("has the services that were provided to its own requirement", () =>
    Effect.gen(function* () {
      class Tenants extends Context.Service<Tenants, ReadonlyArray<string>>()("test/Tenants") {}
      const tenant = Requirement.check("tenant", (token) =>
        Effect.map(Tenants, (tenants) => tenants.includes(token.subject))
      )
      const requirement = (...tenants: ReadonlyArray<string>) =>
        Layer.provide(auth.require(tenant).route.layer, Layer.succeed(Tenants, tenants))
      const { send } = yield* serveWithLog(
        HttpRouter.add("GET", "/", secretless).pipe(
          Layer.provide(requirement("a")),
          Layer.provide(requirement("a", "b"))
        )
      )
      assert.strictEqual((yield* send("/", "a")).status, 200)
      assert.strictEqual((yield* send("/", "b")).status, 401)
    })
  )
})

describe("requirements that stand around each other in an HttpApi", () => {
  it.effect("ask a check once", () =>
    Effect.gen(function* () {
      let calls = 0
      const counting = Requirement.check("counting", () => Effect.sync(() => ++calls > 0))
      const endpoint = HttpApiEndpoint.get("get", "/", { success: Schema.String })
        .middleware(auth.require("b", counting))
        .middleware(Inside)
        .middleware(other.require("a"))
        .middleware(auth.require("a"))
      const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(endpoint))
      const Group = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => Effect.succeed("x")))
      const app = HttpApiBuilder.layer(Api).pipe(
        Layer.provide(Group),
        Layer.provide([
          HttpServer.layerServices,
          Layer.succeed(Inside, (effect) => Effect.andThen(Effect.void, effect))
        ])
      )
      const { send } = yield* serveWithLog(app)
      assert.strictEqual((yield* send("/", "ab")).status, 200)
      assert.strictEqual(calls, 1)
    })
  )
})

describe("a check that reads the request", () => {
  // Nothing is cast here: what every request has needs no layer.
  it.effect("compares what is asked for with the token, in HttpRouter and in HttpApi", () =>
    Effect.gen(function* () {
      const own = Requirement.check("own", (token) =>
        Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => url.endsWith(`/${token.subject}`))
      )
      const requirement = auth.require("a", own)
      const endpoint = HttpApiEndpoint.get("get", "/api/:user", {
        params: { user: Schema.String },
        success: Schema.String
      }).middleware(requirement)
      const Api = HttpApi.make("api").add(HttpApiGroup.make("group").add(endpoint))
      const Group = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => Effect.succeed("x")))
      const app = Layer.merge(
        HttpRouter.add("GET", "/route/:user", secretless).pipe(Layer.provide(requirement.route.layer)),
        HttpApiBuilder.layer(Api).pipe(Layer.provide(Group), Layer.provide(HttpServer.layerServices))
      ).pipe(Layer.provide(auth.layer), Layer.provide(verifier().layer))
      const send = yield* serve(app)
      for (const path of ["/route/a", "/api/a"]) {
        assert.strictEqual((yield* send(path, "a")).status, 200)
        assert.strictEqual((yield* send(path, "mallory")).status, 401)
      }
    })
  )
})

describe("auth.prove", () => {
  const proven = auth
    .prove("a")(auth.granted("a"))
    .pipe(Effect.map((token) => token.subject))
  const answer = cast(Effect.map(proven, HttpServerResponse.text))

  it.effect("within a request takes the request's own token, whatever BearerToken there is", () =>
    Effect.gen(function* () {
      const app = HttpRouter.add("GET", "/", Effect.provide(answer, BearerToken.layerTest("ab"))).pipe(
        HttpRouter.provideRequest(Layer.provide(auth.layer, verifier().layer))
      )
      const { send } = yield* serveWithLog(app as App)
      for (const token of [undefined, "none", "bad"]) assert.strictEqual((yield* send("/", token)).status, 401)
      assert.strictEqual((yield* send("/", "mallory")).body, "mallory")
    })
  )

  it.effect("without a request verifies the BearerToken, each time", () =>
    Effect.gen(function* () {
      const tokens = verifier()
      const run = (token: string) =>
        Effect.result(Effect.provide(proven, [BearerToken.layerTest(token), Layer.provide(auth.layer, tokens.layer)]))
      assert.strictEqual((yield* run("a"))._tag, "Success")
      assert.strictEqual((yield* run("a"))._tag, "Success")
      assert.deepStrictEqual(tokens.calls, ["a", "a"])
      for (const token of ["none", "bad", "outage"]) assert.strictEqual((yield* run(token))._tag, "Failure")
    })
  )

  it.effect("without a request proves nothing of another token further in", () =>
    Effect.gen(function* () {
      const inner = cast(auth.prove("b")(auth.granted("a"))).pipe(
        Effect.provide(BearerToken.layerTest("b")),
        Effect.exit
      )
      const exit = yield* auth
        .prove("a")(inner)
        .pipe(Effect.provide([BearerToken.layerTest("a"), Layer.provide(auth.layer, verifier().layer)]))
      assert.strictEqual(exit._tag, "Failure")
    }).pipe(Effect.provide(Logger.layer([])))
  )

  for (const [scopes, expected] of [
    [["a", "b"], "Success"],
    [["b"], "Failure"]
  ] as const) {
    it.effect(`keeps what was proven further out where the token, verified anew, has the scopes ${scopes.join()}`, () =>
      Effect.gen(function* () {
        let verifications = 0
        const tokens = TokenVerifier.layer({
          cache: false,
          verify: () => Effect.sync(() => verified("a", ++verifications === 1 ? ["a", "b"] : scopes))
        })
        const program = auth.prove("a")(
          auth
            .prove("b")(auth.granted("a", "b"))
            .pipe(Effect.map((token) => token.scopes))
        )
        const exit = yield* Effect.exit(
          Effect.provide(program, [BearerToken.layerTest("t"), Layer.provide(auth.layer, tokens)])
        )
        assert.strictEqual(exit._tag, expected)
        assert.strictEqual(verifications, 2)
      })
    )
  }
})

describe("auth.prove of one of several scopes", () => {
  it.effect("proves nothing more that a token, verified anew further in, does not have", () =>
    Effect.gen(function* () {
      let verifications = 0
      const tokens = TokenVerifier.layer({
        cache: false,
        verify: () => Effect.sync(() => verified("a", ++verifications === 1 ? ["a"] : ["b"]))
      })
      const inner = cast(auth.prove("b")(auth.granted("a")))
      const outer = auth.prove(Requirement.any("a", "b"))(Effect.exit(inner))
      const exit = yield* Effect.provide(outer, [BearerToken.layerTest("t"), Layer.provide(auth.layer, tokens)])
      assert.strictEqual(exit._tag, "Failure")
      assert.strictEqual(verifications, 2)
    }).pipe(Effect.provide(Logger.layer([])))
  )
})

describe("what requirements further out have decided, in an HttpApi", () => {
  const passed = reference("effect-oauth2/Passed")
  class First extends HttpApiMiddleware.Service<First>()("First") {}
  class Second extends HttpApiMiddleware.Service<Second>()("Second") {}
  class Third extends HttpApiMiddleware.Service<Third>()("Third") {}

  type Between = (handler: Effect.Effect<any, any, any>) => Effect.Effect<any, any, any>

  /** Three requirements, with middleware between them. */
  const served = (first: Between, second: Between) => {
    const Api = HttpApi.make("api").add(
      HttpApiGroup.make("g").add(
        HttpApiEndpoint.get("get", "/", { success: Schema.String })
          .middleware(auth.require("b"))
          .middleware(Second)
          .middleware(auth.require("a"))
          .middleware(First)
          .middleware(auth.require())
          .middleware(Third)
      )
    )
    return serveWithLog(
      HttpApiBuilder.layer(Api).pipe(
        Layer.provide(HttpApiBuilder.group(Api, "g", (handlers) => handlers.handle("get", () => Effect.succeed("x")))),
        Layer.provide([Layer.succeed(First, first), Layer.succeed(Second, second), Layer.succeed(Third, asIs)]),
        Layer.provide(HttpServer.layerServices)
      ) as App
    )
  }

  const asIs: Between = (handler) => handler
  const change =
    (f: (passed: unknown) => unknown): Between =>
    (handler) =>
      Effect.updateService(handler, passed, f)

  it.effect("counts where the middleware between them leaves it alone", () =>
    Effect.gen(function* () {
      const { send } = yield* served(asIs, asIs)
      assert.strictEqual((yield* send("/", "ab")).status, 200)
      assert.strictEqual((yield* send("/", "a")).challenge, `Bearer scope="a b"`)
    })
  )

  const kept: { passed?: unknown } = {}
  const cases: Readonly<Record<string, readonly [Between, Between]>> = {
    "is taken away": [change(() => undefined), asIs],
    "only looks like it": [change((real) => ({ ...(real as object) })), asIs],
    "only looks like it, with its prototype": [
      change((real) => Object.assign(Object.create(Object.getPrototypeOf(real)), real)),
      asIs
    ],
    "is of fewer requirements": [change((real) => (kept.passed = real)), change(() => kept.passed)]
  }
  for (const [what, [first, second]] of Object.entries(cases)) {
    it.effect(`lets nobody in where it ${what}`, () =>
      Effect.gen(function* () {
        const { send } = yield* served(first, second)
        assert.strictEqual((yield* send("/", "ab")).status, 500)
      })
    )
  }
})

describe("sealing", () => {
  const handled: Array<string> = []
  const handler = Effect.sync(() => {
    handled.push("handled")
    return HttpServerResponse.text("the secret")
  })
  /** Provides what a decision about this request looks like. */
  const lookAlike = HttpRouter.middleware((effect) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.provideService(effect, reference("effect-oauth2/Decision"), { origin: { request } })
    )
  )
  const sealed = (path: `/${string}`) => OAuth2.route("GET", path, handler) as App
  const provided = (layer: unknown) => Layer.provide(layer as App)

  it.effect("a sealed route runs only where a requirement or Public stands around it", () =>
    Effect.gen(function* () {
      handled.length = 0
      const { log, send } = yield* serveWithLog(
        Layer.mergeAll(
          sealed("/cast"),
          sealed("/stub").pipe(HttpRouter.provideRequest(stubs["AccessToken"]!), provided(lookAlike.layer)),
          sealed("/required").pipe(provided(auth.require("a").route.layer)),
          sealed("/optional").pipe(provided(auth.optional("a").route.layer)),
          sealed("/public").pipe(provided(OAuth2.Public("it is a test").route.layer))
        ) as App
      )
      for (const token of [undefined, "a"]) {
        assert.deepStrictEqual((yield* send("/cast", token)).status, 500)
        assert.deepStrictEqual((yield* send("/stub", token)).status, 500)
      }
      assert.deepStrictEqual(handled, [])
      assert.include(log, `Error The route "GET /cast" is neither secured nor Public: no requirement stands around it.`)
      assert.strictEqual((yield* send("/required")).status, 401)
      assert.strictEqual((yield* send("/optional", "bad")).status, 401)
      assert.deepStrictEqual(handled, [])
      assert.strictEqual((yield* send("/required", "a")).status, 200)
      assert.strictEqual((yield* send("/optional")).status, 200)
      assert.strictEqual((yield* send("/public")).status, 200)
      assert.strictEqual((yield* send("/public", "bad")).status, 200)
    })
  )

  it.effect("a sealed route takes no decision about another request", () =>
    Effect.gen(function* () {
      handled.length = 0
      const forwarding = HttpRouter.middleware((effect) =>
        Effect.updateService(effect, HttpServerRequest.HttpServerRequest, () =>
          HttpServerRequest.fromWeb(new Request("http://localhost/x", { headers: { authorization: "Bearer bad" } }))
        )
      )
      const { log, send } = yield* serveWithLog(
        sealed("/forwarded").pipe(provided(forwarding.layer), provided(auth.require("a").route.layer)) as App
      )
      assert.strictEqual((yield* send("/forwarded", "a")).status, 500)
      assert.deepStrictEqual(handled, [])
      assert.include(log.join(), "GET /forwarded")
    })
  )

  it.effect("an authentication with the scheme of a real one, and another authenticator, opens nothing", () =>
    Effect.gen(function* () {
      const key = reference("effect-oauth2/OAuth2/OAuth2")
      const real = Context.get(yield* Layer.build(auth.layerTest("anonymous")), key) as object
      const verified = Effect.succeed(stubToken)
      const fake = Object.assign((effect: unknown) => effect, real, {
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

  it.effect("Public inside of a requirement opens nothing", () =>
    Effect.gen(function* () {
      const open = OAuth2.Public("it is a test")
      const group = HttpApiGroup.make("group")
        .add(HttpApiEndpoint.get("get", "/api", { success: Schema.String }).middleware(open))
        .middleware(auth.require("a"))
      const Api = HttpApi.make("api").add(group)
      const Group = HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => Effect.succeed("x")))
      const { send } = yield* serveWithLog(
        Layer.merge(
          sealed("/route").pipe(provided(open.route.layer), provided(auth.require("a").route.layer)),
          HttpApiBuilder.layer(Api).pipe(Layer.provide(Group), Layer.provide(HttpServer.layerServices))
        ) as App
      )
      for (const path of ["/api", "/route"]) {
        assert.strictEqual((yield* send(path)).status, 401)
        assert.strictEqual((yield* send(path, "a")).status, 200)
      }
    })
  )

  it("an api with an open endpoint throws, and names each", () => {
    const get = (name: string) => HttpApiEndpoint.get(name, `/${name}`)
    const group = HttpApiGroup.make("items")
      .add(get("guarded"))
      .middleware(auth.require("a"))
      .add(get("late"), get("public").middleware(OAuth2.Public("it is a test")), get("later"))
    const Api = HttpApi.make("api").add(group)
    assert.throws(
      () => OAuth2.secured(Api as never),
      TypeError,
      `neither secured nor Public: "items.late", "items.later". Give each auth.require, auth.optional or OAuth2.Public.`
    )
    const closed = () => OAuth2.secured(Api.middleware(auth.require("a")) as never)
    assert.throws(closed, TypeError, `Public inside of a requirement, which closes them: "items.public".`)
  })

  it("an api with a middleware that only looks like a requirement throws", () => {
    class Fake extends HttpApiMiddleware.Service<Fake>()("effect-oauth2/OAuth2/OAuth2") {}
    const Api = HttpApi.make("api").add(
      HttpApiGroup.make("items").add(HttpApiEndpoint.get("get", "/").middleware(Fake))
    )
    assert.throws(() => OAuth2.secured(Api as never), TypeError, `"items.get"`)
  })

  it("Public takes a reason", () => {
    assert.throws(() => OAuth2.Public(" "), TypeError, "why")
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

  it.effect("grant proves its scopes, and what they imply, to domain code", () =>
    Effect.gen(function* () {
      const provided = (scope: "read" | "write" | "admin") =>
        Effect.provide(cast(subject), scheme.grant({ subject: "demo", scopes: [scope] }))
      assert.strictEqual(yield* provided("read"), "demo")
      assert.strictEqual(yield* provided("admin"), "demo")
      const write = cast(scheme.granted("write"))
      const exit = yield* Effect.exit(Effect.provide(write, scheme.grant({ scopes: ["read"] })))
      assert.strictEqual(exit._tag, "Failure")
      const none = yield* Effect.exit(cast(subject))
      assert.strictEqual(none._tag, "Failure")
      const foreign = yield* Effect.exit(Effect.provide(cast(subject), auth.grant({ scopes: ["a"] })))
      assert.strictEqual(foreign._tag, "Failure")
      assert.strictEqual((yield* Effect.provide(scheme.accessToken, scheme.grant({}))).subject, "demo")
      const token = yield* Effect.exit(Effect.provide(cast(scheme.accessToken), auth.grant({ scopes: ["a"] })))
      assert.strictEqual(token._tag, "Failure")
    }).pipe(Effect.provide(Logger.layer([])))
  )

  for (const [name, adapter] of Object.entries(adapters)) {
    it.effect(`${name}: layerTest authenticates every request, and its scopes are decided as ever`, () =>
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
