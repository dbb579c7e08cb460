/** The app under attack: one verifier, one route per `responses` setting, a real socket, and an issuer in memory. */
import { assert } from "@effect/vitest"
import { Effect, Layer, Logger, Metric, References, Tracer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { AccessToken, JwtVerifier, OAuth2, type TokenCaching } from "effect-oauth2"
import { type SigningKey, TestIssuer } from "effect-oauth2/testing"
import { connect } from "node:net"
import { inspect } from "node:util"
import { serve, values, type WireResponse } from "../conformance/Wire.ts"
import { fromContext } from "../support/contextVerifier.ts"

const urls = { authorizationUrl: "https://issuer.test/authorize", tokenUrl: "https://issuer.test/token" }
const scopes = { read: "Read" }
const schemes = {
  fastapi: OAuth2.authorizationCode("Fastapi", { ...urls, scopes, responses: "fastapi" }),
  rfc6750: OAuth2.authorizationCode("Rfc6750", { ...urls, scopes, responses: "rfc6750", realm: "api" })
}

export type Responses = keyof typeof schemes
export const responses: ReadonlyArray<Responses> = ["fastapi", "rfc6750"]

const subject = Effect.map(AccessToken, ({ subject }) => HttpServerResponse.text(subject))

const Routes = Layer.mergeAll(
  HttpRouter.add("*", "/fastapi", subject).pipe(schemes.fastapi.require("read")),
  HttpRouter.add("*", "/rfc6750", subject).pipe(schemes.rfc6750.require("read"))
).pipe(Layer.provide([schemes.fastapi.layer(fromContext), schemes.rfc6750.layer(fromContext)]))

export const audience = "https://api.test"

// RSA keys are slow to generate, so all tests share these keys. The attacker's key has the name of an issuer's key.
export const keys = Effect.runPromise(
  Effect.all({
    rsa: TestIssuer.makeKey("rsa", "RS256"),
    ec: TestIssuer.makeKey("ec", "ES256"),
    attacker: TestIssuer.makeKey("rsa", "RS256")
  })
)

/** All log events. They must not contain a token. */
export const logged: Array<string> = []

// Spans of this library only. The spans of Effect's HTTP server contain request headers, which Effect redacts itself.
const spans: Array<Tracer.NativeSpan> = []

export const Spans = Layer.succeed(
  Tracer.Tracer,
  Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      if (/^(JwtVerifier|KeySet)\./.test(span.name)) spans.push(span)
      return span
    }
  })
)

/** All log events, spans and metrics, as text. */
export const telemetry = Effect.map(Metric.snapshot, (metrics) =>
  [
    ...logged,
    ...spans.map((span) =>
      JSON.stringify([span.name, [...span.attributes], span.events, inspect(span.status, { depth: 6 })])
    ),
    inspect(metrics, { depth: 8 })
  ].join("\n")
)

export const Recorder = Logger.layer([
  Logger.make(({ cause, fiber, message }) => {
    const annotations = fiber.getRef(References.CurrentLogAnnotations)
    logged.push(JSON.stringify([message, String(cause), annotations]))
  })
])

const policy: JwtVerifier.Options = { issuer: "https://issuer.test", audience, algorithms: ["RS256", "ES256"] }

export const layerCaching = (caching: TokenCaching) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(() => keys),
      ({ ec, rsa }) =>
        serve(Routes).pipe(
          Layer.provide(JwtVerifier.layer({ ...policy, ...caching })),
          Layer.provideMerge(TestIssuer.layer({ issuer: policy.issuer, audience, keys: [rsa, ec] })),
          Layer.provideMerge(Recorder),
          Layer.provideMerge(Spans)
        )
    )
  )

export const layer = layerCaching({})

/**
 * Expected response: the status with `responses: "rfc6750"`, and a letter for the reason. `200` also requires the
 * subject `good`. Node itself responds with `431`.
 */
type Certain = "200" | "401t" | "400" | "401n" | "403s" | "431" | "503"

/** A slow machine may allow another search for keys. A kid that a fetch looked for gets 401, and another kid 503. */
export type Expected = Certain | "401t or 503"

const expectedResponses: Readonly<
  Record<Responses, Readonly<Record<Certain, readonly [status: number, challenge: string | undefined]>>>
> = {
  fastapi: {
    "200": [200, undefined],
    "401t": [401, `Bearer scope="read"`],
    "400": [401, "Bearer"],
    "401n": [401, "Bearer"],
    "403s": [401, `Bearer scope="read"`],
    "431": [431, undefined],
    "503": [503, undefined]
  },
  rfc6750: {
    "200": [200, undefined],
    "401t": [401, `Bearer error="invalid_token", scope="read"`],
    "400": [400, `Bearer error="invalid_request"`],
    "401n": [401, `Bearer realm="api", scope="read"`],
    "403s": [403, `Bearer error="insufficient_scope", scope="read"`],
    "431": [431, undefined],
    "503": [503, undefined]
  }
}

/** Parameters of a request, in the query or in a form. */
export interface Parameters {
  readonly query?: string
  /** Body of a POST request. */
  readonly form?: string
}

/** Sends header lines without changing a byte, and returns the response. */
export const sendRaw = Effect.fnUntraced(function* (
  path: string,
  lines: ReadonlyArray<string>,
  { form, query }: Parameters = {}
) {
  const target = query === undefined ? path : `${path}?${query}`
  const head = [`${form === undefined ? "GET" : "POST"} ${target} HTTP/1.1`, "Host: api.test", "Connection: close"]
  const formHeaders =
    form === undefined ? [] : ["Content-Type: application/x-www-form-urlencoded", `Content-Length: ${form.length}`]
  const { port } = new URL(HttpServer.formatAddress((yield* HttpServer.HttpServer).address))
  return yield* Effect.callback<WireResponse>((resume) => {
    const chunks: Array<Buffer> = []
    const socket = connect(Number(port), "127.0.0.1", () =>
      socket.write(Buffer.from([...head, ...lines, ...formHeaders, "", form ?? ""].join("\r\n"), "latin1"))
    )
    socket.on("data", (chunk) => chunks.push(chunk))
    socket.on("error", () => {})
    socket.on("close", () => {
      const text = Buffer.concat(chunks).toString("latin1")
      const [head = "", ...body] = text.split("\r\n\r\n")
      const [status = "", ...fields] = head.split("\r\n")
      resume(
        Effect.succeed({
          status: Number(status.split(" ")[1] ?? 0),
          fields: fields.map((field) => {
            const colon = field.indexOf(":")
            return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const
          }),
          body: body.join("\r\n\r\n")
        })
      )
    })
  })
})

/** Asserts the status and the challenge, and that the response contains no part of the request. */
export const assertResponse = Effect.fnUntraced(function* (
  setting: Responses,
  allowed: Expected,
  lines: ReadonlyArray<string>,
  secrets: ReadonlyArray<string>,
  parameters: Parameters = {}
) {
  const response = yield* sendRaw(`/${setting}`, lines, parameters)
  const expected = allowed !== "401t or 503" ? allowed : response.status === 503 ? "503" : "401t"
  // The operating system can lose a response that is sent before the whole request is read.
  if (expected === "431" && response.status === 0) return
  const [status, challenge] = expectedResponses[setting][expected]
  assert.strictEqual(response.status, status, `${setting}: ${response.body}`)
  assert.deepStrictEqual(values(response, "www-authenticate"), challenge === undefined ? [] : [challenge])
  if (expected === "200") assert.include(response.body, "good")
  if (expected === "503") assert.match(values(response, "retry-after")[0] ?? "", /^\d+$/)
  const whole = JSON.stringify(response)
  for (const secret of secrets) if (secret.length > 12) assert.notInclude(whole, secret)
})

/** Asserts that a token of the subject `good` is accepted. */
export const assertAccepted = Effect.fnUntraced(function* (token: string) {
  for (const setting of responses) {
    const { body, status } = yield* sendRaw(`/${setting}`, [`Authorization: Bearer ${token}`])
    assert.deepStrictEqual([status, body.includes("good")], [200, true])
  }
})

/** Asserts that the app still accepts a valid token. */
export const assertAlive = Effect.fnUntraced(function* (key?: SigningKey) {
  const issuer = yield* TestIssuer
  const token = yield* issuer.mint({ scopes: ["read"], subject: "good", ...(key === undefined ? {} : { key }) })
  yield* assertAccepted(token)
  return token
})
