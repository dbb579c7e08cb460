/** Key sets of a test issuer, for tests that find, fetch and cache keys. */
import { assert } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Option, References } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { KeySet, SecurityError } from "effect-oauth2"
import { type IssuerResponse, type Issuer, TestIssuer, type TestIssuerOptions } from "effect-oauth2/testing"

export const issuer = "https://issuer.test"
export const discovery = `${issuer}/.well-known/openid-configuration`
export const jwks = `${issuer}/jwks`

export const { first, second } = await Effect.runPromise(
  Effect.all({ first: TestIssuer.makeKey("k1"), second: TestIssuer.makeKey("k2") })
)

interface Logged {
  readonly level: string
  readonly message: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** Runs an effect and collects its log messages. */
export const withLogs = <A, E, R>(body: (logs: Array<Logged>) => Effect.Effect<A, E, R>) => {
  const logs: Array<Logged> = []
  const logger = Logger.make<unknown, void>(({ fiber, logLevel, message }) => {
    const text = Array.isArray(message) ? message.join(" ") : String(message)
    logs.push({ level: logLevel, message: text, annotations: fiber.getRef(References.CurrentLogAnnotations) })
  })
  return Effect.provide(body(logs), Logger.layer([logger]))
}

export const rs256 = (kid: string) => ({ alg: "RS256", kid })

type Body<A, E> = (issuer: Issuer, keySet: KeySet.KeySet["Service"]) => Effect.Effect<A, E, TestIssuer>

/** Runs a test with a key set of an issuer that publishes the first key. */
export const withKeySet = <A, E, E1>(
  layer: Layer.Layer<KeySet.KeySet, E1, HttpClient.HttpClient>,
  body: Body<A, E>,
  options: TestIssuerOptions = {}
) =>
  Effect.gen(function* () {
    return yield* body(yield* TestIssuer, yield* KeySet.KeySet)
  }).pipe(Effect.provide(Layer.provideMerge(layer, TestIssuer.layer({ issuer, keys: [first], ...options }))))

export const withDiscovery = <A, E>(body: Body<A, E>) => withKeySet(KeySet.layerDiscovery({ issuer }), body)

/**
 * Runs a test with a key set and a custom HTTP client. It covers cases that `TestIssuer` cannot simulate: a streamed
 * body, a missing or wrong content length, a client that dies, and an aborted request.
 */
export const withClient = <A, E>(
  answer: (signal: AbortSignal) => Response,
  body: (keySet: KeySet.KeySet["Service"]) => Effect.Effect<A, E>,
  options: { readonly maxBytes?: number } = {}
) => {
  const client = HttpClient.make((request, _, signal) =>
    Effect.sync(() => HttpClientResponse.fromWeb(request, answer(signal)))
  )
  return Effect.flatMap(KeySet.KeySet, body).pipe(
    Effect.provide(KeySet.layerRemote({ url: jwks, ...options })),
    Effect.provideService(HttpClient.HttpClient, client)
  )
}

/** Returns the URLs of all requests to the issuer. */
export const requestedUrls = TestIssuer.use(({ requests }) =>
  Effect.map(requests, (requests) => requests.map(({ url }) => url))
)

/** Counts the fetches of the key set. */
export const keyFetches = TestIssuer.use(({ requests }) =>
  Effect.map(requests, (requests) => requests.filter(({ endpoint }) => endpoint === "jwks").length)
)

/** Gives the discovery and key set endpoints the same response. */
export const respondAll = (answer: IssuerResponse) =>
  TestIssuer.use(({ respond }) => Effect.andThen(respond("discovery", answer), respond("jwks", answer)))

/** Removes the first key from the key set of the issuer, and publishes the given keys. */
export const replaceKeys = (jwks: ReadonlyArray<unknown>) =>
  TestIssuer.use(({ publish, retire }) =>
    Effect.andThen(retire("k1"), Effect.forEach(jwks, publish, { discard: true }))
  )

export const assertUnavailable = (exit: Exit.Exit<unknown, unknown>, reason: string) => {
  assert(Exit.isFailure(exit))
  const error = Option.getOrThrow(Exit.findErrorOption(exit))
  assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
  assert.strictEqual(error.reason, reason)
}

export const assertUnknown = (exit: Exit.Exit<unknown, unknown>) => {
  assert(Exit.isFailure(exit))
  assert.instanceOf(Option.getOrThrow(Exit.findErrorOption(exit)), SecurityError.InvalidToken)
}
