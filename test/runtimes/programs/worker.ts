/** A Cloudflare Worker. Its layers are at module scope, and a request may move its clock. */
import { waitUntil } from "cloudflare:workers"
import { Clock, Context, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer } from "effect/http"
import { JwtVerifier, KeySet, RequestIsolation, SwaggerUi, TokenIntrospection } from "effect-oauth2"
import css from "swagger-ui-data/swagger-ui.css.bin"
import icon from "swagger-ui-data/favicon-32x32.png.bin"
import script from "swagger-ui-data/swagger-ui-bundle.js.bin"
import { Api, audience, Routes } from "./handler.ts"

interface Env {
  readonly ISSUER: string
  readonly SWAGGER_UI_VERSION: string
  /** `SwaggerUi.HostedAssets` as JSON. */
  readonly SWAGGER_UI_HOSTED: string
}

let moved = 0
const clock = Context.get(Context.empty(), Clock.Clock)
const movedClock: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + moved,
  currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe() + moved),
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + BigInt(moved) * 1_000_000n
})
const Moved = Layer.succeed(Clock.Clock, movedClock)
const context = Context.make(Clock.Clock, movedClock)

const initOAuth = { clientId: "docs", scopes: ["me"] }

const embeddedPage = (version: string) =>
  SwaggerUi.layer(Api, {
    initOAuth,
    assets: {
      version,
      files: { "swagger-ui.css": css, "swagger-ui-bundle.js": script, "favicon-32x32.png": icon }
    }
  })

const hostedPage = (assets: SwaggerUi.HostedAssets) =>
  SwaggerUi.layer(Api, { initOAuth, assets, path: "/hosted", openapiPath: "/hosted.json" })

const make = ({ ISSUER: issuer, SWAGGER_UI_HOSTED, SWAGGER_UI_VERSION }: Env) => ({
  waitUntil: HttpRouter.toWebHandler(
    Routes.pipe(
      Layer.provide(JwtVerifier.layer({ issuer, audience })),
      Layer.provide([FetchHttpClient.layer, Moved, Layer.succeed(RequestIsolation, { waitUntil })])
    ),
    { disableLogger: true }
  ).handler,
  refresh: HttpRouter.toWebHandler(
    Routes.pipe(
      Layer.provide(JwtVerifier.layerKeySet({ issuer, audience })),
      Layer.provide(
        KeySet.layerDiscovery({ issuer }).pipe(Layer.tap((context) => Context.get(context, KeySet.KeySet).refresh))
      ),
      Layer.provide([FetchHttpClient.layer, Moved])
    ),
    { disableLogger: true }
  ).handler,
  jwt: HttpRouter.toWebHandler(
    Layer.mergeAll(
      Routes,
      embeddedPage(SWAGGER_UI_VERSION),
      hostedPage(JSON.parse(SWAGGER_UI_HOSTED) as SwaggerUi.HostedAssets)
    ).pipe(
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
  fetch: (request: Request, env: Env): Promise<Response> | Response => {
    made ??= make(env)
    const url = new URL(request.url)
    const advance = url.searchParams.get("advance")
    if (advance !== null) {
      moved += Number(advance)
      return new Response("")
    }
    for (const name of ["introspection", "waitUntil", "refresh"] as const) {
      if (url.searchParams.has(name)) return made[name](request, context)
    }
    return made.jwt(request, context)
  }
}
