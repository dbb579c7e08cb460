/** A verifier that asks a test issuer about tokens, or a server that answers each token as a test says. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"
import { SecurityError, type TokenCaching, TokenIntrospection, TokenVerifier } from "effect-oauth2"
import { type OpaqueOptions, TestIssuer } from "effect-oauth2/testing"

export const issuer = "https://issuer.test"
export const audience = "https://api.test"
export const secret = "s3cret: & +"

const key = await Effect.runPromise(TestIssuer.makeKey("ec-1", "ES256"))

export const Issuer = TestIssuer.layer({ issuer, audience, keys: [key] })

export type Options = Parameters<typeof TokenIntrospection.layer>[0]

export const options = {
  issuer,
  audience,
  clientId: "items api",
  clientSecret: Redacted.make(secret)
} satisfies Options

export const verifier = (more: Partial<TokenIntrospection.Policy> & TokenCaching = {}) =>
  TokenIntrospection.layer({ ...options, ...more })

export const verify = (token: string) => TokenVerifier.use(({ verify }) => verify(Redacted.make(token)))

export const mint = (options: OpaqueOptions = {}) =>
  TestIssuer.use(({ mintOpaque }) => mintOpaque({ scopes: ["items:read", "me"], ...options }))

export const respond = (...args: Parameters<TestIssuer["Service"]["respond"]>) =>
  TestIssuer.use(({ respond }) => respond(...args))

/** How often it was asked about a token. */
export const asked = TestIssuer.use(({ requests }) =>
  Effect.map(requests, (all) => all.filter(({ endpoint }) => endpoint === "introspection").length)
)

/** A test with a verifier of its own, and its issuer. */
export const test = (
  name: string,
  body: Effect.Effect<void, unknown, TestIssuer | TokenVerifier | HttpClient.HttpClient>,
  layer = verifier()
) => it.effect(name, () => Effect.provide(body, layer.pipe(Layer.provideMerge(Issuer))))

export const assertRefused = (error: unknown, expected: { readonly reason: string; readonly claim?: string }) => {
  assert.instanceOf(error, SecurityError.InvalidToken)
  assert.deepStrictEqual({ reason: error.reason, claim: error.claim }, { claim: undefined, ...expected })
}

export const assertUnavailable = (error: unknown, reason: string) => {
  assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
  assert.deepStrictEqual({ issuer: error.issuer, reason: error.reason }, { issuer, reason })
}

/** What is sent: the form of a question. */
export const formOf = ({ body }: HttpClientRequest.HttpClientRequest) => {
  assert(body._tag === "Uint8Array")
  assert.strictEqual(body.contentType, "application/x-www-form-urlencoded")
  return Object.fromEntries(new URLSearchParams(new TextDecoder().decode(body.body)))
}

/** An answer after some milliseconds, or what happens then. */
export interface Answer {
  readonly status?: number
  readonly body?: unknown
  /** The body as it is sent. */
  readonly text?: string
  readonly delay?: number
  readonly headers?: Readonly<Record<string, string>>
  /** There is no answer: the connection breaks. */
  readonly isBroken?: boolean
}

export const good = {
  body: { active: true, sub: "demo", aud: audience, token_type: "Bearer", exp: 4_000_000_000 }
} satisfies Answer

/** No answer, as long as anybody waits. */
export const never: Answer = { delay: Infinity }

/** A verifier without a cache, and a server that answers as the test says: the questions are numbered from 1 on. Its metadata is not asked for. */
export const answering = (
  answer: (token: string, number: number) => Answer
): {
  readonly layer: Layer.Layer<TokenVerifier, SecurityError.ConfigurationError>
  /** The server alone, for a verifier with other options. */
  readonly client: Layer.Layer<HttpClient.HttpClient>
  readonly questions: ReadonlyArray<string>
  /** The number of introspection requests in progress, and its maximum so far. */
  readonly progress: { readonly now: number; readonly most: number }
} => {
  const questions: Array<string> = []
  const progress = { now: 0, most: 0 }
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      const token = formOf(request)["token"] ?? ""
      const answered = answer(token, questions.push(token))
      const {
        body = {},
        delay = 0,
        headers = {},
        isBroken = false,
        status = 200,
        text = JSON.stringify(body)
      } = answered
      progress.now++
      progress.most = Math.max(progress.most, progress.now)
      const reason = new HttpClientError.TransportError({ request })
      const response = isBroken
        ? Effect.fail(new HttpClientError.HttpClientError({ reason }))
        : Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(text, { status, headers })))
      return (delay === 0 ? response : Effect.delay(response, delay)).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            progress.now--
          })
        )
      )
    })
  )
  const clientLayer = Layer.succeed(HttpClient.HttpClient, client)
  return {
    layer: verifier({ endpoint: `${issuer}/introspect`, cache: false }).pipe(Layer.provide(clientLayer)),
    client: clientLayer,
    questions,
    progress
  }
}
