/** Outages of a real Redis in the middle of load: two app instances serve 50 clients, and each response is recorded. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Fiber, Layer, Logger, Metric, Option, type Scope } from "effect"
import { type HttpClient, HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { Persistence, RateLimiter } from "effect/persistence"
import type * as Redis from "effect/persistence/Redis"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import * as BackChannelLogout from "effect-oauth2/BackChannelLogout"
import * as FailureLimit from "effect-oauth2/FailureLimit"
import { ReplayStore } from "effect-oauth2/ReplayStore"
import * as Revocations from "effect-oauth2/Revocations"
import * as SharedIntrospection from "effect-oauth2/SharedIntrospection"
import { TestIssuer } from "effect-oauth2/testing"
import { authorizationServer } from "../support/authorizationServer.ts"
import * as waiting from "../support/eventually.ts"
import * as introspection from "../support/introspection.ts"
import { Address, layerClient, missing, RedisServer } from "../support/redisServer.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { type Answer, serve } from "../support/web.ts"

const { audience, issuer } = introspection
const clientId = "web"
const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "" } })
const opaque = OAuth2.authorizationCode("Opaque", { ...authorizationServer, scopes: { a: "" } })
const limited = OAuth2.authorizationCode("Limited", { ...authorizationServer, scopes: { a: "" } })

const timeout = "250 millis"
/** Load from other programs makes all steps slower. */
const eventually = <A, E, R>(self: Effect.Effect<A, E, R>, until: (value: A) => boolean) =>
  waiting.eventually(self, until, "30 seconds")
/** The time in which each response must come, in milliseconds, without the pauses of this process. */
const maxMillis = 2500

const mint = (subject: string, sessionId?: string) =>
  TestIssuer.use(({ mint }) =>
    mint({
      scopes: ["a"],
      subject,
      lifetime: "1 hour",
      ...(sessionId !== undefined && { claims: { sid: sessionId } })
    })
  )

const Quiet = Logger.layer([Logger.make(() => {})])

/** One app instance, with its own connections to Redis and its own local copy. */
const start = (client: Layer.Layer<Redis.Redis>, localCopy: Revocations.SharedOptions["localCopy"]) =>
  Effect.gen(function* () {
    const redis = yield* Layer.build(Layer.fresh(client))
    const shared = yield* Layer.build(
      Layer.fresh(
        Layer.merge(
          Revocations.layerRedis({ localCopy: localCopy ?? {}, timeout }),
          ReplayStore.layerRedis({ timeout })
        ).pipe(Layer.provide(Layer.succeedContext(redis)))
      )
    )
    const http = yield* Effect.context<HttpClient.HttpClient>()
    const send = yield* serve(
      Layer.mergeAll(
        HttpRouter.add("GET", "/", Effect.succeed(HttpServerResponse.text("me"))).pipe(
          auth.require("a"),
          Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience }).pipe(Revocations.enforce)))
        ),
        HttpRouter.add("GET", "/opaque", Effect.succeed(HttpServerResponse.text("me"))).pipe(
          opaque.require("a"),
          Layer.provide(
            opaque.layer(
              SharedIntrospection.layer({ ...introspection.options, timeout }).pipe(
                Layer.provide(Persistence.layerBackingRedis),
                Layer.provide(Layer.succeedContext(redis))
              )
            )
          )
        ),
        BackChannelLogout.layer({ issuer, clientId })
      ).pipe(
        Layer.provide(Layer.merge(Layer.succeedContext(shared), Layer.succeedContext(http))),
        Layer.provide(Quiet)
      ),
      "caller"
    )
    const limitedApp = yield* HttpRouter.toHttpEffect(
      HttpRouter.add("GET", "/", HttpServerResponse.empty()).pipe(
        limited.require("a"),
        Layer.provide(limited.layer(new Verifier({ good: ["a"] }).layer)),
        Layer.provide(FailureLimit.layer({ limit: 2, timeout })),
        Layer.provide(RateLimiter.layer),
        Layer.provide(RateLimiter.layerStoreRedis()),
        Layer.provide(Layer.succeedContext(redis))
      )
    )
    const request = (address: string, token: string) =>
      HttpServerRequest.fromWeb(
        new Request("http://localhost/", { headers: { authorization: `Bearer ${token}` } })
      ).modify({ remoteAddress: Option.some(address) })
    return {
      send: (token: string) => send("/", token),
      introspect: (token: string) => send("/opaque", token),
      logOut: (logoutToken: string) =>
        send("/backchannel-logout", undefined, {
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body: new URLSearchParams({ logout_token: logoutToken }).toString()
        }),
      /** Sends a request of a client with this address to an app with `FailureLimit`. */
      limited: (address: string, token: string) =>
        limitedApp.pipe(
          Effect.catch((error) => HttpServerRespondable.toResponse(error)),
          Effect.orDie,
          Effect.provideService(HttpServerRequest.HttpServerRequest, request(address, token)),
          Effect.scoped,
          Effect.map(({ status }) => status)
        ),
      replays: Context.get(shared, ReplayStore),
      revocations: Context.get(shared, Revocations.Revocations)
    }
  })

type Instance = Effect.Success<ReturnType<typeof start>>

type Kind = "valid" | "revoked" | "logout" | "addOnce" | "limitedGood" | "limitedBad" | "opaque" | "inactive"

interface Sample {
  readonly kind: Kind
  readonly instance: 0 | 1
  readonly outcome: number | string
  /** The phase of the whole request. `Between` is a request that began in one phase and ended in another. */
  readonly phase: Phase | "Between"
  readonly millis: number
  readonly answer: Answer | undefined
}

type Phase = "Before" | "Changing" | "Outage" | "After"

const both = [0, 1] as const

/** Measures how long this process did not run, because the machine was busy or stopped. */
class Pauses {
  readonly #interval = 20
  #total = 0
  #lastBeat = performance.now()

  readonly run: Effect.Effect<never> = Effect.forever(
    Effect.andThen(
      Effect.sleep(this.#interval),
      Effect.sync(() => {
        this.#total = this.total
        this.#lastBeat = performance.now()
      })
    )
  )

  /** The time so far, in milliseconds. */
  get total(): number {
    return this.#total + Math.max(0, performance.now() - this.#lastBeat - this.#interval)
  }
}

/** Sends requests from 50 fibers until it ends, and records each response. */
class Load {
  readonly samples: Array<Sample> = []
  /** Identifiers that an instance accepted as new, once for each acceptance. */
  readonly accepted: Array<string> = []
  /** Sessions whose logout token got 200. */
  readonly loggedOut: Array<string> = []
  phase: Phase = "Before"
  #next = 0
  readonly #pauses = new Pauses()
  readonly #counts = new Map<string, number>()
  readonly #instances: readonly [Instance, Instance]
  readonly #valid: string
  readonly #revoked: string
  readonly #inactive: string

  constructor(instances: readonly [Instance, Instance], valid: string, revoked: string, inactive: string) {
    this.#inactive = inactive
    this.#instances = instances
    this.#valid = valid
    this.#revoked = revoked
  }

  /** Returns the number of responses, or of those with an outcome. */
  count(kind: Kind, instance: number, phase: Phase, outcome: number | string = "any"): number {
    return this.#counts.get([kind, instance, phase, outcome].join()) ?? 0
  }

  #add(sample: Sample): void {
    this.samples.push(sample)
    for (const outcome of [sample.outcome, "any"]) {
      const key = [sample.kind, sample.instance, sample.phase, outcome].join()
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    }
  }

  #record<A extends Answer | number | string, E, R>(kind: Kind, instance: 0 | 1, request: Effect.Effect<A, E, R>) {
    return Effect.suspend(() => {
      const phase = this.phase
      const paused = this.#pauses.total
      return Effect.map(Effect.timed(request), ([time, result]) => {
        this.#add({
          kind,
          instance,
          outcome: typeof result === "object" ? result.status : result,
          phase: phase === this.phase ? phase : "Between",
          millis: Duration.toMillis(time) - (this.#pauses.total - paused),
          answer: typeof result === "object" ? result : undefined
        })
        return result
      })
    })
  }

  readonly #steps: Readonly<Record<Kind, (instance: 0 | 1) => Effect.Effect<unknown, never, TestIssuer>>> = {
    valid: (instance) => this.#record("valid", instance, this.#instances[instance].send(this.#valid)),
    revoked: (instance) => this.#record("revoked", instance, this.#instances[instance].send(this.#revoked)),
    logout: (instance) =>
      Effect.suspend(() => {
        const sessionId = `session-${this.#next++}`
        return TestIssuer.use(({ mintLogoutToken }) => mintLogoutToken({ audience: clientId, sessionId })).pipe(
          Effect.flatMap((token) => this.#record("logout", instance, this.#instances[instance].logOut(token))),
          Effect.map(({ status }) => {
            if (status === 200) this.loggedOut.push(sessionId)
          })
        )
      }),
    addOnce: () =>
      Effect.suspend(() => {
        const key = `proof-${this.#next++}`
        const add = (instance: 0 | 1) =>
          this.#record(
            "addOnce",
            instance,
            this.#instances[instance].replays.addOnce(key, Duration.minutes(5)).pipe(
              Effect.tap((isNew) => Effect.sync(() => isNew && this.accepted.push(key))),
              Effect.match({ onFailure: ({ reason }) => reason, onSuccess: String })
            )
          )
        return Effect.all([add(0), add(1)], { concurrency: 2 })
      }),
    opaque: () =>
      Effect.flatMap(
        TestIssuer.use(({ mintOpaque }) => mintOpaque({ scopes: ["a"], lifetime: "1 hour" })),
        (token) =>
          Effect.all(
            both.map((instance) => this.#record("opaque", instance, this.#instances[instance].introspect(token))),
            { concurrency: 2 }
          )
      ),
    inactive: (instance) => this.#record("inactive", instance, this.#instances[instance].introspect(this.#inactive)),
    limitedGood: (instance) =>
      this.#record("limitedGood", instance, this.#instances[instance].limited(this.#address(), "good")),
    limitedBad: (instance) =>
      this.#record("limitedBad", instance, this.#instances[instance].limited(this.#address(), "x"))
  }

  /** Returns the address of a client that has sent no request before. */
  readonly #address = (): string => {
    const client = this.#next++
    return `10.${client >> 16}.${(client >> 8) & 255}.${client & 255}`
  }

  readonly run: Effect.Effect<never, never, TestIssuer> = Effect.suspend(() => {
    const fibers: Readonly<Record<Kind, number>> = {
      valid: 12,
      revoked: 10,
      logout: 6,
      addOnce: 4,
      limitedGood: 6,
      limitedBad: 6,
      opaque: 4,
      inactive: 2
    }
    const clients = Object.entries(fibers).flatMap(([kind, number]) =>
      Array.from({ length: number }, (_, i) =>
        Effect.forever(
          Effect.andThen(
            Effect.suspend(() => this.#steps[kind as Kind](i % 2 === 0 ? 0 : 1)),
            Effect.sleep("20 millis")
          )
        )
      )
    )
    return Effect.andThen(
      Effect.all([this.#pauses.run, ...clients], { concurrency: "unbounded", discard: true }),
      Effect.never
    )
  })
}

interface Outage {
  readonly begin: Effect.Effect<unknown>
  readonly end: Effect.Effect<unknown>
  /** What may be lost without a connection that is cut. */
  readonly cut?: Effect.Effect<unknown>
}

interface Expected {
  /** `false` if requests may succeed in the whole outage, such as a failover. */
  readonly isComplete: boolean
  /** `true` if the store still answers lookups. */
  readonly answersLookups: boolean
}

const succeeds: Readonly<Record<Kind, number | string>> = {
  valid: 200,
  revoked: 401,
  logout: 200,
  addOnce: "true",
  limitedGood: 204,
  limitedBad: 401,
  opaque: 200,
  inactive: 401
}

const kinds = Object.keys(succeeds) as ReadonlyArray<Kind>

const check = Effect.fnUntraced(function* (
  port: number,
  { begin, cut = Effect.void, end }: Outage,
  { answersLookups, isComplete }: Expected,
  localCopy: Revocations.SharedOptions["localCopy"]
) {
  const instances = yield* Effect.all([start(layerClient(port), localCopy), start(layerClient(port), localCopy)])
  const [first, second] = instances
  const [valid, revoked] = [yield* mint("alice"), yield* mint("bob")]
  yield* second.revocations.revoke({ issuer, subject: "bob" })
  for (const { send } of instances) yield* eventually(send(revoked), ({ status }) => status === 401)

  const inactive = yield* TestIssuer.use(({ mintOpaque, revoke }) =>
    Effect.tap(mintOpaque({ scopes: ["a"] }), (token) => revoke(token))
  )
  const load = new Load(instances, valid, revoked, inactive)
  const fiber = yield* Effect.forkChild(load.run)
  const waitFor = (isSeen: () => boolean) => eventually(Effect.sync(isSeen), (isSeen) => isSeen)
  /** Waits until both instances have given this number of expected responses of each kind in this phase. */
  const works = (phase: Phase, number = 5) =>
    waitFor(() =>
      kinds.every((kind) => {
        // One of the two instances accepts an identifier.
        if (kind === "addOnce") return both.some((i) => load.count(kind, i, phase, "true") >= number)
        return both.every((i) => load.count(kind, i, phase, succeeds[kind]) >= number)
      })
    )

  yield* works("Before")
  load.phase = "Changing"
  yield* begin
  if (isComplete) {
    // A server that was stopped may have answered a last command. From the first failure on, none can succeed.
    for (const { replays } of instances)
      yield* eventually(Effect.exit(replays.addOnce("probe", Duration.minutes(1))), Exit.isFailure)
    load.phase = "Outage"
    yield* waitFor(() => kinds.every((kind) => both.every((i) => load.count(kind, i, "Outage") >= 10)))
    // Also if lookups go on, a busy machine lets some of them take longer than their time limit.
    const [forValid, forRevoked] = answersLookups ? [200, 401] : [503, undefined]
    yield* waitFor(() => both.every((i) => load.count("valid", i, "Outage", forValid) >= 10))
    if (forRevoked !== undefined)
      yield* waitFor(() => both.every((i) => load.count("revoked", i, "Outage", forRevoked) >= 10))
  }
  load.phase = "After"
  yield* end
  yield* works("After")
  yield* cut
  // The instances count for each other again. Each attempt has an address of its own, because of the window.
  let attempt = 0
  yield* eventually(
    Effect.suspend(() => {
      const address = `192.168.0.${attempt++ % 256}`
      return Effect.andThen(
        first.limited(address, "x"),
        Effect.forEach(["x", "good"], (token) => second.limited(address, token))
      )
    }),
    ([, status]) => status === 429
  )
  yield* Fiber.interrupt(fiber)

  const outcomes = (kind: Kind, phase?: Phase) =>
    Array.from(
      new Set(
        load.samples
          .filter((sample) => sample.kind === kind && (phase === undefined || sample.phase === phase))
          .map(({ outcome }) => outcome)
      )
    )
  const only = (kind: Kind, allowed: ReadonlyArray<number | string>, phase?: Phase) =>
    assert.includeMembers([...allowed], outcomes(kind, phase), `${kind} ${phase ?? ""}`)

  // No wrong acceptance, and no 401 for an outage.
  only("valid", [200, 503])
  only("revoked", [401, 503])
  only("logout", [200, 503])
  // The authorization server answers for the shared responses.
  only("opaque", [200])
  only("inactive", [401])
  // Each process counts alone: no request fails, and no client without two failures is refused.
  only("limitedGood", [204])
  only("limitedBad", [401])
  assert.strictEqual(new Set(load.accepted).size, load.accepted.length, "an identifier was accepted twice")
  if (isComplete) {
    only("logout", [503], "Outage")
    only("addOnce", ["Timeout", "Unreachable", "ReadOnly", "OutOfMemory"], "Outage")
    if (!answersLookups && localCopy === false) only("valid", [503], "Outage")
  }
  for (const { answer, kind, millis, outcome } of load.samples) {
    assert.isBelow(millis, maxMillis, `${kind} ${outcome}`)
    if (answer?.status !== 503) continue
    assert.match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/)
    assert.isNull(answer.challenge)
  }

  // What was acknowledged during the load has happened.
  for (const key of load.accepted.slice(-100)) {
    const again = yield* eventually(Effect.exit(first.replays.addOnce(key, Duration.minutes(1))), Exit.isSuccess)
    assert.isFalse(yield* again)
  }
  for (const sessionId of load.loggedOut.slice(-20)) {
    const token = yield* mint("carol", sessionId)
    for (const { send } of instances) yield* eventually(send(token), ({ status }) => status === 401)
  }
})

const test = (name: string, body: Effect.Effect<void, unknown, TestIssuer | HttpClient.HttpClient | Scope.Scope>) =>
  it.live.skipIf(missing)(
    name,
    () =>
      body.pipe(
        Effect.scoped,
        Effect.provide(introspection.Issuer),
        Effect.provide(Quiet),
        Effect.provideService(Metric.MetricRegistry, new Map())
      ),
    100_000
  )

const complete: Expected = { isComplete: true, answersLookups: false }

const outages: Readonly<Record<string, { readonly of: (server: RedisServer) => Outage; readonly expected: Expected }>> =
  {
    "killed and restarted": { of: (server) => ({ begin: server.kill, end: server.start }), expected: complete },
    "frozen and thawed": { of: (server) => ({ begin: server.freeze, end: server.thaw }), expected: complete },
    "demoted and promoted": {
      of: (server) => ({
        begin: server.command("REPLICAOF", "127.0.0.1", "1"),
        end: server.command("REPLICAOF", "NO", "ONE")
      }),
      expected: complete
    },
    "at its memory limit, and given more memory": {
      of: (server) => ({
        begin: server.command("CONFIG", "SET", "maxmemory", "1"),
        end: server.command("CONFIG", "SET", "maxmemory", "0")
      }),
      expected: { isComplete: true, answersLookups: true }
    }
  }

/** A primary with a replica that has its data, and the address that leads to the primary. */
const replicated = Effect.gen(function* () {
  const [old, next] = [yield* RedisServer.durable, yield* RedisServer.durable]
  const address = yield* Address.make(old.port)
  const roleOf = (server: RedisServer) => Effect.map(server.command("INFO", "replication"), String)
  yield* old.command("CONFIG", "SET", "repl-diskless-sync-delay", "0")
  yield* next.command("REPLICAOF", "127.0.0.1", String(old.port))
  yield* eventually(roleOf(old), (role) => role.includes("state=online"))
  return { old, next, address, roleOf }
})

/** Exchanges the roles of a primary and its replica without a lost write, while the address follows late. */
const failover = Effect.gen(function* () {
  const { address, next, old, roleOf } = yield* replicated
  return {
    port: address.port,
    outage: {
      begin: Effect.andThen(
        old.command("FAILOVER"),
        eventually(roleOf(old), (role) => role.includes("role:slave"))
      ),
      end: address.moveTo(next.port),
      // Sentinel cuts the connections of a demoted server, too.
      cut: old.command("CLIENT", "KILL", "TYPE", "normal")
    }
  }
})

/** The primary dies, and its replica is promoted by hand. The replica may lack the last writes. */
const promotion = Effect.gen(function* () {
  const { address, next, old } = yield* replicated
  return {
    port: address.port,
    outage: {
      begin: old.kill,
      end: Effect.andThen(next.command("REPLICAOF", "NO", "ONE"), address.moveTo(next.port))
    }
  }
})

for (const [copy, localCopy] of [
  ["a lookup per request", false],
  ["a local copy", { maxAge: "1 second" }]
] as const)
  describe(`under load, with ${copy}`, () => {
    for (const [name, { expected, of }] of Object.entries(outages))
      test(
        `a Redis that is ${name} causes no wrong response, no 401 and no long wait`,
        Effect.flatMap(RedisServer.durable, (server) => check(server.port, of(server), expected, localCopy))
      )

    test(
      "a failover to the replica loses nothing, and requests reach the new primary",
      Effect.flatMap(failover, ({ outage, port }) =>
        check(port, outage, { isComplete: false, answersLookups: false }, localCopy)
      )
    )

    test(
      "if the primary dies and its replica is promoted, no response is wrong, and requests reach the replica",
      Effect.flatMap(promotion, ({ outage, port }) => check(port, outage, complete, localCopy))
    )
  })
