// Random histories of tabs, sign-ins, refreshes, logouts and crashes, over two processes that share a store.
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Clock, Context, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { HttpClient, type HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { AccessToken, JwtVerifier, OAuth2 } from "effect-oauth2"
import { Login, Sessions, SessionVerifier } from "effect-oauth2/login"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import { Browser, clientSecret, loginOptions, origin } from "../support/loginApp.ts"
import * as nodeSqlite from "../support/nodeSqlite.ts"
import { layerClient, missing, RedisServer } from "../support/redisServer.ts"
import { settle } from "../support/settle.ts"
import { audience, issuer, layerOf } from "../support/testIssuers.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  scopes: { "items:read": "Read your items" },
  session: {}
})
const Me = HttpRouter.add(
  "GET",
  "/me",
  Effect.map(AccessToken, ({ subject }) => HttpServerResponse.text(subject))
).pipe(auth.require("items:read"))

const cookieName = "__Host-session"

const Bit = Schema.Literals([0, 1])
const Command = Schema.Struct({
  kind: Schema.Literals([
    "start",
    "start",
    "callback",
    "callback",
    "callback",
    "back button",
    "page",
    "page",
    "script",
    "script",
    "script",
    "scripts at both",
    "scripts at both",
    "scripts at both",
    "logout",
    "logout at the issuer",
    "logout at the issuer",
    "copied cookie",
    "copied cookie",
    "10 minutes",
    "10 minutes",
    "2 seconds",
    "slow issuer",
    "crash"
  ]),
  browser: Bit,
  process: Bit,
  user: Schema.Literals(["alice", "bob"]),
  /** Turns of the event loop until the next command, at most. With 0, both begin at the same time. */
  turns: Schema.Literals([0, 1, 3, 40, 2000])
})
type Command = Omit<typeof Command.Type, "turns"> & { readonly turns: number }

const history = Arbitrary.array(Arbitrary.schema(Command), { minLength: 20, maxLength: 40 }).pipe(
  // Each history begins with both browsers signed in, so that most of its commands meet a session.
  Arbitrary.map((commands): ReadonlyArray<Command> => [
    ...([0, 1] as const).flatMap((browser) =>
      (["start", "callback"] as const).map((kind) => ({
        kind,
        browser,
        process: browser,
        user: browser === 0 ? ("alice" as const) : ("bob" as const),
        // A loaded machine needs many turns for the promises of Web Crypto.
        turns: 100_000
      }))
    ),
    ...commands
  ])
)

type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest>

/** Opens a connection of one process to the store. The store of a process in memory is that of the test. */
type Connect = Effect.Effect<Sessions["Service"], never, Scope.Scope>

interface Process {
  readonly handle: Handler
  readonly fibers: Array<Fiber.Fiber<unknown, unknown>>
  readonly scope: Scope.Closeable
}

const refreshTokenOf = ({ body }: HttpClientRequest.HttpClientRequest): string =>
  (body._tag === "Uint8Array" ? new URLSearchParams(new TextDecoder().decode(body.body)).get("refresh_token") : null) ??
  "none"

/** What the histories of one store have reached. */
interface Totals {
  answers: number
  refreshes: number
  ended: number
  /** Requests with a copied cookie of an ended session. */
  refused: number
}

const run = Effect.fnUntraced(function* (connect: Connect, commands: ReadonlyArray<Command>, totals: Totals) {
  const testIssuer = yield* TestIssuer
  const outer = yield* Effect.scope
  const context = yield* Effect.context<HttpClient.HttpClient>()

  /** Refresh tokens whose response a crash or a time-out of the request may have lost. */
  const lost = new Set<string>()

  const startProcess = Effect.gen(function* () {
    const scope = yield* Scope.fork(outer)
    let hasCrashed = false
    yield* Scope.addFinalizer(
      scope,
      Effect.sync(() => {
        hasCrashed = true
      })
    )
    const client = HttpClient.transform(Context.get(context, HttpClient.HttpClient), (response, request) =>
      Effect.suspend(() =>
        hasCrashed
          ? Effect.die("A crashed process sends nothing.")
          : Effect.onInterrupt(response, () => Effect.sync(() => lost.add(refreshTokenOf(request))))
      )
    )
    const handle = yield* Effect.gen(function* () {
      const sessions = yield* connect
      return yield* HttpRouter.toHttpEffect(
        Me.pipe(
          Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience }).pipe(SessionVerifier.accessTokens))),
          Layer.provideMerge(Login.layer("session", loginOptions)),
          Layer.provide(Layer.succeed(Sessions, sessions))
        )
      )
    }).pipe(Scope.provide(scope), Effect.provideService(HttpClient.HttpClient, client))
    const process: Process = { handle: Effect.scoped(handle), fibers: [], scope }
    return process
  }).pipe(Effect.provideContext(context), Effect.orDie)
  const processes: [Process, Process] = [yield* startProcess, yield* startProcess]

  const open = () =>
    new Browser(
      Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        Effect.suspend(() => processes[headers["x-process"] === "1" ? 1 : 0].handle)
      )
    )
  const browsers: readonly [Browser, Browser] = [open(), open()]
  const pending: ReadonlyArray<Array<{ readonly address: string; readonly user: string }>> = [[], []]
  const used: ReadonlyArray<Array<string>> = [[], []]

  const owners = new Map<string, string>()
  const ended = new Set<string>()
  const observed: Array<{ readonly cookie: string; readonly subject: string; readonly wasEnded: boolean }> = []
  const refreshTokens = Effect.map(testIssuer.requests, (requests) =>
    requests.flatMap(({ endpoint, parameters }) => (endpoint === "token" ? (parameters?.["refresh_token"] ?? []) : []))
  )

  const perform = (command: Command): Effect.Effect<unknown, unknown, never> => {
    const { kind, user } = command
    const browser = browsers[command.browser]
    const attempts = pending[command.browser] ?? []
    const callbacks = used[command.browser] ?? []
    const headers = { "x-process": String(command.process) }
    const cookie = browser.jar.get(cookieName)?.value
    const observe = (answer: Effect.Effect<{ readonly status: number; readonly text: string }, unknown>) => {
      const wasEnded = cookie !== undefined && ended.has(cookie)
      return Effect.map(answer, ({ status, text }) => {
        assert.include([200, 303, 401, 503], status, text)
        if (status === 200) observed.push({ cookie: cookie ?? "none", subject: text, wasEnded })
      })
    }
    const finish = (address: string, user: string | undefined) =>
      Effect.map(browser.visit(address, { from: "cross-site", headers }), ({ headers }) => {
        for (const line of headers.getSetCookie()) {
          const [, value = ""] = /^__Host-session=([^;]+)/.exec(line) ?? []
          if (value === "") continue
          assert.isDefined(user, "The back button creates no session.")
          owners.set(value, user ?? "")
        }
      })
    switch (kind) {
      case "start":
        return Effect.map(browser.visit(`/login?login_hint=${user}`, { headers }), ({ location, status }) => {
          if (status === 303) attempts.push({ address: location, user })
        })
      case "callback": {
        const attempt = attempts.shift()
        if (attempt === undefined) return Effect.void
        return Effect.flatMap(answerOf(browser, attempt.address), (callback) => {
          callbacks.push(callback)
          return finish(callback, attempt.user)
        })
      }
      case "back button": {
        const address = callbacks.at(-1)
        // The first request of this address may still be in progress, and then one of both creates the session.
        return address === undefined ? Effect.void : finish(address, user)
      }
      case "page":
        return observe(browser.visit("/me", { headers }))
      case "script":
        return observe(
          browser.visit("/me", { from: "same-origin", navigation: false, headers: { ...headers, "x-csrf": "1" } })
        )
      case "scripts at both": {
        // Requests of one page to both processes at once.
        const one = (process: string) =>
          observe(
            browser.visit("/me", {
              from: "same-origin",
              navigation: false,
              headers: { "x-process": process, "x-csrf": "1" }
            })
          )
        return Effect.all(
          ["0", "1", "0", "1"].map((process) => Effect.ignore(one(process))),
          { concurrency: 4 }
        )
      }
      case "copied cookie": {
        // A copy of a cookie whose session has ended, which no browser has removed.
        const value = Array.from(ended).at(-1)
        if (value === undefined) return Effect.void
        const copy = new Browser(Effect.suspend(() => processes[command.process].handle))
        copy.jar.set(cookieName, { value, attributes: new Map(), endsAt: Infinity })
        // A refusal is a failure of the handler, which the server would turn into a response.
        return Effect.map(Effect.exit(copy.visit("/me")), (exit) => {
          if (Exit.isSuccess(exit)) assert.notStrictEqual(exit.value.status, 200, "A request passed after the logout.")
          totals.refused++
        })
      }
      case "logout":
        return Effect.map(browser.signOut({ headers }), ({ status }) => {
          if (status === 303 && cookie !== undefined) ended.add(cookie)
        })
      case "logout at the issuer": {
        const before = Array.from(owners).filter(([, owner]) => owner === user)
        return Effect.gen(function* () {
          const token = yield* testIssuer.mintLogoutToken({ audience: "web", subject: user })
          const { status } = yield* new Browser(Effect.suspend(() => processes[command.process].handle)).visit(
            "/backchannel-logout",
            { form: { logout_token: token }, headers: { "sec-fetch-site": "", "sec-fetch-mode": "" } }
          )
          if (status < 300) for (const [cookie] of before) ended.add(cookie)
        })
      }
      case "10 minutes":
        return TestClock.adjust("10 minutes")
      case "2 seconds":
        return TestClock.adjust("2 seconds")
      case "slow issuer":
        return testIssuer.respond("token", { delay: "2 seconds" })
      case "crash":
        return Effect.gen(function* () {
          const { fibers, scope } = processes[command.process]
          for (const token of yield* refreshTokens) lost.add(token)
          processes[command.process] = yield* startProcess
          // The connection to the store ends at once, in the middle of what the requests do.
          yield* Scope.close(scope, Exit.void)
          for (const fiber of fibers) fiber.interruptUnsafe()
        })
    }
  }
  const answerOf = (browser: Browser, address: string) => Effect.provideContext(browser.answer(address), context)

  const running: Array<Fiber.Fiber<unknown, unknown>> = []
  for (const command of commands) {
    const fiber = yield* Effect.forkChild(Effect.exit(perform(command)), { startImmediately: true })
    running.push(fiber)
    if (command.kind !== "crash") processes[command.process].fibers.push(fiber)
    for (let turn = 0; turn < command.turns && fiber.pollUnsafe() === undefined; turn++) yield* settle
  }
  for (let turn = 0; turn < 50_000 && running.some((fiber) => fiber.pollUnsafe() === undefined); turn++) {
    yield* settle
    if (turn % 20 === 19) yield* TestClock.adjust("1 second")
  }
  for (const fiber of running) {
    const exit = yield* Fiber.await(fiber)
    // An assertion in a command is a defect of its fiber.
    const inner = Exit.isSuccess(exit) ? (exit.value as Exit.Exit<unknown, unknown>) : exit
    if (Exit.isFailure(inner)) {
      const text = String(inner.cause)
      assert.notInclude(text, "AssertionError", text)
    }
  }

  for (const { cookie, subject, wasEnded } of observed) {
    assert.strictEqual(subject, owners.get(cookie), "A session of one user was used for another.")
    assert.isFalse(wasEnded, "A request passed after the logout.")
  }
  const tokens = yield* refreshTokens
  const again = tokens.filter((token, i) => tokens.indexOf(token) !== i)
  // Nobody knows the next token if the response was lost. The issuer refuses the second use, and the user signs in.
  for (const token of again) assert.isTrue(lost.has(token), `${token} was redeemed twice.`)
  totals.answers += observed.length
  totals.refreshes += tokens.length
  totals.ended += ended.size
})

const clients = [{ clientId: "web", clientSecret, redirectUris: [`${origin}/callback`] }]

/** A step of the test clock must not time out commands to a real server. */
const withRealSleep = (sessions: Sessions["Service"]): Sessions["Service"] => {
  const real = Context.get(Context.empty(), Clock.Clock)
  const within = <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.clockWith((test) => {
      const clock: Clock.Clock = Object.create(test, { sleep: { value: (duration: never) => real.sleep(duration) } })
      return Effect.provideService(self, Clock.Clock, clock)
    })
  return {
    ...sessions,
    create: (...args) => within(sessions.create(...args)),
    read: (cookie) => within(sessions.read(cookie)),
    replace: (...args) => within(sessions.replace(...args)),
    destroy: (cookie) => within(sessions.destroy(cookie)),
    destroyBy: (owner) => within(sessions.destroyBy(owner)),
    addOnce: (...args) => within(sessions.addOnce(...args)),
    withLock: (cookie, effect) =>
      Effect.clockWith((test) => within(sessions.withLock(cookie, Effect.provideService(effect, Clock.Clock, test))))
  }
}

const property = (
  name: string,
  runs: number,
  connections: Effect.Effect<Connect, never, Scope.Scope>,
  isPossible: (command: Command) => boolean = () => true
) => {
  const totals: Totals = { answers: 0, refreshes: 0, ended: 0, refused: 0 }
  it.effect.prop(
    name,
    { history },
    Effect.fnUntraced(function* ({ history }) {
      yield* Effect.flatMap(connections, (connect) => run(connect, history.filter(isPossible), totals)).pipe(
        Effect.scoped,
        Effect.provide(layerOf({ clients }))
      )
    }),
    { arbitrary: { runs, size: 30, seed: 20261130 }, timeout: 120_000 }
  )
  it(`${name}: the histories reach requests, refreshes and logouts, and requests after a logout`, () => {
    for (const [kind, count] of Object.entries(totals)) assert.isAbove(count, 0, kind)
  })
}

const build = <E>(layer: Layer.Layer<Sessions, E>): Connect =>
  Effect.map(Effect.orDie(Layer.build(Layer.fresh(layer))), (context) => Context.get(context, Sessions))

describe("never a session of one user for another, never a token redeemed twice, never a request after a logout", () => {
  property("with sessions in memory", 30, Effect.map(build(Sessions.layerMemory()), Effect.succeed))

  property(
    "with sessions in SQLite",
    20,
    Effect.map(nodeSqlite.file, (file) => build(Sessions.layerSql().pipe(Layer.provide(nodeSqlite.layer(file)))))
  )

  if (!missing)
    property(
      "with sessions in Redis",
      16,
      Effect.map(RedisServer.make, (server) =>
        Effect.map(
          build(
            Sessions.layerRedis({ timeout: "10 seconds" }).pipe(Layer.provide(Layer.fresh(layerClient(server.port))))
          ),
          withRealSleep
        )
      ),
      // The locks of a crashed process end by the clock of Redis. SQLite tests crashes, by the test clock.
      ({ kind }) => kind !== "crash"
    )
})
