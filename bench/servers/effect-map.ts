/**
 * Effect's `HttpRouter` with a map of verified tokens: the least that a guard on Effect can do. It counts no requests,
 * asks no `Clock`, does not look for a second header, and decodes no claims.
 */
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { JWTPayload } from "jose"
import { open, settings } from "./child.ts"
import { quiet, serveEffect } from "./effect.ts"
import { verify } from "./jose.ts"

interface Verified {
  readonly claims: JWTPayload
  readonly scopes: ReadonlySet<string>
}

class Token extends Context.Service<Token, JWTPayload>()("bench/Token") {}

const verified = new Map<string, Verified>()

const refused = (status: 401 | 403) =>
  HttpServerResponse.jsonUnsafe({ error: status }, { status, headers: { "www-authenticate": "Bearer" } })

const guard = (handler: Effect.Effect<HttpServerResponse.HttpServerResponse, never, Token>) => {
  const run = (found: Verified): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
    settings.scopes.every((scope) => found.scopes.has(scope))
      ? Effect.provideService(handler, Token, found.claims)
      : Effect.succeed(refused(403))
  const miss = (header: string) =>
    Effect.matchEffect(
      Effect.tryPromise(() => verify(header.slice("Bearer ".length))),
      {
        onFailure: () => Effect.succeed(refused(401)),
        onSuccess: (claims) => {
          const granted = typeof claims["scope"] === "string" ? claims["scope"].split(" ") : []
          const found = { claims, scopes: new Set(granted) }
          verified.set(header, found)
          return run(found)
        }
      }
    )
  return Effect.withFiber<HttpServerResponse.HttpServerResponse>((fiber) => {
    const request = Context.getUnsafe(
      fiber.context as Context.Context<HttpServerRequest.HttpServerRequest>,
      HttpServerRequest.HttpServerRequest
    )
    // Safe cast: Node's request is the source.
    const header = (request.source as { readonly headers: Readonly<Record<string, string>> }).headers["authorization"]
    if (header === undefined) return Effect.succeed(refused(401))
    const found = verified.get(header)
    return found !== undefined && found.claims.exp! * 1000 > Date.now() ? run(found) : miss(header)
  })
}

const Open = HttpRouter.add(
  "GET",
  "/open",
  Effect.sync(() => HttpServerResponse.jsonUnsafe(open))
)

const Items = HttpRouter.add(
  "GET",
  "/items",
  guard(Effect.map(Token, ({ sub }) => HttpServerResponse.jsonUnsafe({ subject: sub })))
)

serveEffect(HttpRouter.serve(Layer.mergeAll(Open, Items), quiet))
