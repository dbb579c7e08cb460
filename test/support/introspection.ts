/** Introspection verifiers with a `TestIssuer`, or with a server whose responses a test defines. */
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

/** Counts the introspection requests that the issuer received. */
export const introspectionCount = TestIssuer.use(({ requests }) =>
  Effect.map(requests, (all) => all.filter(({ endpoint }) => endpoint === "introspection").length)
)

/** Runs a test with a new verifier and a new issuer. */
export const test = (
  name: string,
  body: Effect.Effect<void, unknown, TestIssuer | TokenVerifier | HttpClient.HttpClient>,
  layer: Layer.Layer<TokenVerifier, unknown, HttpClient.HttpClient> = verifier()
) => it.effect(name, () => Effect.provide(body, layer.pipe(Layer.provideMerge(Issuer))))

export const assertRefused = (error: unknown, expected: { readonly reason: string; readonly claim?: string }) => {
  assert.instanceOf(error, SecurityError.InvalidToken)
  assert.deepStrictEqual({ reason: error.reason, claim: error.claim }, { claim: undefined, ...expected })
}

export const assertUnavailable = (error: unknown, reason: string) => {
  assert.instanceOf(error, SecurityError.AuthorizationServerUnavailable)
  assert.deepStrictEqual({ issuer: error.issuer, reason: error.reason }, { issuer, reason })
}

/** Decodes the form in the body of an introspection request. */
export const formOf = ({ body }: HttpClientRequest.HttpClientRequest) => {
  assert(body._tag === "Uint8Array")
  assert.strictEqual(body.contentType, "application/x-www-form-urlencoded")
  return Object.fromEntries(new URLSearchParams(new TextDecoder().decode(body.body)))
}

/** The response of the server. */
export interface ServerResponse {
  /** Default: 200. */
  readonly status?: number
  /** The value that is sent as JSON. Default: `{}`. */
  readonly body?: unknown
  /** The text of the body. Default: `body` as JSON. */
  readonly text?: string
  /** The time before the response, in milliseconds. Default: 0. */
  readonly delay?: number
  readonly headers?: Readonly<Record<string, string>>
  /** If `true`, the connection breaks before the response. Default: `false`. */
  readonly isBroken?: boolean
  /** The client goes on, even if nobody waits for the answer. */
  readonly isUninterruptible?: boolean
}

export const good = {
  body: { active: true, sub: "demo", aud: audience, token_type: "Bearer", exp: 4_000_000_000 }
} satisfies ServerResponse

/** A response that never arrives. */
export const never: ServerResponse = { delay: Infinity }

/**
 * Creates a verifier without a cache, and a server whose responses `answer` returns. Requests are numbered from 1. The
 * verifier does not fetch metadata.
 */
export const serverResponding = (
  answer: (token: string, number: number) => ServerResponse
): {
  readonly layer: Layer.Layer<TokenVerifier, SecurityError.ConfigurationError>
  /** The server, for a verifier with other options. */
  readonly client: Layer.Layer<HttpClient.HttpClient>
  /** The tokens of all introspection requests. */
  readonly introspectedTokens: ReadonlyArray<string>
  /** The number of introspection requests in progress, and its maximum so far. */
  readonly progress: { readonly now: number; readonly most: number }
} => {
  const introspectedTokens: Array<string> = []
  const progress = { now: 0, most: 0 }
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      const token = formOf(request)["token"] ?? ""
      const answered = answer(token, introspectedTokens.push(token))
      const {
        body = {},
        delay = 0,
        headers = {},
        isBroken = false,
        isUninterruptible = false,
        status = 200,
        text = JSON.stringify(body)
      } = answered
      progress.now++
      progress.most = Math.max(progress.most, progress.now)
      const reason = new HttpClientError.TransportError({ request })
      const response = isBroken
        ? Effect.fail(new HttpClientError.HttpClientError({ reason }))
        : Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(text, { status, headers })))
      const delayed = delay === 0 ? response : Effect.delay(response, delay)
      return (isUninterruptible ? Effect.uninterruptible(delayed) : delayed).pipe(
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
    introspectedTokens,
    progress
  }
}
