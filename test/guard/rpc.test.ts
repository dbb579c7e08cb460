/** Requirements on procedures of `effect/rpc`, over HTTP and over a WebSocket. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Option, Redacted, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FetchHttpClient, HttpRouter, HttpServerRequest } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { Rpc, RpcClient, RpcGroup, RpcMiddleware, RpcSerialization, RpcServer, RpcTest } from "effect/rpc"
import { AccessToken, OAuth2, OptionalAccessToken, Requirement, SecurityError, TokenVerifier } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { bearer, portOf, revoked, transports, verified, verifierLayer } from "../support/rpc.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  responses: "rfc6750",
  scopes: { read: "", write: "", admin: "" }
})
const keys = OAuth2.apiKey("Keys", { in: "header", name: "x-api-key", responses: "rfc6750" })

class Between extends RpcMiddleware.Service<Between>()("test/Between") {}

class TooOld extends Schema.TaggedError<TooOld>()("TooOld", { limit: Schema.Number }) {}
const fresh = auth.check(
  "fresh",
  ({ subject }) => (subject === "old" ? Effect.fail(new TooOld({ limit: 3 })) : Effect.succeed(true)),
  { error: TooOld }
)

class CurrentUser extends Context.Service<CurrentUser, string>()("test/CurrentUser") {}

const tenant = Requirement.check("tenant", ({ subject }) => Effect.succeed(subject === "alice"))

const subject = Effect.map(AccessToken, ({ subject }) => subject)
const text = { success: Schema.String }

const Procedures = OAuth2.secured(
  RpcGroup.make(
    Rpc.make("Read", text).middleware(auth.require("read").rpc),
    Rpc.make("Nested", text).middleware(auth.require("read").rpc).middleware(auth.require("write").rpc),
    Rpc.make("Apart", text)
      .middleware(auth.require("read").rpc)
      .middleware(Between)
      .middleware(auth.require("write").rpc),
    Rpc.make("Optional", text).middleware(auth.optional().rpc),
    Rpc.make("Either", text).middleware(OAuth2.either(keys.require(), auth.require("admin")).rpc),
    Rpc.make("Key", text).middleware(keys.require().rpc),
    Rpc.make("Checked", text).middleware(auth.require(fresh).rpc),
    Rpc.make("Tenant", text).middleware(auth.require("read", tenant).rpc),
    Rpc.make("Provided", text).middleware(
      auth.require().provide(
        CurrentUser,
        Effect.map(auth.token, ({ subject }) => `user ${subject}`)
      ).rpc
    ),
    // The error schema of the procedure matches every SecurityError.
    Rpc.make("Lenient", { ...text, error: Schema.Struct({ message: Schema.String }) }).middleware(
      auth.require("read").rpc
    ),
    Rpc.make("OwnRefusal", { ...text, error: auth.errors.InvalidToken }).middleware(auth.require("read").rpc),
    Rpc.make("Headers", { success: Schema.Array(Schema.NullOr(Schema.String)) }).middleware(auth.require().rpc),
    Rpc.make("Keep", text).middleware(auth.require("write").rpc),
    Rpc.make("UseKept", text).middleware(auth.require("read").rpc),
    Rpc.make("Ticks", { success: Schema.Number, stream: true }).middleware(auth.require("read").rpc),
    Rpc.make("Public", text).middleware(OAuth2.Public("everybody may call it").rpc)
  )
)

/** The context of the last call of `Keep`. */
let kept: Context.Context<never> = Context.empty()
let ended = 0
let started = Deferred.makeUnsafe<void>()

const Handlers = Procedures.toLayer({
  Read: () => Effect.map(auth.granted("read"), ({ subject }) => subject),
  Nested: () => Effect.map(auth.granted("read", "write"), ({ subject }) => subject),
  Apart: () => Effect.map(auth.granted("read", "write"), ({ subject }) => subject),
  Optional: () =>
    Effect.map(OptionalAccessToken, Option.match({ onNone: () => "anonymous", onSome: ({ subject }) => subject })),
  Either: () => subject,
  Key: () => subject,
  Checked: () => subject,
  Tenant: () => subject,
  Provided: () => Effect.map(CurrentUser, (user) => user),
  Lenient: () => subject,
  OwnRefusal: () => Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" })),
  Headers: () =>
    Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => [
      headers["authorization"] ?? null,
      headers["x-forwarded-for"] ?? null
    ]),
  Keep: () =>
    Effect.contextWith((context: Context.Context<never>) => {
      kept = context
      return Effect.succeed("kept")
    }),
  UseKept: () =>
    // Code of the program takes over the proof of another message of the same socket.
    Effect.updateContext(
      Effect.map(auth.granted("write"), ({ subject }) => `stolen by ${subject}`) as Effect.Effect<string>,
      (context: Context.Context<never>) => {
        const [key, proof] = Array.from(kept.mapUnsafe).find(([key]) => key.endsWith("/Proof"))!
        return Context.addUnsafe<never, never, unknown>(context, key, proof)
      }
    ),
  Ticks: () =>
    Stream.fromEffect(Effect.as(Deferred.succeed(started, undefined), 0)).pipe(
      Stream.concat(Stream.never),
      Stream.ensuring(Effect.sync(() => ended++))
    ),
  Public: (_, { headers }) => Effect.succeed(headers["authorization"] ?? "no header")
})

const serverOf = (path: `/${string}`, protocol: "http" | "websocket") =>
  RpcServer.layerHttp({ group: Procedures, path, protocol, disableFatalDefects: true }).pipe(
    OAuth2.Public("each procedure has its requirement")
  )

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("items").add(
    HttpApiEndpoint.get("list", "/items", text).middleware(auth.require("read")).middleware(auth.require("write")),
    HttpApiEndpoint.get("health", "/health", text).middleware(OAuth2.Public("the load balancer has no credentials"))
  )
)

const App = Layer.mergeAll(
  serverOf("/http", "http"),
  serverOf("/socket", "websocket"),
  HttpApiBuilder.layer(Api).pipe(
    Layer.provide(
      HttpApiBuilder.group(Api, "items", (handlers) =>
        handlers
          .handle("list", () => subject)
          .handle("health", ({ request }) => Effect.succeed(request.headers["authorization"] ?? "no header"))
      )
    )
  )
).pipe(
  OAuth2.secured,
  Layer.provide(Handlers),
  Layer.provide([Layer.succeed(Between, (effect) => effect), RpcSerialization.layerNdjson]),
  Layer.provide([auth.layer(verifierLayer), keys.layer(verifierLayer)])
)

/** Returns the value of a call, or the error as the client received it. */
const outcome = <A, E, R>(call: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(call), (exit): unknown => {
    if (Exit.isSuccess(exit)) return exit.value
    const error: unknown = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    if (error instanceof SecurityError.InsufficientScope) return [error._tag, error.challenge, error.required]
    return SecurityError.isSecurityError(error)
      ? [error._tag, "challenge" in error ? error.challenge : undefined]
      : (error ?? "defect")
  })

const notAuthenticated = ["NotAuthenticated", 'Bearer realm="OAuth2", scope="read"']
const insufficientScope = (scopes: string) => [
  "InsufficientScope",
  `Bearer error="insufficient_scope", scope="${scopes}"`,
  scopes.split(" ")
]
const malformed = ["InvalidRequest", 'Bearer error="invalid_request"']
const invalidToken = ["InvalidToken", 'Bearer error="invalid_token", scope="read"']

const serverLayer = HttpRouter.serve(App, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provideMerge(NodeHttpServer.layerTest),
  Layer.provideMerge(verifierLayer)
)

const anonymous = Layer.merge(auth.client("anonymous"), keys.client("anonymous"))

/** Returns a client that stays connected until the end of the test. */
const connect = <E, R>(protocol: Layer.Layer<RpcClient.Protocol, E, R>) =>
  Effect.flatMap(Layer.build(Layer.fresh(protocol)), (context) =>
    Effect.provide(RpcClient.make(Procedures), context).pipe(Effect.provide(anonymous))
  )

for (const [name, transport] of Object.entries(transports)) {
  layer(serverLayer)(`a requirement on a procedure over ${name}`, (it) => {
    const client = (headers?: Readonly<Record<string, string>>) => connect(transport(headers))

    it.effect("accepts the token in the headers of the call, and refuses as a route does", () =>
      Effect.gen(function* () {
        const { Read } = yield* client()
        const read = (authorization: string) => outcome(Read(undefined, { headers: { authorization } }))
        assert.deepStrictEqual(yield* outcome(Read()), notAuthenticated)
        assert.deepStrictEqual(yield* read("Bearer alice~read"), "alice")
        assert.deepStrictEqual(yield* read("bearer bob~read"), "bob")
        assert.deepStrictEqual(yield* read("Bearer alice~admin"), insufficientScope("read"))
        assert.deepStrictEqual(yield* read("Bearer bad~read"), invalidToken)
        assert.deepStrictEqual(yield* read("Basic YTpi"), notAuthenticated)
        assert.deepStrictEqual(yield* read("Bearer a b"), malformed)
        assert.deepStrictEqual(yield* read("Bearer a, Bearer b"), malformed)
        assert.deepStrictEqual(yield* read("Bearer "), malformed)
        assert.deepStrictEqual(yield* read(`Bearer ${"a".repeat(9000)}`), malformed)
      })
    )

    it.effect("decides nested requirements together, outermost first, with one verification", () =>
      Effect.gen(function* () {
        const { Apart, Nested } = yield* client()
        for (const [call, text] of [
          [Nested, "nested"],
          [Apart, "apart"]
        ] as const) {
          const token = `${text}${name}~`
          assert.deepStrictEqual(yield* outcome(call(undefined, bearer(token))), insufficientScope("write read"))
          assert.strictEqual(verified.filter((other) => other === token).length, 1)
          assert.strictEqual(yield* call(undefined, bearer("alice~read+write")), "alice")
        }
      })
    )

    it.effect("accepts anonymous calls if authentication is optional", () =>
      Effect.gen(function* () {
        const { Optional } = yield* client()
        assert.strictEqual(yield* Optional(), "anonymous")
        assert.strictEqual(yield* Optional(undefined, bearer("alice~")), "alice")
        assert.deepStrictEqual(yield* outcome(Optional(undefined, bearer("bad~"))), [
          "InvalidToken",
          'Bearer error="invalid_token"'
        ])
      })
    )

    it.effect("accepts the credential of either scheme, also an API key in a header of the call", () =>
      Effect.gen(function* () {
        const { Either, Key } = yield* client()
        const key = { headers: { "x-api-key": "robot" } }
        assert.strictEqual(yield* Key(undefined, key), "robot")
        assert.strictEqual(yield* Either(undefined, key), "robot")
        assert.strictEqual(yield* Either(undefined, bearer("alice~admin")), "alice")
        assert.deepStrictEqual(yield* outcome(Either(undefined, bearer("alice~"))), [
          "InsufficientScope",
          'APIKey realm="Keys", Bearer error="insufficient_scope", scope="admin"',
          ["admin"]
        ])
      })
    )

    it.effect("sends FailedCheck without an error code if a check returns false", () =>
      Effect.gen(function* () {
        const { Tenant } = yield* client()
        assert.strictEqual(yield* Tenant(undefined, bearer("alice~read")), "alice")
        assert.deepStrictEqual(yield* outcome(Tenant(undefined, bearer("bob~read"))), [
          "FailedCheck",
          'Bearer realm="OAuth2"'
        ])
        assert.deepStrictEqual(yield* outcome(Tenant(undefined, bearer("bob~"))), insufficientScope("read"))
      })
    )

    it.effect("sends the typed errors of checks, and provides services", () =>
      Effect.gen(function* () {
        const { Checked, Provided } = yield* client()
        assert.strictEqual(yield* Checked(undefined, bearer("alice~")), "alice")
        const error = yield* Effect.flip(Checked(undefined, bearer("old~")))
        assert.deepStrictEqual([error._tag, error], ["TooOld", new TooOld({ limit: 3 })])
        assert.strictEqual(yield* Provided(undefined, bearer("alice~")), "user alice")
      })
    )

    it.effect("sends a refusal as such if the error schema of the procedure matches every error", () =>
      Effect.gen(function* () {
        const { Lenient, OwnRefusal } = yield* client()
        const error = yield* Effect.flip(Lenient(undefined, bearer("bad~read")))
        assert.deepStrictEqual(yield* outcome(Effect.fail(error)), invalidToken)
        // The reason stays on the server.
        assert.strictEqual((error as SecurityError.InvalidToken).reason, "Unspecified")
        assert.deepStrictEqual(yield* outcome(OwnRefusal(undefined, bearer("alice~read"))), invalidToken)
      })
    )

    it.effect("does not run the handler of a refused call that is discarded", () =>
      Effect.gen(function* () {
        kept = Context.empty()
        const { Keep } = yield* client()
        yield* outcome(Keep(undefined, { discard: true, ...bearer("alice~read") }))
        assert.strictEqual(kept.mapUnsafe.size, 0)
        yield* Keep(undefined, { discard: true, ...bearer("alice~write") })
        yield* Keep(undefined, bearer("alice~write"))
        assert.isAbove(kept.mapUnsafe.size, 0)
      })
    )

    it.effect("does not accept the proof of another message of the same client", () =>
      Effect.gen(function* () {
        const { Keep, UseKept } = yield* client()
        assert.strictEqual(yield* Keep(undefined, bearer("alice~read+write")), "kept")
        assert.strictEqual(yield* outcome(UseKept(undefined, bearer("alice~read+write"))), "defect")
      })
    )

    it.effect("gives each message of a client its own token, and takes no other header from a message", () =>
      Effect.gen(function* () {
        const { Headers } = yield* client({ "x-forwarded-for": "192.0.2.1" })
        const call = (token: string) =>
          Headers(undefined, { headers: { authorization: `Bearer ${token}`, "x-forwarded-for": "198.51.100.6" } })
        assert.deepStrictEqual(yield* Effect.all([call("alice~"), call("bob~")], { concurrency: 2 }), [
          ["Bearer alice~", "192.0.2.1"],
          ["Bearer bob~", "192.0.2.1"]
        ])
      })
    )

    it.effect("uses the header of the connection for a call without its own, and decides each call anew", () =>
      Effect.gen(function* () {
        const token = `alice~read~${name === "HTTP" ? 60 : 61}`
        const { Read } = yield* client({ authorization: `Bearer ${token}` })
        assert.strictEqual(yield* Read(), "alice")
        assert.strictEqual(yield* Read(undefined, bearer("bob~read")), "bob")
        revoked.add(token)
        yield* TokenVerifier.invalidate(Redacted.make(token))
        assert.deepStrictEqual(yield* outcome(Read()), invalidToken)
        assert.strictEqual(yield* Read(undefined, bearer("alice~read")), "alice")
        revoked.delete(token)
        assert.strictEqual(yield* Read(), "alice")
        yield* TestClock.setTime(59_999)
        assert.strictEqual(yield* Read(), "alice")
        yield* TestClock.setTime(61_000)
        assert.deepStrictEqual(yield* outcome(Read()), invalidToken)
        assert.strictEqual(yield* Read(undefined, bearer("alice~read")), "alice")
      })
    )

    /** Returns what a client hears of a stream until `end` has run, and whether the stream's finalizer ran. */
    const stream = (token: string, end: Effect.Effect<unknown, never, TokenVerifier>) =>
      Effect.gen(function* () {
        ended = 0
        started = Deferred.makeUnsafe<void>()
        const { Read, Ticks } = yield* client()
        const heard: Array<number> = []
        const fiber = yield* Ticks(undefined, bearer(token)).pipe(
          Stream.runForEach((n) => Effect.sync(() => heard.push(n))),
          outcome,
          Effect.forkScoped
        )
        yield* Deferred.await(started)
        yield* end
        const last = yield* Fiber.join(fiber)
        assert.strictEqual(yield* Read(undefined, bearer("alice~read")), "alice")
        return [heard, last, ended]
      })

    it.effect("ends a stream with a typed error when its token expires", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* stream("alice~read~100", TestClock.setTime(100_000)), [[0], invalidToken, 1])
      })
    )

    it.effect("ends a stream when its token is invalidated", () =>
      Effect.gen(function* () {
        const token = `alice~read~${name.length}00`
        assert.deepStrictEqual(yield* stream(token, TokenVerifier.invalidate(Redacted.make(token))), [
          [0],
          invalidToken,
          1
        ])
      })
    )

    it.effect("refuses a stream before it starts", () =>
      Effect.gen(function* () {
        const { Ticks } = yield* client()
        const refused = Stream.runCollect(Ticks(undefined, bearer("alice~")))
        assert.deepStrictEqual(yield* outcome(refused), insufficientScope("read"))
      })
    )

    it.effect("gets the token of layerClient, once for nested requirements and not for public procedures", () =>
      Effect.gen(function* () {
        let asked = 0
        const token = Effect.sync(() => {
          asked++
          return Redacted.make(`user${asked}~read+write`)
        })
        const { Nested, Public, Read } = yield* connect(Layer.merge(transport(), auth.layerClient({ token })))
        assert.strictEqual(yield* Nested(), "user1")
        assert.strictEqual(yield* Read(), "user2")
        assert.strictEqual(yield* Public(), "no header")
        assert.strictEqual(yield* Read(undefined, bearer("bob~read")), "bob")
        assert.strictEqual(asked, 2)
      })
    )
  })
}

layer(serverLayer)("the header of a message on the wire", (it) => {
  const post = (...headers: ReadonlyArray<readonly [string, unknown]>) =>
    Effect.flatMap(portOf, (port) =>
      Effect.promise(async () => {
        const message = { _tag: "Request", id: "1", tag: "Read", payload: null, headers }
        const response = await fetch(`http://127.0.0.1:${port}/http`, {
          method: "POST",
          headers: { authorization: "Bearer alice~read", "content-type": "application/ndjson" },
          body: `${JSON.stringify(message)}\n`
        })
        const text = await response.text()
        return /"value":"(\w+)"/.exec(text)?.[1] ?? /"_tag":"(Not\w+)"/.exec(text)?.[1] ?? text
      })
    )

  it.effect("counts as absent if it is not a string, so the header of the request does not replace it", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* post(), "alice")
      assert.strictEqual(yield* post(["authorization", "Bearer bob~read"]), "bob")
      assert.strictEqual(yield* post(["AUTHORIZATION", "Bearer bob~read"]), "bob")
      assert.strictEqual(yield* post(["authorization", ["Bearer bob~read"]]), "NotAuthenticated")
      assert.strictEqual(yield* post(["authorization", 5]), "NotAuthenticated")
      // Effect joins the headers before a middleware sees them.
      assert.strictEqual(yield* post(["authorization", "Bearer bad~read"], ["authorization", "Bearer bob~read"]), "bob")
    })
  )
})

layer(serverLayer)("layerClient", (it) => {
  it.effect("sends the token with the requests of HttpApiClient, too", () =>
    Effect.gen(function* () {
      const port = yield* portOf
      const token = Effect.succeed(Redacted.make("alice~read+write"))
      const { items } = yield* Effect.provide(
        HttpApiClient.make(Api, { baseUrl: `http://127.0.0.1:${port}` }),
        Layer.merge(FetchHttpClient.layer, auth.layerClient({ token }))
      )
      assert.strictEqual(yield* items.list(), "alice")
      assert.strictEqual(yield* items.health(), "no header")
    })
  )

  it.effect("sends an API key in the header of its scheme", () =>
    Effect.gen(function* () {
      const { Key } = yield* Effect.provide(
        RpcClient.make(Procedures),
        Layer.mergeAll(
          transports.HTTP(),
          auth.client("anonymous"),
          keys.layerClient({ token: Effect.succeed(Redacted.make("robot")) })
        )
      )
      assert.strictEqual(yield* Key(), "robot")
    })
  )

  it("throws for a scheme whose credential it cannot send", () => {
    const token = Effect.succeed(Redacted.make("a:b"))
    for (const scheme of [OAuth2.basic("Basic", {}), OAuth2.apiKey("Cookie", { in: "cookie", name: "session" })]) {
      assert.throws(
        () => scheme.layerClient({ token }),
        `layerClient of ${JSON.stringify(scheme.name)}: the layer sends bearer tokens, and API keys in a header. Send the credential of this scheme with transformClient of the client.`
      )
    }
  })
})

describe("a requirement on a procedure without HTTP", () => {
  const test = (authentication: Layer.Layer<OAuth2.Authentication<"OAuth2"> | OAuth2.PublicEndpoint>) =>
    Effect.provide(
      RpcTest.makeClient(Procedures),
      Handlers.pipe(
        Layer.provideMerge([Layer.succeed(Between, (effect) => effect), authentication, keys.layer(verifierLayer)]),
        Layer.merge(anonymous)
      )
    )

  it.effect("decides about the headers of the call", () =>
    Effect.gen(function* () {
      const { Nested, Read } = yield* test(auth.layer(verifierLayer))
      assert.strictEqual((yield* Effect.flip(Read()))._tag, "NotAuthenticated")
      assert.strictEqual(yield* Read(undefined, bearer("alice~read")), "alice")
      assert.strictEqual((yield* Effect.flip(Nested(undefined, bearer("alice~read"))))._tag, "InsufficientScope")
    })
  )

  it.effect("accepts the token of layerTest, and still decides about scopes", () =>
    Effect.gen(function* () {
      const { Nested, Read } = yield* test(auth.layerTest({ subject: "demo", scopes: ["read"] }))
      assert.strictEqual(yield* Read(), "demo")
      assert.strictEqual((yield* Effect.flip(Nested()))._tag, "InsufficientScope")
      const anonymous = yield* test(auth.layerTest("anonymous"))
      assert.strictEqual((yield* Effect.flip(anonymous.Read()))._tag, "NotAuthenticated")
      assert.strictEqual(yield* anonymous.Optional(), "anonymous")
    })
  )
})

describe("OAuth2.secured", () => {
  it("names the procedures without a requirement, and public procedures inside a requirement", () => {
    const group = RpcGroup.make(Rpc.make("A"))
      .middleware(auth.require("read").rpc)
      .add(Rpc.make("B"), Rpc.make("C").middleware(OAuth2.Public("health check").rpc))
    assert.throws(
      () => OAuth2.secured(group as never),
      'these endpoints have neither a requirement nor OAuth2.Public: "B".'
    )
    const both = RpcGroup.make(Rpc.make("C").middleware(OAuth2.Public("health check").rpc)).middleware(
      auth.require().rpc
    )
    assert.throws(() => OAuth2.secured(both as never), '"C"')
    const complete = group.omit("B")
    assert.strictEqual(OAuth2.secured(complete), complete)
  })
})
