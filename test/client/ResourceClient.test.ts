// A client that knows only the URL of an API: when it looks up the authorization server, and when it asks for a token.
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Redacted, Stream } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { ClientError, ResourceClient, TokenSource } from "effect-oauth2/client"
import {
  type Answer,
  api,
  atIssuer,
  atPath,
  challenge,
  idp,
  network,
  type Received,
  resource,
  resourceMetadata,
  serverMetadata
} from "./discoveringClients.ts"

const documents = { [atPath]: resourceMetadata, [atIssuer]: serverMetadata }
const authorization = ({ headers }: Received) => headers["authorization"]

/** An API that accepts the tokens of a set. */
const accepting =
  (tokens: ReadonlySet<string>, refusal: (sent: string | undefined) => Response = () => challenge("Bearer")) =>
  (request: Received) =>
    tokens.has(authorization(request) ?? "") ? { ok: true } : refusal(authorization(request))

type Authorize = ResourceClient.Options<ClientError.SignInFailed, never>["authorize"]

const named = (value: string) => TokenSource.fromToken(Redacted.make(value))

/** Makes a client whose user signs in at once. The tokens are `t1`, `t2` and so on. */
const setUp = (
  answers: Readonly<Record<string, Answer>>,
  options: Partial<ResourceClient.Options<ClientError.SignInFailed, never>> = {}
) =>
  Effect.gen(function* () {
    const runs: Array<ResourceClient.Authorization> = []
    const authorize: Authorize = (given) =>
      Effect.sync(() => {
        runs.push(given)
        return named(`t${runs.length}`)
      })
    const { layer, received } = network(answers)
    const made = { resource, authorize, ...options }
    const client = yield* Effect.provide(ResourceClient.make(made), layer)
    const sent = (path = "/mcp") =>
      received.flatMap((request) => (request.url.pathname === path ? [authorization(request)] : []))
    return { client, runs, received, sent }
  })

const status = ({ status }: { readonly status: number }) => status

describe("a client that knows only the URL of the API", () => {
  it.effect("finds the authorization server once the API wants a token, and sends the request once more", () =>
    Effect.gen(function* () {
      const { client, runs, sent } = yield* setUp({ ...documents, [resource]: accepting(new Set(["Bearer t1"])) })
      const request = HttpClientRequest.post(resource).pipe(HttpClientRequest.bodyText("hello"))
      assert.strictEqual(status(yield* client.execute(request)), 200)
      assert.deepStrictEqual(sent(), [undefined, "Bearer t1"])
      assert.lengthOf(runs, 1)
      assert.deepInclude(runs[0], { resource, scopes: ["read", "write"] })
      assert.strictEqual(runs[0]?.server.issuer, idp)
      assert.strictEqual(status(yield* client.get(resource)), 200)
      assert.deepStrictEqual(sent(), [undefined, "Bearer t1", "Bearer t1"])
    }).pipe(Effect.scoped)
  )

  it.effect("looks up no authorization server if the API wants no token", () =>
    Effect.gen(function* () {
      const { client, received, runs } = yield* setUp({ ...documents, [resource]: { ok: true } })
      assert.strictEqual(status(yield* client.get(resource)), 200)
      assert.lengthOf(received, 1)
      assert.isEmpty(runs)
    }).pipe(Effect.scoped)
  )

  it.effect("sends the token only to the URL of the API and below it", () =>
    Effect.gen(function* () {
      const open = { ok: true }
      const others = [`${api}/mcp2`, `${api}/other`, "https://evil.example.com/mcp", "http://api.example.com/mcp"]
      const { client, received } = yield* setUp({
        ...documents,
        [resource]: accepting(new Set(["Bearer t1"])),
        [`${resource}/below`]: open,
        ...Object.fromEntries(others.map((url) => [url, open]))
      })
      yield* client.get(resource)
      yield* client.get(`${resource}/below`)
      for (const url of others) yield* client.get(url)
      const own = HttpClientRequest.get(resource).pipe(HttpClientRequest.setHeader("authorization", "Basic own"))
      yield* client.execute(own)
      const last = received.slice(-6).map(authorization)
      assert.deepStrictEqual(last, ["Bearer t1", undefined, undefined, undefined, undefined, "Basic own"])
    }).pipe(Effect.scoped)
  )

  it.effect("does not react to the 401 of a proxy, or to invalid_request", () =>
    Effect.gen(function* () {
      for (const field of ['Basic realm="proxy"', 'Bearer error="invalid_request"']) {
        const { client, runs } = yield* setUp({ ...documents, [resource]: challenge(field) })
        assert.strictEqual(status(yield* client.get(resource)), 401)
        assert.isEmpty(runs)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("gives the 401 to the program if the body is a stream", () =>
    Effect.gen(function* () {
      const { client, runs } = yield* setUp({ ...documents, [resource]: challenge("Bearer") })
      const request = HttpClientRequest.post(resource).pipe(
        HttpClientRequest.bodyStream(Stream.make(new Uint8Array([1])))
      )
      assert.strictEqual(status(yield* client.execute(request)), 401)
      assert.isEmpty(runs)
    }).pipe(Effect.scoped)
  )

  it.effect("asks for the missing scopes together with the scopes before them", () =>
    Effect.gen(function* () {
      const wanting = 'Bearer error="insufficient_scope", scope="write"'
      const { client, runs, sent } = yield* setUp({
        ...documents,
        [resource]: accepting(new Set(["Bearer t2"]), (token) =>
          token === undefined ? challenge('Bearer scope="read"') : challenge(wanting, 403)
        )
      })
      assert.strictEqual(status(yield* client.get(resource)), 200)
      assert.deepStrictEqual(sent(), [undefined, "Bearer t1", "Bearer t2"])
      assert.deepStrictEqual(
        runs.map(({ scopes }) => Array.from(scopes).toSorted()),
        [["read"], ["read", "write"]]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("does not ask twice for scopes that the server does not grant", () =>
    Effect.gen(function* () {
      const refused = 'Bearer error="insufficient_scope", scope="write"'
      const { client, runs } = yield* setUp({
        ...documents,
        [resource]: accepting(new Set(), (token) =>
          token === undefined ? challenge('Bearer scope="write"') : challenge(refused, 403)
        )
      })
      for (const _ of [1, 2]) {
        assert.deepInclude(yield* Effect.flip(client.get(resource)), { _tag: "ScopesRequired", scopes: ["write"] })
      }
      assert.lengthOf(runs, 1)
    }).pipe(Effect.scoped)
  )

  it.effect("asks at most twice for one request, however often the API refuses", () =>
    Effect.gen(function* () {
      const { client, runs, sent } = yield* setUp({
        ...documents,
        [resource]: challenge('Bearer error="invalid_token"')
      })
      assert.strictEqual(status(yield* client.get(resource)), 401)
      assert.lengthOf(runs, 2)
      assert.deepStrictEqual(sent(), [undefined, "Bearer t1", "Bearer t2"])
    }).pipe(Effect.scoped)
  )

  it.effect("still asks for a bound token after a source gave none", () =>
    Effect.gen(function* () {
      const runs: Array<boolean> = []
      const error = new ClientError.ReauthenticationRequired({ issuer: idp, error: "invalid_grant" })
      const ended: TokenSource["Service"] = { get: () => Effect.fail(error), forget: () => Effect.void }
      const { client } = yield* setUp(
        { ...documents, [resource]: accepting(new Set(["Bearer t"]), () => challenge("DPoP")) },
        { authorize: ({ dpop }) => Effect.sync(() => (runs.push(dpop) === 1 ? ended : named("t"))) }
      )
      assert.strictEqual(status(yield* client.get(resource)), 200)
      assert.deepStrictEqual(runs, [true, true])
    }).pipe(Effect.scoped)
  )

  it.effect("looks the authorization server up again once its token is refused", () =>
    Effect.gen(function* () {
      const next = "https://next.example.com"
      const state = { issuer: idp, accepted: "Bearer t1" }
      const { client, runs } = yield* setUp({
        ...documents,
        [atPath]: () => ({ ...resourceMetadata, authorization_servers: [state.issuer] }),
        [`${next}/.well-known/oauth-authorization-server`]: { ...serverMetadata, issuer: next },
        [resource]: (request) => accepting(new Set([state.accepted]))(request)
      })
      yield* client.get(resource)
      Object.assign(state, { issuer: next, accepted: "Bearer t2" })
      assert.strictEqual(status(yield* client.get(resource)), 200)
      assert.deepStrictEqual(
        runs.map(({ server }) => server.issuer),
        [idp, next]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("shares one run among requests at the same time, also its failure", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const outcome = { fails: false, runs: 0 }
      const authorize: Authorize = () =>
        Effect.gen(function* () {
          outcome.runs += 1
          yield* Deferred.await(gate)
          if (outcome.fails) return yield* new ClientError.SignInFailed({ issuer: idp, reason: "Denied" })
          return named("t1")
        })
      for (const fails of [false, true]) {
        Object.assign(outcome, { fails, runs: 0 })
        const answers = { ...documents, [resource]: accepting(new Set(["Bearer t1"])) }
        const { client } = yield* setUp(answers, { authorize })
        const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.result(client.get(resource))))
        yield* Effect.yieldNow
        yield* Deferred.succeed(gate, undefined)
        const results = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
        assert.deepStrictEqual(
          results.map(({ _tag }) => _tag),
          Array<string>(3).fill(fails ? "Failure" : "Success")
        )
        assert.strictEqual(outcome.runs, 1)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("goes on with a sign-in whose request was interrupted", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      let runs = 0
      const authorize: Authorize = () =>
        Effect.gen(function* () {
          runs += 1
          yield* Deferred.succeed(started, undefined)
          yield* Deferred.await(gate)
          return named("t1")
        })
      const answers = { ...documents, [resource]: accepting(new Set(["Bearer t1"])) }
      const { client } = yield* setUp(answers, { authorize })
      const fiber = yield* Effect.forkChild(client.get(resource))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(status(yield* client.get(resource)), 200)
      assert.strictEqual(runs, 1)
    }).pipe(Effect.scoped)
  )

  it.effect("asks for offline_access only if the authorization server lists it", () =>
    Effect.gen(function* () {
      for (const [listed, offlineAccess, expected] of [
        [["read", "offline_access"], true, true],
        [["read", "offline_access"], false, false],
        [["read"], true, false],
        [undefined, true, false]
      ] as const) {
        const answers = {
          ...documents,
          [atIssuer]: { ...serverMetadata, scopes_supported: listed },
          [resource]: accepting(new Set(["Bearer t1"]))
        }
        const { client, runs } = yield* setUp(answers, { offlineAccess })
        yield* client.get(resource)
        assert.strictEqual(runs[0]?.scopes.includes("offline_access"), expected)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("fails with the error of the discovery, and sends no token", () =>
    Effect.gen(function* () {
      const { client, runs } = yield* setUp({
        ...documents,
        [atPath]: { ...resourceMetadata, resource: "https://evil.example.com" },
        [resource]: challenge("Bearer")
      })
      const error = yield* Effect.flip(client.get(resource))
      assert.deepInclude(error, { _tag: "DiscoveryFailed", reason: "ResourceMismatch" })
      assert.isEmpty(runs)
    }).pipe(Effect.scoped)
  )

  for (const invalid of ["http://api.example.com/mcp", `${resource}#part`]) {
    it.effect(`refuses the option resource ${invalid}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(setUp(documents, { resource: invalid }))
        assert.deepInclude(error, { _tag: "ConfigurationError", setting: "resource" })
      }).pipe(Effect.scoped)
    )
  }

  it.effect("is a layer whose errors are causes of an HttpClientError", () =>
    Effect.gen(function* () {
      const { layer } = network({ ...documents, [resource]: challenge("Bearer") })
      const denied = new ClientError.SignInFailed({ issuer: idp, reason: "Denied" })
      const error = yield* HttpClient.get(resource).pipe(
        Effect.flip,
        Effect.provide(ResourceClient.layer({ resource, authorize: () => Effect.fail(denied) })),
        Effect.provide(layer)
      )
      assert.strictEqual(error._tag, "HttpClientError")
      assert.strictEqual(error.cause, denied)
      assert.include(error.message, denied.message)
    })
  )
})
