/** An API that accepts bound tokens, and requests to it. */
import { Effect, Layer } from "effect"
import { HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"
import { Dpop, JwtVerifier, OAuth2, Requirement } from "effect-oauth2"
import { type DpopClient, makeDpopClient, type ProofOptions, TestIssuer } from "effect-oauth2/testing"

export const origin = "https://api.test"
export const url = `${origin}/items`

export const algs = "ES256 ES384 ES512 PS256 PS384 PS512 EdDSA Ed25519"

export interface AppOptions {
  readonly dpop?: Dpop.Options
  readonly senderConstrained?: "accepted" | "required"
  readonly responses?: "fastapi" | "rfc6750"
}

export const schemeOf = ({ dpop, responses, senderConstrained }: AppOptions = {}) =>
  OAuth2.bearer("Api", {
    scopes: { read: "Read", write: "Write" },
    dpop: Dpop.make({ origin, ...dpop }),
    ...(senderConstrained === undefined ? {} : { senderConstrained }),
    ...(responses === undefined ? {} : { responses })
  })

export const Verifier = JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" })

const ok = Effect.succeed(HttpServerResponse.text("ok"))

/** Serves `/items` (scope `read`), `/items` by POST (`write`), `/any` (optional) and `/bound` (sender-constrained). */
export const appOf = (auth: ReturnType<typeof schemeOf>, services: Layer.Layer<never, unknown> = Layer.empty) =>
  HttpRouter.toHttpEffect(
    Layer.mergeAll(
      HttpRouter.add("GET", "/items", ok).pipe(auth.require("read")),
      HttpRouter.add("GET", "/items/:id", ok).pipe(auth.require("read")),
      HttpRouter.add("POST", "/items", ok).pipe(auth.require("write")),
      HttpRouter.add("GET", "/any", ok).pipe(auth.optional()),
      HttpRouter.add("GET", "/bound", ok).pipe(auth.require("read", Requirement.senderConstrained))
    ).pipe(Layer.provide(auth.layer(Verifier)), Layer.provide(services))
  )

export type App = Effect.Success<ReturnType<typeof appOf>>

export interface Answer {
  readonly status: number
  readonly challenges: ReadonlyArray<string>
  readonly headers: Readonly<Record<string, string>>
}

const errorPattern = /error="([^"]+)"/

/** The error code of the challenges, or the status. */
export const codeOf = ({ challenges, status }: Answer): string =>
  challenges.map((challenge) => errorPattern.exec(challenge)?.[1]).find((code) => code !== undefined) ?? String(status)

/** Sends a web-standard request. The clock of the test is the clock of the app. */
export const sendTo = (
  app: App,
  headers: HeadersInit,
  path = "/items",
  method = "GET",
  base = origin
): Effect.Effect<Answer> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    // Safe cast: the app needs only the services of a request.
    const handle = HttpEffect.toWebHandlerWith(context)(app as Effect.Effect<HttpServerResponse.HttpServerResponse>)
    const response = yield* Effect.promise(() => handle(new Request(`${base}${path}`, { method, headers })))
    const challenge = response.headers.get("www-authenticate")
    return {
      status: response.status,
      challenges: challenge === null ? [] : challenge.split(/, (?=Bearer|DPoP)/),
      headers: Object.fromEntries(response.headers)
    }
  })

/** A client with a bound token. */
export const boundClient = (options: { readonly scopes?: ReadonlyArray<string> } = {}) =>
  Effect.gen(function* () {
    const client = yield* makeDpopClient()
    const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: options.scopes ?? ["read"], boundTo: client }))
    return { client, token }
  })

export const headersOf = (
  { client, token }: { readonly client: DpopClient; readonly token: string },
  options: Partial<ProofOptions> = {}
) => client.headers({ url, ...options, token: options.token ?? token })
