/** Tokens that came in a message: `auth.proveToken`, `BearerToken.fromHeaders`, and `auth.expiry`. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Option, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"
import { BearerToken, OAuth2, type SecurityError, TokenVerifier } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { portOf, verifierLayer } from "../support/rpc.ts"
import { serve } from "../support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  responses: "rfc6750",
  scopes: { read: "", write: "" }
})
const keys = OAuth2.apiKey("Keys", { in: "cookie", name: "session" })
const authentication = Layer.mergeAll(auth.layer(verifierLayer), keys.layer(verifierLayer))

const token = (text: string) => Redacted.make(text)
const subject = Effect.map(auth.granted("read"), ({ subject }) => subject)

const tagOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isSuccess(exit)
    ? exit.value
    : Option.match(Cause.findErrorOption(exit.cause), {
        onNone: () => "defect",
        onSome: (error) => (error as SecurityError.SecurityError)._tag
      })
const outcome = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.map(Effect.exit(self), tagOf)

/** Runs an effect within a request of alice, without a requirement, and responds with its JSON. */
const within = <A, E>(
  self: Effect.Effect<
    A,
    E,
    OAuth2.Authentication<"OAuth2"> | OAuth2.Authentication<"Keys"> | HttpServerRequest.HttpServerRequest
  >
) =>
  Effect.gen(function* () {
    const send = yield* serve(
      HttpRouter.add(
        "GET",
        "/",
        Effect.map(Effect.orDie(self as Effect.Effect<A>), HttpServerResponse.jsonUnsafe)
      ).pipe(HttpRouter.provideRequest(authentication)) as Layer.Layer<never>
    )
    return JSON.parse((yield* send("/", "alice~read")).body) as unknown
  })

describe("auth.proveToken", () => {
  it.effect("authorizes the given token within a request, not the token of the request", () =>
    Effect.gen(function* () {
      const results = yield* within(
        Effect.all([
          subject.pipe(auth.proveToken(token("bob~read"), "read"), outcome),
          subject.pipe(auth.proveToken(token("bob~write"), "read"), outcome),
          subject.pipe(auth.proveToken(token("bad~read"), "read"), outcome),
          Effect.provideService(subject.pipe(auth.prove("read")), BearerToken, token("bob~read")).pipe(outcome),
          Effect.provideService(
            Effect.map(auth.authorize, ({ subject }) => subject),
            BearerToken,
            token("bob~read")
          ).pipe(outcome)
        ])
      )
      assert.deepStrictEqual(results, ["bob", "InsufficientScope", "InvalidToken", "alice", "bob"])
    })
  )

  it.effect("makes the given token the credential of everything inside", () =>
    Effect.gen(function* () {
      const inside = Effect.all([
        Effect.map(
          auth.authorizeOption,
          Option.map(({ subject }) => subject)
        ),
        Effect.map(BearerToken.extract, Redacted.value),
        auth
          .prove("write")(Effect.map(auth.token, ({ subject }) => subject))
          .pipe(Effect.provideService(BearerToken, token("mallory~write")), outcome)
      ])
      assert.deepStrictEqual(
        yield* within(
          Effect.map(inside.pipe(auth.proveToken(token("bob~read"))), ([a, b, c]) => [Option.getOrNull(a), b, c])
        ),
        ["bob", "bob~read", "InsufficientScope"]
      )
    })
  )

  it.effect("authorizes the given token for a scheme whose requests have it elsewhere", () =>
    Effect.gen(function* () {
      const who = Effect.map(keys.token, ({ subject }) => subject)
      assert.strictEqual(yield* within(who.pipe(keys.proveToken(token("robot~")))), "robot")
      // A text that is not a bearer token does not become a header.
      const header = Effect.map(Effect.flip(BearerToken.extract), ({ reason }) => reason)
      assert.strictEqual(yield* within(header.pipe(keys.proveToken(token("a b")))), "NoCredentials")
    })
  )

  it.effect("works without HTTP, too", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* subject.pipe(auth.proveToken(token("bob~read"), "read")), "bob")
      assert.strictEqual(yield* subject.pipe(auth.proveToken(token("bob~"), "read"), outcome), "InsufficientScope")
    }).pipe(Effect.provide(authentication))
  )

  it.effect("does not prove the scopes of another message of the connection", () =>
    Effect.gen(function* () {
      let kept: unknown
      const keep = Effect.contextWith((context: Context.Context<never>) => {
        kept = Array.from(context.mapUnsafe).find(([key]) => key.endsWith("/Proof"))
        return Effect.succeed("kept")
      })
      const steal = Effect.suspend(() => {
        const [key, proof] = kept as [string, unknown]
        return Effect.updateContext(subject as Effect.Effect<string>, (context: Context.Context<never>) =>
          Context.addUnsafe<never, never, unknown>(context, key, proof)
        )
      })
      const same = token("bob~read")
      assert.deepStrictEqual(
        yield* within(
          Effect.all([
            keep.pipe(auth.proveToken(same, "read")),
            outcome(steal),
            outcome(steal.pipe(auth.proveToken(same))),
            outcome(subject.pipe(auth.proveToken(same, "read")))
          ])
        ),
        ["kept", "defect", "defect", "bob"]
      )
    })
  )

  it.effect("refuses the token of another user than that of a requirement around the connection", () =>
    Effect.gen(function* () {
      const guarded = Effect.all([
        subject.pipe(auth.proveToken(token("bob~read"), "read"), outcome),
        subject.pipe(auth.proveToken(token("alice~read+write"), "read"), outcome),
        // The requirement has proven `read`, and this token of alice does not have it.
        outcome((subject as Effect.Effect<string>).pipe(auth.proveToken(token("alice~write"))))
      ])
      const send = yield* serve(
        HttpRouter.add("GET", "/", Effect.map(guarded, HttpServerResponse.jsonUnsafe)).pipe(
          auth.require("read"),
          HttpRouter.provideRequest(authentication),
          Layer.provide(authentication)
        ) as Layer.Layer<never>
      )
      assert.deepStrictEqual(JSON.parse((yield* send("/", "alice~read")).body), [
        "InvalidToken",
        "alice",
        "InsufficientScope"
      ])
    })
  )
})

describe("BearerToken.fromHeaders", () => {
  const reasons: ReadonlyArray<
    readonly [Readonly<Record<string, string | ReadonlyArray<string> | undefined>>, string]
  > = [
    [{ authorization: "Bearer abc" }, "abc"],
    [{ Authorization: "bearer abc" }, "abc"],
    [{ AUTHORIZATION: ["Bearer abc"] }, "abc"],
    [{}, "NoCredentials"],
    [{ authorization: undefined }, "NoCredentials"],
    [{ authorization: "" }, "NoCredentials"],
    [{ authorization: "Basic YTpi" }, "OtherScheme"],
    [{ authorization: "Bearer a b" }, "Malformed"],
    [{ authorization: "Bearer a, Bearer b" }, "Malformed"],
    [{ authorization: ["Bearer a", "Bearer b"] }, "SeveralCredentials"],
    [{ authorization: "Bearer a", Authorization: "Bearer a" }, "SeveralCredentials"],
    [{ authorization: 5 as never }, "Malformed"],
    [{ authorization: `Bearer ${"a".repeat(9000)}` }, "TooLong"]
  ]
  for (const [headers, expected] of reasons) {
    it.effect(`reads ${JSON.stringify(headers).slice(0, 60)} as ${expected}`, () =>
      Effect.gen(function* () {
        const found = yield* BearerToken.fromHeaders(headers).pipe(
          Effect.match({ onFailure: ({ reason }) => reason, onSuccess: Redacted.value })
        )
        assert.strictEqual(found, expected)
      })
    )
  }
})

describe("auth.expiry", () => {
  const waiting = (text: string, seconds?: number) =>
    Effect.forkChild(
      outcome(
        Effect.flip(auth.expiry).pipe(
          Effect.map(({ reason }) => reason),
          auth.proveToken(token(`${text}~~${seconds ?? 100}`))
        )
      )
    )

  it.effect("fails when the token expires, and not before", () =>
    Effect.gen(function* () {
      const fiber = yield* waiting("alice", 100)
      yield* TestClock.setTime(99_999)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.setTime(100_000)
      assert.strictEqual(yield* Fiber.join(fiber), "Expired")
    }).pipe(Effect.provide(authentication))
  )

  it.effect("fails at the expiry time if it is further away than the longest timer of JavaScript", () =>
    Effect.gen(function* () {
      const fiber = yield* waiting("alice", 10_000_000)
      yield* TestClock.setTime(2 ** 31)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.setTime(10_000_000_000)
      assert.strictEqual(yield* Fiber.join(fiber), "Expired")
    }).pipe(Effect.provide(authentication))
  )

  it.effect("fails when the token is invalidated, and ignores other tokens", () =>
    Effect.gen(function* () {
      const fibers = [yield* waiting("carol"), yield* waiting("carol"), yield* waiting("dave")] as const
      yield* Effect.yieldNow
      yield* TokenVerifier.invalidate(token("erin~~100"))
      yield* Effect.yieldNow
      assert.deepStrictEqual(
        fibers.map((fiber) => fiber.pollUnsafe()),
        [undefined, undefined, undefined]
      )
      yield* TokenVerifier.invalidate(token("carol~~100"))
      assert.strictEqual(yield* Fiber.join(fibers[0]), "Rejected")
      assert.strictEqual(yield* Fiber.join(fibers[1]), "Rejected")
      assert.isUndefined(fibers[2].pollUnsafe())
    }).pipe(Effect.provide([authentication, verifierLayer]))
  )

  it.effect("fails at once if the token was invalidated after it was accepted, but not for earlier invalidations", () =>
    Effect.gen(function* () {
      const frank = token("frank~~100")
      yield* TokenVerifier.invalidate(frank)
      const before = yield* Effect.forkChild(outcome(auth.expiry.pipe(auth.proveToken(frank))))
      yield* TestClock.adjust(1)
      assert.isUndefined(before.pollUnsafe())
      const late = TokenVerifier.invalidate(frank).pipe(Effect.andThen(auth.expiry), auth.proveToken(frank))
      assert.strictEqual(yield* outcome(late), "InvalidToken")
      // The library remembers 1000 invalidated tokens. If there were more in the meantime, it assumes the worst.
      const many = Effect.forEach(Array.from({ length: 1002 }), (_, i) => TokenVerifier.invalidate(token(`t${i}`)))
      assert.strictEqual(
        yield* outcome(many.pipe(Effect.andThen(auth.expiry), auth.proveToken(token("gina~~100")))),
        "InvalidToken"
      )
    }).pipe(Effect.provide([authentication, verifierLayer]))
  )

  it.effect("waits for the expiry time in a test with layerTestGranted", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(auth.expiry)
      yield* TestClock.adjust("400 days")
      assert.isUndefined(fiber.pollUnsafe())
    }).pipe(Effect.provide(auth.layerTestGranted({ scopes: ["read"] })))
  )
})

const echo = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const socket = yield* request.upgrade
  const { pull } = yield* socket.reader
  const writer = yield* socket.writer
  yield* Effect.forever(Effect.flatMap(pull, (messages) => Effect.forEach(messages, writer.write))).pipe(
    Effect.raceFirst(auth.expiry),
    Effect.catchTag("InvalidToken", () => writer.write(new Socket.CloseEvent(4401, "token expired")))
  )
  return HttpServerResponse.empty()
}).pipe(Effect.scoped)

/** Sends one event, and a last event when the token ends. */
const events = Effect.gen(function* () {
  const end = Effect.as(Effect.flip(auth.expiry), "event: end\ndata: 4401\n\n")
  const context = yield* Effect.context<OAuth2.Verified<"OAuth2">>()
  return HttpServerResponse.stream(
    Stream.make("data: hello\n\n").pipe(
      Stream.concat(Stream.fromEffect(Effect.provide(end, context))),
      Stream.encodeText
    ),
    { contentType: "text/event-stream" }
  )
})

layer(
  HttpRouter.serve(
    Layer.mergeAll(HttpRouter.add("GET", "/echo", echo), HttpRouter.add("GET", "/events", events)).pipe(
      auth.require("read"),
      OAuth2.secured,
      Layer.provide(auth.layer(verifierLayer))
    ),
    { disableLogger: true, disableListenLog: true }
  ).pipe(Layer.provideMerge(NodeHttpServer.layerTest))
)("a long connection behind a requirement", (it) => {
  it.effect("closes a WebSocket with a stated code when the token expires", () =>
    Effect.gen(function* () {
      const port = yield* portOf
      let isOpen = () => {}
      const opened = new Promise<void>((resolve) => (isOpen = resolve))
      const closed = new Promise<readonly [number, string]>((resolve, reject) => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/echo`, {
          headers: { authorization: "Bearer alice~read~100" }
        } as never)
        socket.addEventListener("open", () => socket.send("ping"))
        socket.addEventListener("message", () => isOpen())
        socket.addEventListener("close", ({ code, reason }) => resolve([code, reason]))
        socket.addEventListener("error", () => reject(new Error("refused")))
      })
      yield* Effect.promise(() => opened)
      yield* TestClock.setTime(100_000)
      assert.deepStrictEqual(yield* Effect.promise(() => closed), [4401, "token expired"])
    })
  )

  it.effect("ends server-sent events with a last event when the token is expired", () =>
    Effect.gen(function* () {
      const port = yield* portOf
      yield* TestClock.setTime(100_000)
      const response = yield* Effect.promise(() =>
        fetch(`http://127.0.0.1:${port}/events`, { headers: { authorization: "Bearer alice~read~200" } })
      )
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
      assert.strictEqual((yield* Effect.promise(() => reader.read())).value, "data: hello\n\n")
      yield* TestClock.setTime(200_000)
      assert.strictEqual((yield* Effect.promise(() => reader.read())).value, "event: end\ndata: 4401\n\n")
      assert.isTrue((yield* Effect.promise(() => reader.read())).done)
    })
  )
})
