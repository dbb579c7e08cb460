/** Creates the OpenAPI document of the routes of an `HttpRouter` app in process. */
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import type { OpenApi } from "effect/http-api"
import { OpenApiSecurity, type SecurityError } from "effect-oauth2"

const info = { title: "Routes", version: "1" }

// The cast drops the services of the handlers, because no handler runs.
export const documentOfRoutes = <A, E, R>(
  routes: Layer.Layer<A, E, R>,
  options: Parameters<typeof OpenApiSecurity.documented>[0] = { info }
): Effect.Effect<OpenApi.OpenAPISpec, E | SecurityError.ConfigurationError> =>
  Effect.suspend(() => {
    const documents: Array<OpenApi.OpenAPISpec> = []
    const use = (document: OpenApi.OpenAPISpec) => Layer.effectDiscard(Effect.sync(() => documents.push(document)))
    const App = routes.pipe(OpenApiSecurity.documented(options, use), Layer.provide(HttpRouter.layer))
    return Effect.map(Effect.scoped(Layer.build(App)), () => documents[0]!)
  }) as never
