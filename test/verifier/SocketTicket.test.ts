/** Tickets that open a WebSocket, over real sockets. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { BearerToken, OAuth2, SocketTicket, type SocketTicketOptions, TokenVerifier } from "effect-oauth2"
import { inspect } from "node:util"
import { authorizationServer } from "../support/authorizationServer.ts"
import { portOf, verified, verifierLayer } from "../support/rpc.ts"
import { hello, upgrade } from "../support/upgrades.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  responses: "rfc6750",
  scopes: { read: "", write: "" }
})

const open = (scope: "read" | "write") =>
  Effect.gen(function* () {
    const token = yield* Effect.flatMap(BearerToken.fromSubprotocol, SocketTicket.redeem).pipe(
      Effect.catch(auth.refuse)
    )
    return yield* hello.pipe(auth.proveToken(token, scope))
  })

const Routes = Layer.mergeAll(
  HttpRouter.add(
    "POST",
    "/tickets",
    Effect.map(SocketTicket.issue, (ticket) => HttpServerResponse.text(Redacted.value(ticket)))
  ).pipe(auth.require("read")),
  HttpRouter.add("GET", "/read", open("read")).pipe(OAuth2.Public("the sub-protocol carries a ticket")),
  HttpRouter.add("GET", "/write", open("write")).pipe(OAuth2.Public("the sub-protocol carries a ticket")),
  HttpRouter.add("GET", "/guarded", open("read")).pipe(auth.require("read"))
).pipe(OAuth2.secured, HttpRouter.provideRequest(SocketTicket.layer()))

const Served = HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide([BearerToken.layerSubprotocol, auth.layer(verifierLayer)]),
  Layer.provideMerge(Layer.merge(NodeHttpServer.layerTest, verifierLayer))
)

const post = (token: string | undefined, headers: Readonly<Record<string, string>> = {}) =>
  Effect.flatMap(portOf, (port) =>
    Effect.promise(async () => {
      const authorization: Readonly<Record<string, string>> =
        token === undefined ? {} : { authorization: `Bearer ${token}` }
      const response = await fetch(`http://127.0.0.1:${port}/tickets`, {
        method: "POST",
        headers: { ...authorization, ...headers }
      })
      return { status: response.status, text: await response.text() }
    })
  )

const ticketOf = (token: string, headers?: Readonly<Record<string, string>>) =>
  Effect.map(post(token, headers), ({ text }) => text)

const connect = (path: string, ticket: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.map(
    upgrade(path, { "sec-websocket-protocol": `chat, bearer.${ticket}`, ...headers }),
    ({ status, text }) => text ?? status
  )

layer(Served)("a ticket", (it) => {
  it.effect("opens a socket once, for the user of the request that got it", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* ticketOf("alice~read"), yield* ticketOf("bob~read")]
      assert.match(alice, /^[\w-]{43}$/)
      assert.notStrictEqual(alice, bob)
      assert.strictEqual(yield* connect("/read", bob), "bob")
      assert.strictEqual(yield* connect("/read", alice), "alice")
      assert.strictEqual(yield* connect("/read", alice), 401)
      assert.strictEqual(yield* connect("/read", bob), 401)
    })
  )

  it.effect("opens one socket if several connections present it at once", () =>
    Effect.gen(function* () {
      const ticket = yield* ticketOf("alice~read")
      const results = yield* Effect.all(
        Array.from({ length: 8 }, () => connect("/read", ticket)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        results.filter((result) => result !== 401),
        ["alice"]
      )
    })
  )

  it.effect("is not issued without an authenticated request", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* post(undefined)).status, 401)
      assert.strictEqual((yield* post("bad~read")).status, 401)
      assert.strictEqual((yield* post("alice~write")).status, 403)
    })
  )

  it.effect("is refused after 30 seconds", () =>
    Effect.gen(function* () {
      const [early, late] = [yield* ticketOf("alice~read"), yield* ticketOf("alice~read")]
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(yield* connect("/read", early), "alice")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* connect("/read", late), 401)
    })
  )

  it.effect("has the scopes of its token, and no others", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* connect("/write", yield* ticketOf("alice~read")), 403)
      assert.strictEqual(yield* connect("/write", yield* ticketOf("alice~read+write")), "alice")
    })
  )

  it.effect("is used up if the socket is refused", () =>
    Effect.gen(function* () {
      const ticket = yield* ticketOf("alice~read")
      assert.strictEqual(yield* connect("/write", ticket), 403)
      assert.strictEqual(yield* connect("/read", ticket), 401)
    })
  )

  it.effect("ends with its token", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000_000)
      const ticket = yield* ticketOf("alice~read~1010")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* connect("/read", ticket), 401)
    })
  )

  it.effect("ends when its token is invalidated, although the verifier would accept the token again", () =>
    Effect.gen(function* () {
      const [ticket, other] = [yield* ticketOf("alice~read"), yield* ticketOf("bob~read")]
      yield* TokenVerifier.invalidate(Redacted.make("alice~read"))
      assert.strictEqual(yield* connect("/read", ticket), 401)
      assert.strictEqual(yield* connect("/read", other), "bob")
      // A ticket that is issued later counts.
      assert.strictEqual(yield* connect("/read", yield* ticketOf("alice~read")), "alice")
    })
  )

  it.effect("does not replace the user of a connection that a requirement has authenticated", () =>
    Effect.gen(function* () {
      const authorization = "Bearer bob~read"
      const guarded = (ticket: string) => connect("/guarded", ticket, { authorization })
      assert.strictEqual(yield* guarded(yield* ticketOf("alice~read")), 401)
      assert.strictEqual(yield* guarded(yield* ticketOf("bob~read")), "bob")
    })
  )

  it.effect("is for pages of the origin that got it", () =>
    Effect.gen(function* () {
      const page = { origin: "https://app.example.com" }
      const issue = ticketOf("alice~read", page)
      assert.strictEqual(yield* connect("/read", yield* issue, page), "alice")
      for (const origin of [
        "https://evil.example.com",
        "http://app.example.com",
        "https://app.example.com.evil",
        "null"
      ]) {
        const ticket = yield* issue
        assert.strictEqual(yield* connect("/read", ticket, { origin }), 400, origin)
        assert.strictEqual(yield* connect("/read", ticket, page), 401, "the attempt has used up the ticket")
      }
      assert.strictEqual(yield* connect("/read", yield* issue), 400, "no origin")
      // A client that is not a browser sends no origin.
      assert.strictEqual(yield* connect("/read", yield* ticketOf("alice~read"), page), "alice")
    })
  )

  it.effect("is not a token, and a token is not a ticket", () =>
    Effect.gen(function* () {
      verified.length = 0
      assert.strictEqual(yield* connect("/read", "alice~read"), 401)
      assert.strictEqual(yield* connect("/read", "A".repeat(43)), 401)
      assert.strictEqual(yield* connect("/read", "A".repeat(44)), 401)
      assert.deepStrictEqual(verified, [])
      const ticket = yield* ticketOf("alice~read")
      assert.strictEqual((yield* post(ticket)).status, 403)
    })
  )
})

const page = HttpServerRequest.fromWeb(new Request("http://localhost/"))

/** Runs an effect in a requirement's handler, as the user that the token names. */
const as =
  (token: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>) =>
    self.pipe(
      auth.proveToken(Redacted.make(token), "read"),
      Effect.provideService(HttpServerRequest.HttpServerRequest, page)
    )

const redeem = (ticket: Redacted.Redacted) =>
  SocketTicket.redeem(ticket).pipe(
    Effect.map(Redacted.value),
    Effect.catch((error) => Effect.succeed(`${error._tag} ${error.reason}`)),
    Effect.provideService(HttpServerRequest.HttpServerRequest, page)
  )

const withTickets =
  (options?: SocketTicketOptions) =>
  <A, E>(self: Effect.Effect<A, E, SocketTicket | OAuth2.Authentication<"OAuth2">>) =>
    Effect.provide(self, Layer.merge(SocketTicket.layer(options), auth.layer(verifierLayer)))

describe("SocketTicket", () => {
  it.effect("says why it refuses a ticket", () =>
    Effect.gen(function* () {
      const ticket = yield* as("alice~read")(SocketTicket.issue)
      const late = yield* as("alice~read")(SocketTicket.issue)
      assert.strictEqual(yield* redeem(ticket), "alice~read")
      assert.strictEqual(yield* redeem(ticket), "InvalidToken Rejected")
      assert.strictEqual(yield* redeem(Redacted.make("x")), "InvalidToken Malformed")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* redeem(late), "InvalidToken Expired")
    }).pipe(withTickets({ lifetime: "10 seconds" }))
  )

  it.effect("replaces the oldest ticket of a user, and then the oldest of all, if there are too many", () =>
    Effect.gen(function* () {
      const issue = (user: string) => as(`${user}~read`)(SocketTicket.issue)
      const a = [yield* issue("a"), yield* issue("a"), yield* issue("a")]
      const [b, c] = [yield* issue("b"), yield* issue("c")]
      // a has 2 tickets. The first of them makes place for c.
      assert.deepStrictEqual(yield* Effect.forEach(a, redeem), [
        "InvalidToken Rejected",
        "InvalidToken Rejected",
        "a~read"
      ])
      assert.deepStrictEqual([yield* redeem(b), yield* redeem(c)], ["b~read", "c~read"])
    }).pipe(withTickets({ capacity: 3, perUser: 2 }))
  )

  it.effect("forgets expired tickets before it replaces others", () =>
    Effect.gen(function* () {
      const issue = as("a~read")(SocketTicket.issue)
      const first = yield* issue
      yield* TestClock.adjust("20 seconds")
      const second = yield* issue
      yield* TestClock.adjust("10 seconds")
      const third = yield* issue
      assert.deepStrictEqual(yield* Effect.forEach([first, second, third], redeem), [
        "InvalidToken Rejected",
        "a~read",
        "a~read"
      ])
    }).pipe(withTickets({ capacity: 2 }))
  )

  it.effect("does not print tickets", () =>
    Effect.gen(function* () {
      const ticket = yield* as("a~read")(SocketTicket.issue)
      assert.strictEqual(inspect(ticket), "<redacted:socket_ticket>")
      assert.notInclude(inspect(yield* SocketTicket, { depth: 20, showHidden: true }), Redacted.value(ticket))
    }).pipe(withTickets())
  )

  it.effect("is issued for the token of layerTest", () =>
    Effect.gen(function* () {
      const ticket = yield* SocketTicket.issue.pipe(
        auth.prove("read"),
        Effect.provide(Layer.merge(auth.layerTest({ scopes: ["read"] }), BearerToken.layerTest("test"))),
        Effect.provideService(HttpServerRequest.HttpServerRequest, page)
      )
      assert.match(Redacted.value(ticket), /^[\w-]{43}$/)
    }).pipe(Effect.provide(SocketTicket.layer()))
  )

  it.effect.each([
    [{ lifetime: "999 millis" }, "lifetime must be a duration"],
    [{ lifetime: "301 seconds" }, "lifetime must be a duration"],
    [{ lifetime: NaN }, "lifetime must be a duration"],
    [{ capacity: 0 }, "capacity must be a whole number"],
    [{ capacity: NaN }, "capacity must be a whole number"],
    [{ perUser: 1.5 }, "perUser must be a whole number"]
  ] as ReadonlyArray<readonly [SocketTicketOptions, string]>)("refuses the options %j", ([options, message]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(SocketTicket.layer(options))))
      assert.include(error.message, message)
    })
  )
})
