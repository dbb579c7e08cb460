/** The app under attack: one verifier, one route in each form of answers, on a real socket; its issuer is in memory and records what it is asked. */
import { assert } from "@effect/vitest"
import { Effect, Layer, Logger, Metric, References, Tracer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { AccessToken, JwtVerifier, OAuth2, type TokenCaching } from "effect-oauth2"
import { type SigningKey, TestIssuer } from "effect-oauth2/testing"
import { connect } from "node:net"
import { inspect } from "node:util"
import { serve, values, type Answer as WireAnswer } from "../conformance/Wire.ts"

const urls = { authorizationUrl: "https://issuer.test/authorize", tokenUrl: "https://issuer.test/token" }
const scopes = { read: "Read" }
const schemes = {
  fastapi: OAuth2.authorizationCode("Fastapi", { ...urls, scopes, responses: "fastapi" }),
  rfc6750: OAuth2.authorizationCode("Rfc6750", { ...urls, scopes, responses: "rfc6750", realm: "api" })
}

export type Responses = keyof typeof schemes
export const responses: ReadonlyArray<Responses> = ["fastapi", "rfc6750"]

const who = Effect.map(AccessToken, ({ subject }) => HttpServerResponse.text(subject))

const Routes = Layer.mergeAll(
  HttpRouter.add("*", "/fastapi", who).pipe(Layer.provide(schemes.fastapi.require("read").route.layer)),
  HttpRouter.add("*", "/rfc6750", who).pipe(Layer.provide(schemes.rfc6750.require("read").route.layer))
).pipe(Layer.provide([schemes.fastapi.layer, schemes.rfc6750.layer]))

export const audience = "https://api.test"

/** Keys take long to make: the issuer's own, and an attacker's of the same name. */
export const keys = Effect.runPromise(
  Effect.all({
    rsa: TestIssuer.makeKey("rsa", "RS256"),
    ec: TestIssuer.makeKey("ec", "ES256"),
    attacker: TestIssuer.makeKey("rsa", "RS256")
  })
)

/** Everything that is logged while the app is attacked: no token may be in it. */
export const emitted: Array<string> = []

/** The spans of this library; those of Effect's HTTP server hold the fields of a request, of which it redacts its own list. */
const spans: Array<Tracer.NativeSpan> = []

const Spans = Layer.succeed(
  Tracer.Tracer,
  Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      if (/^(JwtVerifier|KeySet)\./.test(span.name)) spans.push(span)
      return span
    }
  })
)

/** Everything that has been observed: log events, spans, metrics. */
export const observed = Effect.map(Metric.snapshot, (metrics) =>
  [
    ...emitted,
    ...spans.map((span) =>
      JSON.stringify([span.name, [...span.attributes], span.events, inspect(span.status, { depth: 6 })])
    ),
    inspect(metrics, { depth: 8 })
  ].join("\n")
)

const Recorder = Logger.layer([
  Logger.make(({ cause, fiber, message }) => {
    const annotations = fiber.getRef(References.CurrentLogAnnotations)
    emitted.push(JSON.stringify([message, String(cause), annotations]))
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

/** What is right, in the shorthand of the list of attacks: a status and a reason; with 200 the subject `good` is let in, and with 431 Node has answered. */
export type Expected = "200" | "401t" | "400" | "401n" | "403s" | "431" | "503"

const answers: Readonly<
  Record<Responses, Readonly<Record<Expected, readonly [status: number, challenge: string | undefined]>>>
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

/** What a request holds besides its header. */
export interface Beside {
  readonly query?: string
  /** Is posted. */
  readonly form?: string
}

/** Sends bytes as they are, and reads the answer. */
export const sendRaw = Effect.fnUntraced(function* (
  path: string,
  lines: ReadonlyArray<string>,
  { form, query }: Beside = {}
) {
  const target = query === undefined ? path : `${path}?${query}`
  const head = [`${form === undefined ? "GET" : "POST"} ${target} HTTP/1.1`, "Host: api.test", "Connection: close"]
  const ofForm =
    form === undefined ? [] : ["Content-Type: application/x-www-form-urlencoded", `Content-Length: ${form.length}`]
  const { port } = new URL(HttpServer.formatAddress((yield* HttpServer.HttpServer).address))
  return yield* Effect.callback<WireAnswer>((resume) => {
    const chunks: Array<Buffer> = []
    const socket = connect(Number(port), "127.0.0.1", () =>
      socket.write(Buffer.from([...head, ...lines, ...ofForm, "", form ?? ""].join("\r\n"), "latin1"))
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

/** Asserts one answer, to the challenge; that nothing of what was sent is in it; and that the server lives. */
export const assertAnswer = Effect.fnUntraced(function* (
  form: Responses,
  expected: Expected,
  lines: ReadonlyArray<string>,
  secrets: ReadonlyArray<string>,
  beside: Beside = {}
) {
  const answer = yield* sendRaw(`/${form}`, lines, beside)
  // A system may lose an answer that comes before the request has been read to its end.
  if (expected === "431" && answer.status === 0) return
  const [status, challenge] = answers[form][expected]
  assert.strictEqual(answer.status, status, `${form}: ${answer.body}`)
  assert.deepStrictEqual(values(answer, "www-authenticate"), challenge === undefined ? [] : [challenge])
  if (expected === "200") assert.include(answer.body, "good")
  if (expected === "503") assert.match(values(answer, "retry-after")[0] ?? "", /^\d+$/)
  const whole = JSON.stringify(answer)
  for (const secret of secrets) if (secret.length > 12) assert.notInclude(whole, secret)
})

/** A token of the subject `good` is accepted. */
export const assertAccepted = Effect.fnUntraced(function* (token: string) {
  for (const form of responses) {
    const { body, status } = yield* sendRaw(`/${form}`, [`Authorization: Bearer ${token}`])
    assert.deepStrictEqual([status, body.includes("good")], [200, true])
  }
})

/** A good request is answered. */
export const assertAlive = Effect.fnUntraced(function* (key?: SigningKey) {
  const issuer = yield* TestIssuer
  const token = yield* issuer.mint({ scopes: ["read"], subject: "good", ...(key === undefined ? {} : { key }) })
  yield* assertAccepted(token)
  return token
})
