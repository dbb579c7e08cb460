/** A Cloudflare Worker. Its layers are at module scope, and a request may move its clock. */
import { Clock, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer } from "effect/http"
import { JwtVerifier, SwaggerUi, TokenIntrospection } from "effect-oauth2"
import { Api, audience, Routes } from "./handler.ts"

interface Env {
  readonly ISSUER: string
}

let moved = 0
const Moved = Layer.effect(
  Clock.Clock,
  Effect.map(Clock.Clock, (clock) => {
    const own = Object.create(clock) as Clock.Clock
    return Object.assign(own, {
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + moved,
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + BigInt(moved) * 1_000_000n
    })
  })
)

const bytes = new TextEncoder().encode("file")
const Page = SwaggerUi.layer(Api, {
  assets: {
    version: "5.0.0",
    files: { "swagger-ui.css": bytes, "swagger-ui-bundle.js": bytes, "favicon-32x32.png": bytes }
  }
})

const make = (issuer: string) => ({
  jwt: HttpRouter.toWebHandler(
    Layer.mergeAll(Routes, Page).pipe(
      Layer.provide(JwtVerifier.layer({ issuer, audience })),
      Layer.provide([FetchHttpClient.layer, Moved, HttpServer.layerServices])
    ),
    { disableLogger: true }
  ).handler,
  introspection: HttpRouter.toWebHandler(
    Routes.pipe(
      Layer.provide(
        TokenIntrospection.layer({ issuer, audience, clientId: "api", clientSecret: Redacted.make("secret") })
      ),
      Layer.provide([FetchHttpClient.layer, Moved])
    ),
    { disableLogger: true }
  ).handler
})

let made: ReturnType<typeof make> | undefined

export default {
  fetch: (request: Request, { ISSUER }: Env): Promise<Response> | Response => {
    made ??= make(ISSUER)
    const url = new URL(request.url)
    const advance = url.searchParams.get("advance")
    if (advance !== null) {
      moved += Number(advance)
      return new Response("")
    }
    return url.searchParams.has("introspection")
      ? made.introspection(request, undefined as never)
      : made.jwt(request, undefined as never)
  }
}
